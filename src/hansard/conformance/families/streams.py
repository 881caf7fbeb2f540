"""Streams: their frames, their chunks, usage, obfuscation, and that they say what the plain reply says."""

from __future__ import annotations

from typing import Any

from hansard.conformance import expect
from hansard.conformance.checks import CAPTURED, OFFICIAL, RECORDED, REPORTED, check, decision
from hansard.conformance.families.sampling import COUNT, STEADY, content
from hansard.conformance.probe import Probe
from hansard.conformance.wire import Document, Reply

KEYS = (
    "id",
    "object",
    "created",
    "model",
    "service_tier",
    "system_fingerprint",
    "choices",
    "usage",
    "obfuscation",
)
CHOICE = ("index", "delta", "logprobs", "finish_reason")
OBFUSCATED_TO = 16


def _stream(probe: Probe, **fields: Any) -> Reply:
    return probe.streamed(**{"messages": COUNT, "max_tokens": 8, **STEADY, **fields})


def _choices(reply: Reply) -> list[Document]:
    return [choice for chunk in reply.chunks for choice in chunk["choices"]]


def _with_usage(probe: Probe, **fields: Any) -> Reply:
    return _stream(probe, stream_options={"include_usage": True}, **fields)


@check("stream", OFFICIAL, RECORDED)
def is_an_event_stream(probe: Probe) -> None:
    """Content-Type is text/event-stream; charset=utf-8."""
    kind = (_stream(probe).header("content-type") or "").replace(" ", "").lower()

    expect.equal(kind, "text/event-stream;charset=utf-8", "Content-Type")


@check("stream", OFFICIAL, RECORDED)
def every_event_is_one_data_line(probe: Probe) -> None:
    """An event is one line, data: and a JSON object or [DONE], then a blank line; no other fields."""
    reply = _stream(probe)

    for frame in reply.frames:
        _ = frame.payload if frame.is_done else frame.document
    expect.that(reply.body.endswith(b"\n\n"), "a blank line at the end", repr(reply.body[-20:]))


@check("stream", OFFICIAL)
def ends_with_done(probe: Probe) -> None:
    """The last event, and only that, is [DONE]."""
    done = [frame.is_done for frame in _stream(probe).frames]

    expect.equal([at for at, is_done in enumerate(done) if is_done], [len(done) - 1], "where [DONE] stands")


@check("stream", OFFICIAL, RECORDED)
def opens_with_the_role(probe: Probe) -> None:
    """The first delta is {role: assistant, content: "", refusal: null}."""
    first = _stream(probe).chunks[0]["choices"][0]["delta"]

    expect.equal(first, {"role": "assistant", "content": "", "refusal": None}, "the first delta")


@check("stream", RECORDED)
def says_the_role_once(probe: Probe) -> None:
    """No other delta has a role."""
    for choice in _choices(_stream(probe))[1:]:
        expect.that("role" not in choice["delta"], "a delta without role", choice["delta"])


@check("stream", RECORDED)
def chunk_keys_are_in_order(probe: Probe) -> None:
    """The keys of the contract stand in the order of the wire."""
    for chunk in _with_usage(probe).chunks:
        expect.equal([key for key in chunk if key in KEYS], [key for key in KEYS if key in chunk], "keys of a chunk")


@check("stream", OFFICIAL)
def chunks_have_their_keys(probe: Probe) -> None:
    """A chunk has id, object, created, model and choices."""
    for chunk in _stream(probe).chunks:
        expect.has(chunk, ("id", "object", "created", "model", "choices"), "a chunk")


@check("stream", OFFICIAL)
def object_is_chat_completion_chunk(probe: Probe) -> None:
    """object is "chat.completion.chunk"."""
    expect.equal({chunk["object"] for chunk in _stream(probe).chunks} - {"chat.completion.chunk"}, set(), "others")


@check("stream", OFFICIAL)
def chunks_share_what_they_belong_to(probe: Probe) -> None:
    """All chunks have one id, one created and one model."""
    chunks = _with_usage(probe).chunks

    for name in ("id", "created", "model"):
        expect.equal(len({chunk[name] for chunk in chunks}), 1, f"how many values {name} has")


@check("stream", OFFICIAL)
def chunk_choices_have_their_four_keys(probe: Probe) -> None:
    """A choice has index, delta, logprobs and finish_reason."""
    for choice in _choices(_stream(probe)):
        expect.keys(choice, CHOICE, "a choice")


