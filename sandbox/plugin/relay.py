"""An address that leads to another one, as a DB cluster's endpoint leads to whichever member is meant at the time.

On AWS that is a DNS name whose answer changes; the sandbox has no names, so an address of its own passes bytes on. TLS
goes through it untouched: the certificate that a client sees is the member's, and has to name this address too.
"""
import socket
import threading
from typing import Callable

# Nothing waits here longer than for a server of this machine to take a connection.
CONNECT_SECONDS = 5.0
BYTES = 65536


class Relay:
    """Listens from the start. Where `target` answers None, nobody is there: the connection ends at once."""

    def __init__(self, address: str, port: int, target: Callable[[], str | None]):
        self.address, self.port = address, port
        self._target = target
        self._listener = socket.create_server((address, port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Closing alone does not wake the thread that waits in it.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        address = self._target()
        try:
            if address is None:
                raise ConnectionRefusedError
            server = socket.create_connection((address, self.port), timeout=CONNECT_SECONDS)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Ends both ways when either side has ended: PostgreSQL knows no half-open session."""
    try:
        while data := source.recv(BYTES):
            sink.sendall(data)
    except OSError:
        pass
    for each in (source, sink):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
