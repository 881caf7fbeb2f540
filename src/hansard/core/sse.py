"""Server-sent events: bytes to payloads, and chunks to bytes.

The decoder is as tolerant as the standard (comments, any line end, several ``data:`` lines); the
encoder writes the one form the API writes. What a payload means is not known here.
"""

from __future__ import annotations

import re

import msgspec

from hansard.contract import Document

DONE = b"data: [DONE]\n\n"
"""How a stream says that it is complete."""

_BOM = b"\xef\xbb\xbf"
_ALPHANUMERIC = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_AS_ALPHANUMERIC = bytes(_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in range(256))
# As numbers: bytes that are looked for are first taken for one, in vain, which takes five times as long.
_LF, _CR = b"\n\r"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_to_json = msgspec.json.Encoder().encode


class Decoder:
    """Payloads of ``data:`` events out of bytes cut anywhere. Other fields and empty payloads are passed over."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # pieces of a line without its end
        self._data: list[bytes] = []  # the data lines of an event without its end
        self._at_start = True
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that these bytes complete."""
        if not (self._rest or self._data or self._after_cr):
            # One event, as streams at a model's pace have it.
            payload = data[6:-2]
            if _CR not in payload and _LF not in payload and data[:6] == b"data: " and data[-2:] == b"\n\n":
                self._at_start = False
                return [payload] if payload else []
            payloads = _whole_events(data)
            if payloads is not None:
                self._at_start = False
                return payloads
        return self._feed_lines(data)

    def flush(self) -> list[bytes]:
        """The payload that the end of the stream completes, if any."""
        payloads: list[bytes] = []
        line = b"".join(self._rest)
        self._rest.clear()
        if line:
            self._take_line(line, payloads)
        self._take_line(b"", payloads)
        return payloads

    def _feed_lines(self, data: bytes) -> list[bytes]:
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        *lines, rest = _LINE_END.split(data)
        payloads: list[bytes] = []
        for line in lines:
            if self._rest:
                line = b"".join((*self._rest, line))
                self._rest.clear()
            self._take_line(line, payloads)
        if rest:
            self._rest.append(rest)
        if data.endswith(b"\r"):
            self._after_cr = True
        return payloads

    def _take_line(self, line: bytes, payloads: list[bytes]) -> None:
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif not line and self._data:
            payload = b"\n".join(self._data)
            self._data.clear()
            if payload:
                payloads.append(payload)


def _whole_events(data: bytes) -> list[bytes] | None:
    """The payloads of what is nothing but whole ``data: ...`` events in the API's own form; else None."""
    if not (data.startswith(b"data: ") and data.endswith(b"\n\n")) or _CR in data:
        return None
    ends = data.count(b"\n")
    payloads = data[6:-2].split(b"\n\ndata: ")
    if ends != 2 * len(payloads):  # some line is something else
        return None
    return [payload for payload in payloads if payload]


def noise(entropy: bytes) -> bytes:
    """Each byte as one of ``[A-Za-z0-9]``, for an ``Encoder``."""
    return entropy.translate(_AS_ALPHANUMERIC)


class Encoder:
    """Events of one stream, of chunks or of their JSON texts.

    With ``noise`` (15 or more of ``[A-Za-z0-9]``) an event hides how long its text is. The rule is measured on the
    API's own streams: as much noise as makes the length of the JSON text, in characters, one more than a multiple
    of 16. Each event has the next piece of the noise, and at its end the noise begins anew. A chunk that has noise
    of its own keeps it, and loses it if none is wanted.
    """

    def __init__(self, *, noise: bytes | None) -> None:
        self._noise = noise
        self._at = 0
        self._starts = 0 if noise is None else len(noise) - 14  # where 15 characters can still begin

    def events(self, chunks: list[Document | bytes]) -> bytes:
        """One event for each, in order. They are taken out of the list: while a slow client reads, they wait once."""
        pieces: list[bytes] = []
        noise, at = self._noise, self._at
        for chunk in chunks:
            if type(chunk) is bytes:
                text = chunk
            elif "obfuscation" in chunk:
                pieces += (b"data: ", self._with_its_noise(chunk), b"\n\n")  # type: ignore[arg-type]
                continue
            else:
                text = _to_json(chunk)
            if noise is not None:
                # The key and its quotes add 17 characters, one more than 16: what is missing is the rest to 16.
                size = -(len(text) if text.isascii() else len(text.decode())) % 16
                pieces += (b"data: ", text[:-1], b',"obfuscation":"', noise[at : at + size], b'"}\n\n')
                at = (at + size) % self._starts
            else:
                pieces += (b"data: ", text, b"\n\n")
        self._at = at
        chunks.clear()
        return b"".join(pieces)

    def _with_its_noise(self, chunk: Document) -> bytes:
        if self._noise is not None:
            return _to_json(chunk)
        return _to_json({key: value for key, value in chunk.items() if key != "obfuscation"})


def encode(chunk: Document | bytes, *, noise: bytes | None) -> bytes:
    """One event by itself."""
    return Encoder(noise=noise).events([chunk])


def encode_error(envelope: Document) -> bytes:
    """The event that tells a client its stream has failed."""
    return b"data: " + _to_json(envelope) + b"\n\n"
