"""The emulator's process: MiniStack behind our gateway, on the socket that the supervisor opened."""
import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from tool.processes import children

from . import emulator, settings

emulator.prepare()
settings.prepare()

from hypercorn.asyncio import serve  # noqa: E402
from hypercorn.config import Config  # noqa: E402
from ministack.app import app as ministack  # noqa: E402

from . import cloudformation, control, delays, events, functions, gateway, requestlog, sessions, storage, tagging  # noqa: E402
from . import function_requests, logs, metrics, roles, topics  # noqa: E402, F401
from .ec2 import endpoints, groups, tags, vpc  # noqa: E402, F401
from .rds import api as rds_api  # noqa: E402, F401
from .rds import cluster_api  # noqa: E402, F401
from .rds.clusters import Clusters  # noqa: E402
from .rds.instances import Instances  # noqa: E402
from .secrets import api as secrets_api  # noqa: E402, F401
from .secrets import rotation  # noqa: E402
from .world import WORLD  # noqa: E402


def _end_with_supervisor(leash: int) -> None:
    """The supervisor cleans up after us; should it be gone, we do."""
    os.read(leash, 1)
    for process in children():
        with_postgres = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].endswith(b"/postgres")
        os.kill(process, signal.SIGQUIT if with_postgres else signal.SIGKILL)
    for process in children():
        os.waitpid(process, 0)
    shutil.rmtree(settings.RUN, ignore_errors=True)
    (Path(settings.GIVEN["directory"]) / "state.json").unlink(missing_ok=True)
    os._exit(0)


def _forget(place) -> None:
    for store in place.stores():
        if isinstance(store, (Clusters, Instances)):
            store.close()
    functions.forget(place)
    sessions.forget(place)
    emulator.forget(place.account.number)


def _tell_ready() -> None:
    given = settings.GIVEN
    state = {"supervisor": given["supervisor"], "emulator": os.getpid(), "endpoint": given["endpoint"],
             "region": given["region"], "run": given["run"], "ca": str(Path(given["directory"]) / "ca.pem")}
    file = Path(given["directory"]) / "state.json"
    file.with_suffix(".new").write_text(json.dumps(state, indent=1) + "\n")
    file.with_suffix(".new").rename(file)


async def _serve() -> None:
    given = settings.GIVEN
    log = requestlog.RequestLog(Path(given["directory"]) / "requests.jsonl")
    app = gateway.Gateway(ministack, log, functions.CALLERS)
    config = Config()
    config.bind = [f"fd://{given['listener']}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.2
    config.loglevel = "WARNING"
    config.include_server_header = config.include_date_header = False
    ready = asyncio.get_running_loop().create_task(asyncio.to_thread(_tell_ready))
    await serve(app, config)
    await ready


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("sandbox").setLevel(logging.INFO)
    WORLD.default_delays = delays.parse(settings.GIVEN["delays"], WORLD.default_delays)
    control.ON_FORGET.append(_forget)
    functions.install(settings.GIVEN["endpoint"])
    cloudformation.install()
    events.install()
    topics.install()
    metrics.install()
    storage.install()
    tagging.install()
    rotation.start()
    threading.Thread(target=_end_with_supervisor, args=(settings.GIVEN["leash"],), daemon=True).start()
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
