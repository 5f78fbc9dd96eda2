"""MiniStack itself: how it is set up, and how one account's part of it is forgotten."""
import os
import sys

from . import settings


def prepare() -> None:
    """Before MiniStack's first import: it reads its environment once."""
    os.environ.update({
        "GATEWAY_PORT": settings.GIVEN["endpoint"].rsplit(":", 1)[-1],
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": settings.GIVEN["region"],
        "AWS_ENDPOINT_URL": settings.GIVEN["endpoint"],
        "LOG_LEVEL": "WARNING",
        # Servers of its own that would bind fixed ports, and never a container.
        "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0", "DOCKER_HOST": "unix:///nonexistent",
        "LAMBDA_EXECUTOR": "local", "LAMBDA_STRICT": "0", "PERSIST_STATE": "0",
        "MINISTACK_WORKER_THREADS": "64",
    })


def forget(account: str) -> None:
    """Drops what any of its services keeps for one account."""
    from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict
    from ministack.services import ec2
    for name, module in list(sys.modules.items()):
        if name.startswith("ministack.services"):
            for store in vars(module).values():
                if isinstance(store, (AccountScopedDict, AccountRegionScopedDict)):
                    for key in [key for key in list(store._data) if key[0] == account]:
                        store._data.pop(key, None)
    ec2._default_initialized_scopes = {scope for scope in ec2._default_initialized_scopes if scope[0] != account}
