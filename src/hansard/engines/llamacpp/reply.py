"""What the engine answers, read chunk by chunk and said again in the contract's words and order.

Pure: payloads in, chunk documents out, one reader per choice. The path of a text token is short,
because it is walked thousands of times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from hansard.contract import Document
from hansard.engines.llamacpp import failures, payloads
from hansard.engines.llamacpp.calls import CallWriter, JsonReader
from hansard.engines.llamacpp.payloads import Alternative, CallPiece, Choice, Entry, Progress, PromptDetails, Usage
from hansard.engines.llamacpp.stops import Stops
from hansard.engines.llamacpp.tools import ToolPlan, unheld
from hansard.engines.llamacpp.watch import Watch
from hansard.errors import InvalidRequest

SERVICE_TIER = "default"
# The API's floor for what is all but impossible; JSON has no minus infinity.
LEAST_LOGPROB = -9999.0


class Limits(msgspec.Struct, frozen=True):
    """Tokens: what prompt and answer have together, and what the client wants for the answer, if it says so."""

    context: int
    cap: int | None = None

    def check(self, prompt_tokens: int) -> None:
        """Refuse an answer that may outgrow the context, as the API does; raises ``InvalidRequest``."""
        # A longer prompt is refused by the engine itself, in the words for that.
        if self.cap is not None and prompt_tokens < self.context < prompt_tokens + self.cap:
            raise failures.too_much(context=self.context, prompt_tokens=prompt_tokens, cap=self.cap)


class Reply:
    """One choice on its way out. ``mint`` gives the next tool call's id, ``logprobs`` is how many alternatives.

    ``stops`` are those that the engine does not know; ``watch`` follows an answer that has to be by a grammar.
    ``reasoning_tokens`` counts what was written up to the last thought. Once it is ``stopped`` nothing more is wanted
    of the engine, but for the input of the call ``wanted``, if there is one: that is another request, announced by
    ``resume``.
    """

    def __init__(
        self,
        *,
        index: int,
        fingerprint: str,
        limits: Limits,
        logprobs: int | None,
        tools: ToolPlan | None,
        mint: Callable[[], str],
        stops: Sequence[str] = (),
        watch: Watch | None = None,
    ) -> None:
        self._index = index
        self._limits = limits
        self._head = {"service_tier": SERVICE_TIER, "system_fingerprint": fingerprint}
        self._logprobs = logprobs
        self._tools = tools
        self._calls = None if tools is None else CallWriter(tools, mint)
        self._json = None if tools is None or not tools.in_json else JsonReader(_names(tools), raw=tools.grammars)
        self._held: list[Entry] = []  # of text that may still become a call
        self._stops = Stops[Sequence[Entry]](stops) if stops else None
        self._watch = watch
        self._prompt = Progress()
        self._opened = False
        self._thinking = False
        self._spent = Usage()
        self.finished = False
        self.stopped = False
        self.wanted: str | None = None
        self.reasoning_tokens = 0
        self.usage = Usage()

    def feed(self, payload: bytes) -> list[Document]:
        """The chunks one payload makes, often one and sometimes none; raises what the engine reports."""
        if self.stopped:
            return []
        try:
            chunk = payloads.read(payload)
        except msgspec.MsgspecError as garbled:
            raise failures.unreadable() from garbled
        if chunk.prompt_progress is not None:
            self._prompt = chunk.prompt_progress
            self._limits.check(self._prompt.total)
        documents: list[Document] = []
        for choice in chunk.choices:
            self._take(choice, documents)
        if chunk.timings is not None:
            self._count(chunk.timings.predicted_n)
        if chunk.usage is not None:
            self.usage = _sum(self._spent, chunk.usage)
        if chunk.error is not None:
            raise failures.translate(chunk.error)
        return documents

    def resume(self, name: str, watch: Watch | None) -> None:
        """What is fed from here on is the call of ``name`` once more, with its input."""
        self._watch = watch
        self.stopped, self.wanted = False, None
        self._spent = self.usage
        self._json = JsonReader((name,), raw=(name,))

    def cut_off(self) -> list[Document]:
        """The end of an answer whose cap leaves nothing for the input that is wanted."""
        documents: list[Document] = []
        self._finish("length", documents)
        return documents

    def _count(self, written: int) -> None:
        """So many tokens were written when this chunk was."""
        if self._thinking:
            self._thinking = False
            self.reasoning_tokens = written
        if self.stopped:
            self.usage = Usage(self._prompt.total, written, PromptDetails(self._prompt.cache))

    def _take(self, choice: Choice, documents: list[Document]) -> None:
        delta = choice.delta
        if delta.reasoning_content:
            self._think(delta.reasoning_content, documents)
        if delta.content:
            entries = () if choice.logprobs is None else choice.logprobs.content or ()
            read = delta.content if self._json is None else self._json.feed(delta.content)
            if self._watch is not None and not self._watch.feed(delta.content):
                raise self._unheld()
            if self._stops is not None:
                self._say_until(self._stops, delta.content, entries, documents)
            elif self._json is None:
                self._say(delta.content, entries, documents)
            else:
                self._held += entries
                self._say_json(self._json, read, documents)
        for call in delta.tool_calls or ():
            self._call(call, documents)
        if choice.finish_reason is not None:
            self._finish(choice.finish_reason, documents)

    def _unheld(self) -> InvalidRequest:
        return unheld(self._tools, None if self._json is None else self._json.name)

    def _say(self, text: str, entries: Iterable[Entry], documents: list[Document]) -> None:
        self._open_text(documents)
        if self._logprobs is None:
            documents.append(self._chunk({"content": text}))
        else:
            documents.append(self._chunk({"content": text}, self._cleaned(entries)))

    def _say_until(
        self, stops: Stops[Sequence[Entry]], text: str, entries: Sequence[Entry], documents: list[Document]
    ) -> None:
        """The text before a stop, and the end if that has come."""
        for piece, belonging in stops.feed(text, entries):
            self._say(piece, belonging, documents)
        if stops.found:
            self.stopped = True
            self._finish("stop", documents)

    def _think(self, thought: str, documents: list[Document]) -> None:
        """Thoughts have no place in the contract; the name is the one that other servers gave them."""
        self._thinking = True
        self._open_text(documents)
        documents.append(self._chunk({"reasoning_content": thought}))

    def _open_text(self, documents: list[Document]) -> None:
        if not self._opened:
            logprobs: Document | None = None if self._logprobs is None else {"content": [], "refusal": None}
            self._open({"content": "", "refusal": None}, documents, logprobs)

    def _open(self, rest: Document, documents: list[Document], logprobs: Document | None = None) -> None:
        """The first chunk of the choice, with the role in it."""
        self._opened = True
        documents.append(self._chunk({"role": "assistant", **rest}, logprobs))

    def _call(self, call: CallPiece, documents: list[Document]) -> None:
        if self._calls is None or self._tools is None or call.function is None:
            return
        if call.index > 0 and not self._tools.parallel:
            return
        if self.wanted is not None:
            return
        if call.function.name is not None and call.index >= self._calls.count:
            self._write(self._calls.begin(call.function.name), documents)
            if call.function.name in self._tools.grammars:
                self.wanted, self.stopped = call.function.name, True  # its input is not bound here
                return
        self._write(self._calls.more(call.function.arguments or ""), documents)

    def _say_json(self, json: JsonReader, text: str, documents: list[Document]) -> None:
        """Arguments of a call, or the text of an answer where there may be one."""
        if self._calls is not None and json.name is not None:
            if self._calls.count == 0:
                self._write(self._calls.begin(json.name), documents)
            self._write(self._calls.more(text), documents)
        elif text and self._tools is not None and not self._tools.forced:
            entries, self._held = self._held, []
            self._say(text, entries, documents)

    def _write(self, deltas: Iterable[Document], documents: list[Document]) -> None:
        for delta in deltas:
            if self._opened:
                documents.append(self._chunk(delta))
            else:
                self._open({"content": None, **delta, "refusal": None}, documents)

    def _finish(self, reason: str, documents: list[Document]) -> None:
        if reason == "stop" and self._watch is not None and not self._watch.end():
            raise self._unheld()
        if self._stops is not None:
            for piece, belonging in self._stops.flush():
                self._say(piece, belonging, documents)
        if self._json is not None:
            self._say_json(self._json, self._json.end(closed=reason != "length"), documents)
        if self._calls is not None:
            self._write(self._calls.end(), documents)
        self._open_text(documents)
        self.finished = True
        choice = {"index": self._index, "delta": {}, "logprobs": None, "finish_reason": self._reason(reason)}
        documents.append({**self._head, "choices": [choice]})

    def _reason(self, reason: str) -> str:
        """A call forced by name ends with "stop", any other with its kind (both seen on the wire)."""
        if reason == "length":
            return "length"
        if self._tools is None or self._calls is None or self._calls.count == 0 or self._tools.named:
            return "stop"
        return "function_call" if self._tools.legacy else "tool_calls"

    def _cleaned(self, entries: Iterable[Entry]) -> Document:
        """Log probabilities without the engine's extras: token ids, and entries of tokens without text."""
        return {"content": [self._entry(entry) for entry in entries if entry.token or entry.bytes], "refusal": None}

    def _entry(self, entry: Entry) -> Document:
        alternatives = entry.top_logprobs[: self._logprobs]
        return {**_alternative(entry), "top_logprobs": [_alternative(each) for each in alternatives]}

    def _chunk(self, delta: Document, logprobs: Document | None = None) -> Document:
        choice = {"index": self._index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
        return {**self._head, "choices": [choice]}


def usage_chunk(fingerprint: str, replies: Sequence[Reply]) -> Document:
    """The last chunk. The prompt is one however many choices answer it."""
    usages = [reply.usage for reply in replies]
    prompt_tokens = usages[0].prompt_tokens
    completion_tokens = sum(usage.completion_tokens for usage in usages)
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usages[0].prompt_tokens_details.cached_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": sum(reply.reasoning_tokens for reply in replies),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return {"service_tier": SERVICE_TIER, "system_fingerprint": fingerprint, "choices": [], "usage": usage}


def _sum(one: Usage, other: Usage) -> Usage:
    """Both requests, each with its prompt: that is what was read and written."""
    cached = one.prompt_tokens_details.cached_tokens + other.prompt_tokens_details.cached_tokens
    return Usage(
        one.prompt_tokens + other.prompt_tokens,
        one.completion_tokens + other.completion_tokens,
        PromptDetails(cached),
    )


def _names(tools: ToolPlan) -> frozenset[str]:
    return frozenset(tool["function"]["name"] for tool in tools.offered)


def _alternative(alternative: Alternative) -> Document:
    logprob = LEAST_LOGPROB if alternative.logprob is None else max(alternative.logprob, LEAST_LOGPROB)
    return {"token": alternative.token, "logprob": logprob, "bytes": alternative.bytes}
