"""What clients do that stay for their reply: scenarios that raise AssertionError for what no reply may be."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

from .lines import document
from .world import COMPLETIONS, REDACTED, SECRET, World, asked, eventually

MODELS = ("quick", "slow", "echo")
ANSWERS_TO = {"query": "order"}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Finds what was said in the house.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}


def said(reply: Any) -> dict[str, Any]:
    """The completion that a reply spells, plain or as a stream."""
    if reply.headers[b"content-type"].startswith(b"application/json"):
        return dict(document(reply))
    assert reply.status == 200, reply
    *events, done = [event.removeprefix(b"data: ") for event in reply.body.split(b"\n\n")[:-1]]
    assert done == b"[DONE]", reply.body[-300:]
    chunks = [json.loads(event) for event in events]
    assert not [chunk for chunk in chunks if "error" in chunk], reply.body[-500:]
    return dict(chunks[0])


async def plain(world: World, chance: Random) -> None:
    """Not kept."""
    reply = await world.ask("till", "POST", COMPLETIONS, asked("Order!", chance.choice(MODELS)))
    assert document(reply)["choices"][0]["message"]["content"]


async def streamed(world: World, chance: Random) -> None:
    """Not kept either."""
    usage = {"stream_options": {"include_usage": True}} if chance.random() < 0.5 else {}
    body = asked("Order!", chance.choice(MODELS), stream=True, **usage)
    assert said(await world.ask("till", "POST", COMPLETIONS, body))["object"] == "chat.completion.chunk"


async def stored(world: World, chance: Random) -> None:
    """Kept, without what its policy blacks out, and there as soon as it is acknowledged."""
    metadata = {"number": str(world.number()), "colour": chance.choice(("red", "green", "blue"))}
    prompt = f"Write to {SECRET} " + "why? " * chance.choice((1, 10, 100, 1000))
    body = asked(prompt, chance.choice(MODELS), store=True, metadata=metadata, stream=chance.random() < 0.5)
    made = said(await world.ask("till", "POST", COMPLETIONS, body))["id"]
    kept = document(await world.ask("till", "GET", f"{COMPLETIONS}/{made}"))
    assert kept["metadata"] == {"by": "till", **metadata}, kept
    page = await world.ask("report", "GET", f"{COMPLETIONS}/{made}/messages")
    (message,) = document(page)["data"]
    assert SECRET not in message["content"]
    assert REDACTED in message["content"]
    world.note("shop", made)


async def always(world: World, chance: Random) -> None:
    """Kept because the key says so, each for as long as its request says."""
    headers = {"x_hansard_ttl": f"{chance.randint(5, 30)}s"} if chance.random() < 0.5 else {}
    reply = await world.ask("keeper", "POST", COMPLETIONS, asked("Keep this.", "quick"), **headers)
    assert (await world.ask("keeper", "GET", f"{COMPLETIONS}/{document(reply)['id']}")).status == 200


async def elsewhere(world: World, chance: Random) -> None:
    """Another project stores one, and neither sees what the other has."""
    made = document(await world.ask("stranger", "POST", COMPLETIONS, asked("Mine.", "quick", store=True)))["id"]
    assert (await world.ask("stranger", "GET", f"{COMPLETIONS}/{made}")).status == 200
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/messages")):
        body = {"metadata": {}} if method == "POST" else None
        assert (await world.ask("till", method, f"{COMPLETIONS}/{made}{path}", body)).status == 404


async def conversation(world: World, chance: Random) -> None:
    """Turn by turn, each with all before it, as chats are kept."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are the speaker of the house. " * 20}]
    for turn in range(chance.randint(2, 5)):
        messages.append({"role": "user", "content": f"Question {turn} of {world.number()}"})
        body = {"model": "quick", "messages": messages, "store": True, "metadata": {"kind": "chat"}}
        made = document(await world.ask("till", "POST", COMPLETIONS, body))
        messages.append({"role": "assistant", "content": made["choices"][0]["message"]["content"]})
        world.note("shop", made["id"])


