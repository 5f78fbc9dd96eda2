"""DB instances and their snapshots: states that take time, and a real server behind each instance."""
import dataclasses
import json
import logging
import random
import secrets
import string
import threading
import time

from tool.paths import postgres_home

from .. import control, settings
from ..ec2 import groups as security
from ..postgres import Replica, Server
from ..secrets import rotation
from ..secrets.store import Secret, Secrets
from ..world import WORLD, After, Fault, Place, new_uuid

log = logging.getLogger("sandbox.rds")
# RDS rotates the master's secret every week: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html
MASTER_ROTATION_DAYS = 7
# The last part of a creation is the first backup; the endpoint is there by then, and usable.
BACKUP_SHARE = 0.8
# For a moment after ModifyDBInstance, AWS still answers "available", with the pending values.
LINGERING_SHARE = 0.2


@dataclasses.dataclass
class Instance:
    place: Place
    identifier: str
    version: str
    port: int
    master: str
    database: str | None
    vpc_id: str
    subnet_group: str
    subnets: list[str]
    groups: list[str]
    public: bool
    # What is stored as it was asked and shown again: class, storage, backup, protection…
    shown: dict
    tags: dict[str, str]
    resource_id: str = dataclasses.field(default_factory=lambda: "db-" + "".join(random.choices(string.ascii_uppercase + string.digits, k=26)))
    created: float | None = None
    certified: float | None = None  # since when its server has its certificate, by the account's clock
    server: Server | None = None
    failed: bool = False
    ready: After | None = None
    backing_up: After | None = None
    pending: dict = dataclasses.field(default_factory=dict)
    modify_lingers: After | None = None
    modified: After | None = None
    gone: After | None = None
    source: str | None = None  # whose read replica it is
    cluster: object | None = None  # the Cluster that it is a member of
    master_secret: str | None = None  # its ARN
    master_secret_active: After | None = None

    @property
    def arn(self) -> str:
        return self.place.arn("rds", f"db:{self.identifier}")

    @property
    def engine(self) -> str:
        return "aurora-postgresql" if self.cluster else "postgres"

    @property
    def address(self) -> str | None:
        """None while it is being created, as on RDS."""
        return self.server.address if self.server and self.backing_up else None

    @property
    def status(self) -> str:
        if self.gone is not None:
            return "deleting"
        if self.failed:
            return "failed"
        if self.address is None:
            return "creating"
        if self.cluster and self.cluster.rest:
            return self.cluster.rest
        if not self.ready:
            return "backing-up" if self.shown["BackupRetentionPeriod"] else "creating"
        if self.modified is not None and self.modify_lingers:
            return "modifying"
        return "available"

    def settle(self) -> None:
        """Takes in what time has brought. Called before anything is read."""
        if self.modified is not None and self.modified:
            self.apply(self.pending)
            self.pending, self.modified, self.modify_lingers = {}, None, None

    def apply(self, changes: dict) -> None:
        if "EngineVersion" in changes:
            self.version = changes["EngineVersion"]
        if "CACertificateIdentifier" in changes:
            self.certified = self.place.now()
        self.shown.update({key: value for key, value in changes.items() if key in self.shown})

    def master_secret_status(self) -> str:
        return "active" if self.status != "creating" and self.master_secret_active else "creating"


@dataclasses.dataclass
class Snapshot:
    place: Place
    identifier: str
    instance: dict  # what DescribeDBSnapshots tells of the instance
    tags: dict[str, str]
    ready: After
    created: float = dataclasses.field(default_factory=time.time)

    @property
    def arn(self) -> str:
        return self.place.arn("rds", f"snapshot:{self.identifier}")


