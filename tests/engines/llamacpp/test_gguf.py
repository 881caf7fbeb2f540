"""Model files, read before native code sees them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from hansard.engines.llamacpp import gguf


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def array(kind: int, items: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


DAMAGED = "is damaged: its GGUF header ends early or is not consistent."
KEYS = [
    key("general.architecture", 8, text("toy")),
    key("general.sampling.temp", 6, struct.pack("<f", 0.3)),
    key("nested", 9, array(9, [array(4, [struct.pack("<I", 1)])])),
    key("toy.context_length", 4, struct.pack("<I", 4096)),
    key("tokenizer.ggml.tokens", 9, array(8, [text("a"), text("<|é|>"), text("b")])),
    key("tokenizer.ggml.token_type", 9, array(5, [struct.pack("<i", kind) for kind in (1, 3, 4)])),
    key("tokenizer.chat_template", 8, text("{{ developer }}")),
]


def model(keys: list[bytes], *, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(keys)) + b"".join(keys)


def test_what_a_model_says_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(model(KEYS))

    assert gguf.read(str(path)) == gguf.ModelFile(
        context=4096,
        template="{{ developer }}",
        control_tokens=("<|é|>",),
        longest_token=len("<|é|>".encode()),
        vocabulary=3,
    )


def test_a_model_may_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(model([]))

    assert gguf.read(str(path)) == gguf.ModelFile(
        context=None, template="", control_tokens=(), longest_token=1, vocabulary=0
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty."),
        (b"hello", "is not a GGUF model file (it does not start with 'GGUF')."),
        (b"GGUF\x03\0\0\0", "is cut off: 8 bytes are too few for a GGUF model file."),
        (model([], version=1), "has GGUF version 1; versions 2 and 3 are understood."),
        (model(KEYS)[:200], DAMAGED),
        (model([key("x", 99, b"")]), DAMAGED),
        (model([key("x", 9, struct.pack("<IQ", 4, 2**60))]), DAMAGED),
        (model([struct.pack("<Q", 2**63)]), DAMAGED),
    ],
)
def test_a_bad_file_gets_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)

    with pytest.raises(gguf.BadModelFile) as caught:
        gguf.read(str(path))

    assert str(caught.value) == f"{path} {said}"


def test_what_is_no_file_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(gguf.BadModelFile, match="is a directory, not a GGUF model file"):
        gguf.read(str(tmp_path))
    with pytest.raises(gguf.BadModelFile, match="does not exist"):
        gguf.read(str(tmp_path / "none"))
