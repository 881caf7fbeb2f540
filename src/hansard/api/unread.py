"""A connection whose client takes nothing of what is sent to it: it is ended, and with it the work for its reply.

It would hold its place with an engine, and its reply in memory, for as long as it liked.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios

UNREAD_S = 60.0
"""How long nothing may be taken while the writer is made to wait, in seconds; 0 is for ever."""


def impatient(protocol: type[asyncio.Protocol], *, unread_s: float = UNREAD_S) -> type[asyncio.Protocol]:
    """The same protocol of the server; it loses a connection that nothing is read from, as if the client had left."""

    class Impatient(protocol):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        unread_timer: asyncio.TimerHandle | None = None

        def pause_writing(self) -> None:
            super().pause_writing()
            self.watch_reader()

        def resume_writing(self) -> None:
            self.watch_no_more()
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            self.watch_no_more()
            super().connection_lost(exc)

        def watch_reader(self) -> None:
            if unread_s:
                self.unread_timer = self.loop.call_later(unread_s, self.judge_reader, self.unsent_bytes())

        def watch_no_more(self) -> None:
            if self.unread_timer is not None:
                self.unread_timer.cancel()
                self.unread_timer = None

        def judge_reader(self, unsent_before: int) -> None:
            # Who reads slowly goes on; nothing is added meanwhile, but for the rest of one write.
            if self.unsent_bytes() < unsent_before:
                self.watch_reader()
            else:
                self.transport.abort()

        def unsent_bytes(self) -> int:
            """With what the system holds: it may take megabytes before it takes more, and gives them on bit by bit."""
            ours: int = self.transport.get_write_buffer_size()
            return ours + _held_by_system(self.transport)

    return Impatient


def _held_by_system(transport: asyncio.Transport) -> int:
    """The bytes written whose receipt the client's system has not acknowledged (tcp(7), SIOCOUTQ); 0 if unknown."""
    try:
        size = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4)
    except (AttributeError, OSError):  # not every system, nor every transport, can tell
        return 0
    return int.from_bytes(size, sys.byteorder)
