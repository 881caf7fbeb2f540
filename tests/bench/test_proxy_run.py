import pytest

from bench.proxy.load import Outcome
from bench.proxy.run import Cell, bars


def row(name: str, connections: int, server: str, cpu_us: float, failures: int = 0) -> dict[str, object]:
    return {"row": name, "connections": connections, "server": server, "cpu_us": cpu_us, "failures": failures}


def held(rows: list[dict[str, object]], *, acknowledged: int = 7, kept: int = 7) -> dict[str, object]:
    servers = [{"server": "Hansard", "cold_start_s": 1.0, "acknowledged": acknowledged, "kept": kept}]
    return {each["what"]: each for each in bars(rows, servers, 0.1)}


def test_a_cell_sums_up_its_rounds():
    cell = Cell()
    cell.add(Outcome(latencies_s=[0.001, 0.003], seconds=1.0), 0.0004)
    cell.add(Outcome(latencies_s=[0.002, 0.002], seconds=0.5), 0.0004)

    assert cell.summary() == {
        "requests": 4,
        "failures": 0,
        "requests_per_s": 3.0,
        "p50_ms": 2.0,
        "p99_ms": 3.0,
        "cpu_us": 200.0,
    }


def test_a_cell_without_a_reply_says_so():
    assert Cell().summary()["cpu_us"] is None


def test_a_bar_is_a_ratio_within_the_row():
    found = held([row("plain", 32, "Hansard", 280.0), row("plain", 32, "nginx", 20.0)])

    bar = found["plain, 32 connections: CPU against nginx"]
    assert (bar["measured"], bar["at_most"], bar["met"]) == (14.0, 14.0, True)


def test_what_is_stored_is_compared_with_nginx_passing_on_the_same():
    found = held([row("stream, stored", 32, "Hansard", 900.0), row("stream of 64", 32, "nginx", 100.0)])

    bar = found["stream, stored, 32 connections: CPU against nginx"]
    assert (bar["measured"], bar["met"]) == (9.0, False)


def test_a_missing_peer_is_neither_met_nor_missed():
    found = held([row("plain", 32, "Hansard", 280.0)])

    bar = found["plain, 32 connections: CPU against LiteLLM"]
    assert (bar["measured"], bar["met"]) == (None, None)


def test_a_failed_reply_of_ours_is_a_miss_and_one_of_a_peers_is_not():
    assert held([row("plain", 1, "Hansard", 1.0), row("plain", 1, "OGX", 1.0, failures=1)])["failed replies"]["met"]
    bar = held([row("plain", 1, "Hansard", 1.0), row("plain", 32, "Hansard", 1.0, failures=1)])["failed replies"]
    assert (bar["measured"], bar["met"]) == (1, False)


@pytest.mark.parametrize(("kept", "lost"), [(7, 0), (8, 0), (6, 1)])
def test_a_stored_reply_without_a_row_is_a_miss(kept: int, lost: int):
    bar = held([], acknowledged=7, kept=kept)["replies to store: true without a row"]

    assert (bar["measured"], bar["met"]) == (lost, lost == 0)
