import datetime
import json
import os
import unittest
from pathlib import Path

import psycopg

from .support import SUBNETS, VPC, Case, until


class Instances(Case):
    def connect(self, instance, password="a-long-password", user="postgres", **options):
        return psycopg.connect(**{"host": instance["Endpoint"]["Address"], "port": instance["Endpoint"]["Port"], "user": user,
                                  "password": password, "dbname": "postgres", "sslmode": "verify-full",
                                  "sslrootcert": self.state["ca"], "autocommit": True, **options})

    def test_a_real_server_with_rds_roles_and_tls_only(self):
        instance = self.instance(DBName="app")
        self.assertEqual(instance["Endpoint"]["Port"], 5432)
        with self.connect(instance) as connection:
            row = connection.execute("SELECT rolsuper, rolcreaterole, rolcreatedb, pg_has_role('rds_superuser', 'MEMBER') "
                                     "FROM pg_roles WHERE rolname = current_user").fetchone()
            self.assertEqual(row, (False, True, True, True))
            self.assertEqual(connection.execute("SHOW rds.force_ssl").fetchone(), ("1",))
            connection.execute("CREATE ROLE other LOGIN PASSWORD 'x'")
            connection.execute("GRANT rds_superuser TO other")
            names = {name for name, in connection.execute("SELECT rolname FROM pg_roles")}
            self.assertLessEqual({"rdsadmin", "rds_password", "rds_replication", "rds_iam"}, names)
            # On 16 and later, who makes a role holds ADMIN on it.
            self.assertEqual(connection.execute("SELECT admin_option FROM pg_auth_members WHERE roleid = 'other'::regrole "
                                                "AND member = 'postgres'::regrole").fetchone(), (True,))
        self.connect(instance, dbname="app").close()
        with self.assertRaisesRegex(psycopg.OperationalError, "no encryption"):
            self.connect(instance, sslmode="disable")
        with self.assertRaisesRegex(psycopg.OperationalError, "password authentication failed"):
            self.connect(instance, password="wrong")
        with self.assertRaisesRegex(psycopg.OperationalError, "pg_hba.conf rejects"):
            self.connect(instance, user="rdsadmin")

    def test_each_instance_has_its_own_host_and_the_port_5432(self):
        self.instance("one", wait=False)
        self.instance("two", wait=False)
        one, two = self.available("one"), self.available("two")
        self.assertNotEqual(one["Endpoint"]["Address"], two["Endpoint"]["Address"])
        self.assertEqual(one["Endpoint"]["Port"], two["Endpoint"]["Port"])

    def test_majors_17_and_18(self):
        for major in ("17", "18"):
            instance = self.instance(f"db{major}", EngineVersion=major)
            self.assertRegex(instance["EngineVersion"], rf"^{major}\.\d+$")
            with self.connect(instance) as connection:
                self.assertTrue(connection.execute("SHOW server_version").fetchone()[0].startswith(major))

    def test_a_version_that_is_withdrawn(self):
        rds = self.aws("rds")
        running = self.instance()["EngineVersion"]
        self.ctl("withdraw", running)
        listed = lambda **more: {each["EngineVersion"]: each["Status"] for each in  # noqa: E731
                                 rds.describe_db_engine_versions(Engine="postgres", EngineVersion="16", **more)["DBEngineVersions"]}
        self.assertNotIn(running, listed())
        self.assertEqual(listed(IncludeAll=True)[running], "deprecated")
        self.assertEqual(self.described()["EngineVersion"], running)
        self.refused("InvalidParameterCombination", self.instance, identifier="another", wait=False, EngineVersion=running)

    def test_a_server_that_crashes_and_comes_back(self):
        instance = self.instance()
        with self.connect(instance) as connection:
            connection.execute("CREATE TABLE kept (x int)")
        self.ctl("server", "db", "crashed")
        with self.assertRaisesRegex(psycopg.OperationalError, "refused"):
            self.connect(instance)
        self.assertEqual(self.described()["DBInstanceStatus"], "available")
        self.ctl("server", "db", "running")
        with self.connect(instance) as connection:
            self.assertEqual(connection.execute("SELECT count(*) FROM kept").fetchone()[0], 0)

    def test_a_certificate_ends_a_year_after_it_was_made(self):
        self.ctl("clock", "300d ago")
        made = self.instance()["CertificateDetails"]
        left = (made["ValidTill"] - datetime.datetime.now(datetime.timezone.utc)).days
        self.assertEqual((made["CAIdentifier"], left), ("rds-ca-rsa2048-g1", 64))
        self.ctl("clock", "now")
        self.aws("rds").modify_db_instance(DBInstanceIdentifier="db", CACertificateIdentifier="rds-ca-rsa4096-g1", ApplyImmediately=True)
        until(lambda: self.described()["CertificateDetails"]["ValidTill"] > made["ValidTill"], "a new certificate")
        self.assertEqual(self.described()["CertificateDetails"]["CAIdentifier"], "rds-ca-rsa4096-g1")

    def test_a_replica_streams_and_takes_no_writes(self):
        source, rds = self.instance(BackupRetentionPeriod=1), self.aws("rds")
        make = {"DBInstanceIdentifier": "replica", "SourceDBInstanceIdentifier": "db"}
        self.refused("DBInstanceNotFound", rds.create_db_instance_read_replica, **{**make, "SourceDBInstanceIdentifier": "no"})
        made = rds.create_db_instance_read_replica(**make)["DBInstance"]
        self.assertEqual((made["DBInstanceStatus"], made["ReadReplicaSourceDBInstanceIdentifier"]), ("creating", "db"))
        self.assertEqual(self.described()["ReadReplicaDBInstanceIdentifiers"], ["replica"])
        replica = self.available("replica")
        self.assertNotEqual(replica["Endpoint"]["Address"], source["Endpoint"]["Address"])
        with self.connect(source) as writer, self.connect(replica) as reader:
            writer.execute("CREATE ROLE made_on_the_writer LOGIN PASSWORD 'x'")
            until(lambda: reader.execute("SELECT 1 FROM pg_roles WHERE rolname = 'made_on_the_writer'").fetchone(), "streamed")
            with self.assertRaises(psycopg.errors.ReadOnlySqlTransaction):
                reader.execute("ALTER ROLE made_on_the_writer PASSWORD 'y'")
        self.refused("InvalidParameterCombination", rds.modify_db_instance, DBInstanceIdentifier="replica",
                     MasterUserPassword="another-long-password")
        # A replica outlives its source, as an instance of its own.
        rds.delete_db_instance(DBInstanceIdentifier="db", SkipFinalSnapshot=True)
        with self.connect(replica) as alone:
            until(lambda: alone.execute("SELECT NOT pg_is_in_recovery()").fetchone()[0], "promoted")
        self.assertNotIn("ReadReplicaSourceDBInstanceIdentifier", self.described("replica"))

    def test_no_replica_of_a_managed_master_or_without_backups(self):
        rds = self.aws("rds")
        make = {"DBInstanceIdentifier": "replica", "SourceDBInstanceIdentifier": "db"}
        self.instance(ManageMasterUserPassword=True, BackupRetentionPeriod=1)
        self.refused("InvalidParameterValue", rds.create_db_instance_read_replica, **make)
        rds.modify_db_instance(DBInstanceIdentifier="db", ManageMasterUserPassword=False, MasterUserPassword="a-long-password",
                               BackupRetentionPeriod=0, ApplyImmediately=True)
        until(lambda: self.described()["BackupRetentionPeriod"] == 0, "no backups")
        self.refused("InvalidDBInstanceState", rds.create_db_instance_read_replica, **make)

    def test_creating_shows_no_endpoint_and_takes_its_time(self):
        self.delays("instance_create=2")
        made = self.instance(wait=False)
        self.assertEqual((made["DBInstanceStatus"], made.get("Endpoint")), ("creating", None))
        seen = set()
        until(lambda: seen.add(self.described()["DBInstanceStatus"]) or "available" in seen, "available")
        self.assertEqual(seen, {"creating", "backing-up", "available"})

    def test_versions(self):
        self.assertRegex(self.instance(EngineVersion="16", wait=False)["EngineVersion"], r"^16\.\d+$")
        for version in ("16.1", "15.4", "9"):
            self.refused("InvalidParameterCombination", self.instance, identifier="other", EngineVersion=version)
        rds = self.aws("rds")
        self.available()
        self.refused("InvalidParameterCombination", rds.modify_db_instance, DBInstanceIdentifier="db", EngineVersion="16.8")
        offered = rds.describe_db_engine_versions(Engine="postgres", EngineVersion="16")["DBEngineVersions"]
        self.assertIn("16.8", [each["EngineVersion"] for each in offered])

    def test_what_creation_refuses(self):
        for code, parameters in (
                ("InvalidParameterValue", {"MasterUserPassword": "short"}),
                ("InvalidParameterValue", {"MasterUserPassword": "with/slash/inside"}),
                ("InvalidParameterCombination", {"ManageMasterUserPassword": True, "MasterUserPassword": "a-long-password"}),
                ("InvalidParameterCombination", {"AllocatedStorage": 5}),
                ("InvalidParameterValue", {"MasterUsername": "rdsadmin"}),
                ("InvalidParameterValue", {"identifier": "bad--name"}),
                ("InvalidParameterValue", {"DBInstanceClass": "t3.micro"}),
                ("InvalidParameterValue", {"VpcSecurityGroupIds": ["sg-00000000000000001"]}),
                ("DBSubnetGroupNotFoundFault", {"DBSubnetGroupName": "none"}),
                ("DBParameterGroupNotFound", {"DBParameterGroupName": "none"})):
            with self.subTest(parameters):
                self.refused(code, self.instance, **parameters)
        self.instance(wait=False)
        self.refused("DBInstanceAlreadyExists", self.instance)
        self.refused("DBInstanceNotFound", self.described, identifier="other")

    def test_deletion(self):
        rds = self.aws("rds")
        self.instance(DeletionProtection=True, CopyTagsToSnapshot=True, Tags=[{"Key": "a", "Value": "b"}])
        delete = {"DBInstanceIdentifier": "db"}
        self.refused("InvalidParameterCombination", rds.delete_db_instance, **delete)
        self.refused("InvalidParameterCombination", rds.delete_db_instance, SkipFinalSnapshot=True, FinalDBSnapshotIdentifier="x", **delete)
        self.assertIn("protected", self.refused("InvalidParameterCombination", rds.delete_db_instance, SkipFinalSnapshot=True, **delete))
        self.refused("InvalidDBSubnetGroupStateFault", rds.delete_db_subnet_group, DBSubnetGroupName="subnets")
        rds.modify_db_instance(DBInstanceIdentifier="db", DeletionProtection=False)
        resource_id = self.described()["DbiResourceId"]
        gone = rds.delete_db_instance(FinalDBSnapshotIdentifier="last", **delete)["DBInstance"]
        self.assertEqual(gone["DBInstanceStatus"], "deleting")
        self.refused("InvalidDBInstanceState", rds.delete_db_instance, SkipFinalSnapshot=True, **delete)
        until(lambda: not rds.describe_db_instances()["DBInstances"], "gone")
        snapshot, = rds.describe_db_snapshots()["DBSnapshots"]
        self.assertEqual((snapshot["DBSnapshotIdentifier"], snapshot["DbiResourceId"], snapshot["TagList"]),
                         ("last", resource_id, [{"Key": "a", "Value": "b"}]))
        rds.delete_db_subnet_group(DBSubnetGroupName="subnets")

    def test_a_deleted_server_really_ends(self):
        address = self.instance()["Endpoint"]["Address"]
        self.aws("rds").delete_db_instance(DBInstanceIdentifier="db", SkipFinalSnapshot=True)
        until(lambda: not self.aws("rds").describe_db_instances()["DBInstances"], "gone")
        with self.assertRaisesRegex(psycopg.OperationalError, "refused"):
            psycopg.connect(host=address, user="postgres", password="x", sslmode="require")

    def test_modification(self):
        rds = self.aws("rds")
        self.instance()
        self.delays("instance_modify=1")
        changed = rds.modify_db_instance(DBInstanceIdentifier="db", DBInstanceClass="db.t3.small", ApplyImmediately=True)["DBInstance"]
        # AWS still says available for a moment, with the change pending.
        self.assertEqual((changed["DBInstanceStatus"], changed["DBInstanceClass"], changed["PendingModifiedValues"]),
                         ("available", "db.t3.micro", {"DBInstanceClass": "db.t3.small"}))
        until(lambda: self.described()["DBInstanceStatus"] == "modifying", "modifying")
        self.refused("InvalidDBInstanceState", rds.modify_db_instance, DBInstanceIdentifier="db", AllocatedStorage=40)
        self.assertEqual(self.available()["DBInstanceClass"], "db.t3.small")
        rds.modify_db_instance(DBInstanceIdentifier="db", BackupRetentionPeriod=9)
        self.assertEqual(self.described()["PendingModifiedValues"], {"BackupRetentionPeriod": 9})
        self.refused("InvalidParameterCombination", rds.modify_db_instance, DBInstanceIdentifier="db", AllocatedStorage=19, StorageType="gp3")
        group = self.group()
        rds.modify_db_instance(DBInstanceIdentifier="db", PubliclyAccessible=False, VpcSecurityGroupIds=[group])
        self.assertEqual((self.described()["PubliclyAccessible"], self.described()["VpcSecurityGroups"][0]["VpcSecurityGroupId"]), (False, group))
        rds.modify_db_instance(DBInstanceIdentifier="db", MasterUserPassword="another-password")
        self.connect(self.described(), password="another-password").close()

    def test_the_master_secret(self):
        self.delays("master_secret=1")
        made = self.instance(ManageMasterUserPassword=True, wait=False)
        self.assertEqual(made["MasterUserSecret"]["SecretStatus"], "creating")
        instance = self.available()
        self.assertEqual(instance["MasterUserSecret"]["SecretStatus"], "creating")
        until(lambda: self.described()["MasterUserSecret"]["SecretStatus"] == "active", "active")
        secrets, arn = self.aws("secretsmanager"), made["MasterUserSecret"]["SecretArn"]
        value = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
        self.assertEqual(sorted(value), ["password", "username"])
        self.connect(instance, password=value["password"]).close()
        described = secrets.describe_secret(SecretId=arn)
        self.assertTrue(described["Name"].startswith("rds!db-"))
        self.assertEqual({tag["Key"]: tag["Value"] for tag in described["Tags"]}["aws:rds:primaryDBInstanceArn"], instance["DBInstanceArn"])
        self.assertEqual(described["OwningService"], "rds")
        self.refused("InvalidRequestException", secrets.put_secret_value, SecretId=arn, SecretString="x", ClientRequestToken="a" * 32)
        self.refused("InvalidRequestException", secrets.delete_secret, SecretId=arn)
        self.refused("InvalidRequestException", secrets.rotate_secret, SecretId=arn, RotationLambdaARN="arn:aws:lambda:eu-north-1:1:function:f",
                     ClientRequestToken="b" * 32)
        self.ctl("clock", "+8d")  # RDS rotates it every week

        def rotated():
            return json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])["password"] != value["password"]
        until(rotated, "rotated")
        self.connect(instance, password=json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])["password"]).close()
        self.aws("rds").delete_db_instance(DBInstanceIdentifier="db", SkipFinalSnapshot=True)
        until(lambda: not self.aws("rds").describe_db_instances()["DBInstances"], "gone")
        self.refused("ResourceNotFoundException", secrets.describe_secret, SecretId=arn)

    def test_subnet_groups(self):
        rds = self.aws("rds")
        common = {"DBSubnetGroupName": "MyGroup", "DBSubnetGroupDescription": "x"}
        self.refused("DBSubnetGroupDoesNotCoverEnoughAZs", rds.create_db_subnet_group, SubnetIds=SUBNETS[:1], **common)
        self.refused("InvalidParameterValue", rds.create_db_subnet_group, SubnetIds=["subnet-00000000000000000", SUBNETS[0]], **common)
        made = rds.create_db_subnet_group(SubnetIds=SUBNETS, Tags=[{"Key": "a", "Value": "b"}], **common)["DBSubnetGroup"]
        self.assertEqual((made["DBSubnetGroupName"], made["VpcId"]), ("mygroup", VPC))
        self.refused("DBSubnetGroupAlreadyExists", rds.create_db_subnet_group, SubnetIds=SUBNETS, **common)
        self.assertEqual(rds.list_tags_for_resource(ResourceName=made["DBSubnetGroupArn"])["TagList"], [{"Key": "a", "Value": "b"}])
        rds.add_tags_to_resource(ResourceName=made["DBSubnetGroupArn"], Tags=[{"Key": "c", "Value": "d"}])
        rds.remove_tags_from_resource(ResourceName=made["DBSubnetGroupArn"], TagKeys=["a"])
        self.assertEqual(rds.list_tags_for_resource(ResourceName=made["DBSubnetGroupArn"])["TagList"], [{"Key": "c", "Value": "d"}])
        rds.delete_db_subnet_group(DBSubnetGroupName="mygroup")
        self.refused("DBSubnetGroupNotFoundFault", rds.describe_db_subnet_groups, DBSubnetGroupName="mygroup")

    @unittest.skipIf(os.getuid(), "only root has another user to hand it to")
    def test_postgresql_never_runs_as_root(self):
        self.instance()
        owners = set()
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{process}/cmdline").read_bytes()
                if self.state["run"].encode() in command and b"bin/postgres" in command:
                    owners.add(os.stat(f"/proc/{process}").st_uid)
            except OSError:
                continue
        self.assertTrue(owners)
        self.assertNotIn(0, owners)
