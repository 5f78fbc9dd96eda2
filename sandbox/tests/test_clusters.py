"""Aurora PostgreSQL clusters: real servers behind the members, and endpoints that follow the writer."""
import json

import psycopg

from .strict import CODE_UNVERIFIED, Refusal, Strict, without_metadata
from .support import SUBNETS, Case, until

API = "https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_{}.html"
ENGINE = "aurora-postgresql"


class Clustered(Case):
    def cluster(self, identifier: str = "many", **parameters) -> dict:
        rds = self.aws("rds")
        if not rds.describe_db_subnet_groups()["DBSubnetGroups"]:
            rds.create_db_subnet_group(DBSubnetGroupName="subnets", DBSubnetGroupDescription="test", SubnetIds=SUBNETS)
        asked = {"DBClusterIdentifier": identifier, "Engine": ENGINE, "MasterUsername": "postgres", "DBSubnetGroupName": "subnets", **parameters}
        if "ManageMasterUserPassword" not in asked:
            asked.setdefault("MasterUserPassword", "a-long-password")
        self.made = rds.create_db_cluster(**asked)["DBCluster"]
        return self.settled(identifier)

    def look(self, identifier: str = "many") -> dict:
        return self.aws("rds").describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]

    def settled(self, identifier: str = "many") -> dict:
        return until(lambda: (found := self.look(identifier))["Status"] == "available" and found, f"{identifier} available")

    def member(self, identifier: str, cluster: str = "many") -> dict:
        self.aws("rds").create_db_instance(DBInstanceIdentifier=identifier, DBClusterIdentifier=cluster, Engine=ENGINE,
                                           DBInstanceClass="db.t4g.medium")
        return self.available(identifier)

    def connect(self, host: str, password="a-long-password", user="postgres"):
        return psycopg.connect(host=host, port=5432, user=user, password=password, dbname="postgres", sslmode="verify-full",
                               sslrootcert=self.state["ca"], autocommit=True)

    def writers(self, identifier: str = "many") -> list[str]:
        return [each["DBInstanceIdentifier"] for each in self.look(identifier)["DBClusterMembers"] if each["IsClusterWriter"]]


