"""Writes a model that knows nothing but which token follows which, so that every word of it and its odds are known.

A llama of one block whose attention and feed-forward are zero: the last token alone, one-hot, decides the next one.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Mapping, Sequence
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
    "{%- if tools -%}"
    "{{- '<|im_start|>system\n' -}}{%- for tool in tools -%}{{- tool | tojson -}}{%- endfor -%}{{- '<|im_end|>\n' -}}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\n' -}}"
    "{%- if message.reasoning_content -%}"
    "{{- '<think>' + message.reasoning_content + '</think>' -}}"
    "{%- endif -%}"
    "{{- (message.content or '') -}}"
    "{%- if message.tool_calls -%}"
    "{%- for call in message.tool_calls -%}"
    '{{- \'<tool_call>\n{"name": "\' + call.function.name + \'", "arguments": \' -}}'
    "{{- (call.function.arguments if call.function.arguments is string else call.function.arguments | tojson) -}}"
    "{{- '}\n</tool_call>' -}}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|im_start|>assistant\n' -}}"
    "{%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think></think>' -}}{%- endif -%}"
    "{%- endif -%}"
)

Script = Mapping[str, str | Mapping[str, float]]


def chain(*pieces: str) -> dict[str, str]:
    """The script that says these one after the other; an answer begins after a line's end."""
    return dict(zip(("\n", *pieces), (*pieces, END), strict=True))


def call(name: str, arguments: str) -> str:
    """A call as its template has it, for the script as one word."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def write(path: Path, script: Script) -> None:
    """``script`` says what follows a token: one that is sure, or several with their logits; all others have 0.

    Its words of several letters are tokens of their own, and written as one.
    """
    words = [piece for piece in script if len(piece) > 1 and piece not in VOCABULARY]
    container.write(path, keys=_keys(words), tensors=_tensors(script, words))


def _keys(words: Sequence[str]) -> list[Key]:
    kinds = [CONTROL if piece in (BEGIN, END) else NORMAL for piece in VOCABULARY]
    kinds[-2:] = [USER_DEFINED] * (2 + len(words))
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
        ("tokenizer.ggml.tokens", ARRAY, container.texts([*VOCABULARY, *words])),
        ("tokenizer.ggml.token_type", ARRAY, container.numbers(INT32, "i", kinds)),
        ("tokenizer.ggml.merges", ARRAY, container.texts([" ".join(SPACES)])),
        ("tokenizer.ggml.eos_token_id", UINT32, struct.pack("<I", VOCABULARY.index(END))),
        ("tokenizer.chat_template", STRING, text(TEMPLATE)),
    ]


def _tensors(script: Script, words: Sequence[str]) -> list[Tensor]:
    known = [*VOCABULARY, *words]
    embedding = array("f", bytes(4 * WIDTH * len(known)))
    for number in range(len(known)):
        embedding[number * WIDTH + _place(number)] = 1.0
    following = array("f", bytes(4 * WIDTH * len(known)))
    for before, after in script.items():
        options = after if isinstance(after, Mapping) else {after: SURE}
        for piece, logit in options.items():
            # The last norm scales a one-hot vector by the root of its width.
            following[_token(piece, known) * WIDTH + _place(_token(before, known))] = logit / math.sqrt(WIDTH)
    ones = array("f", [1.0] * WIDTH).tobytes()
    square = ((name, (WIDTH, WIDTH)) for name in ("attn_q", "attn_k", "attn_v", "attn_output"))
    wide = ((name, (FEED_FORWARD, WIDTH)) for name in ("ffn_gate", "ffn_up"))
    zeros = [*square, *wide, ("ffn_down", (WIDTH, FEED_FORWARD))]
    return [
        ("token_embd.weight", (len(known), WIDTH), embedding.tobytes()),
        ("output_norm.weight", (WIDTH,), ones),
        ("output.weight", (len(known), WIDTH), following.tobytes()),
        ("blk.0.attn_norm.weight", (WIDTH,), ones),
        ("blk.0.ffn_norm.weight", (WIDTH,), ones),
        *((f"blk.0.{name}.weight", shape, bytes(4 * math.prod(shape))) for name, shape in zeros),
    ]


def _token(piece: str, known: Sequence[str]) -> int:
    """The number of a token: of one byte, or of one of the others."""
    return known.index(piece, len(BYTES)) if len(piece) > 1 else piece.encode()[0]


def _place(number: int) -> int:
    return number % WIDTH