@check("stream", RECORDED)
def logprobs_are_null_in_chunks(probe: Probe) -> None:
    """logprobs are null where they were not asked for."""
    for choice in _choices(_stream(probe)):
        expect.equal(choice["logprobs"], None, "logprobs")


@check("stream", OFFICIAL, RECORDED)
def finishes_once(probe: Probe) -> None:
    """One chunk has a finish_reason: the last with a choice, its delta empty."""
    choices = _choices(_stream(probe))

    expect.equal([at for at, one in enumerate(choices) if one["finish_reason"]], [len(choices) - 1], "where it ends")
    expect.equal(choices[-1]["delta"], {}, "the last delta")


@check("stream", OFFICIAL)
def finish_reason_is_null_before(probe: Probe) -> None:
    """finish_reason is null until then, never absent."""
    for choice in _choices(_stream(probe))[:-1]:
        expect.equal(choice.get("finish_reason", "absent"), None, "finish_reason")


@check("stream", OFFICIAL)
def a_cut_stream_says_length(probe: Probe) -> None:
    """A stream cut by max_tokens ends with length."""
    expect.equal(_choices(_stream(probe, max_tokens=2))[-1]["finish_reason"], "length", "finish_reason")


@check("stream", RECORDED)
def one_token_has_opener_content_and_end(probe: Probe) -> None:
    """Cut at the first token there are still an opener, content and an end."""
    deltas = [choice["delta"] for choice in _choices(_stream(probe, max_tokens=1))]

    expect.that(len(deltas) >= 3, "an opener, content and an end", deltas)


@check("stream", OFFICIAL)
def says_what_the_plain_reply_says(probe: Probe) -> None:
    """The pieces together are the content of the same request without stream."""
    plain = content(probe.created(messages=COUNT, max_tokens=8, **STEADY))
    joined = "".join(choice["delta"].get("content") or "" for choice in _choices(_stream(probe)))

    expect.equal(joined, plain, "the content")


@check("stream", OFFICIAL)
def has_no_usage_unless_asked(probe: Probe) -> None:
    """Without include_usage no chunk has usage."""
    for chunk in _stream(probe).chunks:
        expect.that("usage" not in chunk, "a chunk without usage", chunk)


@check("stream", OFFICIAL)
def include_usage_false_is_as_none(probe: Probe) -> None:
    """include_usage: false is the same."""
    for chunk in _stream(probe, stream_options={"include_usage": False}).chunks:
        expect.that("usage" not in chunk, "a chunk without usage", chunk)


@check("stream", OFFICIAL)
def usage_comes_last(probe: Probe) -> None:
    """With include_usage the last chunk has usage and no choices."""
    last = _with_usage(probe).chunks[-1]

    expect.equal(last["choices"], [], "the last chunk's choices")
    expect.has(last["usage"], ("prompt_tokens", "completion_tokens", "total_tokens"), "usage")


@check("stream", OFFICIAL)
def usage_is_null_before(probe: Probe) -> None:
    """Every chunk before it has usage: null."""
    for chunk in _with_usage(probe).chunks[:-1]:
        expect.equal(chunk.get("usage", "absent"), None, "usage")


@check("stream", OFFICIAL)
def usage_is_that_of_the_plain_reply(probe: Probe) -> None:
    """A stream counts what the same request without stream counts."""
    plain = probe.created(messages=COUNT, max_tokens=8, **STEADY)["usage"]
    streamed = _with_usage(probe).chunks[-1]["usage"]

    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        expect.equal(streamed[name], plain[name], name)


@check("stream", OFFICIAL, RECORDED)
def is_obfuscated_by_default(probe: Probe) -> None:
    """Every chunk has obfuscation: letters and digits, perhaps none."""
    for chunk in _with_usage(probe).chunks:
        expect.matches(chunk.get("obfuscation"), "[A-Za-z0-9]{0,15}", "obfuscation")


@check("stream", RECORDED)
def obfuscation_evens_out_lengths(probe: Probe) -> None:
    """With it the JSON text of a chunk is one character more than a multiple of 16."""
    for frame in _stream(probe).frames:
        if not frame.is_done:
            expect.equal(len(frame.payload.decode()) % OBFUSCATED_TO, 1, "characters of a chunk, modulo 16")


