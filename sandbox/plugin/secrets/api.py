"""Secrets Manager's operations, other than those about rotation."""
import base64
import json
import random
import re
import string

from ..registry import Request, operations
from ..world import Fault, new_uuid, tag_map
from .store import CURRENT, Secret, Secrets

_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
DAY = 86400
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
TAGS_MAX = 50


def _store(request: Request) -> Secrets:
    return request.place.of(Secrets)


def _value(params: dict) -> dict | None:
    given = {key: params[key] for key in ("SecretString", "SecretBinary") if key in params}
    if len(given) > 1:
        raise Fault("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
    return given or None


def _tags(params: dict, had: dict[str, str]) -> dict[str, str]:
    """What a secret's tags become. Which code AWS refuses them with is not documented; this one is what both
    operations list for a parameter's value."""
    given = tag_map(params.get("Tags"))
    if any(key.lower().startswith("aws:") for key in given):
        raise Fault("InvalidParameterException", "Tag keys that begin with aws: are reserved.")
    if len(had | given) > TAGS_MAX:
        raise Fault("InvalidParameterException", f"A secret can have at most {TAGS_MAX} tags.")
    return had | given


def _not_managed(secret: Secret) -> None:
    if secret.owner:
        raise Fault("InvalidRequestException", f"You can't perform this operation on a secret that is managed by {secret.owner}.")


def _create(request: Request) -> dict:
    store, params = _store(request), request.params
    name, token, value = params["Name"], params.get("ClientRequestToken") or new_uuid(), _value(params)
    if not _NAME.fullmatch(name):
        raise Fault("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
    existing = store.blocking(name)
    if existing:
        if existing.purged is not None or existing.deletion_date:
            raise Fault("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
        version = existing.versions.get(token)
        if value and version and version.value == value:
            return {"ARN": existing.arn, "Name": name, "VersionId": token}
        raise Fault("ResourceExistsException", f"The operation failed because the secret {name} already exists.")
    secret = store.add(name, description=params.get("Description"), kms_key=params.get("KmsKeyId"), tags=_tags(params, {}))
    result = {"ARN": secret.arn, "Name": name}
    if value:
        secret.put(token, value, None, request.place.now())
        result["VersionId"] = token
    store.touched(name)
    return result


def _put(request: Request) -> dict:
    store, params = _store(request), request.params
    secret = store.get(params["SecretId"])
    _not_managed(secret)
    value = _value(params)
    if not value:
        raise Fault("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
    token = params.get("ClientRequestToken") or new_uuid()
    secret.put(token, value, params.get("VersionStages"), request.place.now())
    store.touched(secret.name)
    return {"ARN": secret.arn, "Name": secret.name, "VersionId": token,
            "VersionStages": sorted(secret.versions[token].labels)}


def _update(request: Request) -> dict:
    store, params = _store(request), request.params
    secret = store.get(params["SecretId"])
    _not_managed(secret)
    value = _value(params)
    result = {"ARN": secret.arn, "Name": secret.name}
    if value:
        token = params.get("ClientRequestToken") or new_uuid()
        secret.put(token, value, None, request.place.now())
        result["VersionId"] = token
    if "Description" in params:
        secret.description = params["Description"]
    if "KmsKeyId" in params:
        secret.kms_key = params["KmsKeyId"]
    secret.changed = request.place.now()
    store.touched(secret.name)
    return result


def _get_value(request: Request) -> dict:
    secret = _store(request).get(request.params["SecretId"])
    return _read(request, secret, request.params.get("VersionId"), request.params.get("VersionStage"))


def _read(request: Request, secret: Secret, key: str | None, label: str | None) -> dict:
    if key is None:
        label = label or CURRENT
        key = secret.at(label)
    elif key in secret.versions and label and label not in secret.versions[key].labels:
        raise Fault("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
    version = secret.versions.get(key)
    if version is None or version.value is None:
        which = f"staging label: {label}" if label else f"VersionId: {key}"
        raise Fault("ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {which}")
    secret.accessed = version.accessed = request.place.now()
    return {"ARN": secret.arn, "Name": secret.name, "VersionId": key, "VersionStages": sorted(version.labels),
            "CreatedDate": version.created, **version.value}


def _batch_get_value(request: Request) -> dict:
    values, errors = [], []
    for secret_id in request.params.get("SecretIdList", []):
        try:
            values.append(_read(request, _store(request).get(secret_id), None, None))
        except Fault as fault:
            errors.append({"SecretId": secret_id, "ErrorCode": fault.code, "Message": fault.message})
    return {"SecretValues": values, "Errors": errors}


def _describe(request: Request) -> dict:
    return _store(request).get(request.params["SecretId"], deleted=True).describe()


def _update_stage(request: Request) -> dict:
    store, params = _store(request), request.params
    secret = store.get(params["SecretId"])
    secret.move(params["VersionStage"], params.get("MoveToVersionId"), params.get("RemoveFromVersionId"))
    secret.changed = request.place.now()
    store.touched(secret.name)
    return {"ARN": secret.arn, "Name": secret.name}


def _version_ids(request: Request) -> dict:
    secret, params = _store(request).get(request.params["SecretId"], deleted=True), request.params
    shown = [{"VersionId": key, "VersionStages": sorted(version.labels) or None, "CreatedDate": version.created,
              "LastAccessedDate": None if version.accessed is None else version.accessed // DAY * DAY}
             for key, version in secret.versions.items() if version.labels or params.get("IncludeDeprecated")]
    page, token = _page(shown, params)
    return {"ARN": secret.arn, "Name": secret.name, "Versions": page, "NextToken": token}


def _delete(request: Request) -> dict:
    store, params = _store(request), request.params
    window, force = params.get("RecoveryWindowInDays"), params.get("ForceDeleteWithoutRecovery", False)
    if window is not None and force:
        raise Fault("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
    if window is not None and not 7 <= window <= 30:
        raise Fault("InvalidParameterException", "RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
    now = request.place.now()
    if force:
        secret = store.find(params["SecretId"])
        if secret is None:  # documented: a forced deletion of what is not there is no error
            name = params["SecretId"].split(":secret:")[-1]
            return {"ARN": request.place.arn("secretsmanager", f"secret:{name}"), "Name": name, "DeletionDate": now}
        _not_managed(secret)
        store.remove(secret)
        return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": now}
    secret = store.get(params["SecretId"], deleted=True)
    _not_managed(secret)
    if secret.deletion_date:
        raise Fault("InvalidRequestException", "You can't perform this operation on the secret because it was already scheduled for deletion.")
    secret.deletion_date = now + (window or 30) * DAY
    secret.running = secret.retry = None
    store.touched(secret.name)
    return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": secret.deletion_date}


def _restore(request: Request) -> dict:
    store = _store(request)
    secret = store.get(request.params["SecretId"], deleted=True)
    secret.deletion_date = None
    store.touched(secret.name)
    return {"ARN": secret.arn, "Name": secret.name}


def _tag(request: Request) -> dict:
    store = _store(request)
    secret = store.get(request.params["SecretId"])
    secret.tags = _tags(request.params, secret.tags)
    store.touched(secret.name)
    return {}


def _untag(request: Request) -> dict:
    store = _store(request)
    secret = store.get(request.params["SecretId"])
    for key in request.params["TagKeys"]:
        secret.tags.pop(key, None)
    store.touched(secret.name)
    return {}


def _list(request: Request) -> dict:
    params = request.params
    shown = [each for each in _store(request).listed() if params.get("IncludePlannedDeletion") or not each["DeletedDate"]]
    for each in params.get("Filters", []):
        shown = [secret for secret in shown if _passes(secret, each["Key"], each["Values"])]
    shown.sort(key=lambda each: each["CreatedDate"], reverse=params.get("SortOrder", "desc") != "asc")
    page, token = _page([{**each, "SecretVersionsToStages": each["VersionIdsToStages"]} for each in shown], params)
    return {"SecretList": page, "NextToken": token}


def _passes(secret: dict, key: str, wanted: list[str]) -> bool:
    """AWS's filters match beginnings, all but description's by case; a leading ! turns one round."""
    tags = tag_map(secret["Tags"])
    texts = {"name": [secret["Name"]], "description": [(secret["Description"] or "").lower()], "tag-key": list(tags),
             "tag-value": list(tags.values()), "owning-service": [secret.get("OwningService") or ""],
             "primary-region": []}
    texts["all"] = [text for each in ("name", "description", "tag-key", "tag-value") for text in texts[each]]
    for want in wanted:
        negated, start = want.startswith("!"), want.lstrip("!")
        start = start.lower() if key == "description" else start
        if any(text.startswith(start) for text in texts[key]) != negated:
            return True
    return False


def _page(items: list, params: dict) -> tuple[list, str | None]:
    size = params.get("MaxResults", 100)
    try:
        start = int(base64.b64decode(params["NextToken"])) if params.get("NextToken") else 0
    except ValueError as wrong:
        raise Fault("InvalidNextTokenException", "The NextToken value is invalid.") from wrong
    more = start + size < len(items)
    return items[start:start + size], base64.b64encode(str(start + size).encode()).decode() if more else None


def _random_password(request: Request) -> dict:
    params, source = request.params, random.SystemRandom()
    excluded = set(params.get("ExcludeCharacters", ""))
    kinds = {"ExcludeLowercase": string.ascii_lowercase, "ExcludeUppercase": string.ascii_uppercase,
             "ExcludeNumbers": string.digits, "ExcludePunctuation": string.punctuation}
    pools = [sorted(set(letters) - excluded) for flag, letters in kinds.items() if not params.get(flag)]
    if params.get("IncludeSpace"):
        pools.append([" "])
    pools = [pool for pool in pools if pool]
    length, each = params.get("PasswordLength", 32), params.get("RequireEachIncludedType", True)
    if not pools or each and len(pools) > length:
        raise Fault("InvalidParameterException", "The password length or the excluded characters leave no password.")
    letters = [source.choice(pool) for pool in pools] if each else []
    letters += [source.choice([letter for pool in pools for letter in pool]) for _ in range(length - len(letters))]
    source.shuffle(letters)
    return {"RandomPassword": "".join(letters)}


def _policy(request: Request) -> dict:
    store, params = _store(request), request.params
    secret = store.get(params["SecretId"])
    if request.operation == "PutResourcePolicy":
        try:
            json.loads(params["ResourcePolicy"])
        except ValueError as wrong:
            raise Fault("MalformedPolicyDocumentException", "This resource policy contains invalid Json") from wrong
        secret.policy = params["ResourcePolicy"]
    elif request.operation == "DeleteResourcePolicy":
        secret.policy = None
    else:
        return {"ARN": secret.arn, "Name": secret.name, "ResourcePolicy": secret.policy}
    return {"ARN": secret.arn, "Name": secret.name}


operations("secretsmanager", CreateSecret=_create, PutSecretValue=_put, UpdateSecret=_update, GetSecretValue=_get_value,
           BatchGetSecretValue=_batch_get_value, DescribeSecret=_describe, UpdateSecretVersionStage=_update_stage,
           ListSecretVersionIds=_version_ids, DeleteSecret=_delete, RestoreSecret=_restore, TagResource=_tag,
           UntagResource=_untag, ListSecrets=_list, GetRandomPassword=_random_password, PutResourcePolicy=_policy,
           GetResourcePolicy=_policy, DeleteResourcePolicy=_policy)
