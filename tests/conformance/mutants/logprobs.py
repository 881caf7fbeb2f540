"""Servers whose log probabilities are not those of the answer, or of another form."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.broken import Answered, Document, Mutant, drops, sets

CREATE = ("POST", "/chat/completions")
CONTENT = ("choices", "logprobs", "content")
CONTENT_OF_ENTRY = (*CONTENT, "top_logprobs")


def _mutant(name: str, *fails: str, answer: Callable[[Answered], None]) -> Mutant:
    return Mutant(name=f"logprobs-{name}", fails=fails, answer=answer, only_to=CREATE)


def _entries(edit: Callable[[Document], None]) -> Callable[[Answered], None]:
    """Edits every entry of a plain reply."""

    def answer(answered: Answered) -> None:
        if answered.status == 200 and not answered.is_stream:
            made = answered.document
            for choice in made["choices"]:
                for entry in (choice["logprobs"] or {}).get("content") or ():
                    edit(entry)
            answered.document = made

    return answer


def _turned_round(entry: Document) -> None:
    entry["top_logprobs"] = [
        {"token": "x", "logprob": -9.0, "bytes": [120]},
        *({**alternative, "logprob": -number} for number, alternative in enumerate(entry["top_logprobs"][1:])),
    ]


def _with_an_alternative(entry: Document) -> None:
    entry["top_logprobs"].append({"token": "x", "logprob": -9.0, "bytes": [120]})


def _edits_chunks(
    edit: Callable[[Document], None], *, only: Callable[[Document], object]
) -> Callable[[Answered], None]:
    def answer(answered: Answered) -> None:
        if answered.status == 200 and answered.is_stream:
            chunks = answered.chunks
            for chunk in chunks:
                for choice in chunk["choices"]:
                    if only(choice):
                        edit(choice)
            answered.chunks = chunks

    return answer


def _empties(choice: Document) -> None:
    choice["logprobs"] = {"content": [], "refusal": None}


def _nulls(choice: Document) -> None:
    choice["logprobs"] = None


MUTANTS = (
    _mutant("without-refusal", "create.logprobs_have_two_keys", answer=drops("choices", "logprobs", "refusal")),
    _mutant("without-bytes", "create.an_entry_has_its_four_keys", answer=drops(*CONTENT, "bytes")),
    _mutant("as-probabilities", "create.a_logprob_is_not_above_0", answer=sets(0.9, *CONTENT, "logprob")),
    _mutant("of-other-tokens", "create.entries_spell_the_answer", answer=sets([120], *CONTENT, "bytes")),
    _mutant(
        "with-alternatives-unasked",
        "create.alternatives_are_empty_unless_asked_for",
        "create.as_many_alternatives_as_asked",
        answer=_entries(_with_an_alternative),
    ),
    _mutant("of-short-alternatives", "create.alternatives_have_their_keys", answer=drops(*CONTENT_OF_ENTRY, "bytes")),
    _mutant(
        "in-rising-order",
        "create.alternatives_begin_with_the_likeliest",
        "create.without_temperature_the_likeliest_is_taken",
        answer=_entries(_turned_round),
    ),
    Mutant(
        name="logprobs-not-stored",
        fails=("create.logprobs_are_stored",),
        answer=sets(None, "choices", "logprobs"),
        only_to=("GET", "/chat/completions/{id}"),
    ),
    _mutant(
        "of-a-stream-open-null",
        "stream.logprobs_of_a_stream_open_empty",
        answer=_edits_chunks(_nulls, only=lambda choice: choice["delta"].get("role")),
    ),
    _mutant(
        "of-a-stream-end-empty",
        "stream.logprobs_of_a_stream_end_null",
        answer=_edits_chunks(_empties, only=lambda choice: choice["finish_reason"]),
    ),
    _mutant(
        "of-a-stream-come-apart",
        "stream.logprobs_come_with_their_tokens",
        answer=_edits_chunks(_empties, only=lambda choice: choice["delta"].get("content")),
    ),
)
