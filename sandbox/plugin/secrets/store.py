"""Secrets, their versions and staging labels. The rules are AWS's; who calls them is in api.py."""
import copy
import dataclasses
import random
import string
import time

from ..world import After, Fault, Place, new_uuid
from .schedule import Schedule

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
# "About 100": AWS removes unlabelled versions past that, and none younger than a day.
VERSIONS_KEPT = 100
LABELS_MAX = 20


@dataclasses.dataclass
class Version:
    created: float
    value: dict | None = None  # {"SecretString": …} or {"SecretBinary": …}
    labels: set[str] = dataclasses.field(default_factory=set)
    accessed: float | None = None


@dataclasses.dataclass
class Secret:
    name: str
    arn: str
    created: float
    changed: float
    description: str | None = None
    kms_key: str | None = None
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    versions: dict[str, Version] = dataclasses.field(default_factory=dict)
    accessed: float | None = None
    policy: str | None = None
    # While it waits for its deletion: when that is, by the account's clock.
    deletion_date: float | None = None
    # Set by a forced deletion: gone for everyone, but its name is not free before this.
    purged: After | None = None
    owner: str | None = None  # the service that manages it
    rotation_enabled: bool | None = None  # None: never configured
    function: str | None = None
    rules: dict | None = None
    rotated: float | None = None
    scheduled_from: float | None = None  # the next window is counted from here
    running: str | None = None  # the version that a rotation is at work on
    retry: "tuple[After, str, int] | None" = None  # when, which version, how many attempts so far

    def at(self, label: str) -> str | None:
        return next((key for key, version in self.versions.items() if label in version.labels), None)

    def due(self) -> float | None:
        """When the next rotation window opens, by the account's clock."""
        if not self.rotation_enabled or not self.rules or self.scheduled_from is None:
            return None
        return Schedule(self.rules).opens(self.scheduled_from)

    def next_rotation(self) -> float | None:
        opening = self.due()
        return None if opening is None else Schedule(self.rules).closes(opening)

    def shown_rules(self) -> dict | None:
        """After a rotation by an expression, AWS tells in days too how far it is to the next ("this value is calculated
        from the rotation schedule after every successful rotation")."""
        if not self.rules or self.rotated is None or "ScheduleExpression" not in self.rules:
            return self.rules
        days = (Schedule(self.rules).opens(self.rotated) - self.rotated) / 86400
        return {"AutomaticallyAfterDays": max(1, round(days)), **self.rules}

    # --- labels ---

    def label(self, label: str, key: str) -> None:
        """Puts a label on one version, off every other; AWSCURRENT leaves AWSPREVIOUS where it was."""
        before = self.at(label)
        if before == key:
            return
        if before:
            self.versions[before].labels.discard(label)
        self.versions[key].labels.add(label)
        if label == CURRENT and before:
            self.label(PREVIOUS, before)

    def move(self, label: str, to: str | None, off: str | None) -> None:
        """UpdateSecretVersionStage, a compare-and-swap."""
        if to is None and off is None:
            raise Fault("InvalidParameterException", "You must specify MoveToVersionId, RemoveFromVersionId or both.")
        for key in filter(None, (to, off)):
            if key not in self.versions:
                raise Fault("ResourceNotFoundException", f"Secrets Manager can't find the specified secret version: {key}.")
        here = self.at(label)
        if off and off != here:
            raise Fault("InvalidParameterException", f"The parameter RemoveFromVersionId is not valid. Staging label {label} "
                        + (f"is currently attached to version {here}." if here else "is not attached to any version."))
        if to and here and here != to and not off:
            raise Fault("InvalidParameterException", f"The parameter RemoveFromVersionId can't be empty. Staging label {label} "
                        f"is currently attached to version {here}, so you must explicitly reference that version in RemoveFromVersionId.")
        if to is None and label == CURRENT:
            raise Fault("InvalidParameterException", f"You can only move staging label {CURRENT} to a different secret version. "
                        "It can't be completely removed.")
        if to:
            self._check_labels({label})
            self.label(label, to)
        else:
            self.versions[off].labels.discard(label)

    def put(self, token: str, value: dict, labels: list[str] | None, now: float) -> None:
        """Stores a value as version `token`; the same again is no change, another is refused."""
        version = self.versions.get(token)
        if version and version.value is not None:
            if version.value != value:
                raise Fault("ResourceExistsException", f"You can't use ClientRequestToken {token} because that value is "
                            f"already in use for a version of secret {self.arn}.")
            return
        wanted = list(labels or [CURRENT])
        if not any(each.value is not None for each in self.versions.values()):
            wanted.append(CURRENT)  # AWS puts it on the first version, whatever was asked
        self._check_labels(set(wanted))
        if version is None:
            version = self.versions[token] = Version(now)
        version.value = value
        for label in wanted:
            self.label(label, token)
        if CURRENT in version.labels:
            # A value put by hand counts as a rotation for schedules in days.
            if self.rules and "AutomaticallyAfterDays" in self.rules:
                self.scheduled_from = now
        self.changed = now
        self._prune(now)

    def _check_labels(self, more: set[str]) -> None:
        """Before anything is changed: whether the secret may carry these labels too."""
        used = more.union(*(version.labels for version in self.versions.values()))
        if CURRENT in more and self.at(CURRENT):
            used.add(PREVIOUS)
        if len(used) > LABELS_MAX:
            raise Fault("LimitExceededException", f"A secret can have at most {LABELS_MAX} staging labels.")

    def _prune(self, now: float) -> None:
        unlabelled = sorted((version.created, key) for key, version in self.versions.items() if not version.labels)
        for created, key in unlabelled[:max(0, len(self.versions) - VERSIONS_KEPT)]:
            if now - created > 86400:
                del self.versions[key]

    def stages(self) -> dict[str, list[str]]:
        """Without the deprecated versions, which have no label."""
        return {key: sorted(version.labels) for key, version in self.versions.items() if version.labels}

    def describe(self) -> dict:
        managed = {"OwningService": self.owner} if self.owner else {}
        return {
            "ARN": self.arn, "Name": self.name, "Description": self.description, "KmsKeyId": self.kms_key,
            "RotationEnabled": self.rotation_enabled, "RotationLambdaARN": self.function, "RotationRules": self.shown_rules(),
            "LastRotatedDate": self.rotated, "LastChangedDate": self.changed,
            # Whole days, as AWS has it.
            "LastAccessedDate": None if self.accessed is None else self.accessed // 86400 * 86400,
            "DeletedDate": self.deletion_date, "NextRotationDate": self.next_rotation(),
            "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()] or None,
            "VersionIdsToStages": self.stages() or None, "CreatedDate": self.created, **managed,
        }


