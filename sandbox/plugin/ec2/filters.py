"""EC2's filters, and pages."""
import base64
import fnmatch

from ..world import Fault


def passes(filters: list[dict] | None, values: dict[str, list[str] | str], tags: dict[str, str]) -> bool:
    """All filters, any value of each; * and ? are wildcards. A filter that we do not know is refused, not ignored."""
    for each in filters or []:
        name, wanted = each["Name"], each.get("Values", [])
        if name.startswith("tag:"):
            found = [tags[name[4:]]] if name[4:] in tags else []
        elif name == "tag-key":
            found = list(tags)
        elif name in values:
            found = values[name] if isinstance(values[name], list) else [values[name]]
        else:
            raise Fault("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not any(fnmatch.fnmatchcase(str(value), want) for value in found for want in wanted):
            return False
    return True


def page(items: list, params: dict) -> tuple[list, str | None]:
    try:
        start = int(base64.b64decode(params["NextToken"])) if params.get("NextToken") else 0
    except ValueError as wrong:
        raise Fault("InvalidNextToken", "The token is invalid") from wrong
    size = params.get("MaxResults") or 1000
    more = start + size < len(items)
    return items[start:start + size], base64.b64encode(str(start + size).encode()).decode() if more else None
