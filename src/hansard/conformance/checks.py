"""What a check is: one rule, its evidence, and the function that tries it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from hansard.conformance.probe import Probe

# ``stream`` is create with ``stream: true``; ``http`` is what all operations share.
Operation = Literal["create", "stream", "list", "get", "messages", "update", "delete", "models", "http"]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

OFFICIAL = "official document"
RECORDED = "recorded traffic"
REPORTED = "public report"
CAPTURED = "captured from the official clients"

# What an engine may refuse by name because it cannot do it (decision 36): it would change the reply.
REFUSABLE = frozenset(
    {
        "audio",
        "functions",
        "function_call",
        "logit_bias",
        "logprobs",
        "messages",  # image, audio and file parts
        "modalities",
        "moderation",
        "n",
        "response_format",
        "tool_choice",
        "tools",
        "top_logprobs",
        "web_search_options",
    }
)


def decision(number: int) -> str:
    """Evidence: where the documents are silent, what docs/contract.md says."""
    return f"decision {number}"


def decided(question: str) -> str:
    """Evidence: the same, for a row of docs/contract.md that has no number."""
    return f"decision on {question}"


@dataclass(frozen=True, kw_only=True)
class Check:
    """``name`` is ``operation.rule``; ``title`` the rule in a sentence; ``evidence`` what it rests on.

    ``demands`` names the fields that the server may refuse by name: then the check is not applicable.
    ``needs`` names further operations that must be there at all; without them the check fails.
    """

    name: str
    title: str
    operation: Operation
    evidence: tuple[str, ...]
    run: Callable[[Probe], None]
    demands: frozenset[str] = frozenset()
    needs: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.startswith(f"{self.operation}."):
            raise ValueError(f"{self.name}: a check's name begins with its operation, {self.operation}.")
        if not self.title or not self.evidence:
            raise ValueError(f"{self.name}: a check needs a rule in words and its evidence.")
        if unknown := self.demands - REFUSABLE:
            raise ValueError(f"{self.name}: nobody may refuse {sorted(unknown)}.")


def check(
    operation: Operation,
    *evidence: str,
    demands: tuple[str, ...] = (),
    needs: tuple[Operation, ...] = (),
) -> Callable[[Callable[[Probe], None]], Check]:
    """Make a check of a function: its name is the rule's, its docstring the rule in words."""

    def make(run: Callable[[Probe], None]) -> Check:
        title = " ".join((run.__doc__ or "").split())
        return Check(
            name=f"{operation}.{run.__name__}",
            title=title,
            operation=operation,
            evidence=evidence,
            run=run,
            demands=frozenset(demands),
            needs=needs,
        )

    return make


def checks_in(module: ModuleType) -> Iterator[Check]:
    """The checks of a family, in the order of their writing: alone, or in tuples."""
    for value in vars(module).values():
        if isinstance(value, Check):
            yield value
        elif isinstance(value, tuple):
            yield from (one for one in value if isinstance(one, Check))
