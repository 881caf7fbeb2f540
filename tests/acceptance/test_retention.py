"""Completions with a time to live, on the real server: listed, and a moment after their time gone."""

from __future__ import annotations

import re

from .conftest import Workshop
from .server import ECHO, Server, eventually


def status(server: Server, name: str, more: str = "") -> int:
    return server.get(f"/chat/completions/{name}{more}").status


def test_a_completion_is_there_for_its_time_and_no_longer(make_server: Workshop) -> None:
    server = make_server("--retention", "2s", model=ECHO).start()
    kept = server.post("/chat/completions", asked(), **{"X-Hansard-TTL": "never"}).json()["id"]
    name = server.post("/chat/completions", asked()).json()["id"]
    assert name in server.stored_ids

    eventually(lambda: status(server, name) == 404, "the completion to expire", within_s=20, server=server)

    assert status(server, name, "/messages") == 404
    assert server.stored_ids == [kept]
    assert server.get(f"/chat/completions?after={name}").json()["data"] == []
    eventually(lambda: "expired: 1 completions" in server.stderr, "a line about it", server=server)
    metrics = server.get("/metrics").body.decode()
    assert re.search(r"^hansard_expired_records_total 1$", metrics, re.MULTILINE)


def test_what_ended_while_no_server_ran_goes_with_the_next(make_server: Workshop) -> None:
    server = make_server(model=ECHO).start()
    name = server.post("/chat/completions", asked(), **{"X-Hansard-TTL": "1s"}).json()["id"]
    server.kill()

    server.start()

    eventually(lambda: status(server, name) == 404, "the completion to expire", within_s=20, server=server)
    assert server.stop() == 0


def asked() -> dict[str, object]:
    return {"model": "echo", "messages": [{"role": "user", "content": "Hear, hear!"}], "store": True}
