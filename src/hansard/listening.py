"""Where a server listens, by which certificate, and what the signals mean that it gets."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hansard.errors import StartupError

if TYPE_CHECKING:
    import uvicorn

LAST_WORD_S = 0.5
"""How long a client may take to be told, in seconds, that a second signal ends its reply."""

LAST_RESORT_S = 10
"""How long all of it may take after a second signal, in seconds. Then the system ends the process (SIGALRM)."""


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """The listening socket, had before anything slow begins, so that a port in use is known at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host.strip("[]"), port))
        except OSError as error:
            raise StartupError(_no_address(host, port, error)) from error
        yield listener
    finally:
        listener.close()


def _no_address(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Choose another: --port {port + 1}"
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this user has. Choose one above 1023: --port 8000"
    return f"Cannot listen on {host}, port {port}: {error.strerror}."


def tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """To speak TLS with a certificate and its key, which may lie in one file; StartupError if that cannot be."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A key that wants a password is none: nobody is there to type it, and OpenSSL would ask at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise StartupError(f"{certificate}: cannot be used for TLS: {error}.") from error
    return context


def base_url(listener: socket.socket, scheme: str) -> str:
    """What clients are to be told."""
    host, port, *_ = listener.getsockname()
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/v1"


async def shaking_hands(server: uvicorn.Server, listener: socket.socket, *, within_s: float) -> asyncio.Server:
    """As the server itself listens, but that TLS has to be agreed on in so many seconds; 0 is as long as asyncio lets.

    The server's own way takes no such limit.
    """
    config = server.config

    def protocol() -> asyncio.Protocol:
        made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=server.server_state, app_state=server.lifespan.state
        )
        return made

    return await asyncio.get_running_loop().create_server(
        protocol, sock=listener, ssl=config.ssl, backlog=config.backlog, ssl_handshake_timeout=within_s or None
    )


def ends_at_once(server: type[uvicorn.Server], *, hurry: Callable[[], None]) -> type[uvicorn.Server]:
    """The same server; a second signal, whichever it is, makes it wait for nobody any more.

    Running requests are cancelled, which tells their clients; who does not take that is hung up on. ``hurry`` is
    called first. The server's own way, for SIGINT only, leaves requests running beside what is being closed.
    """

    class EndsAtOnce(server):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            self.loop = asyncio.get_running_loop()
            await super().startup(sockets)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if self.should_exit:
                # The loop may never turn again: this is run from within what blocks it, as a log that nobody takes.
                signal.alarm(LAST_RESORT_S)
                self.loop.call_soon_threadsafe(self.cut_off)
            else:
                super().handle_exit(sig, frame)

        def cut_off(self) -> None:
            hurry()
            for task in self.server_state.tasks:
                task.cancel()
            self.loop.call_later(LAST_WORD_S, self.hang_up)

        def hang_up(self) -> None:
            connections: list[Any] = [*self.server_state.connections]
            for connection in connections:
                connection.transport.abort()
            self.force_exit = True

    return EndsAtOnce


@contextmanager
def signals_cut_waiting_short(*, hurry: Callable[[], None]) -> Iterator[None]:
    """While the house opens or closes, a signal ends what it waits for; all that is open is closed all the same.

    ``hurry`` is called first, so that closing does not wait for it either.

    The default handlers would end the process on the spot, with an engine's socket left behind. While the server
    runs, it handles signals itself.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def cut_short() -> None:
        hurry()
        task.cancel()

    try:
        with on_signals(lambda: loop.call_soon_threadsafe(cut_short)):
            yield
    except asyncio.CancelledError:
        task.uncancel()
    finally:
        signal.alarm(0)  # it has ended in time


@contextmanager
def on_signals(act: Callable[[], object]) -> Iterator[None]:
    """Do this when a signal says stop, and nothing else."""
    before = {number: signal.signal(number, lambda *_: act()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def nothing_is_said_twice() -> None:
    """Of the HTTP server's own log keep what has no line in ours: bytes that are no HTTP, and a request that is cut
    off in the end, have theirs, and a traceback of the second would be taken for a bug."""
    logger = logging.getLogger("uvicorn.error")
    logger.setLevel(logging.ERROR)
    logger.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
