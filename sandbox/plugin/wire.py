"""AWS's protocols: a request's parameters out of its bytes, and an answer's bytes, both by the API model."""
import base64
import datetime
import json
import re
import xml.etree.ElementTree as xml
from urllib.parse import parse_qsl

from botocore.model import OperationModel, ServiceModel, Shape


# --- requests ---------------------------------------------------------------------------------

def parse(operation: OperationModel, body: bytes, path: str = "", query: dict | None = None) -> dict:
    protocol = operation.service_model.metadata["protocol"]
    if protocol == "rest-json":
        return _from_rest(operation, body, path, query or {})
    if protocol == "json":
        return _from_json(operation.input_shape, json.loads(body or b"{}")) if operation.input_shape else {}
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return _from_form(operation.input_shape, form, "", protocol == "ec2") if operation.input_shape else {}


def _from_json(shape: Shape, value):
    kind = shape.type_name
    if value is None:
        return None
    if kind == "structure" and isinstance(value, dict):
        known = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        return {known[key][0]: _from_json(known[key][1], each) for key, each in value.items()
                if key in known and each is not None}
    if kind == "list" and isinstance(value, list):
        return [_from_json(shape.member, each) for each in value]
    if kind == "blob":
        return base64.b64decode(value)
    if kind == "timestamp" and isinstance(value, (int, float)):
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    return value


def _from_rest(operation: OperationModel, body: bytes, path: str, query: dict) -> dict:
    """From the path, the query and a body of JSON; what is in headers, or is a body of bytes, is left out."""
    shape = operation.input_shape
    if shape is None:
        return {}
    in_body = not shape.serialization.get("payload") and body
    params = _from_json(shape, json.loads(body)) if in_body else {}
    uri = operation.http["requestUri"].partition("?")[0].rstrip("/")
    labels = re.fullmatch(re.sub(r"\{(\w+)\+?\}", r"(?P<\1>[^/]+)", uri) + "/?", path)
    for name, member in shape.members.items():
        location, key = member.serialization.get("location"), member.serialization.get("name", name)
        if location == "uri" and labels:
            params[name] = labels[key]
        elif location == "querystring" and key in query and member.type_name in ("string", "integer", "boolean"):
            params[name] = _scalar(member.type_name, query[key])
    return params


def _from_form(shape: Shape, form: dict, prefix: str, ec2: bool):
    kind = shape.type_name
    if kind == "structure":
        result = {}
        for name, member in shape.members.items():
            key = prefix + _form_name(name, member, ec2)
            if key in form or any(each.startswith(key + ".") for each in form):
                result[name] = _from_form(member, form, key + "." if member.type_name in ("structure", "list", "map")
                                          else key, ec2)
        return result
    if kind == "list":
        # `Ids.1`, `Ids.member.1`, `SubnetIds.SubnetIdentifier.1`: whatever names the member, a number ends it.
        numbered = re.compile(re.escape(prefix) + r"((?:[A-Za-z]+\.)?)(\d+)(\.|$)")
        found = {}
        for key in form:
            if match := numbered.match(key):
                found[int(match[2])] = prefix + match[1] + match[2]
        deep = shape.member.type_name in ("structure", "list", "map")
        return [_from_form(shape.member, form, found[index] + ("." if deep else ""), ec2) for index in sorted(found)]
    return _scalar(kind, form.get(prefix, ""))


def _form_name(name: str, member: Shape, ec2: bool) -> str:
    if not ec2:
        return member.serialization.get("name", name)
    if "queryName" in member.serialization:
        return member.serialization["queryName"]
    location = member.serialization.get("name", name)
    return location[0].upper() + location[1:]


def _scalar(kind: str, text: str):
    if kind == "boolean":
        return text.lower() == "true"
    if kind in ("integer", "long"):
        return int(text)
    if kind in ("float", "double"):
        return float(text)
    if kind == "blob":
        return base64.b64decode(text)
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return text


# --- answers ----------------------------------------------------------------------------------

def answer(operation: OperationModel, result: dict, request_id: str) -> tuple[dict, bytes]:
    """Headers and body of a success."""
    protocol = operation.service_model.metadata["protocol"]
    if protocol == "json":
        body = json.dumps(_to_json(operation.output_shape, result) if operation.output_shape else {}).encode()
        return {"content-type": f"application/x-amz-json-{operation.service_model.metadata['jsonVersion']}"}, body
    root = xml.Element(f"{operation.name}Response", xmlns=operation.service_model.metadata["xmlNamespace"])
    if protocol == "ec2":
        xml.SubElement(root, "requestId").text = request_id
        if operation.output_shape:
            _members(root, operation.output_shape, result)
    else:
        if operation.output_shape:
            wrapper = operation.output_shape.serialization.get("resultWrapper", f"{operation.name}Result")
            _members(xml.SubElement(root, wrapper), operation.output_shape, result)
        xml.SubElement(xml.SubElement(root, "ResponseMetadata"), "RequestId").text = request_id
    return {"content-type": "text/xml;charset=UTF-8"}, _document(root)


