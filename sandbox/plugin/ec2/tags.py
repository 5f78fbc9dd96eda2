"""Tags of the EC2 resources that are ours; MiniStack keeps the tags of its own."""
from ..registry import PASS_ON, Request, operations
from ..world import Fault, tag_list, tag_map
from .endpoints import Endpoints
from .groups import Groups, check_tags

_OURS = ("sg-", "sgr-", "vpce-")


def _tags(request: Request, resource: str) -> dict[str, str]:
    for kind in (Groups, Endpoints):
        found = request.place.of(kind).tags_of(resource)
        if found is not None:
            return found
    raise Fault("InvalidID", f"The ID '{resource}' is not valid")


def _change(request: Request):
    resources = request.params["Resources"]
    if not any(each.startswith(_OURS) for each in resources):
        return PASS_ON
    changed = tag_map(request.params.get("Tags"))
    kept = [_tags(request, each) for each in resources]
    for tags in kept:
        check_tags(changed, tags | changed if request.operation == "CreateTags" else {})
    for tags in kept:
        if request.operation == "CreateTags":
            tags.update(changed)
        elif "Tags" not in request.params:
            tags.clear()
        else:
            for each in request.params["Tags"]:
                if tags.get(each["Key"]) is not None and each.get("Value", tags[each["Key"]]) == tags[each["Key"]]:
                    del tags[each["Key"]]
    return {}


def _describe(request: Request):
    wanted = [each for filter in request.params.get("Filters", []) if filter["Name"] == "resource-id"
              for each in filter.get("Values", [])]
    if not wanted or not all(each.startswith(_OURS) for each in wanted):
        return PASS_ON
    kinds = {"sg-": "security-group", "sgr-": "security-group-rule", "vpce-": "vpc-endpoint"}
    return {"Tags": [{"ResourceId": each, "ResourceType": kinds[each[:each.index("-") + 1]], **tag}
                     for each in wanted for tag in tag_list(_tags(request, each))]}


operations("ec2", CreateTags=_change, DeleteTags=_change, DescribeTags=_describe)
