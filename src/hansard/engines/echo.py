"""The engine that says back what it was told: shipped for tests, benches and first steps, with no model behind it.

Its answer is the text of the last user message, a word a chunk; its tokens are words. ``max_tokens``, ``stop`` and
``n`` hold. Of images, audio and files it sees that they are there, and says nothing back.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence

import msgspec

from hansard.contract import Document
from hansard.contract.request import ChatRequest, TextFormat
from hansard.core import documents, normalize, rules
from hansard.core.accumulate import Accumulator
from hansard.engines.base import Call, Chunks, Health, ServedModel
from hansard.errors import InvalidRequest

_WORD = re.compile(r"\s*\S+\s*$|\s*\S+|\s+$")

_HEAD = {"service_tier": "default", "system_fingerprint": "fp_echo"}
_CREATED = 1_795_132_800  # 2026-11-20, the day it was written

# What would change the reply and an echo cannot do is refused by name (decision 36).
_UNSUPPORTED = (
    *("tools", "functions", "logprobs", "response_format", "modalities", "audio", "web_search_options", "moderation"),
)


class EchoEngine:
    """Answers every call at once, the same call always the same way."""

    takes_any_model = False
    takes_unknown_parameters = False
    takes_client_key = False

    def __init__(self, *, name: str = "echo", created: int = 0) -> None:
        self.name = name
        self._served = (
            ServedModel(id=name, created=created, owned_by="hansard", description="Says back what it hears"),
        )

    async def listed(self) -> Collection[str]:
        return {self.name}

    def models(self) -> Sequence[ServedModel]:
        return self._served

    async def start(self) -> None:
        """Nothing to wait for."""

    async def stop(self) -> None:
        """Nothing to let go of."""

    def health(self) -> Health:
        return Health(ready=True)

    def refusals(self, request: ChatRequest) -> Iterator[InvalidRequest]:
        for field in _UNSUPPORTED:
            wanted = getattr(request, field)
            if wanted and wanted != ["text"] and not isinstance(wanted, TextFormat):
                yield InvalidRequest(
                    f"Unsupported parameter: '{field}' is not supported with this model.",
                    param=field,
                    code="unsupported_parameter",
                )

        try:
            rules.images_have_addresses(request)
        except InvalidRequest as mistake:
            yield mistake

    async def complete(self, call: Call) -> Document:
        accumulator = Accumulator()
        async for chunks in self.stream(call):
            for chunk in chunks:
                accumulator.feed(chunk)
        return accumulator.finish()

    async def stream(self, call: Call) -> AsyncGenerator[Chunks, None]:
        if mistakes := [*self.refusals(call.request)]:
            raise rules.first_of(mistakes, call.document)
        call.taken_up()
        heard = _last_user_text(call.document)
        words = _WORD.findall(_before(normalize.stop(call.request), heard))
        limit = normalize.max_tokens(call.request)
        said = words if limit is None else words[:limit]
        choices = range(normalize.n(call.request))
        yield [_chunk(index, {"role": "assistant", "content": "", "refusal": None}) for index in choices]
        for word in said:
            yield [_chunk(index, {"content": word}) for index in choices]
        end = "stop" if len(said) == len(words) else "length"
        yield [_chunk(index, {}, finish_reason=end) for index in choices]
        yield [{**_HEAD, "choices": [], "usage": _usage(len(_WORD.findall(heard)), len(said) * len(choices))}]


def _last_user_text(document: dict[str, msgspec.Raw]) -> str:
    messages = documents.read(bytes(document["messages"]))
    for message in reversed(messages):
        if message["role"] == "user":
            content = message["content"]
            return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    return ""


def _before(stops: Sequence[str], text: str) -> str:
    """The text up to the first of the stop texts in it."""
    return text[: min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))]


def _chunk(index: int, delta: Document, *, finish_reason: str | None = None) -> Document:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**_HEAD, "choices": [choice]}


def _usage(prompt_tokens: int, completion_tokens: int) -> Document:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
