"""S3: what MiniStack does not check."""
import base64
import binascii
import re
import xml.etree.ElementTree as xml

from ministack.services import s3

from .registry import Request, guard
from .world import Fault


@guard("s3", "*")
def _check_owner(request: Request) -> None:
    """Another account's bucket, or another owner than expected: 403, by either way of finding out.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    bucket = request.path.strip("/").split("/")[0]
    owner, expected = s3._bucket_owner_account(bucket), request.headers.get("x-amz-expected-bucket-owner")
    if owner is None or request.operation == "CreateBucket":
        return
    if owner != request.place.account.number or expected not in (None, owner):
        raise Fault("AccessDenied", "Access Denied", 403)


# What MiniStack's own check of names leaves: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_RESERVED = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)")
_DIGEST_BYTES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}


@guard("s3", "CreateBucket")
def _check_name(request: Request) -> None:
    if _RESERVED.fullmatch(request.path.strip("/")):
        raise Fault("InvalidBucketName", "The specified bucket is not valid.", 400)


@guard("s3", "PutBucketTagging")
def _check_tags(request: Request) -> None:
    """As recorded of AWS in LocalStack's snapshots: test_tagging_validation."""
    try:
        keys = [each.text or "" for each in xml.fromstring(request.body).iter() if each.tag.rpartition("}")[2] == "Key"]
    except xml.ParseError:
        return  # MiniStack refuses it
    if len(set(keys)) < len(keys):
        raise Fault("InvalidTag", "Cannot provide multiple Tags with the same key", 400)
    if any(key.lower().startswith("aws:") for key in keys):
        raise Fault("InvalidTag", "System tags cannot be added/updated by requester", 400)


@guard("s3", "PutObject")
def _check_digest(request: Request) -> None:
    """What is no digest at all is another error than a wrong one."""
    for kind, size in _DIGEST_BYTES.items():
        given = request.headers.get(f"x-amz-checksum-{kind}")
        try:
            good = given is None or len(base64.b64decode(given, validate=True)) == size
        except binascii.Error:
            good = False
        if not good:
            raise Fault("InvalidRequest", f"Value for x-amz-checksum-{kind} header is invalid.", 400)


def install() -> None:
    # Since April 2023 every new bucket blocks public access.
    s3._new_bucket_public_access_block = lambda: {"_public_access_block": s3._NEW_BUCKET_PUBLIC_ACCESS_BLOCK}
