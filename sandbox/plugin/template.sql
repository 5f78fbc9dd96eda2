-- The roles that RDS makes in every PostgreSQL instance, as its documentation lists them.
-- rdsadmin, the only superuser, is made by initdb and belongs to AWS.
CREATE ROLE rds_superuser NOLOGIN;
CREATE ROLE rds_password NOLOGIN;
CREATE ROLE rds_replication NOLOGIN;
CREATE ROLE rds_iam NOLOGIN;
CREATE ROLE rds_ad NOLOGIN;
CREATE ROLE rdsrepladmin NOLOGIN NOINHERIT REPLICATION;
GRANT pg_monitor, pg_signal_backend, pg_read_all_data, pg_write_all_data, pg_checkpoint, pg_use_reserved_connections TO rds_superuser WITH ADMIN OPTION;
GRANT rds_password, rds_replication TO rds_superuser WITH ADMIN OPTION;
