"""``Idempotency-Key``: one completion however often it is asked for, through the official client and over crashes."""

from __future__ import annotations

import http.client
import itertools
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

from .conftest import Workshop
from .server import ECHO, Server, eventually, question
from .test_crash import everything
from .upstream import TEXT, Upstream
from .wire import DONE, stream, texts

ROUNDS = 5
CLIENTS = 4
SEED = int(os.environ.get("HANSARD_CRASH_SEED", random.SystemRandom().randrange(2**32)))

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as upstream:
        yield upstream


@pytest.fixture
def server(make_server: Workshop, upstream: Upstream) -> Server:
    return make_server("--upstream", upstream.base_url, model=()).start()


def ask(server: Server, *, model: str = "steady", key: str = KEY["Idempotency-Key"], **fields: Any) -> ChatCompletion:
    """Through the official client, plain."""
    with openai.OpenAI(base_url=server.base_url, api_key="none") as client:
        return client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Order!"}],
            extra_headers={"Idempotency-Key": key},
            **fields,
        )


def listen(server: Server, *, model: str = "steady", **fields: Any) -> tuple[str, str]:
    """Through the official client, streamed: the id and the text."""
    with (
        openai.OpenAI(base_url=server.base_url, api_key="none") as client,
        client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Order!"}],
            stream=True,
            extra_headers=KEY,
            **fields,
        ) as chunks,
    ):
        seen = list(chunks)
    [completion_id] = {chunk.id for chunk in seen}
    return completion_id, "".join(chunk.choices[0].delta.content or "" for chunk in seen if chunk.choices)


@pytest.mark.parametrize("store", [True, False], ids=["stored", "unstored"])
def test_a_repeat_gets_the_same_even_after_a_kill(server: Server, upstream: Upstream, store: bool) -> None:
    first = ask(server, store=store)
    assert first.choices[0].message.content == TEXT
    assert ask(server, store=store) == first

    server.kill()
    server.start()

    assert ask(server, store=store) == first
    assert len(upstream.received) == 1
    assert server.stored_ids == ([first.id] if store else [])
    assert f"replayed {first.id}" in server.stderr


@pytest.mark.parametrize("store", [True, False], ids=["stored", "unstored"])
def test_a_streamed_repeat_gets_the_same_even_after_a_kill(server: Server, upstream: Upstream, store: bool) -> None:
    first = listen(server, store=store)
    assert first[1] == TEXT
    assert listen(server, store=store) == first

    server.kill()
    server.start()

    assert listen(server, store=store) == first
    assert len(upstream.received) == 1
    assert server.stored_ids == ([first[0]] if store else [])


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
def test_eight_at_once_are_one(server: Server, upstream: Upstream, streamed: bool) -> None:
    with ThreadPoolExecutor(8) as pool:
        if streamed:
            asked = [pool.submit(listen, server, model="pauses", store=True) for _ in range(8)]
        else:
            asked = [pool.submit(ask, server, store=True) for _ in range(8)]
        eventually(lambda: upstream.received, "the upstream to be asked", server=server)
        upstream.release.set()
        replies = [future.result(30) for future in asked]

    assert replies == [replies[0]] * 8
    assert len(upstream.received) == 1
    assert len(server.stored_ids) == 1
    assert server.stderr.count(" replayed ") == 7


def test_who_leaves_midway_gets_the_whole_when_they_come_back(server: Server, upstream: Upstream) -> None:
    body = question("Go on.", model="pauses", stream=True, store=True)
    with stream(f"{server.base_url}/chat/completions", body, headers=KEY) as reply:
        next(iter(reply))
    eventually(lambda: " 499 " in server.stderr, "the line of the one who left", server=server)
    upstream.release.set()

    with stream(f"{server.base_url}/chat/completions", body, headers=KEY) as reply:
        *payloads, done = list(reply)

    assert done == DONE
    assert texts(payloads) == {0: TEXT}
    assert len(upstream.received) == 1
    assert not upstream.left.is_set()
    assert len(server.stored_ids) == 1


