"""Writes GGUF files: the keys and tensors of models made for one test."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
ALIGNMENT = 32

Key = tuple[str, int, bytes]
Tensor = tuple[str, tuple[int, ...], bytes]


def write(path: Path, *, keys: Sequence[Key], tensors: Sequence[Tensor]) -> None:
    """GGUF 3. A key is its name, its type and its value as it is stored; a tensor of 32-bit floats has rows first."""
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)))
    for name, kind, value in keys:
        head += text(name) + struct.pack("<I", kind) + value
    offset = 0
    for name, shape, content in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        head += struct.pack("<IQ", 0, offset)
        offset += len(_padded(content))
    path.write_bytes(_padded(bytes(head)) + b"".join(_padded(content) for _, _, content in tensors))


def text(value: str) -> bytes:
    """A string as it is stored."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def texts(values: Iterable[str]) -> bytes:
    """An array of strings as it is stored."""
    stored = [text(value) for value in values]
    return struct.pack("<IQ", STRING, len(stored)) + b"".join(stored)


def numbers(kind: int, code: str, values: Sequence[float]) -> bytes:
    """An array of numbers as it is stored; ``code`` is the type's letter in ``struct``."""
    return struct.pack(f"<IQ{len(values)}{code}", kind, len(values), *values)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % ALIGNMENT)
