"""Writes a model that knows nothing but which token follows which, so that every word of it and its odds are known.

A llama of one block whose attention and feed-forward are zero: the last token alone, one-hot, decides the next one.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Mapping
from pathlib import Path

from tests.engines.llamacpp import container
from tests.engines.llamacpp.container import ARRAY, FLOAT32, INT32, STRING, UINT32, Key, Tensor, text

BEGIN, END, THINK, THOUGHT = "<|im_start|>", "<|im_end|>", "<think>", "</think>"
CONTROL, USER_DEFINED, NORMAL = 3, 4, 1
# What a byte is called in a byte-level vocabulary: itself where it can be seen, or else a letter from 256 on.
_SEEN = [*range(33, 127), *range(161, 173), *range(174, 256)]
_UNSEEN = [byte for byte in range(256) if byte not in _SEEN]
BYTES = [chr(byte) if byte in _SEEN else chr(256 + _UNSEEN.index(byte)) for byte in range(256)]
SPACES = BYTES[32] * 2  # a vocabulary needs one merge
VOCABULARY = [*BYTES, SPACES, BEGIN, END, THINK, THOUGHT]
WIDTH, FEED_FORWARD, HEADS, CONTEXT = 320, 32, 5, 2048
SURE = 30.0

TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\n' -}}"
    "{%- if message.reasoning_content -%}"
    "{{- '<think>' + message.reasoning_content + '</think>' -}}"
    "{%- endif -%}"
    "{{- (message.content or '') + '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|im_start|>assistant\n' -}}"
    "{%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think></think>' -}}{%- endif -%}"
    "{%- endif -%}"
)

Script = Mapping[str, str | Mapping[str, float]]


def token(piece: str | bytes) -> int:
    """The number of a token: of one byte, or of one of the special ones."""
    if isinstance(piece, str) and piece in VOCABULARY[256:]:
        return VOCABULARY.index(piece)
    (byte,) = piece.encode() if isinstance(piece, str) else piece
    return byte


def chain(*pieces: str) -> dict[str, str]:
    """The script that says these one after the other; an answer begins after a line's end."""
    return dict(zip(("\n", *pieces), (*pieces, END), strict=True))


def write(path: Path, script: Script) -> None:
    """``script`` says what follows a token: one that is sure, or several with their logits; all others have 0."""
    container.write(path, keys=_keys(), tensors=_tensors(script))


def _keys() -> list[Key]:
    kinds = [CONTROL if piece in (BEGIN, END) else NORMAL for piece in VOCABULARY]
    kinds[-2:] = [USER_DEFINED] * 2
    shape = {
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "block_count": 1,
        "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS,
    }
    return [
        ("general.architecture", STRING, text("llama")),
        *((f"llama.{name}", UINT32, struct.pack("<I", number)) for name, number in shape.items()),
        ("llama.attention.layer_norm_rms_epsilon", FLOAT32, struct.pack("<f", 1e-9)),
        ("tokenizer.ggml.model", STRING, text("gpt2")),
        ("tokenizer.ggml.pre", STRING, text("qwen2")),
        ("tokenizer.ggml.tokens", ARRAY, container.texts(VOCABULARY)),
        ("tokenizer.ggml.token_type", ARRAY, container.numbers(INT32, "i", kinds)),
        ("tokenizer.ggml.merges", ARRAY, container.texts([" ".join(SPACES)])),
        ("tokenizer.ggml.eos_token_id", UINT32, struct.pack("<I", VOCABULARY.index(END))),
        ("tokenizer.chat_template", STRING, text(TEMPLATE)),
    ]


def _tensors(script: Script) -> list[Tensor]:
    embedding = array("f", bytes(4 * WIDTH * len(VOCABULARY)))
    for number in range(len(VOCABULARY)):
        embedding[number * WIDTH + _place(number)] = 1.0
    following = array("f", bytes(4 * WIDTH * len(VOCABULARY)))
    for before, after in script.items():
        options = after if isinstance(after, Mapping) else {after: SURE}
        for piece, logit in options.items():
            # The last norm scales a one-hot vector by the root of its width.
            following[token(piece) * WIDTH + _place(token(before))] = logit / math.sqrt(WIDTH)
    ones = array("f", [1.0] * WIDTH).tobytes()
    square = ((name, (WIDTH, WIDTH)) for name in ("attn_q", "attn_k", "attn_v", "attn_output"))
    wide = ((name, (FEED_FORWARD, WIDTH)) for name in ("ffn_gate", "ffn_up"))
    zeros = [*square, *wide, ("ffn_down", (WIDTH, FEED_FORWARD))]
    return [
        ("token_embd.weight", (len(VOCABULARY), WIDTH), embedding.tobytes()),
        ("output_norm.weight", (WIDTH,), ones),
        ("output.weight", (len(VOCABULARY), WIDTH), following.tobytes()),
        ("blk.0.attn_norm.weight", (WIDTH,), ones),
        ("blk.0.ffn_norm.weight", (WIDTH,), ones),
        *((f"blk.0.{name}.weight", shape, bytes(4 * math.prod(shape))) for name, shape in zeros),
    ]


def _place(number: int) -> int:
    return number % WIDTH
