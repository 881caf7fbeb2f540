"""What checking a request costs: one of 2 KB, and one of 200 KB in a hundred messages.

In this process, in processor time, from the bytes of the body to the checked request: no socket, no generation. With
all that the server hands over: its router, its policy of storing, and an engine of either kind. An upstream is sent
the fields that the contract does not name; the engines of this server refuse them, so somebody has to look.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from bench.numbers import median, table
from hansard.completions import Completions
from hansard.core.validate import parse_create
from hansard.engines.base import Engine
from hansard.engines.echo import EchoEngine
from hansard.engines.router import Router
from hansard.engines.upstream.engine import UpstreamEngine
from hansard.observe import ignore
from hansard.recorder import Recorder
from hansard.store.database import database
from hansard.store.sql import SqlStore
from hansard.tenancy import DEFAULT_PROJECT, Principal

Check: TypeAlias = Callable[[bytes], object]


@dataclass(frozen=True)
class Case:
    """A request of so many messages and about so many bytes; one round checks it ``repeats`` times."""

    name: str
    messages: int
    size_bytes: int
    repeats: int
    bar_us: float
    """The most that it may take."""


CASES = (
    Case("2 KB, a conversation with a tool", messages=5, size_bytes=2_000, repeats=1_000, bar_us=30.0),
    Case("200 KB, 100 messages", messages=100, size_bytes=200_000, repeats=50, bar_us=2_000.0),
)
MODEL: Final = "tiny"
UPSTREAM: Final = "an upstream"
OURS: Final = "an engine of ours"
TEXT = 'She said: "Write it down" \u2013 and so it was written, on line after line.\n'

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a place up in the atlas.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "scale": {"type": "integer"}},
            "required": ["place", "scale"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
SETTINGS = {
    "model": MODEL,
    "temperature": 0.7,
    "max_completion_tokens": 256,
    "stream": True,
    "stream_options": {"include_usage": True},
    "store": True,
    "metadata": {"tier": "gold", "user": "7"},
    "tools": [TOOL],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench can be told."""
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each size (default 9)")


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, print, and return what was measured. Takes about two seconds."""
    checks = checks_for(folder)
    bodies = [request(messages=case.messages, size_bytes=case.size_bytes) for case in CASES]
    asked_for = [(case, body, who) for case, body in zip(CASES, bodies, strict=True) for who in checks]
    taken_us: list[list[float]] = [[] for _ in asked_for]
    for _ in range(asked.rounds):
        for (case, body, who), taken in zip(asked_for, taken_us, strict=True):
            taken.append(_round_us(checks[who], body, case.repeats))
    rows = [
        _summary(case, who, len(body), median(taken))
        for (case, body, who), taken in zip(asked_for, taken_us, strict=True)
    ]
    measured = {"rows": rows, "bars": [_bar(row) for row in rows]}
    print(report(measured))
    return measured


def checks_for(folder: Path) -> dict[str, Check]:
    """What the server does to a body, by who would answer; ``folder`` is named to a store that is never opened."""
    store = SqlStore(database(f"sqlite:///{folder.absolute()}/unused.db"))
    recorder = Recorder(store=store, observer=ignore)
    return {
        who: _check(Completions(router=Router(engines=[engine], aliases={}), store=store, recorder=recorder))
        for who, engine in _engines()
    }


def _engines() -> Iterator[tuple[str, Engine]]:
    yield UPSTREAM, UpstreamEngine(name=MODEL, base_url="http://127.0.0.1:1/v1", observer=ignore, takes_any_model=True)
    yield OURS, EchoEngine(name=MODEL)


def _check(completions: Completions) -> Check:
    """As ``hansard.api.chat`` calls it."""
    return partial(
        parse_create,
        takes_unknown=completions.takes_unknown_parameters,
        also=[partial(completions.may_be_stored, principal=Principal(DEFAULT_PROJECT))],
        refusals=completions.refusals,
    )


def request(*, messages: int, size_bytes: int) -> bytes:
    """The body of a request: a system message, then questions, answers by tool call, and what the tool said."""
    empty = len(_body([_message(number, "") for number in range(messages)]))
    text = TEXT * ((size_bytes - empty) // messages // len(json.dumps(TEXT)) + 1)
    # What a text of this length takes in JSON, so that the body comes near the size asked for.
    length = (size_bytes - empty) * len(text) // (messages * (len(json.dumps(text)) - 2))
    return _body([_message(number, text[:length]) for number in range(messages)])


def _message(number: int, text: str) -> dict[str, Any]:
    if number == 0:
        return {"role": "system", "content": text}
    call = f"call_{number // 4}"
    turns: Sequence[dict[str, Any]] = (
        {"role": "assistant", "content": text},
        {"role": "user", "content": [{"type": "text", "text": text}]},
        {
            "role": "assistant",
            "content": text,
            "tool_calls": [
                {"id": call, "type": "function", "function": {"name": "look_up", "arguments": '{"place": "Ur"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": call, "content": text},
    )
    return turns[number % 4]


def _body(messages: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps({**SETTINGS, "messages": messages}).encode()


def _round_us(check: Check, body: bytes, repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        check(body)
    return (time.process_time() - began) * 1e6 / repeats


def _summary(case: Case, who: str, size_bytes: int, cpu_us: float) -> dict[str, Any]:
    return {
        "row": case.name,
        "who": who,
        "bytes": size_bytes,
        "cpu_us": round(cpu_us, 1),
        "at_most_us": case.bar_us,
        "met": cpu_us <= case.bar_us,
    }


def _bar(row: dict[str, Any]) -> dict[str, Any]:
    what = f"CPU us to check {row['row']}, for {row['who']}"
    return {"what": what, "at_most": row["at_most_us"], "measured": row["cpu_us"], "met": row["met"]}


def report(measured: dict[str, Any]) -> str:
    """The table."""
    rows = [
        (
            each["row"],
            each["who"],
            f"{each['bytes']:,}",
            f"{each['cpu_us']:,.0f}",
            f"{each['at_most_us']:,.0f}",
            "met" if each["met"] else "**missed**",
        )
        for each in measured["rows"]
    ]
    return "\n" + table(("request", "who answers", "bytes", "CPU us", "at most", ""), rows)
