"""Stands between a server and PostgreSQL, and breaks their connections: at any moment, or around a COMMIT."""

from __future__ import annotations

import contextlib
import socket
import threading
from enum import Enum
from pathlib import Path
from typing import Final

# How libpq names the socket in the directory that a URL names as its host.
SOCKET: Final = ".s.PGSQL.5432"


class Moment(Enum):
    """When a connection breaks that has a COMMIT to carry."""

    BEFORE = "before it is passed on"
    RACING = "as soon as it is passed on"
    AFTER = "when it is answered, and the answer is not passed on"


class Proxy:
    """Listens in ``directory``, for the PostgreSQL that listens in ``target``."""

    def __init__(self, directory: Path, target: Path) -> None:
        self._target = str(target / SOCKET)
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._armed: list[Moment] = []
        self.broken = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / SOCKET))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def arm(self, moment: Moment) -> None:
        """Break the connection that carries the next COMMIT."""
        with self._lock:
            self._armed.append(moment)

    @property
    def is_armed(self) -> bool:
        return bool(self._armed)

    def disarm(self) -> None:
        with self._lock:
            self._armed.clear()

    def break_all(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()
            self.broken += 1

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.break_all()

    def triggered(self) -> Moment | None:
        with self._lock:
            return self._armed.pop() if self._armed else None

    def gone(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._target)
            except OSError:  # PostgreSQL is away: so is this
                client.close()
                server.close()
                continue
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()


class _Link:
    """One connection, carried both ways by a thread each."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._answer_is_lost = False

    def start(self) -> None:
        for carry in (self._carry_there, self._carry_back):
            threading.Thread(target=carry, daemon=True).start()

    def close(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _carry_there(self) -> None:
        with contextlib.suppress(OSError):
            while some := self._client.recv(65536):
                moment = self._proxy.triggered() if b"COMMIT" in some else None
                if moment is not None:
                    self._proxy.broken += 1
                if moment is Moment.BEFORE:
                    break
                self._answer_is_lost = moment is Moment.AFTER
                self._server.sendall(some)
                if moment is Moment.RACING:
                    break
        self.close()
        self._proxy.gone(self)
        self._client.close()

    def _carry_back(self) -> None:
        with contextlib.suppress(OSError):
            while (some := self._server.recv(65536)) and not self._answer_is_lost:
                self._client.sendall(some)
        self.close()
        self._server.close()
