"""CloudWatch Logs: what MiniStack does not check."""
from .registry import Request, guard
from .world import Fault


@guard("logs", "FilterLogEvents")
def _token(request: Request) -> None:
    """MiniStack answers all events at once, and ignores a token; so none that somebody has can be good."""
    if request.params.get("nextToken"):
        raise Fault("InvalidParameterException", "The specified nextToken is invalid.")