async def tools(world: World, chance: Random) -> None:
    """The model calls one, and is told what came of it."""
    question = {"role": "user", "content": "What was said?"}
    body = {"model": "caller", "messages": [question], "tools": [TOOL], "store": True, "stream": chance.random() < 0.5}
    made = said(await world.ask("till", "POST", COMPLETIONS, body))["id"]
    kept = document(await world.ask("till", "GET", f"{COMPLETIONS}/{made}"))["choices"][0]
    assert kept["finish_reason"] == "tool_calls", kept
    (call,) = kept["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == ANSWERS_TO
    answer = {"role": "tool", "tool_call_id": call["id"], "content": "Order, order!"}
    turns = [question, {"role": "assistant", "tool_calls": [call]}, answer]
    body = {"model": "quick", "messages": turns, "tools": [TOOL], "store": True}
    world.note("shop", document(await world.ask("till", "POST", COMPLETIONS, body))["id"])


async def repeated(world: World, chance: Random) -> None:
    """Under one key: at once, again, and with another body."""
    key = f"soak-{world.number()}"
    body = asked("Once.", "quick", store=chance.random() < 0.5)
    replies = await asyncio.gather(
        *(world.ask("till", "POST", COMPLETIONS, body, idempotency_key=key) for _ in range(2))
    )
    replies.append(await world.ask("till", "POST", COMPLETIONS, body, idempotency_key=key))
    assert len({document(reply)["id"] for reply in replies}) == 1
    other = await world.ask("till", "POST", COMPLETIONS, {**body, "seed": 1}, idempotency_key=key)
    assert other.status == 409, other


async def listed(world: World, chance: Random) -> None:
    """A page and the next one, with and without filters."""
    filters = chance.choice(("", "&model=quick", "&metadata[colour]=red", "&metadata[kind]=chat", "&order=desc"))
    page = document(await world.ask("report", "GET", f"{COMPLETIONS}?limit={chance.randint(1, 30)}{filters}"))
    if page["has_more"]:
        after = f"{COMPLETIONS}?limit=5&after={page['last_id']}{filters}"
        assert document(await world.ask("report", "GET", after))["object"] == "list"


async def searched(world: World, chance: Random) -> None:
    """By a word that many have."""
    found = document(await world.ask("report", "GET", "/hansard/v1/search?q=order&limit=10"))
    assert found["object"] == "list"


async def counted(world: World, chance: Random) -> None:
    """By what there is, and by one key of metadata."""
    for query in ("", "?key=metadata[colour]"):
        assert document(await world.ask("report", "GET", f"/hansard/v1/facets{query}"))["object"] == "list"


async def changed(world: World, chance: Random) -> None:
    """New metadata; somebody may delete it in between."""
    if (known := world.known("shop", chance)) is not None:
        body = {"metadata": {"by": "till", "changed": str(world.number())}}
        reply = await world.ask("till", "POST", f"{COMPLETIONS}/{known}", body)
        assert reply.status in (200, 404), reply


async def deleted(world: World, chance: Random) -> None:
    """And gone at once."""
    if (newest := world.newest("shop")) is not None:
        assert document(await world.ask("till", "DELETE", f"{COMPLETIONS}/{newest}"))["deleted"] is True
        assert (await world.ask("till", "GET", f"{COMPLETIONS}/{newest}")).status == 404


async def refused(world: World, chance: Random) -> None:
    """Keys that are none, or not for this, and requests that are none."""
    wrong = {"authorization": f"Bearer sk-hansard-{chance.randbytes(16).hex()}"}
    assert (await world.lines.ask("GET", COMPLETIONS, **wrong)).status == 401
    assert (await world.lines.ask("GET", COMPLETIONS)).status == 401
    assert (await world.ask("report", "POST", COMPLETIONS, asked("No.", "quick"))).status == 403
    for body in (b"{", asked("No.", "quick", n=-1), asked("No.", "nobody")):
        assert (await world.ask("till", "POST", COMPLETIONS, body)).status in (400, 404)


async def limited(world: World, chance: Random) -> None:
    """A key that may ask once a second, and is told so."""
    reply = await world.ask("narrow", "POST", COMPLETIONS, asked("Me!", "slow", stream=True))
    assert reply.status in (200, 429), reply
    assert reply.headers[b"x-ratelimit-limit-requests"] == b"60"


async def broken(world: World, chance: Random) -> None:
    """Upstreams that fail, refuse, want to be left alone, or break off; and what is told of that."""
    model, statuses = chance.choice(
        (("fails", {502, 503}), ("refuses", {400, 503}), ("busy", {429, 503}), ("breaks", {502, 503}))
    )
    body = asked("Speak!", model, store=True, stream=model == "breaks")
    reply = await world.lines.ask("POST", COMPLETIONS, body, authorization=world.bearer("till"))
    if model == "breaks" and reply.status == 200:
        assert b'"upstream_unreachable"' in reply.body, reply
    else:
        assert reply.status in statuses, reply


async def looked(world: World, chance: Random) -> None:
    """What monitoring and tools ask for."""
    for who, path in (("report", "/v1/models"), ("scraper", "/metrics"), ("desk", "/hansard/v1/audit?limit=20")):
        assert (await world.ask(who, "GET", path)).status == 200, path
    for path in ("/readyz?verbose", "/livez", chance.choice(("/health", "/openapi.json"))):
        assert (await world.lines.ask("GET", path)).status == 200, path


async def keys(world: World, chance: Random) -> None:
    """One is made, used, replaced and revoked, and counts no more within a second."""
    limits = {"requests_per_minute": 1000, "tokens_per_month": 10**6}
    wanted = {"project": "shop", "name": f"passing {world.number()}", "policy": {"limits": limits}}
    first = document(await world.ask("desk", "POST", "/hansard/v1/keys", wanted))
    name = f"passing {first['id']}"
    try:
        world.keys[name] = first["key"]
        assert (await world.ask(name, "POST", COMPLETIONS, asked("Hello.", "quick"))).status == 200
        second = document(await world.ask("desk", "POST", f"/hansard/v1/keys/{first['id']}/rotate", {}))
        world.keys[name] = second["key"]
        assert (await world.ask(name, "POST", COMPLETIONS, asked("Hello.", "quick", stream=True))).status == 200
        assert (await world.ask("desk", "DELETE", f"/hansard/v1/keys/{second['id']}")).status == 200

        async def is_shut_out() -> bool:
            return (await world.ask(name, "GET", "/v1/models")).status == 401

        assert await eventually(is_shut_out, within_s=5), "a revoked key goes on counting"
    finally:
        del world.keys[name]


async def kept_alive(world: World, chance: Random) -> None:
    """A connection of its own for several requests, with pauses."""
    async with world.lines.new() as line:
        for _ in range(chance.randint(1, 4)):
            reply = await line.ask("POST", COMPLETIONS, asked("Hi.", "quick"), authorization=world.bearer("till"))
            assert reply.status == 200, reply
            await asyncio.sleep(chance.random())
