"""What the supervisor told this process, and what is made of it once: folders, the certificate authority."""
import json
import os
from pathlib import Path

from .certificates import Authority

GIVEN: dict = json.loads(os.environ.get("PGROTATE_SANDBOX", "{}"))
RUN: Path | None = None
AUTHORITY: Authority | None = None


def prepare() -> None:
    global RUN, AUTHORITY
    RUN = Path(GIVEN["run"])
    AUTHORITY = Authority(Path(GIVEN["directory"]) / "ca.pem")
