"""S3: what MiniStack does not check."""
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


def install() -> None:
    # Since April 2023 every new bucket blocks public access.
    s3._new_bucket_public_access_block = lambda: {"_public_access_block": s3._NEW_BUCKET_PUBLIC_ACCESS_BLOCK}
