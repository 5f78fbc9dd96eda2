"""Starting, ending however it comes, and the commands."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import uuid
from pathlib import Path

from .support import SANDBOX, VPC, Case, ctl, until

RUNS = "pgrotate-sandbox-*"
# Starts an instance and a function of a sandbox of its own, so that there is something to leave behind.
POPULATE = '''
import sys
from tests import support
support.sandbox = lambda: __import__("json").load(open(sys.argv[1] + "/state.json"))
from pathlib import Path
support._directory = Path(sys.argv[1])
case = support.Case()
case.setUp()
case.instance()
case.function("f", "def handle(event):\\n    return 1")
case.invoke("f")
'''


class Life(unittest.TestCase):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="sandbox-life-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.addCleanup(ctl, "down", "--dir", self.directory)

    def up(self, *arguments):
        done = ctl("up", "--dir", self.directory, "--delays", "none", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.state()

    def state(self):
        return json.loads((self.directory / "state.json").read_text())

    def populate(self):
        subprocess.run([sys.executable, "-c", POPULATE, self.directory], cwd=SANDBOX, check=True)
        self.assertGreaterEqual(len(self.processes()), 8)  # supervisor, emulator, PostgreSQL's several, the function

    def processes(self) -> list[str]:
        """Whatever names the run folder in its command line, its environment or as its current folder."""
        found = []
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                told = Path(f"/proc/{process}/cmdline").read_bytes() + Path(f"/proc/{process}/environ").read_bytes()
                told += os.readlink(f"/proc/{process}/cwd").encode()
            except OSError:
                continue
            if self.run_folder.encode() in told or str(self.directory).encode() in told:
                found.append(f"{process} {told[:80]}")
        return found

    def assert_nothing_remains(self):
        until(lambda: not self.processes(), "all processes have ended")
        until(lambda: not Path(self.run_folder).exists(), "the run folder is gone")
        self.assertFalse((self.directory / "state.json").exists())

    def start(self, *arguments):
        self.run_folder = self.up(*arguments)["run"]
        self.populate()

    def test_down(self):
        self.start()
        self.assertEqual(ctl("up", "--dir", self.directory).returncode, 0)
        self.assertEqual(ctl("down", "--dir", self.directory).stdout, "sandbox: ended\n")
        self.assert_nothing_remains()
        self.assertEqual(ctl("status", "--dir", self.directory).returncode, 1)
        self.assertEqual(ctl("down", "--dir", self.directory).returncode, 0)

    def test_it_ends_with_a_killed_parent(self):
        parent = subprocess.Popen(["sleep", "600"])
        self.start("--parent", parent.pid)
        parent.kill()
        parent.wait()
        self.assert_nothing_remains()

    def test_a_killed_emulator_leaves_nothing(self):
        self.start()
        os.kill(self.state()["emulator"], signal.SIGKILL)
        self.assert_nothing_remains()

    def test_a_killed_supervisor_leaves_nothing(self):
        self.start()
        os.kill(self.state()["supervisor"], signal.SIGKILL)
        self.assert_nothing_remains()

    def test_both_killed_at_once_leave_no_process_and_the_next_start_removes_the_folder(self):
        self.start()
        state = self.state()
        os.kill(state["supervisor"], signal.SIGSTOP)  # lest it sees the other's end
        os.kill(state["emulator"], signal.SIGKILL)
        os.kill(state["supervisor"], signal.SIGKILL)
        until(lambda: not self.processes(), "all processes have ended")
        self.up()
        self.assertFalse(Path(self.run_folder).exists())

    def test_foreground_ends_by_ctrl_c(self):
        for sign in (signal.SIGINT, signal.SIGKILL):
            process = subprocess.Popen([sys.executable, SANDBOX / "ctl", "up", "--foreground", "--dir", self.directory, "--delays", "none"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            until((self.directory / "state.json").exists, "ready")
            self.run_folder = self.state()["run"]
            self.populate()
            if sign == signal.SIGINT:
                os.killpg(process.pid, sign)  # as a terminal does
            else:
                process.kill()
            process.wait()
            self.assert_nothing_remains()

    def test_two_at_once(self):
        other = Path(tempfile.mkdtemp(prefix="sandbox-life-"))
        self.addCleanup(shutil.rmtree, other, ignore_errors=True)
        self.addCleanup(ctl, "down", "--dir", other)
        starting = [subprocess.Popen([sys.executable, SANDBOX / "ctl", "up", "--dir", each], stdout=subprocess.DEVNULL)
                    for each in (self.directory, other)]
        # And once more in the same folder, which then is the same one.
        starting.append(subprocess.Popen([sys.executable, SANDBOX / "ctl", "up", "--dir", other], stdout=subprocess.DEVNULL))
        self.assertEqual([process.wait() for process in starting], [0, 0, 0])
        endpoints = {json.loads((each / "state.json").read_text())["endpoint"] for each in (self.directory, other)}
        self.assertEqual(len(endpoints), 2)

    def test_only_loopback(self):
        self.run_folder = self.up()["run"]
        port = int(self.state()["endpoint"].rsplit(":", 1)[-1])
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"]
        self.assertIn(f"0100007F:{port:04X}", listening)
        self.assertNotIn(f"00000000:{port:04X}", listening)


class Commands(Case):
    def test_env_and_exec(self):
        lines = self.ctl("env").splitlines()
        told = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export"))
        self.assertEqual((told["AWS_ACCESS_KEY_ID"], told["AWS_REGION"], told["AWS_ENDPOINT_URL"]),
                         (self.account, "eu-north-1", self.state["endpoint"]))
        self.assertIn("BEGIN CERTIFICATE", Path(told["PGROTATE_CA_BUNDLE"]).read_text())
        self.assertTrue(any(line.startswith("unset AWS_PROFILE") for line in lines))
        done = self.ctl("exec", "--", "aws", "ec2", "describe-vpcs", "--query", "Vpcs[].VpcId", "--output", "text")
        self.assertEqual(done.strip(), VPC)
        self.assertEqual(self.ctl("exec", "--", "sh", "-c", '"$PGROTATE_SANDBOX_PYTHON" -c "import psycopg, botocore; print(1)"'), "1\n")

    def test_accounts_share_nothing(self):
        self.aws("secretsmanager").create_secret(Name="s", ClientRequestToken=str(uuid.uuid4()))
        self.ctl("clock", "+10d")
        self.delays("instance_create=9")
        mine, self.account, self._clients = self.account, str(int(self.account) + 700000), {}
        self.assertEqual(self.aws("secretsmanager").list_secrets()["SecretList"], [])
        self.assertIn("instance_create = 0.4", self.ctl("delays"))
        self.assertIn("is 1 days ahead", self.ctl("clock", "+1d"))
        self.assertIn("is -3 days ahead", self.ctl("clock", "3d ago"))
        self.assertIn("is 0 days ahead", self.ctl("clock", "now"))
        self.account = mine
        self.assertIn("is 11 days ahead", self.ctl("clock", "+1d"))

    def test_reset_forgets_an_account_and_ends_its_databases(self):
        self.instance()
        self.function("f", "def handle(event):\n    return 1")
        self.ctl("reset")
        self.assertEqual(self.aws("rds").describe_db_instances()["DBInstances"], [])
        self.assertEqual(self.aws("lambda").list_functions()["Functions"], [])
        self.assertEqual([each["VpcId"] for each in self.aws("ec2").describe_vpcs()["Vpcs"]], [VPC])

    def test_the_log_tells_who_asked_what_and_no_secrets(self):
        self.aws("secretsmanager").create_secret(Name="s", SecretString="very-secret", ClientRequestToken=str(uuid.uuid4()))
        self.refused("ResourceNotFoundException", self.aws("secretsmanager").describe_secret, SecretId="none")
        self.aws("s3").list_buckets()
        told = [(each["service"], each["operation"], each["caller"], each["status"], each["error"]) for each in self.requests()]
        self.assertEqual(told, [("secretsmanager", "CreateSecret", "client", 200, None),
                                ("secretsmanager", "DescribeSecret", "client", 400, "ResourceNotFoundException"),
                                ("s3", "ListBuckets", "client", 200, None)])
        self.assertNotIn("very-secret", self.ctl("log", "--json"))
        self.assertIn("secretsmanager.CreateSecret 200", self.ctl("log"))

    def test_mistakes_are_told(self):
        for arguments, said in ((("clock", "+10 weeks"), "is no move of a clock"), (("delays", "instance=1"), "neither a preset"),
                                (("env", "--account", "12"), "12 digits")):
            done = ctl(*arguments[:1], "--dir", Path(self.state["ca"]).parent, *(("--account", self.account) if "--account" not in arguments else ()), *arguments[1:])
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)
        self.account, self._clients = "not-an-account", {}
        self.refused("UnrecognizedClientException", self.aws("secretsmanager").list_secrets)
