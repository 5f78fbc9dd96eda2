"""Requests to Lambda that it refuses and MiniStack does not; what is about states, roles and networks is in `functions`.

Where no page tells the code, it is what AWS was recorded answering, in the snapshots that LocalStack's tests keep
(tests/aws/services/lambda_/test_lambda_api.snapshot.json).
"""
import json
import re

from ministack.core.responses import request_scope
from ministack.services import lambda_svc, s3

from .registry import Request, guard
from .world import Fault

TAGS_MAX = 50
# A service, everybody, an account or something of it. https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
_PRINCIPAL = re.compile(r"[\w.-]+\.amazonaws\.com(\.cn)?|\*|\d{12}|arn:aws[\w-]*:(iam|sts)::\d{12}:.+")


def _invalid(message: str) -> Fault:
    return Fault("InvalidParameterValueException", message, 400)


@guard("lambda", "CreateFunction")
def _creation(request: Request) -> None:
    data = request.params
    if data.get("PackageType", "Zip") == "Zip" and not (data.get("Runtime") and data.get("Handler")):
        raise _invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    code = data.get("Code", {})
    if not code.keys() & {"ZipFile", "S3Bucket", "ImageUri"}:
        raise _invalid("Please provide a source for function code.")
    _code_in_s3(request, code)
    _tags(data.get("Tags", {}))


@guard("lambda", "UpdateFunctionCode")
def _code(request: Request) -> None:
    with request_scope(request.place.account.number, request.place.region):
        known = lambda_svc._get_base_func_record_for_ref(request.params["FunctionName"])[0] is not None
    if known:
        _code_in_s3(request, request.params)


def _code_in_s3(request: Request, code: dict) -> None:
    """Lambda reads it as the caller, and passes on what S3 says."""
    if "S3Bucket" not in code:
        return
    bucket, key = code["S3Bucket"], code.get("S3Key")
    with request_scope(request.place.account.number, request.place.region):
        owner = s3._bucket_owner_account(bucket)
        found = owner and lambda_svc._fetch_code_from_s3(bucket, key, version_id=code.get("S3ObjectVersion"))
    if owner is None:
        raise _invalid("Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist")
    if found is None:
        raise _invalid("Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.")


def _tags(tags: dict) -> None:
    if len(tags) > TAGS_MAX:
        raise _invalid("Number of tags exceeds resource tag limit.")


@guard("lambda", "TagResource")
def _more_tags(request: Request) -> None:
    with request_scope(request.place.account.number, request.place.region):
        function, _, _ = lambda_svc._get_base_func_record_for_ref(request.params["Resource"])
    if function is not None:
        _tags(function.get("tags", {}) | request.params.get("Tags", {}))


@guard("lambda", "AddPermission")
def _principal(request: Request) -> None:
    if not _PRINCIPAL.fullmatch(request.params["Principal"]):
        raise _invalid("The provided principal was invalid. Please check the principal and try again.")


@guard("lambda", "GetPolicy")
def _policy(request: Request) -> None:
    """MiniStack shows an empty policy where there is none."""
    with request_scope(request.place.account.number, request.place.region):
        function, _, _ = lambda_svc._get_base_func_record_for_ref(request.params["FunctionName"])
    if function is not None and not (function.get("policy") or {}).get("Statement"):
        raise Fault("ResourceNotFoundException", "The resource you requested does not exist.", 404)


@guard("lambda", "Invoke")
def _event(request: Request) -> None:
    try:
        json.loads(request.body or b"{}")
    except ValueError as wrong:
        raise Fault("InvalidRequestContentException", f"Could not parse request body into json: {wrong}", 400) from wrong
