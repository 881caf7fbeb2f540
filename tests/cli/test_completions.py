"""cli/completions: list, get, messages, update and delete over HTTP."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit

from tests.cli.run import Run, Terminal, without_style
from tests.cli.stub import Stub, completion, envelope, page

HEADING = "id\tcreated\tmodel\ttokens\tfinish\tmeta\tanswer\n"
ROW = "chatcmpl-001\t2026-11-20 10:15:31\thansard-tiny\t10/5\tstop\tteam=search\tParis. Île\n"

MESSAGES = page(
    {"id": "chatcmpl-001-0", "role": "system", "content": "Be brief.", "content_parts": None, "name": None},
    {
        "id": "chatcmpl-001-1",
        "role": "user",
        "content": "Look: ",
        "content_parts": [
            {"type": "text", "text": "Look:"},
            {"type": "image_url", "image_url": {"url": "http://x/y.png", "detail": None}},
        ],
        "name": "ada",
    },
)


def asked(stub: Stub, at: int) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(stub.seen[at].path)
    return parts.path, parse_qsl(parts.query)


def test_list_prints_tab_separated_lines_where_nobody_looks(stub: Stub, run: Run) -> None:
    stub.answers(page(completion(1)))

    outcome = run("completions", "list")

    assert outcome == (0, HEADING + ROW, "To see one: hansard completions get chatcmpl-001\n")
    assert asked(stub, 0) == ("/v1/chat/completions", [("order", "desc"), ("limit", "20")])


def test_list_sends_the_filters(stub: Stub, run: Run) -> None:
    stub.answers(page())

    outcome = run(
        *("completions", "list", "-m", "m", "--meta", "a=b", "--meta", "k[2]=x=y"),
        *("--limit", "5", "--after", "chatcmpl-9", "--order", "asc"),
    )

    assert outcome == (0, HEADING, "None found.\n")
    assert asked(stub, 0)[1] == [
        ("order", "asc"),
        ("model", "m"),
        ("metadata[a]", "b"),
        ("metadata[k[2]]", "x=y"),
        ("after", "chatcmpl-9"),
        ("limit", "5"),
    ]


def test_list_all_goes_through_every_page(stub: Stub, run: Run) -> None:
    stub.answers(page(completion(1), completion(2), has_more=True))
    stub.answers(page(completion(3)))

    outcome = run("completions", "list", "--all", "-q")

    assert outcome == (0, "chatcmpl-001\nchatcmpl-002\nchatcmpl-003\n", "")
    assert [dict(asked(stub, at)[1]) for at in (0, 1)] == [
        {"order": "desc", "limit": "100"},
        {"order": "desc", "limit": "100", "after": "chatcmpl-002"},
    ]


def test_a_limit_over_a_page_takes_several_and_says_that_more_follow(stub: Stub, run: Run) -> None:
    stub.answers(page(*(completion(number) for number in range(100)), has_more=True))
    stub.answers(page(completion(100), has_more=True))

    outcome = run("completions", "list", "--limit", "101", "-q")

    assert len(outcome.out.splitlines()) == 101
    assert outcome.err == "More follow: --all, or --after chatcmpl-100\n"
    assert dict(asked(stub, 1)[1])["limit"] == "1"


def test_an_empty_page_ends_the_list_whatever_it_claims(stub: Stub, run: Run) -> None:
    stub.answers(page(has_more=True))

    assert run("completions", "list", "--all", "-q") == (0, "", "None found.\n")


def test_list_json_is_one_page_of_all_that_was_given(stub: Stub, run: Run) -> None:
    stub.answers(page(completion(1), has_more=True))
    stub.answers(page(completion(2)))

    outcome = run("completions", "list", "--all", "--json")

    assert json.loads(outcome.out) == page(completion(1), completion(2))
    assert list(json.loads(outcome.out)["data"][0]) == list(completion(1))
    assert "Île" in outcome.out


def test_list_jsonl_is_an_object_a_line(stub: Stub, run: Run) -> None:
    stub.answers(page(completion(1), completion(2)))

    outcome = run("completions", "list", "--jsonl")

    assert [json.loads(line) for line in outcome.out.splitlines()] == [completion(1), completion(2)]


def test_what_a_model_wrote_cannot_steer_the_terminal(stub: Stub, run: Run) -> None:
    stub.answers(page(completion(1, metadata={"a": "\x1b]0;owned\x07\u202ex\ty"})))

    assert "\ta=\ufffd]0;owned\ufffd\ufffdx y\t" in run("completions", "list").out


def test_two_formats_at_once_are_a_usage_error(run: Run) -> None:
    outcome = run("completions", "list", "--json", "-q")

    assert outcome.code == 2
    assert "choose one of --json, --jsonl and --quiet" in outcome.err


def test_metadata_without_an_equals_sign_is_a_usage_error(run: Run) -> None:
    outcome = run("completions", "list", "--meta", "team")

    assert outcome.code == 2
    assert "'team' is not KEY=VALUE." in outcome.err


def test_list_is_a_table_in_a_terminal(stub: Stub, terminal: Terminal) -> None:
    stub.answers(page(completion(1), completion(2, metadata={"k": "v" * 40}, model="m" * 30)))

    outcome = terminal.run("completions", "list")

    assert outcome.code == 0
    assert without_style(outcome.out) == (
        "ID            CREATED              MODEL                 TOKENS  FINISH  META                            "
        "ANSWER\n"
        "chatcmpl-001  2026-11-20 10:15:31  hansard-tiny          10/5    stop    team=search                     "
        "Paris. Île\n"
        "chatcmpl-002  2026-11-20 10:15:31  mmmmmmmmmmmmmmmmmmm…  10/5    stop    k=vvvvvvvvvvvvvvvvvvvvvvvvvvv…  "
        "Paris. Île\n"
        "To see one: hansard completions get chatcmpl-002\n"
    )
    assert "\x1b[1m" in outcome.out


def test_a_narrow_table_goes_without_its_last_column(stub: Stub, terminal: Terminal) -> None:
    stub.answers(page(completion(1)))

    outcome = terminal.run("completions", "list", COLUMNS="70", NO_COLOR="1")

    assert without_style(outcome.out).splitlines()[:2] == [
        "ID            CREATED              MODEL         TOKENS  FINISH  META",
        "chatcmpl-001  2026-11-20 10:15:31  hansard-tiny  10/5    stop    team=search",
    ]


def test_agents_get_lines_even_in_a_terminal(stub: Stub, terminal: Terminal) -> None:
    stub.answers(page(completion(1)))

    assert terminal.run("completions", "list", AI_AGENT="1").out.startswith(HEADING + ROW)


def test_get_shows_what_was_asked_and_answered(stub: Stub, run: Run) -> None:
    stub.answers(completion(1))
    stub.answers(MESSAGES)

    outcome = run("completions", "get", "chatcmpl-001")

    assert outcome.code == 0
    assert outcome.out == (
        "id        chatcmpl-001\n"
        "model     hansard-tiny\n"
        "created   2026-11-20 10:15:31\n"
        "tokens    10/5 (asked/answered)\n"
        "seed      7\n"
        "metadata  team=search\n"
        "request   req_1\n"
        "\n"
        "system: Be brief.\n"
        "\n"
        "user ada: Look:\n"
        "[image_url]\n"
        "\n"
        "assistant (stop): Paris.\n"
        "Île\n"
    )
    assert [request.path for request in stub.seen] == [
        "/v1/chat/completions/chatcmpl-001",
        "/v1/chat/completions/chatcmpl-001/messages?limit=100",
    ]


def test_get_json_is_the_stored_object(stub: Stub, run: Run) -> None:
    stub.answers(completion(1))

    outcome = run("completions", "get", "chatcmpl-001", "--json")

    assert json.loads(outcome.out) == completion(1)
    assert len(stub.seen) == 1


def test_tool_calls_are_shown_as_calls(stub: Stub, run: Run) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    message = {"content": None, "role": "assistant", "tool_calls": [call]}
    stub.answers(completion(1, choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}]))
    stub.answers(page())

    assert 'assistant (tool_calls): add({"a":1})\n' in run("completions", "get", "chatcmpl-001").out


def test_an_id_is_one_segment_of_the_path(stub: Stub, run: Run) -> None:
    stub.answers(envelope("Completion a/b?c not found", code="not_found"), status=404)

    outcome = run("completions", "get", "a/b?c")

    assert outcome == (5, "", "Completion a/b?c not found\nStatus 404, request req_0123456789abcdef\n")
    assert stub.seen[0].path == "/v1/chat/completions/a%2Fb%3Fc"


def test_messages_are_listed_in_their_order(stub: Stub, run: Run) -> None:
    stub.answers(MESSAGES)

    outcome = run("completions", "messages", "chatcmpl-001")

    assert outcome == (
        0,
        "id\trole\tcontent\nchatcmpl-001-0\tsystem\tBe brief.\nchatcmpl-001-1\tuser ada\tLook: [image_url]\n",
        "",
    )
    assert asked(stub, 0)[1] == [("order", "asc"), ("limit", "100")]


def test_update_replaces_and_says_so(stub: Stub, run: Run) -> None:
    stub.answers(completion(1, metadata={"a": "b", "c": ""}))

    outcome = run("completions", "update", "chatcmpl-001", "--meta", "a=b", "--meta", "c=")

    assert outcome == (0, "", "Metadata replaced: chatcmpl-001 now has a=b c=.\n")
    assert (stub.seen[0].method, stub.seen[0].path) == ("POST", "/v1/chat/completions/chatcmpl-001")
    assert stub.seen[0].body == {"metadata": {"a": "b", "c": ""}}


def test_update_clear_leaves_none(stub: Stub, run: Run) -> None:
    stub.answers(completion(1, metadata={}))

    outcome = run("completions", "update", "chatcmpl-001", "--clear", "--json")

    assert outcome.err == "Metadata replaced: chatcmpl-001 now has none.\n"
    assert json.loads(outcome.out)["metadata"] == {}
    assert stub.seen[0].body == {"metadata": {}}


def test_update_wants_metadata_or_clear_and_not_both(run: Run) -> None:
    assert run("completions", "update", "chatcmpl-001").code == 2
    assert run("completions", "update", "chatcmpl-001", "--clear", "--meta", "a=b").code == 2


def test_delete_wants_yes_where_nobody_can_be_asked(stub: Stub, run: Run) -> None:
    outcome = run("completions", "delete", "chatcmpl-001")

    assert outcome == (2, "", "Nothing deleted: there is nobody to ask, so say --yes.\n")
    assert stub.seen == []


def test_delete_prints_what_is_gone(stub: Stub, run: Run) -> None:
    stub.answers({"object": "chat.completion.deleted", "id": "chatcmpl-001", "deleted": True})

    assert run("completions", "delete", "chatcmpl-001", "--yes") == (0, "chatcmpl-001\n", "")
    assert (stub.seen[0].method, stub.seen[0].path, stub.seen[0].body) == (
        "DELETE",
        "/v1/chat/completions/chatcmpl-001",
        None,
    )


def test_delete_goes_on_after_a_failure_and_ends_partly_done(stub: Stub, run: Run) -> None:
    stub.answers(envelope("Completion a not found", code="not_found"), status=404)
    stub.answers({"object": "chat.completion.deleted", "id": "b", "deleted": True})

    outcome = run("completions", "delete", "a", "b", "--yes")

    assert outcome == (
        3,
        "b\n",
        "a: Completion a not found\nStatus 404, request req_0123456789abcdef\n1 completion not deleted.\n",
    )


def test_delete_of_nothing_known_is_not_found(stub: Stub, run: Run) -> None:
    stub.answers(envelope("Completion a not found", code="not_found"), status=404)

    assert run("completions", "delete", "a", "--yes").code == 5


def test_delete_asks_in_a_terminal(stub: Stub, terminal: Terminal) -> None:
    stub.answers({"object": "chat.completion.deleted", "id": "a", "deleted": True})

    refused = terminal.run("completions", "delete", "a", "b", steps=[("[y/N]", "n\n")])
    agreed = terminal.run("completions", "delete", "a", steps=[("[y/N]", "y\n")])

    assert "Delete 2 completions for good? [y/N]" in refused.out
    assert refused.out.endswith("Nothing deleted.\n")
    assert (refused.code, agreed.code) == (1, 0)
    assert [request.method for request in stub.seen] == ["DELETE"]
