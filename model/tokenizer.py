"""The tokenizer of `hansard-tiny`, and dialogues as the engine renders them, turned into tokens with targets.

Training renders through the same `chat_template.jinja` that the GGUF carries, so that there is no second copy of the
format.
"""

# The ordinary environment has none of the training libraries, and then their types are Any.
# mypy: disable-error-code="import-not-found, no-any-return"

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from model.chat import Dialogue

TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CALL_START, CALL_END = "<tool_call>", "</tool_call>"
CONTROL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END)
TEXT_TOKENS = (CALL_START, CALL_END)

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What llama.cpp applies for `tokenizer.ggml.pre = qwen2`: words, single digits, runs of punctuation, spaces."""

TARGET = re.compile(r"(?<=<\|im_start\|>assistant\n).*?<\|im_end\|>", re.DOTALL)


@dataclass(frozen=True)
class Encoded:
    """The tokens of one dialogue and, for each, whether the network learns to produce it."""

    tokens: NDArray[np.int16]
    targets: NDArray[np.bool_]


class Renderer:
    """Renders dialogues through the chat template."""

    def __init__(self) -> None:
        environment = Environment(keep_trailing_newline=True)  # noqa: S701 - what it renders is no HTML
        environment.filters["tojson"] = json.dumps
        self._template = environment.from_string(TEMPLATE)

    def text(self, dialogue: Dialogue) -> str:
        return self._template.render(messages=dialogue.messages, tools=dialogue.tools, add_generation_prompt=False)


def segments(text: str) -> Iterator[tuple[str, bool]]:
    """`text` cut where targets begin and end; no token crosses such a border."""
    at = 0
    for match in TARGET.finditer(text):
        yield text[at : match.start()], False
        yield match.group(), True
        at = match.end()


def trained(texts: Iterable[str], *, vocabulary: int) -> Tokenizer:
    """A byte-level BPE tokenizer fitted to `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[*CONTROL_TOKENS, *TEXT_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[Encoded]:
    """Rendered dialogues as tokens, in order."""
    waiting = iter(texts)
    while chunk := list(islice(waiting, 500)):
        cut = [list(segments(text)) for text in chunk]
        parts = iter(tokenizer.encode_batch([part for parts in cut for part, _ in parts], add_special_tokens=False))
        for pieces in cut:
            yield _joined([(next(parts).ids, learned) for _, learned in pieces])


def _joined(pieces: list[tuple[Any, bool]]) -> Encoded:
    tokens = np.concatenate([np.asarray(ids, dtype=np.int16) for ids, _ in pieces])
    targets = np.concatenate([np.full(len(ids), learned) for ids, learned in pieces])
    return Encoded(tokens, targets)