class Clusters(Clustered):
    def test_endpoints_lead_to_writer_and_readers(self):
        cluster = self.cluster()
        with self.assertRaises(psycopg.OperationalError):  # it is available, and nobody is there
            self.connect(cluster["Endpoint"])
        one = self.member("one")
        self.assertEqual((one["Engine"], one["DBClusterIdentifier"], one.get("MasterUserSecret")), (ENGINE, "many", None))
        # A cluster of one answers for its readers too.
        for host in (cluster["Endpoint"], cluster["ReaderEndpoint"], one["Endpoint"]["Address"]):
            with self.connect(host) as connection:
                self.assertEqual(connection.execute("SELECT pg_is_in_recovery()").fetchone(), (False,))
        two = self.member("two")
        self.assertEqual(self.writers(), ["one"])
        with self.connect(cluster["Endpoint"]) as writer:
            writer.execute("CREATE ROLE other LOGIN PASSWORD 'x'")
        for host in (cluster["ReaderEndpoint"], two["Endpoint"]["Address"]):
            until(lambda host=host: self.knows(host, "other"), "the role is there")
            with self.connect(host) as reader, self.assertRaises(psycopg.errors.ReadOnlySqlTransaction):
                reader.execute("CREATE ROLE third")
        listed = self.aws("rds").describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": ["many"]}])["DBInstances"]
        self.assertEqual({each["DBInstanceIdentifier"] for each in listed}, {"one", "two"})

    def knows(self, host: str, role: str) -> bool:
        with self.connect(host) as connection:
            return connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [role]).fetchone() == (1,)

    def test_creating_takes_its_time(self):
        self.delays("cluster_create=1")
        self.cluster()
        self.assertEqual((self.made["Status"], self.made["DBClusterMembers"], self.made.get("Endpoint")), ("creating", [], None))

    def test_a_failover(self):
        cluster = self.cluster()
        addresses = {name: self.member(name)["Endpoint"]["Address"] for name in ("one", "two", "three")}
        with self.connect(cluster["Endpoint"]) as writer:
            writer.execute("CREATE ROLE last_before")
        failing = self.aws("rds").failover_db_cluster(DBClusterIdentifier="many", TargetDBInstanceIdentifier="two")["DBCluster"]
        self.assertEqual(failing["Status"], "failing-over")
        after = self.settled()
        self.assertEqual(self.writers(), ["two"])
        # All are where they were, and the endpoint leads to another.
        self.assertEqual((after["Endpoint"], after["ReaderEndpoint"]), (cluster["Endpoint"], cluster["ReaderEndpoint"]))
        self.assertEqual({name: self.described(name)["Endpoint"]["Address"] for name in addresses}, addresses)
        with self.connect(cluster["Endpoint"]) as writer:
            writer.execute("COMMENT ON ROLE last_before IS 'nothing that was written is lost'")
        with self.connect(addresses["one"]) as reader:
            self.assertEqual(reader.execute("SELECT pg_is_in_recovery()").fetchone(), (True,))
        self.refused("InvalidDBClusterStateFault", self.aws("rds").failover_db_cluster, DBClusterIdentifier="many", TargetDBInstanceIdentifier="two")

    def test_stopping_and_starting(self):
        cluster, rds = self.cluster(), self.aws("rds")
        for name in ("one", "two"):
            self.member(name)
        with self.connect(cluster["Endpoint"]) as writer:
            writer.execute("CREATE ROLE kept")
        self.assertEqual(rds.stop_db_cluster(DBClusterIdentifier="many")["DBCluster"]["Status"], "stopping")
        until(lambda: self.look()["Status"] == "stopped", "it is stopped")
        self.assertEqual(self.described("one")["DBInstanceStatus"], "stopped")
        with self.assertRaises(psycopg.OperationalError):
            self.connect(cluster["Endpoint"])
        self.refused("InvalidDBClusterStateFault", rds.stop_db_cluster, DBClusterIdentifier="many")
        rds.start_db_cluster(DBClusterIdentifier="many")
        self.settled()
        self.refused("InvalidDBClusterStateFault", rds.start_db_cluster, DBClusterIdentifier="many")
        for host in (cluster["Endpoint"], cluster["ReaderEndpoint"]):
            self.assertTrue(self.knows(host, "kept"))

    def test_the_master_secret_is_the_cluster_s(self):
        cluster = self.cluster(ManageMasterUserPassword=True)
        member, manager, rds = self.member("one"), self.aws("secretsmanager"), self.aws("rds")
        self.assertNotIn("MasterUserSecret", member)
        arn = until(lambda: (told := self.look()["MasterUserSecret"])["SecretStatus"] == "active" and told["SecretArn"], "active")
        secret = manager.describe_secret(SecretId=arn)
        self.assertTrue(secret["Name"].startswith("rds!cluster-"))
        self.assertEqual({each["Key"]: each["Value"] for each in secret["Tags"]},
                         {"aws:secretsmanager:owningService": "rds", "aws:rds:primaryDBClusterArn": cluster["DBClusterArn"]})
        value = lambda: json.loads(manager.get_secret_value(SecretId=arn)["SecretString"])  # noqa: E731
        before = value()
        self.assertEqual(set(before), {"username", "password"})
        self.connect(cluster["Endpoint"], before["password"]).close()
        rds.modify_db_cluster(DBClusterIdentifier="many", RotateMasterUserPassword=True, ApplyImmediately=True)
        until(lambda: value() != before, "another password")
        self.connect(cluster["Endpoint"], value()["password"]).close()
        rds.modify_db_cluster(DBClusterIdentifier="many", ManageMasterUserPassword=False, MasterUserPassword="a-long-password")
        self.assertNotIn("MasterUserSecret", self.look())
        self.connect(cluster["Endpoint"]).close()

    def test_deletion(self):
        self.cluster()
        self.member("one")
        rds = self.aws("rds")
        self.refused("InvalidDBClusterStateFault", rds.delete_db_cluster, DBClusterIdentifier="many", SkipFinalSnapshot=True)
        rds.delete_db_instance(DBInstanceIdentifier="one")
        until(lambda: not rds.describe_db_instances()["DBInstances"], "the member is gone")
        rds.delete_db_cluster(DBClusterIdentifier="many", SkipFinalSnapshot=True)
        until(lambda: not rds.describe_db_clusters()["DBClusters"], "the cluster is gone")
        self.refused("DBClusterNotFoundFault", rds.describe_db_clusters, DBClusterIdentifier="many")


