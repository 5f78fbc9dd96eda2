"""RDS's pages."""
from ..world import Fault


def page(items: list, params: dict) -> tuple[list, str | None]:
    size = params.get("MaxRecords", 100)
    if not 20 <= size <= 100:
        raise Fault("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between 20 and 100")
    marker = params.get("Marker", "0")
    start = int(marker) if marker.isdigit() else 0
    return items[start:start + size], str(start + size) if start + size < len(items) else None
