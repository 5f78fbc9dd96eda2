"""Aurora PostgreSQL clusters: a real server behind the writer, a streaming replica behind each reader, and endpoints
that follow a failover.

What differs from Aurora: readers have storage of their own, and so lag as a replica does; a cluster that has lost its last
member has lost its data; one is deleted without a snapshot only.
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Overview.Endpoints.html
"""
import dataclasses
import json
import logging
import random
import string
import threading
import time

from tool.paths import postgres_home

from .. import settings
from ..ec2 import groups as security
from ..postgres import Replica, Server, free_address
from ..relay import Relay
from ..secrets import rotation
from ..secrets.store import Secret, Secrets
from ..world import After, Fault, Place, new_uuid
from .instances import MASTER_ROTATION_DAYS, Instance, Instances, make_password

log = logging.getLogger("sandbox.rds")
ENGINE = "aurora-postgresql"


@dataclasses.dataclass
class Cluster:
    place: Place
    identifier: str
    version: str
    port: int
    master: str
    password: str
    database: str | None
    vpc_id: str
    subnet_group: str
    subnets: list[str]
    groups: list[str]
    # What is stored as it was asked and shown again.
    shown: dict
    tags: dict[str, str]
    resource_id: str = dataclasses.field(default_factory=lambda: "cluster-" + "".join(random.choices(string.ascii_uppercase + string.digits, k=26)))
    created: float = dataclasses.field(default_factory=time.time)
    ready: After | None = None
    failing_over: bool = False
    rest: str | None = None  # stopping, stopped or starting
    gone: After | None = None
    writer: str | None = None  # a member's identifier
    had_members: bool = False
    master_secret: str | None = None  # its ARN
    master_secret_active: After | None = None
    endpoint: Relay | None = None
    reader_endpoint: Relay | None = None

    @property
    def arn(self) -> str:
        return self.place.arn("rds", f"cluster:{self.identifier}")

    @property
    def status(self) -> str:
        if self.gone is not None:
            return "deleting"
        if self.failing_over:
            return "failing-over"
        if self.rest:
            return self.rest
        return "available" if self.ready else "creating"

    @property
    def addresses(self) -> tuple[str, str]:
        return self.endpoint.address, self.reader_endpoint.address

    def members(self) -> list[Instance]:
        return [each for each in self.place.of(Instances).all() if each.cluster is self and each.gone is None]

    def member(self, identifier: str) -> Instance:
        for each in self.members():
            if each.identifier == identifier.lower():
                return each
        raise Fault("DBInstanceNotFoundFault", f"DBInstance {identifier} not found.")

    def writing(self) -> Instance | None:
        return next((each for each in self.members() if each.identifier == self.writer), None)

    def master_secret_status(self) -> str:
        return "active" if self.ready and self.master_secret_active else "creating"

    # --- where its endpoints lead ---

    def writer_address(self) -> str | None:
        writer = self.writing()
        return writer and writer.address

    def reader_address(self) -> str | None:
        """A cluster without a reader answers by its writer."""
        readers = [each.address for each in self.members() if each.identifier != self.writer and each.address]
        return random.choice(readers) if readers else self.writer_address()

    # --- members ---

    def add(self, member: Instance) -> None:
        writer = self.writing()
        if writer is None:
            self.writer, self.had_members = member.identifier, True
            start = lambda home, folder: Server(home, folder, self.port, settings.AUTHORITY, self.master, self.password,  # noqa: E731
                                                self.database, self.addresses)
        else:
            start = lambda home, folder: Replica(home, folder, writer.server, settings.AUTHORITY, self.addresses)  # noqa: E731
        self.place.of(Instances).begin(member, start)

    def check_leaving(self, member: Instance) -> None:
        if member.identifier == self.writer and len(self.members()) > 1:
            raise Fault("InvalidDBClusterStateFault", "The sandbox does not delete a writer that has readers: FailoverDBCluster first.")

    def fail_over(self, to: Instance) -> None:
        """The reader becomes the writer, and the others follow it; each keeps its own endpoint.
        https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html"""
        self.failing_over = True
        threading.Thread(target=self._fail_over, args=(to,), daemon=True).start()

    def _fail_over(self, to: Instance) -> None:
        least = After(self.place.delay("cluster_failover"))
        try:
            # Members share one storage on Aurora: nothing that was written is lost.
            self.writing().server.halt()
            to.server.promote(wait=True)
            with self.place.lock:
                self.writer = to.identifier
                others = [each for each in self.members() if each is not to and each.server]
            for other in others:
                address = other.server.address
                other.server.stop()
                other.server = Replica(postgres_home(self.version.split(".")[0]), settings.RUN / new_uuid()[:13], to.server,
                                       settings.AUTHORITY, self.addresses, address)
        except Exception:
            log.exception("%s did not fail over", self.identifier)
        time.sleep(least.left())
        self.failing_over = False


    def stop(self) -> None:
        """https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-cluster-stop-start.html"""
        self.rest = "stopping"
        threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        for member in self.members():
            member.server.crash()
        self.rest = "stopped"

    def start(self) -> None:
        self.rest = "starting"
        threading.Thread(target=self._start, daemon=True).start()

    def _start(self) -> None:
        try:
            # Whom the others follow, first.
            for member in sorted(self.members(), key=lambda each: each.identifier != self.writer):
                member.server.resume()
        except Exception:
            log.exception("%s did not start", self.identifier)
            return
        self.rest = None


