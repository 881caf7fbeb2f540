"""A request that would rather go on in another protocol is one like any other: nothing here speaks another.

HTTP allows to ignore the wish (RFC 9110, 7.8), and Java's own client utters it with its first request. The parser stops
behind the head of such a request, though; the server would go on as if it had no body, and take the body for a request.
"""

from __future__ import annotations

import asyncio
import sys

import httptools


def without_upgrades(protocol: type[asyncio.Protocol]) -> type[asyncio.Protocol]:
    """The same protocol of the server; it reads such a request anew, as if the wish were not in it."""

    class WithoutUpgrades(protocol):  # type: ignore[misc, valid-type] # a class to be known only when it runs
        received = b""
        anew = b""

        def data_received(self, data: bytes) -> None:
            self.received = data
            super().data_received(data)
            while self.anew:  # there may be more of them behind
                self.received, self.anew = self.anew, b""
                super().data_received(self.received)
            self.received = b""

        def on_headers_complete(self) -> None:
            if not self.wishes_upgrade():
                super().on_headers_complete()

        def on_message_complete(self) -> None:
            if not self.wishes_upgrade():
                super().on_message_complete()

        def wishes_upgrade(self) -> bool:
            # The parser means CONNECT as well, which stays what it is: a method that is not allowed.
            return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

        def _unsupported_upgrade_warning(self) -> None:
            """What the server calls while it handles what its parser raises behind such a head."""
            if not self.wishes_upgrade():
                return
            stop = sys.exc_info()[1]
            assert isinstance(stop, httptools.HttpParserUpgrade)
            self.anew = self.head_without_wish() + self.received[stop.args[0] :]
            self.parser = httptools.HttpRequestParser(self)  # the old one reads no further
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as the server has it

        def head_without_wish(self) -> bytes:
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            headers = (b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade")
            return b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, b"".join(headers))

    return WithoutUpgrades
