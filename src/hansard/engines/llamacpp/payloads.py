"""What the engine's stream holds: as much of each payload as ``reply`` reads."""

from __future__ import annotations

import msgspec

from hansard.engines.llamacpp.failures import EngineError


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class CallPiece(msgspec.Struct):
    index: int = 0
    function: Function | None = None


class Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallPiece] | None = None


class Alternative(msgspec.Struct):
    token: str
    bytes: list[int] | None = None
    logprob: float | None = None


class Entry(Alternative):
    top_logprobs: list[Alternative] = []


class Logprobs(msgspec.Struct):
    content: list[Entry] | None = None


class Choice(msgspec.Struct):
    delta: Delta
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Progress(msgspec.Struct):
    """How far the prompt is read; ``total`` is its tokens, and said before the first is read. ``cache`` were known."""

    total: int = 0
    cache: int = 0


class Timings(msgspec.Struct):
    """``predicted_n`` is the tokens written so far, this chunk's among them."""

    predicted_n: int = 0


class PromptDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0


class Usage(msgspec.Struct):
    """What one choice took, in the engine's count."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails = PromptDetails()


class Chunk(msgspec.Struct):
    choices: list[Choice] = []
    usage: Usage | None = None
    error: EngineError | None = None
    prompt_progress: Progress | None = None
    timings: Timings | None = None


read = msgspec.json.Decoder(Chunk).decode