@check("stream", OFFICIAL)
def obfuscation_can_be_declined(probe: Probe) -> None:
    """include_obfuscation: false leaves it out."""
    for chunk in _stream(probe, stream_options={"include_obfuscation": False}).chunks:
        expect.that("obfuscation" not in chunk, "a chunk without obfuscation", chunk)


@check("stream", RECORDED, demands=("n",))
def n_choices_have_a_chunk_each(probe: Probe) -> None:
    """With n a chunk holds one choice."""
    chunks = _stream(probe, n=2).chunks

    for chunk in chunks:
        expect.equal(len(chunk["choices"]), 1, "choices of a chunk")
    expect.equal(sorted({chunk["choices"][0]["index"] for chunk in chunks}), [0, 1], "the indices of all chunks")


@check("stream", RECORDED, demands=("n",))
def n_choices_open_and_finish_each(probe: Probe) -> None:
    """Each choice has an opener and an end of its own."""
    choices = _choices(_stream(probe, n=2))

    for index in (0, 1):
        own = [choice for choice in choices if choice["index"] == index]
        expect.equal(own[0]["delta"].get("role"), "assistant", f"the role in the opener of choice {index}")
        expect.that(own[-1]["finish_reason"], f"a finish_reason at the end of choice {index}", own[-1])


@check("stream", OFFICIAL)
def a_refused_request_is_no_stream(probe: Probe) -> None:
    """What is wrong with a request is said before the first byte: an HTTP status and the envelope."""
    reply = probe.create(stream=True, temperature=9)

    expect.refusal(reply, 400, param="temperature", code="decimal_above_max_value")
    expect.that("json" in (reply.header("content-type") or ""), "application/json", reply.header("content-type"))


@check("stream", REPORTED)
def an_unknown_model_is_no_stream(probe: Probe) -> None:
    """So is that nobody serves the model."""
    expect.refusal(probe.create(stream=True, model="no-such-model-here"), 404, code="model_not_found")


@check("stream", OFFICIAL)
def stop_ends_a_stream(probe: Probe) -> None:
    """A stop text ends the stream, and no piece of it is sent."""
    whole = content(probe.created(messages=COUNT, max_tokens=24, **STEADY))
    middle = len(whole) // 2
    stop = whole[middle : middle + 3]
    choices = _choices(_stream(probe, max_tokens=24, stop=stop))

    joined = "".join(choice["delta"].get("content") or "" for choice in choices)
    expect.equal(joined, whole[: whole.index(stop)], "the content up to the stop text")
    expect.equal(choices[-1]["finish_reason"], "stop", "finish_reason")


@check("stream", decision(20), needs=("get",))
def is_stored_when_it_ends(probe: Probe) -> None:
    """With store the completion is there as soon as [DONE] is."""
    reply = _stream(probe, store=True)

    kept = probe.kept(reply.chunks[0]["id"])
    joined = "".join(choice["delta"].get("content") or "" for choice in _choices(reply))
    expect.equal(kept["choices"][0]["message"]["content"], joined, "the stored content")


@check("stream", decision(23), needs=("get",))
def usage_is_stored_unasked(probe: Probe) -> None:
    """Usage is stored even if the client did not ask for it."""
    usage = probe.kept(_stream(probe, store=True).chunks[0]["id"])["usage"]

    expect.has(usage, ("prompt_tokens", "completion_tokens", "total_tokens"), "the stored usage")
    expect.that(usage["total_tokens"] > 0, "tokens", usage)


@check("stream", decision(23), needs=("get",))
def is_stored_as_a_plain_reply_is(probe: Probe) -> None:
    """The stored object has the keys that it has without stream."""
    plain = probe.kept(probe.stored(messages=COUNT, max_tokens=8)["id"])
    streamed = probe.kept(_stream(probe, store=True).chunks[0]["id"])

    expect.keys(streamed, list(plain), "the stored object of a stream")


@check("stream", decision(40), needs=("get",))
def created_is_that_of_the_store(probe: Probe) -> None:
    """created in the chunks is created in the store."""
    chunk = _stream(probe, store=True).chunks[0]

    expect.equal(probe.kept(chunk["id"])["created"], chunk["created"], "created")


@check("stream", CAPTURED)
def stream_false_is_no_stream(probe: Probe) -> None:
    """stream: false, which the Python client's parse() sends, is a plain reply."""
    expect.equal(probe.created(stream=False)["object"], "chat.completion", "object")
