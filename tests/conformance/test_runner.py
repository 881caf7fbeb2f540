"""conformance/runner and probe: how checks end, what is excused, and what is left behind."""

from __future__ import annotations

import socket
from collections.abc import Callable

from hansard.conformance import expect
from hansard.conformance.checks import OFFICIAL, Check, Operation
from hansard.conformance.outcome import NotApplicable, Outcome, Result
from hansard.conformance.probe import Probe, Session
from hansard.conformance.runner import run, try_one
from hansard.conformance.wire import Address
from tests.conformance.broken import Zoo


def a_check(act: Callable[[Probe], None], *, operation: Operation = "create", demands: tuple[str, ...] = ()) -> Check:
    return Check(
        name=f"{operation}.rule",
        title="A rule.",
        operation=operation,
        evidence=(OFFICIAL,),
        run=act,
        demands=frozenset(demands),
    )


def asks_for_tools(probe: Probe) -> None:
    probe.created(tools=[{"type": "function", "function": {"name": "f"}}])


def refuses_to_judge(_: Probe) -> None:
    raise NotApplicable("there is nothing to see")


def test_a_check_that_returns_passes(sessions: dict[str, Session]) -> None:
    result = try_one(sessions["echo"], a_check(lambda probe: None))

    assert (result.outcome, result.exchanges) == (Outcome.PASS, ())


def test_a_mismatch_fails_with_both_sides_and_the_exchange(sessions: dict[str, Session]) -> None:
    result = try_one(sessions["echo"], a_check(lambda probe: expect.refusal(probe.create(), 400)))

    assert result.outcome is Outcome.FAIL
    assert result.expected == "status 400"
    assert result.got.startswith('status 200: {"id":"chatcmpl-')
    [exchange] = result.exchanges
    assert (exchange.sent.method, exchange.reply and exchange.reply.status) == ("POST", 200)


def test_a_reply_of_another_form_is_a_failure_and_not_an_error(sessions: dict[str, Session]) -> None:
    result = try_one(sessions["echo"], a_check(lambda probe: probe.created()["nothing"]["below"]))

    assert result.outcome is Outcome.FAIL
    assert (result.expected, result.got) == ("a reply of the documented form", "no 'nothing' in it")


def test_what_a_check_demands_may_be_refused_by_name(sessions: dict[str, Session]) -> None:
    result = try_one(sessions["echo"], a_check(asks_for_tools, demands=("tools",)))

    assert result.outcome is Outcome.NOT_APPLICABLE
    assert result.reason == "refused by name: Unsupported parameter: 'tools' is not supported with this model."


def test_what_it_does_not_demand_may_not(sessions: dict[str, Session]) -> None:
    assert try_one(sessions["echo"], a_check(asks_for_tools)).outcome is Outcome.FAIL
    assert try_one(sessions["echo"], a_check(asks_for_tools, demands=("n",))).outcome is Outcome.FAIL


def test_another_error_excuses_nothing(sessions: dict[str, Session]) -> None:
    def asks_wrongly(probe: Probe) -> None:
        probe.created(n="two")

    assert try_one(sessions["echo"], a_check(asks_wrongly, demands=("n",))).outcome is Outcome.FAIL


def test_a_check_may_say_that_it_does_not_apply(sessions: dict[str, Session]) -> None:
    result = try_one(sessions["echo"], a_check(refuses_to_judge))

    assert (result.outcome, result.reason) == (Outcome.NOT_APPLICABLE, "there is nothing to see")


def test_an_absent_operation_fails_its_checks_untried(servers: Zoo) -> None:
    session = Session(Address(base_url=servers.base_url("nothing-stored")), model="echo")
    tried: list[Probe] = []

    result = try_one(session, a_check(tried.append, operation="update"))

    assert result.outcome is Outcome.FAIL
    assert "update is absent: POST /nothing-stored/v1/chat/completions/chatcmpl-" in result.reason
    assert tried == []


def test_without_a_connection_there_is_no_verdict() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        session = Session(Address(base_url=f"http://127.0.0.1:{closed.getsockname()[1]}/v1"), model="m")

        result = try_one(session, a_check(lambda probe: None))

    assert result.outcome is Outcome.ERROR
    assert "ConnectionRefusedError" in result.reason


def test_a_check_that_breaks_is_no_verdict(sessions: dict[str, Session]) -> None:
    def breaks(_: Probe) -> None:
        raise ZeroDivisionError("oops")

    result = try_one(sessions["echo"], a_check(breaks))

    assert (result.outcome, result.reason) == (Outcome.ERROR, "the check itself broke: ZeroDivisionError: oops")


def test_a_run_keeps_the_order_and_leaves_nothing_behind(servers: Zoo) -> None:
    session = Session(Address(base_url=servers.base_url()), model="echo")
    stored: list[str] = []
    told: list[Result] = []

    def stores(probe: Probe) -> None:
        stored.append(probe.stored()["id"])
        stored.append(probe.streamed(store=True).chunks[0]["id"])

    def fails(probe: Probe) -> None:
        probe.created(model="none")

    checks = [a_check(stores), a_check(fails), a_check(stores)]
    results = run(session, checks, jobs=2, on_result=told.append)

    assert [result.outcome for result in results] == [Outcome.PASS, Outcome.FAIL, Outcome.PASS]
    assert sorted(map(id, told)) == sorted(map(id, results))
    assert len(stored) == 4
    assert {session.probe().get(completion_id).status for completion_id in stored} == {404}
