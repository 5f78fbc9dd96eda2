"""What the function costs, for `make bench`: its release build, run as Lambda runs it, against a deployment in the sandbox.

Invocations come from a runtime API of our own, so that the process's time and memory are seen and nothing but the
function asks AWS or PostgreSQL for anything while a step runs.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""
import http.client
import http.server
import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
STARTS, ROTATIONS = 15, 7
# A step is given a minute by the stack; a server writes its log at once.
PATIENCE, RELOAD = 60.0, 10.0
# Of a step. What the lock and the reading under it cost beyond it, docs/rotation-protocol.md gives the reasons for.
CALLS, CONNECTIONS = 3, 2


class Failed(Exception):
    """What cannot be measured, and why."""


class RuntimeApi(http.server.ThreadingHTTPServer):
    """Lambda's runtime API on loopback, for one process: hands out an invocation, takes its answer."""
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.polls: queue.SimpleQueue[float] = queue.SimpleQueue()
        self.events: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[tuple[float, str, bytes]] = queue.SimpleQueue()
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address) -> None:
        """The process is ended while it polls: its connection breaks, as it must."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: RuntimeApi

    def do_GET(self) -> None:
        self.server.polls.put(time.monotonic())
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        self._answer(200, event, {"Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                                  "Lambda-Runtime-Deadline-Ms": str(int((time.time() + PATIENCE) * 1000)),
                                  "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:::function:bench"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.answers.put((time.monotonic(), self.path.rsplit("/", 1)[-1], body))
        self._answer(202, b"", {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args) -> None:  # pylint: disable=arguments-differ
        """Nothing: an answer may not be told, and a line for each would be noise."""


class Function:
    """One process of the function, ended with the block."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._api = RuntimeApi()
        threading.Thread(target=self._api.serve_forever, daemon=True).start()
        self._log = folder / "function.log"
        with open(self._log, "wb") as log:
            self._began = time.monotonic()
            self._process = subprocess.Popen([folder / "bootstrap"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env={**environment, "AWS_LAMBDA_RUNTIME_API": self._api.address,
                                                  "LAMBDA_TASK_ROOT": str(folder)})
        self.init = self._awaited(self._api.polls) - self._began

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        self._api.events.put(None)
        self._api.shutdown()
        self._api.server_close()

    def _awaited(self, what: queue.SimpleQueue):
        """The next of them, or, where the process ends before it comes, why."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return what.get(timeout=0.5)
            except queue.Empty:
                if self._process.poll() is None and time.monotonic() < until:
                    continue
            said = self._log.read_text(errors="replace")[-2000:]
            self.__exit__()
            raise Failed(f"the function ended, or did nothing for {PATIENCE:g} s; exit code {self._process.returncode}\n{said}")

    def invoke(self, event: dict) -> float:
        """Seconds from the event's handing out to the answer; it must be a good one."""
        began = time.monotonic()
        self._api.events.put(json.dumps(event).encode())
        ended, how, body = self._awaited(self._api.answers)
        # Its next poll: what follows an answer (the log's line) is not the next step's.
        self._awaited(self._api.polls)
        if how != "response":
            raise Failed(f"{event['Step']}: {body.decode(errors='replace')[:2000]}")
        return ended - began

    def peak(self) -> float:
        """The most memory that it has held so far, in MiB. VmHWM is in KiB: proc(5)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class Database:
    """The log of an instance's server, made to tell of each connection."""

    def __init__(self, run: Path, host: str) -> None:
        listens = f"listen_addresses = '{host}'"
        homes = [conf.parent for conf in run.glob("*/data/postgresql.conf") if listens in conf.read_text()]
        if len(homes) != 1:
            raise Failed(f"{len(homes)} servers below {run} listen on {host}")
        (data,) = homes
        self._log = data.parent / "log"
        with open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write("log_connections = on\n")
        # It reads its settings again: https://www.postgresql.org/docs/16/config-setting.html
        os.kill(int((data / "postmaster.pid").read_text().split("\n")[0]), signal.SIGHUP)
        until = time.monotonic() + RELOAD
        while 'parameter "log_connections" changed to "on"' not in self._log.read_text(errors="replace"):
            if time.monotonic() > until:
                raise Failed(f"{self._log}: no word of log_connections")
            time.sleep(0.01)

    def connections(self) -> int:
        """So far, by TCP. A server tells of one before it answers it, so none of a step is told after the step's end."""
        lines = self._log.read_text(errors="replace").splitlines()
        return sum("connection received: host=" in line and "host=[local]" not in line for line in lines)


@dataclass
class Step:
    calls: float
    connections: float
    milliseconds: float


class Deployment:
    """What an apply has left in an account, as the function needs it to be run by hand."""

    def __init__(self, sandbox, account: str, root: Path, folder: Path, function: str) -> None:
        self._sandbox, self._account, self._folder = sandbox, account, folder
        client = sandbox.environment[account]
        config = self._aws("lambda", "get-function-configuration", "--function-name", function)
        variables = config["Environment"]["Variables"]
        # As sandbox/plugin/functions.py sets them, but for the credentials: by the client's, the log tells our process
        # from those that the sandbox runs.
        self.environment = {
            **variables, **{name: client[name] for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                                            "AWS_REGION")},
            "AWS_LAMBDA_FUNCTION_NAME": function, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config["MemorySize"]),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function}", "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "LANG": "en_US.UTF-8", "TZ": ":UTC", "PATH": "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        }
        self._endpoint = client["AWS_ENDPOINT_URL"]
        run = json.loads((root / "state.json").read_text())["run"]
        self._database = Database(Path(run), variables["PGROTATE_HOSTS"].rpartition(":")[0])
        # As apply packs it: the authorities beside the function.
        (folder / "ca-bundle.pem").write_bytes(Path(client["PGROTATE_CA_BUNDLE"]).read_bytes())

    def _aws(self, *arguments: str) -> dict:
        return json.loads(self._sandbox.ctl("exec", "--", "aws", *arguments, "--output", "json", account=self._account))

    def secret(self, name: str) -> str:
        return self._aws("secretsmanager", "describe-secret", "--secret-id", name)["ARN"]

    def start(self) -> Function:
        return Function(self._folder, self.environment)

    def rotate(self, secret: str) -> tuple[dict[str, Step], float]:
        """One rotation by a process of its own: its steps, and the most memory that it held."""
        token = str(uuid.uuid4())
        self._begin(secret, token)
        steps = {}
        with self.start() as function:
            for step in STEPS:
                told, connected = len(self._calls()), self._database.connections()
                took = function.invoke({"Step": step, "SecretId": secret, "ClientRequestToken": token})
                calls = self._calls()[told:]
                steps[step] = Step(len(calls), self._database.connections() - connected, took * 1000)
            if not any(call["operation"] == "UpdateSecretVersionStage" and call["status"] == 200 for call in calls):
                raise Failed(f"finishSecret moved no label; it called {[call['operation'] for call in calls]}")
            return steps, function.peak()

    def _calls(self) -> list[dict]:
        return [entry for entry in self._sandbox.log(self._account) if entry["caller"] == "client"]

    def _begin(self, secret: str, token: str) -> None:
        """What RotateSecret does before it invokes the function, and no more: see sandbox/README.md."""
        connection = http.client.HTTPConnection(urlsplit(self._endpoint).netloc, timeout=PATIENCE)
        try:
            connection.request("POST", "/_sandbox/rotations",
                               json.dumps({"account": self._account, "secret": secret, "token": token}))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise Failed(f"a rotation could not begin: {body.decode(errors='replace')}")


