"""CloudFormation templates: what is wrong with one before any resource is made, beyond what MiniStack sees.

The refusals are as recorded of AWS in LocalStack's snapshots (tests/aws/services/cloudformation/api/test_validations
and engine/test_references), the circular ones as the user guide's troubleshooting page has them.
"""
import re

_NAME = re.compile(r"[A-Za-z0-9]+")
_MEMBERS = {"Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdatePolicy", "UpdateReplacePolicy",
            "CreationPolicy", "Metadata"}
_IN_TEXT = re.compile(r"\$\{([^!][^}]*)\}")


def check(template: dict) -> None:
    """Raises ValueError, whose text MiniStack answers as a ValidationError. A macro's template is its macro's affair."""
    if template.get("Transform"):
        return
    resources = template.get("Resources")
    if not resources:
        raise ValueError("Template format error: At least one Resources member must be defined.")
    for name, resource in resources.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"Template format error: Resource name {name} is non alphanumeric.")
        if not isinstance(resource, dict):
            raise ValueError("Template format error: Any Resources member must be an object.")
        if "Type" not in resource:
            raise ValueError(f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member.")
        if unknown := sorted(resource.keys() - _MEMBERS):
            raise ValueError(f"Invalid template resource property '{unknown[0]}'")
    parameters = set(template.get("Parameters") or {})
    named = {name: _named(resource) - parameters for name, resource in resources.items()}
    _unresolved("Resources", set().union(*named.values()), resources)
    _unresolved("Outputs", _named(template.get("Outputs") or {}) - parameters, resources)
    _no_circle(named)


def check_values(template: dict, given: list[dict]) -> None:
    unknown = [each["Key"] for each in given if "Key" in each and each["Key"] not in (template.get("Parameters") or {})]
    if unknown:
        raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")


def _unresolved(block: str, named: set[str], resources: dict) -> None:
    if missing := sorted(named - set(resources)):
        raise ValueError(f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in the {block} block of the template")


def _named(value) -> set[str]:
    """The resources and parameters that a piece of a template speaks of."""
    if isinstance(value, list):
        return set().union(*(_named(each) for each in value))
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, each in value.items():
        if key == "Ref" and isinstance(each, str):
            found.add(each)
        elif key == "Fn::GetAtt":
            found.add(each.split(".")[0] if isinstance(each, str) else each[0])
        elif key == "Fn::Sub":
            text, own = (each, {}) if isinstance(each, str) else (each[0], each[1])
            found |= {part.split(".")[0] for part in _IN_TEXT.findall(text) if part not in own} | _named(own)
        elif key == "DependsOn":
            found |= {each} if isinstance(each, str) else set(each)
        else:
            found |= _named(each)
    return {name for name in found if not name.startswith("AWS::")}


def _no_circle(named: dict[str, set[str]]) -> None:
    left = dict(named)
    while True:
        free = [name for name, others in left.items() if not others & left.keys()]
        if not free:
            break
        for name in free:
            del left[name]
    if left:
        raise ValueError(f"Circular dependency between resources: [{', '.join(sorted(left))}]")
