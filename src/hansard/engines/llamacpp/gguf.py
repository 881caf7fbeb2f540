"""Reads what we need to know of a GGUF file before native code sees it: its metadata, not its tensors.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
Standard library only: the engine's child process imports this.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from typing import Any

MAGIC = b"GGUF"
VERSIONS = (2, 3)
SMALLEST_BYTES = 24  # magic, version, tensor count, key count
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
CONTROL_TOKEN = 3  # llama.cpp, LLAMA_TOKEN_TYPE_CONTROL

VOCABULARY = "tokenizer.ggml.tokens"
KINDS = "tokenizer.ggml.token_type"
TEMPLATE = "tokenizer.chat_template"


class BadModelFile(Exception):
    """The file cannot be a model; the text is one line for the operator."""


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """What a model file says of itself. ``context`` is how many tokens it was trained on, at once.

    ``longest_token`` is in bytes, as the file spells it, ``vocabulary`` how many tokens there are.
    """

    context: int | None
    template: str
    control_tokens: tuple[str, ...]
    longest_token: int
    vocabulary: int


def read(path: str) -> ModelFile:
    """Read the metadata of the model at ``path``; raises ``BadModelFile``."""
    metadata = _metadata(path)
    context = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    names, kinds = metadata.get(VOCABULARY, []), metadata.get(KINDS, [])
    control = (name for name, kind in zip(names, kinds, strict=False) if kind == CONTROL_TOKEN)
    return ModelFile(
        context=context if isinstance(context, int) else None,
        template=str(metadata.get(TEMPLATE, "")),
        control_tokens=tuple(name.decode("utf-8", "replace") for name in control),
        longest_token=max(map(len, names), default=1),
        vocabulary=len(names),
    )


def _metadata(path: str) -> dict[str, Any]:
    if os.path.isdir(path):
        raise BadModelFile(f"{path} is a directory, not a GGUF model file.")
    try:
        with open(path, "rb") as file:
            _check_head(path, file.read(SMALLEST_BYTES))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Reader(content).metadata()
    except FileNotFoundError:
        raise BadModelFile(f"{path} does not exist.") from None
    except OSError as failure:
        raise BadModelFile(f"{path} cannot be read: {failure.strerror}.") from failure
    except (struct.error, IndexError, KeyError, ValueError) as failure:
        raise BadModelFile(f"{path} is damaged: its GGUF header ends early or is not consistent.") from failure


def _check_head(path: str, head: bytes) -> None:
    if not head:
        raise BadModelFile(f"{path} is empty.")
    if not head.startswith(MAGIC):
        raise BadModelFile(f"{path} is not a GGUF model file (it does not start with 'GGUF').")
    if len(head) < SMALLEST_BYTES:
        raise BadModelFile(f"{path} is cut off: {len(head)} bytes are too few for a GGUF model file.")
    version = int.from_bytes(head[4:8], "little")
    if version not in VERSIONS:
        raise BadModelFile(f"{path} has GGUF version {version}; versions 2 and 3 are understood.")


class _Reader:
    """Walks the metadata once, from front to back."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = len(MAGIC) + 4

    def metadata(self) -> dict[str, Any]:
        self._number("Q")  # how many tensors: not our business
        found: dict[str, Any] = {}
        for _ in range(self._number("Q")):
            key = self._string().decode("utf-8", "replace")
            value = self._value(self._number("I"))
            found[key] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return found

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            item_kind, count = self._number("I"), self._number("Q")
            return self._items(item_kind, count)
        return self._number(SCALARS[kind])

    def _items(self, kind: int, count: int) -> list[Any]:
        """An array; numbers are unpacked at once, because a vocabulary has hundreds of thousands."""
        if kind in (STRING, ARRAY):
            return [self._value(kind) for _ in range(count)]
        layout = struct.Struct(f"<{count}{SCALARS[kind]}")
        self._at += layout.size
        return list(layout.unpack_from(self._content, self._at - layout.size))

    def _number(self, code: str) -> Any:
        layout = struct.Struct("<" + code)
        self._at += layout.size
        return layout.unpack_from(self._content, self._at - layout.size)[0]

    def _string(self) -> bytes:
        length = self._number("Q")
        start, self._at = self._at, self._at + length
        if self._at > len(self._content):
            raise IndexError(self._at)
        return self._content[start : self._at]
