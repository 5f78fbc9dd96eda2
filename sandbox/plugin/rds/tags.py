"""Tags as RDS takes them."""
from ..world import Fault, tag_map


def given(tags) -> dict[str, str]:
    """https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Tagging.html, which does not tell the code."""
    told = tag_map(tags)
    if any(key.lower().startswith("aws:") for key in told):
        raise Fault("InvalidParameterValue", "Tag keys that begin with aws: are reserved.")
    return told