def _to_json(shape: Shape, value):
    kind = shape.type_name
    if kind == "structure":
        return {member.serialization.get("name", name): _to_json(member, value[name])
                for name, member in shape.members.items() if value.get(name) is not None}
    if kind == "list":
        return [_to_json(shape.member, each) for each in value]
    if kind == "map":
        return {key: _to_json(shape.value, each) for key, each in value.items()}
    if kind == "blob":
        return base64.b64encode(value).decode()
    return value


def _members(parent: xml.Element, shape: Shape, value: dict) -> None:
    for name, member in shape.members.items():
        if value.get(name) is not None:
            _element(parent, member.serialization.get("name", name), member, value[name])


def _element(parent: xml.Element, name: str, shape: Shape, value) -> None:
    kind = shape.type_name
    if kind == "list":
        flat = shape.serialization.get("flattened")
        inside = parent if flat else xml.SubElement(parent, name)
        for each in value:
            _element(inside, name if flat else shape.member.serialization.get("name", "member"), shape.member, each)
        return
    element = xml.SubElement(parent, name)
    if kind == "structure":
        _members(element, shape, value)
    elif kind == "boolean":
        element.text = "true" if value else "false"
    elif kind == "timestamp":
        element.text = datetime.datetime.fromtimestamp(value, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    else:
        element.text = str(value)


def error(model: ServiceModel, code: str, message: str, status: int | None, request_id: str) -> tuple[int, dict, bytes, str]:
    """Status, headers and body of an error, and its code on the wire, which the model can name differently."""
    declared = next((shape.metadata.get("error", {}) for shape in model.error_shapes if shape.name == code), {})
    code = declared.get("code", code)
    status = status or declared.get("httpStatusCode", 400)
    protocol = model.metadata["protocol"]
    if protocol in ("json", "rest-json"):
        headers = {"content-type": f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.1')}",
                   "x-amzn-errortype": code}
        return status, headers, json.dumps({"__type": code, "message": message, "Message": message}).encode(), code
    if protocol == "ec2":
        root = xml.Element("Response")
        inside = xml.SubElement(xml.SubElement(root, "Errors"), "Error")
        last = ("RequestID", root)
    elif protocol == "rest-xml":
        root = inside = xml.Element("Error")
        last = ("RequestId", root)
    else:
        root = xml.Element("ErrorResponse", xmlns=model.metadata.get("xmlNamespace", ""))
        inside = xml.SubElement(root, "Error")
        xml.SubElement(inside, "Type").text = "Sender" if status < 500 else "Receiver"
        last = ("RequestId", root)
    xml.SubElement(inside, "Code").text = code
    xml.SubElement(inside, "Message").text = message
    xml.SubElement(last[1], last[0]).text = request_id
    return status, {"content-type": "text/xml;charset=UTF-8"}, _document(root), code


def _document(root: xml.Element) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root)


# --- names of operations, for services that MiniStack answers ----------------------------------

_ERROR_CODE = re.compile(rb"<Code>([^<]+)</Code>")


def error_code(headers: dict, body: bytes) -> str:
    """The code of an error that somebody else's handler answered."""
    if "x-amzn-errortype" in headers:
        return headers["x-amzn-errortype"].split(":")[0]
    if match := _ERROR_CODE.search(body):
        return match[1].decode()
    try:
        answered = json.loads(body)
        return str(answered.get("__type") or answered.get("code") or "").split("#")[-1]
    except ValueError:
        return ""


def operation_name(model: ServiceModel | None, method: str, path: str, query: dict, headers: dict, body: bytes) -> str:
    target = headers.get("x-amz-target")
    if target:
        return target.rsplit(".", 1)[-1]
    if "Action" in query:
        return query["Action"]
    if model is None:
        return f"{method} {path}"
    if model.metadata["protocol"] in ("query", "ec2"):
        found = re.search(rb"(?:^|&)Action=(\w+)", body[:100_000])
        return found[1].decode() if found else "?"
    return _rest_operation(model, method, path, query, "x-amz-copy-source" in headers) or f"{method} {path}"


def _rest_operation(model: ServiceModel, method: str, path: str, query: dict, copies: bool) -> str | None:
    best, rank = None, (-1, -1)
    for name in model.operation_names:
        if name in ("CopyObject", "UploadPartCopy") and not copies:
            continue  # but for a header, as PutObject and UploadPart
        http = model.operation_model(name).http
        uri, _, fixed = http["requestUri"].partition("?")
        needed = [part.split("=")[0] for part in fixed.split("&") if part]
        if http["method"] != method or any(part not in query for part in needed):
            continue
        pattern = re.sub(r"\{[^}]+\+\}", ".+", re.sub(r"\{[^}+]+\}", "[^/]+", uri.rstrip("/")))
        if not re.fullmatch(pattern + "/?", path):
            continue
        # A more literal path and more of the query wins: GET /bucket?tagging over GET /bucket.
        this = (len(needed), -pattern.count("+"))
        if this > rank:
            best, rank = name, this
    return best
