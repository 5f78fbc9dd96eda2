"""Where things are. Everything the sandbox makes is under the repository's `target/`."""
import os
from pathlib import Path

SANDBOX = Path(__file__).resolve().parent.parent
REPOSITORY = SANDBOX.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target").absolute()
TOOLS = TARGET / "sandbox-tools"
VENV = TOOLS / "venv"
PYTHON = VENV / "bin" / "python"
DEFAULT_DIR = TARGET / "sandbox"


def postgres_home(major: str) -> Path:
    return TOOLS / f"postgres-{major}"