class Instances:
    def __init__(self, place: Place):
        self.place = place
        self._by_identifier: dict[str, Instance] = {}
        self.snapshots: dict[str, Snapshot] = {}

    def all(self) -> list[Instance]:
        for instance in list(self._by_identifier.values()):
            instance.settle()
            if instance.gone and instance.server is None:
                del self._by_identifier[instance.identifier]
                self._remove_master_secret(instance)
        return list(self._by_identifier.values())

    def get(self, identifier: str) -> Instance:
        for instance in self.all():
            if identifier.lower() in (instance.identifier, instance.resource_id.lower(), instance.arn.lower()):
                return instance
        raise Fault("DBInstanceNotFoundFault", f"DBInstance {identifier} not found.")

    def exists(self, identifier: str) -> bool:
        self.all()
        return identifier.lower() in self._by_identifier

    def replicas_of(self, source: Instance) -> list[Instance]:
        return [each for each in self.all() if each.source == source.identifier and each.gone is None]

    # --- life ---

    def add(self, instance: Instance, password: str | None) -> None:
        if password is None:
            password = make_password()
            self.make_master_secret(instance, password)
        self.begin(instance, lambda home, folder: Server(home, folder, instance.port, settings.AUTHORITY, instance.master,
                                                         password, instance.database))

    def add_replica(self, instance: Instance, source: Instance) -> None:
        self.begin(instance, lambda home, folder: Replica(home, folder, source.server, settings.AUTHORITY))

    def begin(self, instance: Instance, start) -> None:
        """`start` makes its server, of a PostgreSQL and in a folder."""
        self._by_identifier[instance.identifier] = instance
        instance.backing_up = After(self.place.delay("instance_create") * BACKUP_SHARE)
        instance.ready = After(self.place.delay("instance_create"))
        threading.Thread(target=self._start, args=(instance, start), daemon=True).start()

    def _start(self, instance: Instance, start) -> None:
        try:
            server = start(postgres_home(instance.version.split(".")[0]), settings.RUN / new_uuid()[:13])
        except Exception:
            log.exception("%s did not start", instance.identifier)
            instance.failed = True
            return
        with self.place.lock:
            instance.server = server
            instance.created, instance.certified = time.time(), self.place.now()
            # On a busy machine the start itself can outlast the delay; the backup comes after it all the same.
            backup = self.place.delay("instance_create") * (1 - BACKUP_SHARE)
            instance.ready = After(max(instance.ready.left(), instance.backing_up.left() + backup))
            if instance.master_secret_active is not None:
                instance.master_secret_active = After(instance.ready.left() + self.place.delay("master_secret"))
            abandoned = instance.gone is not None or self._by_identifier.get(instance.identifier) is not instance
        if abandoned:  # deleted, or its account forgotten, while it started
            self._stop(instance)

    def delete(self, instance: Instance, snapshot: str | None) -> None:
        instance.gone = After(self.place.delay("instance_delete"))
        if snapshot:
            self.snapshot(instance, snapshot)
        for replica in self.replicas_of(instance):
            # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DeleteInstance.html
            replica.source = None
            if replica.server:
                replica.server.promote()
        threading.Thread(target=self._stop, args=(instance,), daemon=True).start()

    def crash(self, identifier: str, crash: bool) -> None:
        """Ends the server behind an instance that RDS goes on calling available, or starts it again."""
        instance = self._by_identifier.get(identifier)
        if instance is None or instance.server is None:
            raise ValueError(f"no instance {identifier!r} has a server")
        if crash:
            instance.server.crash()
        else:
            instance.server.resume()

    @staticmethod
    def _stop(instance: Instance) -> None:
        if instance.server:
            instance.server.stop()
            instance.server = None

    def snapshot(self, instance: Instance, identifier: str) -> Snapshot:
        copied = dict(instance.tags) if instance.shown["CopyTagsToSnapshot"] else {}
        told = {key: instance.shown.get(key) for key in ("AllocatedStorage", "StorageType", "KmsKeyId", "Iops", "LicenseModel")}
        told |= {"DBInstanceIdentifier": instance.identifier, "DbiResourceId": instance.resource_id, "Engine": "postgres",
                 "EngineVersion": instance.version, "MasterUsername": instance.master, "Port": instance.port,
                 "VpcId": instance.vpc_id, "Encrypted": instance.shown["StorageEncrypted"],
                 "InstanceCreateTime": instance.created}
        made = Snapshot(self.place, identifier, told, copied, After(self.place.delay("snapshot_create")))
        self.snapshots[identifier] = made
        return made

    def close(self) -> None:
        for instance in list(self._by_identifier.values()):
            instance.gone = After(0)
            self._stop(instance)
        self._by_identifier.clear()

    # --- the master's secret ---

    def make_master_secret(self, instance: Instance, password: str) -> None:
        value = json.dumps({"username": instance.master, "password": password})
        secret = self.place.of(Secrets).add_managed(
            f"rds!db-{new_uuid()}", "rds", value,
            {"aws:secretsmanager:owningService": "rds", "aws:rds:primaryDBInstanceArn": instance.arn}, MASTER_ROTATION_DAYS)
        instance.master_secret = secret.arn
        instance.master_secret_active = After(self.place.delay("master_secret"))

    def change_password(self, instance: Instance, password: str) -> None:
        if instance.server:
            instance.server.set_password(instance.master, password)

    def release_master_secret(self, instance: Instance) -> None:
        self._remove_master_secret(instance)
        instance.master_secret = instance.master_secret_active = None

    def _remove_master_secret(self, instance: Instance) -> None:
        store = self.place.of(Secrets)
        secret = instance.master_secret and store.find(instance.master_secret)
        if secret:
            store.remove(secret)

    def tags_of(self, arn: str) -> dict[str, str] | None:
        return next((each.tags for each in [*self.all(), *self.snapshots.values()] if each.arn == arn), None)

    def tagged(self):
        for each in [*self.all(), *self.snapshots.values()]:
            yield each.arn, each.tags

    def summary(self) -> dict:
        return {"instances": [f"{each.identifier} {each.status} {each.address}:{each.port}" for each in self.all()]}


def make_password() -> str:
    """RDS makes one of 28 characters, and it has more in it than letters: readers must not assume otherwise."""
    letters = string.ascii_letters + string.digits + "!#$%&()*+-.:;<=>?[]^_{|}~"
    return "".join(secrets.choice(letters) for _ in range(28))


def rotate_master(place: Place, secret: Secret) -> None:
    for instance in place.of(Instances).all():
        if instance.master_secret == secret.arn and instance.server:
            password = make_password()
            place.of(Instances).change_password(instance, password)
            secret.put(new_uuid(), {"SecretString": json.dumps({"username": instance.master, "password": password})},
                       None, place.now())


def _crash(given: dict) -> dict:
    place = WORLD.place(control.account_number(given), settings.GIVEN["region"])
    identifier, state = given.get("instance", ""), given.get("state")
    if state not in ("crashed", "running"):
        raise ValueError(f"{state!r} is no state of a server: crashed, running")
    place.of(Instances).crash(identifier, state == "crashed")
    return {"instance": identifier, "state": state}


control.CHANGES["servers"] = _crash
rotation.MANAGED["rds"] = rotate_master
security.USERS.append(lambda place, group: any(group in each.groups for each in place.of(Instances).all()))