def create(**changed):
    asked = {"DBClusterIdentifier": "new", "Engine": ENGINE, "MasterUsername": "postgres", "MasterUserPassword": "a-long-password",
             "DBSubnetGroupName": "subnets", **changed}
    return {key: value for key, value in asked.items() if value is not None}


def creation(what, code, source, **changed) -> Refusal:
    return Refusal(what, code, "create_db_cluster", create(**changed), source)


def membership(what, code, source, **changed) -> Refusal:
    asked = {"DBInstanceIdentifier": "new", "DBClusterIdentifier": "many", "Engine": ENGINE, "DBInstanceClass": "db.t4g.medium", **changed}
    return Refusal(what, code, "create_db_instance", asked, source)


class Refused(Strict, Clustered):
    SERVICE = "rds"

    def prepare(self):
        self.cluster(ManageMasterUserPassword=True, DeletionProtection=True)
        self.member("one")
        until(lambda: self.look()["MasterUserSecret"]["SecretStatus"] == "active", "active")

    def seen(self):
        rds = self.aws("rds")
        return [without_metadata(told) for told in (rds.describe_db_clusters(), rds.describe_db_instances())]

    CREATE, MEMBER, MODIFY = (API.format(name) for name in ("CreateDBCluster", "CreateDBInstance", "ModifyDBCluster"))
    CASES = (
        creation("an identifier that ends with a hyphen", "InvalidParameterValue", CREATE, DBClusterIdentifier="new-"),
        creation("an identifier that is taken", "DBClusterAlreadyExistsFault", CREATE, DBClusterIdentifier="Many"),
        creation("no password", "InvalidParameterValue", CREATE, MasterUserPassword=None),
        creation("a password and one that RDS manages", "InvalidParameterCombination", CREATE, ManageMasterUserPassword=True),
        creation("a subnet group that is not there", "DBSubnetGroupNotFoundFault", CREATE, DBSubnetGroupName="none"),
        creation("a version that there is not", "InvalidParameterCombination", CODE_UNVERIFIED, EngineVersion="16.1"),
        membership("a member of no cluster", "DBClusterNotFoundFault", MEMBER, DBClusterIdentifier="none"),
        membership("a member of another engine", "InvalidParameterCombination", CODE_UNVERIFIED, Engine="postgres"),
        membership("a member with a master of its own", "InvalidParameterCombination", CODE_UNVERIFIED, MasterUsername="postgres"),
        membership("a member that is there", "DBInstanceAlreadyExists", MEMBER, DBInstanceIdentifier="one"),
        Refusal("a member's own managed password", "InvalidParameterCombination", "modify_db_instance",
                {"DBInstanceIdentifier": "one", "ManageMasterUserPassword": True}, CODE_UNVERIFIED),
        Refusal("a password in the place of the managed one", "InvalidParameterCombination", "modify_db_cluster",
                {"DBClusterIdentifier": "many", "MasterUserPassword": "a-long-password"}, MODIFY),
        Refusal("a change of no cluster", "DBClusterNotFoundFault", "modify_db_cluster", {"DBClusterIdentifier": "none"}, MODIFY),
        Refusal("a failover without a reader", "InvalidDBClusterStateFault", "failover_db_cluster", {"DBClusterIdentifier": "many"},
                API.format("FailoverDBCluster")),
        Refusal("deleting a protected cluster", "InvalidParameterCombination", "delete_db_cluster",
                {"DBClusterIdentifier": "many", "SkipFinalSnapshot": True}, API.format("DeleteDBCluster")),
        Refusal("deleting without a word on a snapshot", "InvalidParameterCombination", "delete_db_cluster",
                {"DBClusterIdentifier": "many"}, API.format("DeleteDBCluster")),
    )
