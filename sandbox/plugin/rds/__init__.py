"""RDS for PostgreSQL, ours whole: behind every instance is a real server. `instances` and `subnets` keep the
state, `create` and `api` are the operations, `clusters` and `cluster_api` those of Aurora, `versions` is what AWS offers."""
