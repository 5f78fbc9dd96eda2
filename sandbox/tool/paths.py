"""Where things are. Everything the sandbox makes is under the repository's `target/`."""
import hashlib
import json
import os
import sys
from pathlib import Path

SANDBOX = Path(__file__).resolve().parent.parent
REPOSITORY = SANDBOX.parent
# Resolved, since several work trees may share one, each by its own link.
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target").resolve()
TOOLS = (TARGET / "sandbox-tools").resolve()
DEFAULT_DIR = TARGET / "sandbox"


def _of(*parts: str) -> str:
    """Tools are found by what they are made from: work trees that differ in it do not undo one another's, and
    what a running sandbox uses is never replaced."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


VENV = TOOLS / ("venv-" + _of((SANDBOX / "requirements.txt").read_text(), sys.version.split(" ")[0].rpartition(".")[0]))
PYTHON = VENV / "bin" / "python"


def postgres_home(major: str) -> Path:
    pin = json.loads((SANDBOX / "postgres.json").read_text()).get(major)
    return TOOLS / f"postgres-{major}-{_of(str(pin), (SANDBOX / 'plugin/template.sql').read_text())}"