def measure(deployment: Deployment, package: Path, secrets: dict[str, str], say) -> None:
    """`secrets`: by the strategy's name, the secret of a user that has it. `say` prints a line."""
    say("function: the zip", [package.stat().st_size / 1e6], "MB", "≤ 3 MB")
    starts = []
    for _ in range(STARTS):
        with deployment.start() as function:
            starts.append(function.init * 1000)
    say("function: start to its first poll", starts, "ms", "≤ 12 ms")
    for strategy, name in secrets.items():
        secret = deployment.secret(name)
        runs = [deployment.rotate(secret) for _ in range(ROTATIONS)]
        say(f"{strategy}: peak memory of a rotation", [peak for _, peak in runs], "MiB", "≤ 20 MiB")
        for step in STEPS:
            taken = [steps[step] for steps, _ in runs]
            say(f"{strategy}: {step}", [each.milliseconds for each in taken], "ms", "")
            say("  AWS", [each.calls for each in taken], "calls", f"≤ {CALLS} calls")
            say("  PostgreSQL", [each.connections for each in taken], "conns", f"≤ {CONNECTIONS} connections")
        whole = [list(steps.values()) for steps, _ in runs]
        say(f"{strategy}: the four steps", [sum(each.milliseconds for each in steps) for steps in whole], "ms", "")
        say("  AWS", [sum(each.calls for each in steps) for steps in whole], "calls", "")
        say("  PostgreSQL", [sum(each.connections for each in steps) for steps in whole], "conns", "")


def unpack(package: Path, folder: Path) -> None:
    """The function's program, for it to be run from the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(package) as archive:
        (folder / "bootstrap").write_bytes(archive.read("bootstrap"))
    (folder / "bootstrap").chmod(0o755)
