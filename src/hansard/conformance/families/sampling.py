"""How long an answer is, where it stops, how many there are, and that the same question has the same answer."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, RECORDED, REPORTED, check
from hansard.conformance.outcome import NotApplicable
from hansard.conformance.probe import Probe
from hansard.conformance.wire import Document

# As repeatable as the API can be asked to be.
STEADY: dict[str, Any] = {"temperature": 0, "seed": 1}
COUNT = [{"role": "user", "content": "Count from one to ten."}]


def content(made: Document, index: int = 0) -> str:
    """The text of a choice."""
    text = made["choices"][index]["message"]["content"]
    expect.kind(text, str, "content")
    return str(text)


@check("create", OFFICIAL)
def max_tokens_holds(probe: Probe) -> None:
    """max_tokens bounds the answer, and finish_reason says that it was cut."""
    made = probe.created(messages=COUNT, max_tokens=2)

    expect.equal(made["choices"][0]["finish_reason"], "length", "finish_reason")
    expect.that(made["usage"]["completion_tokens"] <= 2, "at most 2 tokens", made["usage"])


@check("create", OFFICIAL)
def max_completion_tokens_holds(probe: Probe) -> None:
    """So does max_completion_tokens."""
    made = probe.created(messages=COUNT, max_completion_tokens=2)

    expect.equal(made["choices"][0]["finish_reason"], "length", "finish_reason")
    expect.that(made["usage"]["completion_tokens"] <= 2, "at most 2 tokens", made["usage"])


@check("create", OFFICIAL)
def an_answer_that_ended_says_stop(probe: Probe) -> None:
    """An answer that ended by itself has finish_reason stop."""
    made = probe.created(messages=[{"role": "user", "content": "Say hi."}], max_tokens=200, **STEADY)

    expect.equal(made["choices"][0]["finish_reason"], "stop", "finish_reason")


@check("create", OFFICIAL)
def the_same_question_has_the_same_answer(probe: Probe) -> None:
    """Without temperature and with one seed, the same request gives the same text (the API's best effort)."""
    first, second = (content(probe.created(messages=COUNT, **STEADY)) for _ in range(2))

    expect.equal(second, first, "the second answer")


def _stop_text(probe: Probe) -> tuple[str, str]:
    """An answer, and a piece from its middle."""
    whole = content(probe.created(messages=COUNT, max_tokens=24, **STEADY))
    if len(whole) < 6:
        raise NotApplicable("the model's answer is too short to be stopped within")
    middle = len(whole) // 2
    return whole, whole[middle : middle + 3]


@check("create", OFFICIAL)
def stop_ends_the_answer(probe: Probe) -> None:
    """The answer ends before the stop text, which is not part of it."""
    whole, stop = _stop_text(probe)
    made = probe.created(messages=COUNT, max_tokens=24, stop=stop, **STEADY)

    expect.equal(content(made), whole[: whole.index(stop)], "the answer up to the stop text")
    expect.equal(made["choices"][0]["finish_reason"], "stop", "finish_reason")


@check("create", OFFICIAL)
def any_stop_text_ends_the_answer(probe: Probe) -> None:
    """Of several stop texts the first to come counts."""
    whole, stop = _stop_text(probe)
    made = probe.created(messages=COUNT, max_tokens=24, stop=["\u2603\u2603", stop], **STEADY)

    expect.equal(content(made), whole[: whole.index(stop)], "the answer up to the stop text")


@check("create", OFFICIAL)
def a_stop_text_that_does_not_come_changes_nothing(probe: Probe) -> None:
    """A stop text that never comes leaves the answer whole."""
    whole, _ = _stop_text(probe)

    expect.equal(
        content(probe.created(messages=COUNT, max_tokens=24, stop="\u2603\u2603", **STEADY)), whole, "the answer"
    )


@check("create", OFFICIAL, demands=("n",))
def n_choices(probe: Probe) -> None:
    """n choices, their indices counted from 0."""
    choices = probe.created(n=3)["choices"]

    expect.equal(sorted(choice["index"] for choice in choices), [0, 1, 2], "the indices")


@check("create", OFFICIAL, demands=("n",))
def n_choices_are_each_whole(probe: Probe) -> None:
    """Each has its message and its end."""
    choices = probe.created(n=2)["choices"]

    expect.equal(len(choices), 2, "number of choices")
    for choice in choices:
        expect.has(choice, ("index", "message", "logprobs", "finish_reason"), "each choice")
        expect.equal(choice["message"]["role"], "assistant", "each role")


@check("create", OFFICIAL, demands=("n",))
def n_choices_count_the_prompt_once(probe: Probe) -> None:
    """usage is that of the request: the prompt once, the answers together."""
    one, two = (probe.created(n=n, messages=COUNT, max_tokens=2)["usage"] for n in (1, 2))

    expect.equal(two["prompt_tokens"], one["prompt_tokens"], "prompt_tokens with n: 2")
    expect.that(two["completion_tokens"] > one["completion_tokens"], "more completion tokens with n: 2", two)


@check("create", OFFICIAL, RECORDED, demands=("n",), needs=("get",))
def n_choices_are_stored(probe: Probe) -> None:
    """All choices are kept."""
    made = probe.stored(n=2)

    kept = probe.kept(made["id"])["choices"]
    texts = [choice["message"]["content"] for choice in made["choices"]]
    expect.equal(len(texts), 2, "number of choices")
    expect.equal([choice["message"]["content"] for choice in kept], texts, "the stored choices")


@check("create", REPORTED, demands=("response_format",))
def json_mode_answers_json(probe: Probe) -> None:
    """response_format json_object: the content is a JSON object."""
    import json

    asked = [{"role": "user", "content": "Answer in json: an object with the key ok and the value 1."}]
    made = probe.created(messages=asked, response_format={"type": "json_object"}, max_tokens=200, **STEADY)
    if made["choices"][0]["finish_reason"] == "length":
        raise NotApplicable("the model did not come to the end of its object")

    expect.kind(json.loads(content(made)), dict, "the content as JSON")


_SCHEMA = {
    "type": "object",
    "properties": {
        "zone": {"type": "string", "enum": ["north", "south"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "ok": {"type": "boolean"},
    },
    "required": ["zone", "count", "ok"],
    "additionalProperties": False,
}


def _by_schema(probe: Probe, *, strict: bool) -> Document:
    import json

    wanted = {"type": "json_schema", "json_schema": {"name": "report", "strict": strict, "schema": _SCHEMA}}
    asked = [{"role": "user", "content": "Report as json: zone north, count 3, ok true."}]
    made = probe.created(messages=asked, response_format=wanted, max_tokens=200, **STEADY)
    found: Document = json.loads(content(made))
    expect.kind(found, dict, "the content as JSON")
    return found


@check("create", OFFICIAL, demands=("response_format",))
def a_strict_schema_is_kept(probe: Probe) -> None:
    """response_format json_schema with strict: the content keeps the schema, to the letter."""
    found = _by_schema(probe, strict=True)

    expect.that(found["zone"] in ("north", "south"), "one of the enum's values", found["zone"])
    expect.kind(found["count"], int, "count")
    expect.that(1 <= found["count"] <= 9, "a count from 1 to 9", found["count"])
    expect.kind(found["ok"], bool, "ok")


@check("create", RECORDED, demands=("response_format",))
def a_strict_schema_gives_the_order_of_keys(probe: Probe) -> None:
    """The keys come in the schema's order."""
    expect.keys(_by_schema(probe, strict=True), ("zone", "count", "ok"), "the content")


@check("create", OFFICIAL, demands=("response_format",))
def a_schema_gives_json(probe: Probe) -> None:
    """Without strict the content is JSON all the same."""
    expect.kind(_by_schema(probe, strict=False), dict, "the content as JSON")


MEASURES: Document = {
    "type": "object",
    "properties": {
        "share": {"type": "number", "minimum": 3.5, "maximum": 4.25},
        "weeks": {"type": "integer", "minimum": 7, "maximum": 98, "multipleOf": 7},
        "host": {"type": "string", "format": "ipv4"},
    },
    "required": ["share", "weeks", "host"],
    "additionalProperties": False,
}
_IPV4 = r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}"


def keeps_measures(found: Document, what: str) -> None:
    """Whether it is by ``MEASURES``: bounds of a number, multiples and a format."""
    expect.keys(found, ("share", "weeks", "host"), what)
    expect.kind(found["share"], (int, float), "share")
    expect.that(3.5 <= found["share"] <= 4.25, "a share from 3.5 to 4.25", found["share"])
    expect.kind(found["weeks"], int, "weeks")
    expect.that(found["weeks"] in range(7, 99, 7), "a multiple of 7 from 7 to 98", found["weeks"])
    expect.matches(found["host"], _IPV4, "host")


@check("create", OFFICIAL, demands=("response_format",))
def a_strict_schema_binds_numbers_and_formats(probe: Probe) -> None:
    """Strict holds minimum, maximum, multipleOf and format as well."""
    import json

    wanted = {"type": "json_schema", "json_schema": {"name": "measures", "strict": True, "schema": MEASURES}}
    asked = [{"role": "user", "content": "Report as json: share 0, weeks 30, host unknown."}]
    made = probe.created(messages=asked, response_format=wanted, max_tokens=200, **STEADY)

    keeps_measures(json.loads(content(made)), "the content")