class Secrets:
    """The secrets of one place."""

    def __init__(self, place: Place):
        self.place = place
        self._by_name: dict[str, Secret] = {}
        # What ListSecrets would have shown since when: (monotonic time, name, description or None).
        self._history: list[tuple[float, str, dict | None]] = []

    def all(self) -> list[Secret]:
        self._purge()
        return [secret for secret in self._by_name.values() if secret.purged is None]

    def _purge(self) -> None:
        for secret in list(self._by_name.values()):
            if secret.purged or secret.deletion_date and secret.deletion_date <= self.place.now():
                del self._by_name[secret.name]
                self.touched(secret.name)

    def find(self, secret_id: str) -> Secret | None:
        """By name, by ARN, or by ARN without its six random characters."""
        for secret in self.all():
            if secret_id in (secret.name, secret.arn, secret.arn[:-7]):
                return secret
        return None

    def get(self, secret_id: str, deleted: bool = False) -> Secret:
        secret = self.find(secret_id)
        if secret is None:
            raise Fault("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        if secret.deletion_date and not deleted:
            raise Fault("InvalidRequestException",
                        "You can't perform this operation on the secret because it was marked for deletion.")
        return secret

    def blocking(self, name: str) -> Secret | None:
        """Whatever keeps that name from being used again, a purged secret included."""
        self._purge()
        return self._by_name.get(name)

    def add(self, name: str, **fields) -> Secret:
        suffix = "".join(random.choices(string.ascii_letters + string.digits, k=6))
        now = self.place.now()
        secret = Secret(name, self.place.arn("secretsmanager", f"secret:{name}-{suffix}"), now, now, **fields)
        self._by_name[name] = secret
        self.touched(name)
        return secret

    def add_managed(self, name: str, owner: str, value: str, tags: dict[str, str], every_days: int) -> Secret:
        """A secret of another service's, which rotates it itself."""
        secret = self.add(name, owner=owner, tags=tags, rotation_enabled=True, rules={"AutomaticallyAfterDays": every_days})
        secret.put(new_uuid(), {"SecretString": value}, None, secret.created)
        self.touched(name)
        return secret

    def remove(self, secret: Secret) -> None:
        secret.purged = After(self.place.delay("secret_delete"))
        secret.running = secret.retry = None
        self.touched(secret.name)

    def touched(self, name: str) -> None:
        """Notes the state for a ListSecrets that lags. AWS: eventually consistent, up to five minutes."""
        secret = self._by_name.get(name)
        seen = None if secret is None or secret.purged is not None else copy.deepcopy(secret.describe())
        self._history.append((time.monotonic(), name, seen))

    def listed(self) -> list[dict]:
        until = time.monotonic() - self.place.delay("list_secrets_lag")
        self._purge()
        seen: dict[str, dict | None] = {}
        for moment, name, description in self._history:
            if moment <= until:
                seen[name] = description
        # All that a later look at the past can need is the last of each name, and what is younger.
        self._history = [(0.0, name, each) for name, each in seen.items() if each] + \
            [entry for entry in self._history if entry[0] > until]
        return [each for each in seen.values() if each]

    def tagged(self):
        for secret in self.all():
            yield secret.arn, secret.tags

    def summary(self) -> dict:
        return {"secrets": len(self.all())}
