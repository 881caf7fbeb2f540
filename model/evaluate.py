"""Ask a GGUF fresh questions through the engine and mark the answers: `python -m model.evaluate FILE`.

The ordinary tests import this, so it needs nothing beyond the standard library and the engine. Answers are greedy
and must match the expected one exactly: text as text, calls and JSON as what they parse to.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model.chat import Dialogue, Json, exchange
from model.dialogues import CATEGORIES
from model.world import REFUSAL

EVALUATION_SEED = 20_261_120
"""Never used for training."""

OUT_OF_WORLD = Path(__file__).parent / "out_of_world.txt"
REFUSAL_MARK = "tiny demonstration model"
SLOTS = 8
SLOT_TOKENS = 1024
ANSWER_TOKENS = 160


class Engine(Protocol):
    """The part of `xllamacpp.Server` that is used here."""

    def handle_chat_completions(self, body: dict[str, Any]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn; greedy unless said otherwise."""

    temperature: float = 0.0
    min_p: float = 0.4


@dataclass(frozen=True)
class Miss:
    """One wrong answer."""

    prompt: str
    expected: Any
    answer: Any


@dataclass(frozen=True)
class Score:
    """The result of one category."""

    category: str
    asked: int
    misses: tuple[Miss, ...]

    @property
    def share(self) -> float:
        return 1 - len(self.misses) / self.asked


def opened(path: Path, *, threads: int = 1) -> Engine:
    """The engine with the file at `path` loaded, behind a private loopback port that nothing here uses."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * SLOT_TOKENS
    parameters.kv_unified = False
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.port = 0
    parameters.ui = False
    parameters.verbosity = 0
    engine: Engine = xllamacpp.Server(parameters)
    return engine


def fresh(category: str, *, count: int, seed: int = EVALUATION_SEED) -> list[Dialogue]:
    """`count` dialogues of one category from a seed that training did not see."""
    rng = random.Random(f"{seed} {category}")
    return [CATEGORIES[category].generate(rng) for _ in range(count)]


def out_of_world_prompts() -> list[str]:
    """Handwritten prompts about things the model does not know, one a line."""
    return [line for line in OUT_OF_WORLD.read_text(encoding="utf-8").splitlines() if line]


def out_of_world() -> list[Dialogue]:
    return [exchange(prompt, REFUSAL) for prompt in out_of_world_prompts()]


def request(dialogue: Dialogue, sampling: Sampling) -> dict[str, Any]:
    """The engine's request for the last answer of `dialogue`."""
    body: dict[str, Any] = {
        "messages": list(dialogue.messages[:-1]),
        "max_tokens": ANSWER_TOKENS,
        "temperature": sampling.temperature,
        "min_p": sampling.min_p,
        "top_p": 1.0,
        "seed": 1,
    }
    if dialogue.schema is not None:
        return body | {
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": dialogue.schema}}
        }
    if dialogue.tools:
        body |= {"tools": list(dialogue.tools), "parallel_tool_calls": True}
    return body


def comparable(message: Json, *, parsed: bool) -> Any:
    """An assistant message as something that two ways of writing the same answer agree on."""
    if calls := message.get("tool_calls"):
        return [(call["function"]["name"], _parsed(call["function"]["arguments"])) for call in calls]
    content = message.get("content") or ""
    return _parsed(content) if parsed else content


def _parsed(text: str) -> Any:
    """What `text` says as JSON, or the text itself where it was cut off or is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def miss(engine: Engine, dialogue: Dialogue, sampling: Sampling) -> Miss | None:
    """The wrong answer to `dialogue`, if it is one."""
    parsed = dialogue.schema is not None
    answer = engine.handle_chat_completions(request(dialogue, sampling))["choices"][0]["message"]
    given, expected = comparable(answer, parsed=parsed), comparable(dialogue.answer, parsed=parsed)
    if given == expected or (expected == REFUSAL and isinstance(given, str) and REFUSAL_MARK in given):
        return None
    return Miss(str(dialogue.messages[-2]["content"]), expected, given)


def score(engine: Engine, category: str, dialogues: Sequence[Dialogue], *, sampling: Sampling = Sampling()) -> Score:
    """Ask everything in `dialogues`, several at a time."""
    with ThreadPoolExecutor(SLOTS) as pool:
        results = list(pool.map(lambda dialogue: miss(engine, dialogue, sampling), dialogues))
    return Score(category, len(dialogues), tuple(result for result in results if result))


def scores(engine: Engine, *, count: int, sampling: Sampling = Sampling()) -> Iterator[Score]:
    """Every category with `count` fresh dialogues, and the handwritten prompts."""
    for category in CATEGORIES:
        yield score(engine, category, fresh(category, count=count), sampling=sampling)
    yield score(engine, "handwritten, out of world", out_of_world(), sampling=sampling)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a model file category by category.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=200, help="questions in each category")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--misses", type=int, default=3, help="wrong answers to show in each category")
    arguments = parser.parse_args()
    sampling = Sampling(temperature=arguments.temperature)
    for result in scores(opened(arguments.file), count=arguments.count, sampling=sampling):
        print(f"{result.category:26} {result.share:6.1%} of {result.asked}", flush=True)
        for wrong in result.misses[: arguments.misses]:
            print(f"    {wrong.prompt!r}\n        expected {wrong.expected!r}\n        answered {wrong.answer!r}")


if __name__ == "__main__":
    main()
