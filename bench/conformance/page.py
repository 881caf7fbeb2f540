"""docs/conformance.md: who keeps how many of the rules, and every rule with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Run = dict[str, Any]

SIGNS = {"pass": "✓", "fail": "✗", "not applicable": "–", "error": "?"}

HEAD = """# Conformance

What servers of the Chat Completions API really do, measured over HTTP. Every rule is one check, and anybody can run
them on any server:

    hansard conformance --base-url URL --model MODEL

`--list` tells the checks, `--only` chooses among them, `--json FILE` and `--junit FILE` keep what was found.

A check is not applicable where a server refuses by name what an engine may be unable to do (`unsupported_parameter`
for tools, log probabilities, `n`, image input and the like), or where the documents leave the point open. Any other
answer passes or fails. An operation that is absent fails all its checks: nobody keeps the rules of what is not there.
That every check can fail is tested, by servers that are broken on purpose, a rule at a time.

`make conformance` writes this page, from real runs. Rules rest on OpenAI's official documents, recorded traffic of its
servers, public reports about them, or what its clients send; where all of these are silent, on
[our decisions](contract.md). The last row leaves those out, since nobody else made them.
"""

HOW = """## What was run

All but the echo engine answer with the same small model, [hansard-tiny](built-in-model.md), which follows the form of
a request and knows nothing. The gateways stand before llama.cpp's own server, so what that one cannot do counts
against them, too.
"""


def page(runs: Sequence[Run]) -> str:
    """The whole page; every run is what ``hansard conformance --json`` wrote, with name, version and how."""
    parts = [HEAD, *_scores(runs), HOW, *_servers(runs), *_absent(runs), *_rules(runs)]
    return "\n".join(parts).rstrip() + "\n"


def _scores(runs: Sequence[Run]) -> list[str]:
    operations = list(dict.fromkeys(operation for run in runs for operation in run["operations"]))
    rows = [[f"`{operation}`", *(_score(_checks(run, operation)) for run in runs)] for operation in operations]
    rows.append(["**all**", *(f"**{_score(run['checks'])}**" for run in runs)])
    rows.append(["without our decisions", *(_score(_not_ours(run)) for run in runs)])
    head = ["passed of applicable", *(f"{run['name']} {run['version']}" for run in runs)]
    return [*_table(head, rows), ""]


def _servers(runs: Sequence[Run]) -> list[str]:
    rows = [
        [run["name"], run["version"], run["how"], run["begun"][:10], str(len(run["checks"])) + _ago(run, runs)]
        for run in runs
    ]
    return [*_table(["server", "version", "how it was run", "date", "checks"], rows), ""]


def _ago(run: Run, runs: Sequence[Run]) -> str:
    """Says so of a run that is of an earlier suite than others."""
    names = {check["name"] for check in run["checks"]}
    missing = sum(check["name"] not in names for check in max(runs, key=lambda each: str(each["begun"]))["checks"])
    return f", by an earlier suite: {missing} of today's were not tried" if missing else ""


def _absent(runs: Sequence[Run]) -> list[str]:
    """Which operations are not there at all, as the first failed check of each says."""
    found = []
    for run in runs:
        reasons = dict.fromkeys(check["reason"] for check in run["checks"] if " is absent: " in check.get("reason", ""))
        operations = sorted({reason.split(" is absent")[0] for reason in reasons})
        if operations:
            found.append(f"- {run['name']} has no {_and([f'`{operation}`' for operation in operations])}.")
    return ["## Absent operations", "", *(found or ["None."]), ""]


def _rules(runs: Sequence[Run]) -> list[str]:
    """Every check, the union of all runs, in the order of the first."""
    checks = {check["name"]: check for run in runs for check in run["checks"]}
    lines = ["## Every rule", "", "✓ passed, ✗ failed, – not applicable, ? no verdict.", ""]
    for operation in dict.fromkeys(check["operation"] for check in checks.values()):
        rows = [
            [f"`{name.partition('.')[2]}`", _cell(check["rule"]), ", ".join(check["evidence"]), *_signs(runs, name)]
            for name, check in checks.items()
            if check["operation"] == operation
        ]
        head = ["check", "rule", "evidence", *(run["name"] for run in runs)]
        lines += [f"### {operation}", "", *_table(head, rows), ""]
    return lines


def _signs(runs: Sequence[Run], name: str) -> list[str]:
    def sign(run: Run) -> str:
        return next((SIGNS[check["outcome"]] for check in run["checks"] if check["name"] == name), "")

    return [sign(run) for run in runs]


def _checks(run: Run, operation: str) -> list[dict[str, Any]]:
    return [check for check in run["checks"] if check["operation"] == operation]


def _not_ours(run: Run) -> list[dict[str, Any]]:
    return [check for check in run["checks"] if not all(basis.startswith("decision ") for basis in check["evidence"])]


def _score(checks: Iterable[dict[str, Any]]) -> str:
    outcomes = [check["outcome"] for check in checks]
    applicable = [outcome for outcome in outcomes if outcome != "not applicable"]
    return f"{applicable.count('pass')}/{len(applicable)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
