"""botocore's API models: what an operation takes and answers, and whether a request keeps to it.

AWS refuses more than any emulator does; checking every request against the model is the cheapest
way to be as strict.
"""
import functools
import re

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

_loader = Loader()
# The name in a request's signature, where it is not the model's.
_MODEL_NAMES = {"monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}
# AWS documents lengths that its models then exceed or contradict; what the model says is not sent on.
_JAVA_ONLY = re.compile(r"\\p\{")


@functools.lru_cache(maxsize=None)
def service(signing_name: str) -> ServiceModel | None:
    name = _MODEL_NAMES.get(signing_name, signing_name)
    try:
        return ServiceModel(_loader.load_service_model(name, "service-2"), name)
    except Exception:
        return None


def operation(model: ServiceModel, name: str) -> OperationModel | None:
    return model.operation_model(name) if name in model.operation_names else None


def problems(shape: Shape | None, params) -> list[str]:
    """What is wrong with a request, in AWS's words where those are known."""
    if shape is None:
        return []
    report = ParamValidator().validate(params, shape)
    if report.has_errors():
        return report.generate_report().splitlines()
    return list(_constraints(shape, params, ""))


def _constraints(shape: Shape, value, path: str):
    kind, limits = shape.type_name, shape.metadata
    if kind == "structure":
        for name, member in value.items():
            if name in shape.members:
                yield from _constraints(shape.members[name], member, f"{path}.{name}" if path else name)
        return
    if kind == "list":
        for index, member in enumerate(value):
            yield from _constraints(shape.member, member, f"{path}.{index + 1}.member")
    elif kind == "map":
        for key, member in value.items():
            yield from _constraints(shape.key, key, f"{path}.key")
            yield from _constraints(shape.value, member, f"{path}.{key}.member")
    size, what = (value, "value") if kind in ("integer", "long", "float", "double") else \
        (len(value), "length") if kind in ("string", "list", "map", "blob") else (None, "")
    field = path[:1].lower() + path[1:]
    # A secret's value is not echoed, unlike on AWS: our log is not to hold it.
    shown = "***" if limits.get("sensitive") or shape.metadata.get("sensitive") else value
    start = f"Value '{shown}' at '{field}' failed to satisfy constraint: Member must"
    if size is not None and size > limits.get("max", size):
        yield f"{start} have {what} less than or equal to {limits['max']}"
    if size is not None and size < limits.get("min", size):
        yield f"{start} have {what} greater than or equal to {limits['min']}"
    if kind == "string":
        pattern = limits.get("pattern")
        if pattern and not _matches(pattern, value):
            yield f"{start} satisfy regular expression pattern: {pattern}"
        if getattr(shape, "enum", None) and value not in shape.enum:
            yield f"{start} satisfy enum value set: [{', '.join(shape.enum)}]"


def _matches(pattern: str, value: str) -> bool:
    if _JAVA_ONLY.search(pattern):
        return True
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return True