def test_shutdown_waits_for_one_whose_client_is_expected_back(server: Server, upstream: Upstream) -> None:
    body = question("Go on.", model="pauses", stream=True)
    with stream(f"{server.base_url}/chat/completions", body, headers=KEY) as reply:
        next(iter(reply))
    eventually(lambda: " 499 " in server.stderr, "the line of the one who left", server=server)
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(server.stop)
        upstream.release.set()
        assert stopped.result(30) == 0
    server.start()

    with stream(f"{server.base_url}/chat/completions", body, headers=KEY) as reply:
        *payloads, _ = list(reply)
    assert texts(payloads) == {0: TEXT}
    assert len(upstream.received) == 1


def test_another_request_under_the_key_is_a_conflict(server: Server, upstream: Upstream) -> None:
    ask(server)
    with pytest.raises(openai.ConflictError) as refused:
        ask(server, temperature=1)
    assert (refused.value.type, refused.value.param, refused.value.code) == (
        "invalid_request_error",
        None,
        "idempotency_key_reused",
    )
    eventually(lambda: " 409 " in server.stderr, "the line of the refusal", server=server)
    assert server.stderr.count(" 409 ") == 1, "the client tried again"
    assert len(upstream.received) == 1


def test_a_key_too_long_is_refused(server: Server, upstream: Upstream) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(server, key="x" * 256)
    assert refused.value.param == "Idempotency-Key"
    assert upstream.received == []


def test_a_failure_is_not_remembered(server: Server, upstream: Upstream) -> None:
    for _ in range(2):
        body = question("Speak.", model="fails", stream=True, store=True)
        with stream(f"{server.base_url}/chat/completions", body, headers=KEY) as reply:
            *_, failure, done = list(reply)
        assert '"error"' in failure
        assert done == DONE
    assert len(upstream.received) == 2
    assert server.stored_ids == []


def test_a_deleted_completion_is_made_anew(server: Server, upstream: Upstream) -> None:
    first = ask(server, store=True)
    assert server.delete(f"/chat/completions/{first.id}").status == 200
    again = ask(server, store=True)
    assert again.id != first.id
    assert server.stored_ids == [again.id]
    assert len(upstream.received) == 2


def test_a_key_is_free_again_after_its_time(make_server: Workshop) -> None:
    server = make_server("--idempotency-ttl-s", "1", model=ECHO).start()
    first = ask(server, model="echo")
    eventually(lambda: ask(server, model="echo").id != first.id, "the key to be free", server=server)


def test_without_a_store_a_key_counts_while_the_process_lives(make_server: Workshop) -> None:
    server = make_server("--store", "never", model=ECHO).start()
    first = ask(server, model="echo")
    assert ask(server, model="echo") == first
    server.kill()
    server.start()
    assert ask(server, model="echo").id != first.id


@pytest.mark.timeout(90)
def test_who_tries_again_after_any_kill_has_exactly_one(make_server: Workshop) -> None:
    """Clients that cannot know whether their last request was stored, killed at a random moment: the retry decides."""
    print(f"HANSARD_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    server = make_server(model=ECHO).start()
    whole: dict[str, bytes] = {}
    sent: list[str] = []
    for crash in range(ROUNDS):
        with ThreadPoolExecutor(CLIENTS) as pool:
            working = [pool.submit(work, server, f"{crash}-{client}", sent, whole) for client in range(CLIENTS)]
            time.sleep(chance.uniform(0.05, 0.4))  # waits for nothing: this is the random moment
            server.kill()
            for future in working:
                future.result(30)
        server.start()
        cut_off = [key for key in sent if key not in whole]
        for key in [*cut_off, *sent[-CLIENTS:]]:
            reply = once(server, key)
            assert whole.setdefault(key, reply) == reply

    assert len(whole) > ROUNDS * CLIENTS, "the kills came before anything was answered"
    stored = [completion["metadata"]["key"] for completion in everything(server)]
    assert sorted(stored) == sorted(sent)


def work(server: Server, name: str, sent: list[str], whole: dict[str, bytes]) -> None:
    """Ask under one key after the other until the server is dead."""
    for number in itertools.count():
        key = f"{name}-{number}"
        sent.append(key)
        try:
            whole[key] = once(server, key)
        except (OSError, http.client.HTTPException):
            return


def once(server: Server, key: str) -> bytes:
    body = question("Hello!", model="echo", store=True, metadata={"key": key})
    reply = server.post("/chat/completions", body, **{"idempotency-key": key})
    assert reply.status == 200, reply
    return reply.body
