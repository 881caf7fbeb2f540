"""Atheris on the stream parser: how the bytes are cut, and which form a chunk is read in, changes nothing.

The first byte says where the rest is cut.
"""

from __future__ import annotations

import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["hansard"]):
    from hansard.core.accumulate import Accumulator
    from hansard.core.spelled import Spelled
    from hansard.core.sse import Decoder
    from hansard.engines.upstream.reply import Reader
    from hansard.errors import HansardError


def read(data: bytes) -> None:
    cut, stream = data[:1], data[1:]
    payloads = decoded(stream)
    at = cut[0] if cut else 0
    assert decoded(stream[:at], stream[at:]) == payloads
    assert decoded(*(stream[place : place + 1] for place in range(len(stream)))) == payloads
    chunks, _ = Reader().chunks(payloads)
    documents = [as_document(chunk) for chunk in chunks]
    if None not in documents:
        assert accumulated(chunks) == accumulated(documents)


def decoded(*pieces: bytes) -> list[bytes]:
    decoder = Decoder()
    return [payload for piece in pieces for payload in decoder.feed(piece)] + decoder.flush()


def as_document(chunk: Any) -> Any:
    """None for one that only a full look finds to be none."""
    try:
        return chunk.document if isinstance(chunk, Spelled) else chunk
    except ValueError:
        return None


def accumulated(chunks: list[Any]) -> Any:
    """The completion, or why there is none."""
    accumulator = Accumulator()
    try:
        for chunk in chunks:
            accumulator.feed(chunk)
        return accumulator.finish()
    except HansardError as error:
        return type(error)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