class Clusters:
    def __init__(self, place: Place):
        self.place = place
        self._by_identifier: dict[str, Cluster] = {}

    def all(self) -> list[Cluster]:
        for cluster in list(self._by_identifier.values()):
            if cluster.gone:
                del self._by_identifier[cluster.identifier]
                self.release_master_secret(cluster)
        return list(self._by_identifier.values())

    def get(self, identifier: str) -> Cluster:
        for cluster in self.all():
            if identifier.lower() in (cluster.identifier, cluster.arn.lower(), cluster.resource_id.lower()):
                return cluster
        raise Fault("DBClusterNotFoundFault", f"DBCluster {identifier} not found.")

    def exists(self, identifier: str) -> bool:
        self.all()
        return identifier.lower() in self._by_identifier

    def add(self, cluster: Cluster, managed: bool) -> None:
        cluster.endpoint = _relay(cluster.port, cluster.writer_address)
        cluster.reader_endpoint = _relay(cluster.port, cluster.reader_address)
        cluster.ready = After(self.place.delay("cluster_create"))
        self._by_identifier[cluster.identifier] = cluster
        if managed:
            self.make_master_secret(cluster)

    def delete(self, cluster: Cluster) -> None:
        cluster.gone = After(self.place.delay("instance_delete"))
        _close(cluster)

    def close(self) -> None:
        for cluster in self._by_identifier.values():
            _close(cluster)
        self._by_identifier.clear()

    # --- the master's password ---

    def make_master_secret(self, cluster: Cluster) -> None:
        """https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html; the tag is one of those
        that RDS's service role may set (AmazonRDSServiceRolePolicy)."""
        value = json.dumps({"username": cluster.master, "password": cluster.password})
        secret = self.place.of(Secrets).add_managed(
            f"rds!cluster-{new_uuid()}", "rds", value,
            {"aws:secretsmanager:owningService": "rds", "aws:rds:primaryDBClusterArn": cluster.arn}, MASTER_ROTATION_DAYS)
        cluster.master_secret = secret.arn
        cluster.master_secret_active = After(self.place.delay("master_secret"))

    def change_password(self, cluster: Cluster, password: str) -> None:
        cluster.password = password
        writer = cluster.writing()
        if writer and writer.server:
            writer.server.set_password(cluster.master, password)

    def release_master_secret(self, cluster: Cluster) -> None:
        store = self.place.of(Secrets)
        secret = cluster.master_secret and store.find(cluster.master_secret)
        if secret:
            store.remove(secret)
        cluster.master_secret = cluster.master_secret_active = None

    def tags_of(self, arn: str) -> dict[str, str] | None:
        return next((each.tags for each in self.all() if each.arn == arn), None)

    def tagged(self):
        for each in self.all():
            yield each.arn, each.tags

    def summary(self) -> dict:
        return {"clusters": [f"{each.identifier} {each.status} {each.endpoint.address}:{each.port}" for each in self.all()]}


def _relay(port: int, target) -> Relay:
    for _ in range(20):
        try:
            return Relay(free_address(port), port, target)
        except OSError:  # somebody else took it just now
            continue
    raise RuntimeError("no address for an endpoint")


def _close(cluster: Cluster) -> None:
    for each in (cluster.endpoint, cluster.reader_endpoint):
        each.close()


def _rotate_master(place: Place, secret: Secret) -> None:
    for cluster in place.of(Clusters).all():
        if cluster.master_secret == secret.arn:
            place.of(Clusters).change_password(cluster, make_password())
            value = json.dumps({"username": cluster.master, "password": cluster.password})
            secret.put(new_uuid(), {"SecretString": value}, None, place.now())


_of_instances = rotation.MANAGED["rds"]


def _rotate(place: Place, secret: Secret) -> None:
    _of_instances(place, secret)
    _rotate_master(place, secret)


rotation.MANAGED["rds"] = _rotate
security.USERS.append(lambda place, group: any(group in each.groups for each in place.of(Clusters).all()))
