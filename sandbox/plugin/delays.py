"""How long states take: each in seconds, each account its own."""

# name: (what takes this long, fast, demo, aws)
TABLE = {
    "instance_create": ("DB instance: creating → available, at least", 0.4, 3.0, 400.0),
    "instance_modify": ("DB instance: modifying → available", 0.2, 1.0, 60.0),
    "instance_delete": ("DB instance: deleting → gone", 0.3, 1.5, 240.0),
    "cluster_create": ("DB cluster: creating → available", 0.2, 1.0, 60.0),
    "cluster_failover": ("DB cluster: failing-over → available, at least", 0.2, 1.0, 30.0),
    "snapshot_create": ("final snapshot: creating → available", 0.2, 1.0, 120.0),
    "proxy_create": ("RDS Proxy: creating → available", 0.2, 1.0, 300.0),
    "proxy_delete": ("RDS Proxy: deleting → gone", 0.2, 1.0, 60.0),
    "master_secret": ("the master's secret: creating → active, after the instance is available", 0.2, 1.0, 30.0),
    "stack_create": ("stack: CREATE_IN_PROGRESS →", 0.3, 1.5, 90.0),
    "stack_update": ("stack: UPDATE_IN_PROGRESS →", 0.3, 1.5, 60.0),
    "stack_delete": ("stack: DELETE_IN_PROGRESS →", 0.2, 1.0, 60.0),
    "drift_detection": ("a stack's drift detection: DETECTION_IN_PROGRESS →, from the first look at it", 0.0, 0.2, 15.0),
    "endpoint_create": ("VPC endpoint: pending → available", 0.2, 1.0, 60.0),
    "endpoint_delete": ("VPC endpoint: deleting → gone", 0.2, 1.0, 60.0),
    "function_active": ("function: Pending → Active, and InProgress → Successful", 0.1, 0.5, 5.0),
    "function_interfaces": ("a deleted VPC function still holds its security groups", 0.2, 1.0, 1200.0),
    "permission_settle": ("a new function permission is not yet seen by RotateSecret", 0.0, 0.0, 3.0),
    "rotation_step": ("between two steps of a rotation", 0.0, 0.2, 1.0),
    "rotation_retry": ("from a failed rotation to its next attempt", 1.0, 5.0, 600.0),
    "secret_delete": ("a secret deleted without recovery blocks its name", 0.0, 0.2, 5.0),
    "list_secrets_lag": ("ListSecrets shows changes this late (AWS: up to five minutes)", 0.0, 0.0, 20.0),
}
PRESETS = ("none", "fast", "demo", "aws")
DEFAULT = "fast"


def preset(name: str) -> dict[str, float]:
    if name == "none":
        # A retry at once would be a busy loop.
        return {key: 0.2 if key == "rotation_retry" else 0.0 for key in TABLE}
    column = PRESETS.index(name)
    return {key: row[column] for key, row in TABLE.items()}


def parse(spec: str, base: dict[str, float]) -> dict[str, float]:
    """`demo`, `instance_create=3,stack_create=0.5`, or both: a preset, then exceptions."""
    delays = dict(base)
    for part in filter(None, (part.strip() for part in spec.split(","))):
        name, equals, value = part.partition("=")
        if not equals and name in PRESETS:
            delays.update(preset(name))
        elif equals and name in TABLE:
            delays[name] = float(value)
        else:
            raise ValueError(f"{part!r} is neither a preset ({', '.join(PRESETS)}) nor one of {', '.join(TABLE)} = seconds")
    return delays
