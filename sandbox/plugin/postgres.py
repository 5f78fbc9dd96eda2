"""One real PostgreSQL server, set up as RDS sets one up."""
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from tool import postgres_user

from .launcher import spawn

START_TIMEOUT = 60.0
# The sandbox is thrown away, so nothing need survive a crash, and several servers share one machine.
SETTINGS = """
ssl = on
ssl_cert_file = '../server.crt'
ssl_key_file = '../server.key'
password_encryption = 'scram-sha-256'
rds.force_ssl = 1
rds.restrict_password_commands = 0
timezone = 'UTC'
fsync = off
full_page_writes = off
shared_buffers = '16MB'
max_connections = 80
wal_keep_size = '64MB'
autovacuum = off
shared_memory_type = mmap
dynamic_shared_memory_type = mmap
unix_socket_directories = '..'
unix_socket_permissions = 0700
listen_addresses = '{address}'
port = {port}
"""
# rds.force_ssl=1 is the default from PostgreSQL 15 on; rdsadmin is AWS's and never logs in from outside.
HBA = """
local all rdsadmin trust
local replication rdsadmin trust
hostssl all rdsadmin all reject
hostssl all all all scram-sha-256
"""


class Server:
    """Started at once, and ready when the constructor returns."""

    def __init__(self, home: Path, folder: Path, port: int, authority, master: str, password: str, database: str | None,
                 endpoints: tuple[str, ...] = ()):
        """`endpoints` are addresses of a cluster that lead to it at times."""
        self._prepare(home, folder, port)
        self._unpack(home / "template.tar")
        self.address = self._start(authority, endpoints)
        self._set_up(master, password, database)

    def _prepare(self, home: Path, folder: Path, port: int) -> None:
        self.port = port
        self.folder = folder
        self._user = postgres_user.choose()
        folder.mkdir()
        folder.chmod(0o700)
        self._user.own(folder)
        self._binary = self._user.reachable(home, folder) / "bin" / "postgres"

    def _settings(self, address: str) -> str:
        return SETTINGS.format(address=address, port=self.port)

    def _unpack(self, template: Path) -> None:
        # By a process of its own, as the server's user: in this one it would hold up every other request.
        with open(template, "rb") as archive:
            subprocess.run(["tar", "-x", "-f", "-"], stdin=archive, cwd=self.folder, check=True, **self._user.options())

    def _write(self, name: str, content: bytes, mode: int = 0o600) -> None:
        place = self.folder / name
        place.write_bytes(content)
        place.chmod(mode)
        self._user.own(place)

    def _start(self, authority, endpoints: tuple[str, ...] = (), again: str | None = None) -> str:
        for _ in range(20):
            address = again or free_address(self.port)
            certificate, key = authority.issue(address, *endpoints)
            self._write("server.crt", certificate)
            self._write("server.key", key)
            self._write("data/pg_hba.conf", HBA.encode())
            self._write("data/postgresql.conf", self._settings(address).encode())
            if self._run():
                return address
        raise self._did_not_start()

    def _run(self) -> bool:
        with open(self.folder / "log", "ab") as log:
            self._process = spawn([self._binary, "-D", self.folder / "data"], signal.SIGQUIT,
                                  cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  start_new_session=True, **self._user.options())
        return self._ready()

    def _did_not_start(self) -> RuntimeError:
        return RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-2000:]}")

    def _ready(self) -> bool:
        until = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < until:
            try:
                # Its last line is the state: pg_ctl --wait reads the same.
                if (self.folder / "data/postmaster.pid").read_text().split("\n")[7].strip() == "ready":
                    return True
            except (OSError, IndexError):
                pass
            time.sleep(0.01)
        return False

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """As AWS itself, over the socket that nobody else reaches."""
        return psycopg.connect(host=str(self.folder), port=self.port, user="rdsadmin", dbname=database, autocommit=True)

    def _set_up(self, master: str, password: str, database: str | None) -> None:
        name = sql.Identifier(master)
        with self.admin() as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE CREATEDB PASSWORD {} VALID UNTIL 'infinity'")
                               .format(name, sql.Literal(password)))
            connection.execute(sql.SQL("GRANT rds_superuser TO {} WITH ADMIN OPTION").format(name))
            connection.execute(sql.SQL("ALTER DATABASE postgres OWNER TO {}").format(name))
            if database and database != "postgres":
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), name))

    def set_password(self, login: str, password: str) -> None:
        with self.admin() as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}")
                               .format(sql.Identifier(login), sql.Literal(password)))

    def halt(self) -> None:
        """As a failover does: once its replicas have all that it has written, which outlive it."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def crash(self) -> None:
        """Nobody answers any more; what was written stays."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()

    def resume(self) -> None:
        """At the same address, with what was written."""
        if not self._run():
            raise self._did_not_start()

    def stop(self) -> None:
        self.crash()  # there is nothing to keep
        shutil.rmtree(self.folder, ignore_errors=True)


class Replica(Server):
    """A streaming replica of a server that runs, begun from a base backup of it."""

    def __init__(self, home: Path, folder: Path, source: Server, authority, endpoints: tuple[str, ...] = (),
                 again: str | None = None):  # pylint: disable=super-init-not-called
        """`again` is the address of a server that has stopped, and that this one takes the place of."""
        self._prepare(home, folder, source.port)
        self._source = source
        self._back_up()
        self.address = self._start(authority, endpoints, again)

    def _back_up(self) -> None:
        data = self.folder / "data"
        # No tool for it is in the builds; what the tool does is copy between these two calls. WAL is streamed.
        with self._source.admin() as connection:
            connection.execute("SELECT pg_backup_start('replica', fast => true)")
            shutil.copytree(self._source.folder / "data", data, copy_function=_copy_if_there,
                            ignore=lambda folder, names: [name for name in names if name.startswith("postmaster.")
                                                          or Path(folder).name == "pg_wal" and Path(folder, name).is_file()])
            (label,) = connection.execute("SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)").fetchone()
        for path in [data, *data.rglob("*")]:
            self._user.own(path)
        data.chmod(0o700)
        self._write("data/backup_label", label.encode())
        self._write("data/standby.signal", b"")

    def _settings(self, address: str) -> str:
        return super()._settings(address) + f"primary_conninfo = 'host={self._source.folder} port={self.port} user=rdsadmin'\n"

    def promote(self, wait: bool = False) -> None:
        with self.admin() as connection:
            connection.execute("SELECT pg_promote(wait => %s)", [wait])


def _copy_if_there(source: str, target: str) -> None:
    """Files come and go while a server runs; those that matter, the backup's two calls hold still."""
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:
        pass


def free_address(port: int) -> str:
    """A loopback address of its own, so that each instance has its own host and its own 5432, as on RDS.

    127.0.0.0/16 is left to other programs. Someone may take the address between here and
    PostgreSQL's start, so the caller tries again.
    """
    while True:
        address = f"127.{random.randint(16, 250)}.{random.randint(0, 250)}.{random.randint(2, 250)}"
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return address
            except OSError:
                continue
