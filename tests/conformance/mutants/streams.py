"""Servers whose streams are framed otherwise, or whose chunks are not those of the contract."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.broken import Answered, Asked, Document, Mutant, drops, refuses, sets

CREATE = ("POST", "/chat/completions")
GET = ("GET", "/chat/completions/{id}")


def _mutant(name: str, *fails: str, answer: Callable[[Answered], None]) -> Mutant:
    def only_streams(answered: Answered) -> None:
        if answered.is_stream:
            answer(answered)

    return Mutant(name=f"stream-{name}", fails=_full(fails), answer=only_streams, only_to=CREATE)


def _full(fails: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"stream.{fail}" for fail in fails)


def _chunks(edit: Callable[[list[Document]], list[Document]]) -> Callable[[Answered], None]:
    def answer(answered: Answered) -> None:
        answered.chunks = edit(answered.chunks)

    return answer


def _each(edit: Callable[[Document], Document]) -> Callable[[Answered], None]:
    return _chunks(lambda chunks: [edit(chunk) for chunk in chunks])


def _numbered(chunks: list[Document]) -> list[Document]:
    return [{**chunk, "id": f"{chunk['id']}-{number}"} for number, chunk in enumerate(chunks)]


def _role_in_every_delta(chunk: Document) -> Document:
    for choice in chunk["choices"]:
        choice["delta"]["role"] = "assistant"
    return chunk


def _without_reason_until_it_ends(chunk: Document) -> Document:
    for choice in chunk["choices"]:
        if choice["finish_reason"] is None:
            del choice["finish_reason"]
    return chunk


def _ends_in_the_last_word(chunks: list[Document]) -> list[Document]:
    *head, word, finish = [chunk for chunk in chunks if chunk["choices"]]
    word["choices"][0]["finish_reason"] = finish["choices"][0]["finish_reason"]
    return [*head, word]


def _with_usage(chunk: Document) -> Document:
    return {**chunk, "usage": chunk.get("usage")}


def _usage_with_the_end(chunks: list[Document]) -> list[Document]:
    *head, finish, usage = chunks
    return [*head, {**finish, "usage": usage.get("usage")}] if not usage["choices"] else chunks


def _miscounted(chunk: Document) -> Document:
    return {**chunk, "usage": {**chunk["usage"], "completion_tokens": 1}} if chunk.get("usage") else chunk


def _together(chunks: list[Document]) -> list[Document]:
    """Neighbours in one chunk, as a server that asks several at once would."""
    pairs = zip(chunks[::2], chunks[1::2], strict=False)
    return [{**one, "choices": one["choices"] + other["choices"]} for one, other in pairs]


def _only_the_first(chunks: list[Document]) -> list[Document]:
    return [chunk for chunk in chunks if not chunk["choices"] or chunk["choices"][0]["index"] == 0]


def _no_words(chunks: list[Document]) -> list[Document]:
    return [chunks[0], *(chunk for chunk in chunks[1:] if not chunk["choices"] or chunk["choices"][0]["finish_reason"])]


def _named_events(answered: Answered) -> None:
    answered.events = [b"event: chunk\n" + event for event in answered.events]


def _without_done(answered: Answered) -> None:
    answered.events = answered.events[:-1]


def _says_more_after_stop(chunks: list[Document]) -> list[Document]:
    opener, *rest = chunks
    more = {**rest[0], "choices": [{**rest[0]["choices"][0], "delta": {"content": "!"}, "finish_reason": None}]}
    return [opener, more, *rest]


def _refuses_in_the_stream(answered: Answered) -> None:
    if answered.status >= 400 and answered.asked.document.get("stream"):
        error = answered.body
        answered.status = 200
        answered.header("content-type", "text/event-stream")
        answered.events = [b"data: " + error, b"data: [DONE]"]


def _always_streams(answered: Answered) -> None:
    if answered.status == 200 and "stream" in answered.asked.document:
        sets("chat.completion.chunk", "object")(answered)


def _stores_no_streams(asked: Asked) -> None:
    if asked.document.get("stream"):
        asked.document = {name: value for name, value in asked.document.items() if name not in ("store", "metadata")}


def _drops_usage_if_streamed(answered: Answered) -> None:
    if answered.status == 200:
        answered.document = {name: value for name, value in answered.document.items() if name != "usage"}


def _always_pads(asked: Asked) -> None:
    options = asked.document.get("stream_options")
    if options:
        asked.document = {**asked.document, "stream_options": {**options, "include_obfuscation": True}}


MUTANTS = (
    _mutant(
        "of-json-lines",
        "is_an_event_stream",
        answer=lambda answered: answered.header("content-type", "application/x-ndjson"),
    ),
    _mutant("with-named-events", "every_event_is_one_data_line", answer=_named_events),
    _mutant("without-done", "ends_with_done", answer=_without_done),
    _mutant("without-opener", "opens_with_the_role", answer=_chunks(lambda chunks: chunks[1:])),
    _mutant("with-a-role-in-every-delta", "says_the_role_once", "finishes_once", answer=_each(_role_in_every_delta)),
    _mutant(
        "in-alphabetical-order", "chunk_keys_are_in_order", answer=_each(lambda chunk: dict(sorted(chunk.items())))
    ),
    _mutant("without-created", "chunks_have_their_keys", answer=drops("created")),
    _mutant("of-another-object", "object_is_chat_completion_chunk", answer=sets("chat.completion", "object")),
    _mutant("with-numbered-ids", "chunks_share_what_they_belong_to", answer=_chunks(_numbered)),
    _mutant(
        "without-logprobs",
        "chunk_choices_have_their_four_keys",
        "logprobs_are_null_in_chunks",
        answer=drops("choices", "logprobs"),
    ),
    _mutant(
        "with-reason-at-the-end-only",
        "finish_reason_is_null_before",
        "chunk_choices_have_their_four_keys",
        answer=_each(_without_reason_until_it_ends),
    ),
    _mutant("that-ends-in-a-word", "finishes_once", answer=_chunks(_ends_in_the_last_word)),
    _mutant("that-always-stops", "a_cut_stream_says_length", answer=sets("stop", "choices", "finish_reason")),
    _mutant(
        "without-words",
        "one_token_has_opener_content_and_end",
        "says_what_the_plain_reply_says",
        "stop_ends_a_stream",
        answer=_chunks(_no_words),
    ),
    _mutant(
        "always-with-usage", "has_no_usage_unless_asked", "include_usage_false_is_as_none", answer=_each(_with_usage)
    ),
    _mutant("with-usage-at-the-end", "usage_comes_last", answer=_chunks(_usage_with_the_end)),
    _mutant(
        "with-usage-once",
        "usage_is_null_before",
        answer=_each(
            lambda chunk: chunk if chunk.get("usage") else {key: chunk[key] for key in chunk if key != "usage"}
        ),
    ),
    _mutant("that-miscounts", "usage_is_that_of_the_plain_reply", answer=_each(_miscounted)),
    _mutant(
        "without-obfuscation",
        "is_obfuscated_by_default",
        "obfuscation_evens_out_lengths",
        answer=drops("obfuscation"),
    ),
    Mutant(
        name="stream-always-obfuscated",
        fails=("stream.obfuscation_can_be_declined",),
        ask=_always_pads,
        only_to=CREATE,
    ),
    _mutant("of-choices-together", "n_choices_have_a_chunk_each", answer=_chunks(_together)),
    _mutant("of-the-first-choice", "n_choices_open_and_finish_each", answer=_chunks(_only_the_first)),
    Mutant(
        name="stream-refuses-within",
        fails=("stream.a_refused_request_is_no_stream", "stream.an_unknown_model_is_no_stream"),
        answer=_refuses_in_the_stream,
        only_to=CREATE,
    ),
    _mutant(
        "that-says-more", "says_what_the_plain_reply_says", "stop_ends_a_stream", answer=_chunks(_says_more_after_stop)
    ),
    Mutant(
        name="stream-not-stored",
        fails=(
            "stream.is_stored_when_it_ends",
            "stream.usage_is_stored_unasked",
            "stream.is_stored_as_a_plain_reply_is",
            "stream.created_is_that_of_the_store",
        ),
        ask=_stores_no_streams,
        only_to=CREATE,
    ),
    Mutant(
        name="stream-stored-without-usage",
        fails=("stream.usage_is_stored_unasked",),
        answer=_drops_usage_if_streamed,
        only_to=GET,
    ),
    Mutant(
        name="stream-stored-at-another-time",
        fails=("stream.created_is_that_of_the_store",),
        answer=sets(1, "created"),
        only_to=GET,
    ),
    Mutant(
        name="stream-even-if-false", fails=("stream.stream_false_is_no_stream",), answer=_always_streams, only_to=CREATE
    ),
    Mutant(name="stream-absent", fails=("stream.is_an_event_stream",), answer=refuses(501), only_to=CREATE),
)
