"""What the bench stores is what clients send and Hansard answers."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import openai
import pytest

from bench.store.corpus import Corpus
from bench.store.exchanges import CONVERSATIONS, HALF, SINGLE, SLOTS, TURNS, Exchange, parameters, records, request_body
from hansard.contract.response import Completion
from hansard.core.validate import parse_create


def test_a_request_is_spelled_as_the_official_client_does() -> None:
    said = [{"role": "user", "content": 'He said: "Ünter den Linden"\n\t– and so </on>.'}]
    exchange = Exchange(said, "Yes.", {"user": "u-1", "feature": "draft"})

    assert request_body(exchange) == _sent(exchange)


def _sent(exchange: Exchange) -> bytes:
    """What the official client sends for it."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_error(400)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        with (
            openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client,
            pytest.raises(openai.BadRequestError),
        ):
            client.chat.completions.create(**parameters(exchange))
        thread.join()
    return bodies[0]


def test_records_hold_right_requests_and_right_replies(texts: Corpus) -> None:
    for record in records(HALF, 128, corpus=texts.copy(seed=3), seed=3):
        request = parse_create(record.request)
        reply = msgspec.json.decode(record.reply, type=Completion)

        assert (reply.id, reply.created, reply.model) == (record.id, record.created, record.model)
        assert json.loads(record.request)["metadata"] == record.metadata
        assert request.request.model == record.requested_model


def test_ids_and_times_rise(texts: Corpus) -> None:
    made = list(records(SINGLE, 100, corpus=texts.copy(seed=3), seed=3))

    assert [record.id for record in made] == sorted({record.id for record in made})
    assert [record.created for record in made] == sorted(record.created for record in made)


def test_single_turns_have_one_message_and_say_nothing_twice(texts: Corpus) -> None:
    made = [json.loads(record.request) for record in records(SINGLE, 100, corpus=texts.copy(seed=3), seed=3)]

    assert {len(request["messages"]) for request in made} == {1}
    assert len({request["messages"][0]["content"] for request in made}) == 100


def test_a_turn_of_a_conversation_resends_all_that_was_said(texts: Corpus) -> None:
    made = list(records(CONVERSATIONS, SLOTS * 3, corpus=texts.copy(seed=3), seed=3))
    first, second = made[5], made[SLOTS + 5]
    said = json.loads(first.request)["messages"]
    answer = json.loads(first.reply)["choices"][0]["message"]["content"]

    now = json.loads(second.request)["messages"]
    assert now[:-1] == [*said, {"role": "assistant", "content": answer}]
    assert [message["role"] for message in now] == ["user", "assistant", "user"]
    assert second.metadata == first.metadata


def test_half_of_the_completions_are_of_conversations(texts: Corpus) -> None:
    made = list(records(HALF, SLOTS * 3, corpus=texts.copy(seed=3), seed=3))
    last = [len(json.loads(record.request)["messages"]) for record in made[-SLOTS:]]

    assert sorted(last) == [1] * (SLOTS // 2) + [5] * (SLOTS // 2)


def test_the_eleventh_turn_begins_a_new_conversation() -> None:
    text = "".join(f"This is line {number}, and no other line says it.\n" for number in range(60_000))
    corpus = Corpus([("prose", text), ("code", text.replace("This", "That"))], enough=10**7, seed=1)
    lengths = [len(json.loads(each.request)["messages"]) for each in records(CONVERSATIONS, 704, corpus=corpus, seed=1)]

    assert lengths[::SLOTS] == [2 * turn + 1 for turn in range(TURNS)] + [1]
