"""Every API request as a line of JSON: who asked what and how it ended. Never a body: some hold passwords."""
import datetime
import json
import threading
from pathlib import Path


class RequestLog:
    def __init__(self, file: Path):
        self._file = open(file, "w", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def write(self, account: str, service: str, operation: str, caller, status: int, error: str | None) -> None:
        line = json.dumps({
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
            "account": account, "service": service, "operation": operation, "caller": str(caller),
            "status": status, "error": error,
        })
        with self._lock:
            self._file.write(line + "\n")
