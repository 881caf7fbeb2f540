"""Fit the network to the dialogues: `python -m model.train --out DIRECTORY --minutes 35`.

Writes `tokenizer.json`, `network.pt` and `training.json` into the directory. The learning rate follows the clock, so
a slower machine sees fewer dialogues in the same minutes; the numbers in `training.json` say how many it saw.
"""

# The ordinary environment has none of the training libraries, and then their types are Any.
# mypy: disable-error-code="import-not-found, untyped-decorator, no-untyped-call, no-any-return"

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torch.nn import functional

from model.dialogues import stream
from model.network import Network, Shape
from model.optimizer import MuonAdam
from model.team import joined
from model.tokenizer import Encoded, Renderer, encoded, trained

TOKENIZER_SEED, EVALUATION_SEED = 7, 11
TOKENIZER_DIALOGUES, EVALUATION_DIALOGUES = 40_000, 400
LONGEST = 700
"""Tokens; longer dialogues (a few in a thousand) are dropped."""

BATCH_TOKENS = 1280
"""With padding, in one process and one step."""
POOL = 3000
"""Dialogues sorted by length together, so that a batch wastes little on padding."""

WARM_UP_STEPS = 40
CONSTANT_UNTIL = 0.3
REPORT_EVERY_S = 90


@dataclass(frozen=True)
class Options:
    """What a run is asked to do."""

    out: Path
    minutes: float
    seed: int
    rate: float
    start: Path | None
    processes: int


@dataclass
class Progress:
    """What a run has done."""

    steps: int = 0
    dialogues: int = 0
    tokens: int = 0
    targets: int = 0
    evaluation_loss: float = 0.0

    def add(self, counts: Tensor) -> None:
        """One more step, with (clock, dialogues, tokens, targets) summed over the team."""
        self.steps += 1
        self.dialogues += int(counts[1])
        self.tokens += int(counts[2])
        self.targets += int(counts[3])


def load_tokenizer(path: Path, renderer: Renderer) -> Tokenizer:
    """The tokenizer at `path`, trained first if there is none."""
    if not path.exists():
        dialogues = islice(stream(TOKENIZER_SEED), TOKENIZER_DIALOGUES)
        trained(map(renderer.text, dialogues), vocabulary=Shape.vocabulary).save(str(path))
    return Tokenizer.from_file(str(path))


def dialogues(tokenizer: Tokenizer, renderer: Renderer, *, seed: int) -> Iterator[Encoded]:
    texts = map(renderer.text, stream(seed))
    return (dialogue for dialogue in encoded(tokenizer, texts) if len(dialogue.tokens) <= LONGEST)


def batches(source: Iterator[Encoded], *, seed: int) -> Iterator[list[Encoded]]:
    """Dialogues of similar length, at most `BATCH_TOKENS` with padding, in random order."""
    rng = random.Random(seed)
    while pool := sorted(islice(source, POOL), key=lambda dialogue: len(dialogue.tokens)):
        grouped: list[list[Encoded]] = [[]]
        for dialogue in pool:
            if len(dialogue.tokens) * (len(grouped[-1]) + 1) > BATCH_TOKENS:
                grouped.append([])
            grouped[-1].append(dialogue)
        rng.shuffle(grouped)
        yield from grouped


def padded(batch: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Inputs and next tokens, both (dialogues, length); -1 where nothing is learned."""
    length = max(len(dialogue.tokens) for dialogue in batch) - 1
    inputs = np.zeros((len(batch), length), dtype=np.int64)
    nexts = np.full((len(batch), length), -1, dtype=np.int64)
    for row, dialogue in enumerate(batch):
        end = len(dialogue.tokens) - 1
        inputs[row, :end] = dialogue.tokens[:-1]
        nexts[row, :end] = np.where(dialogue.targets[1:], dialogue.tokens[1:], -1)
    return torch.from_numpy(inputs), torch.from_numpy(nexts)


def loss_of(network: Network, batch: Sequence[Encoded]) -> tuple[Tensor, int]:
    """Mean cross entropy over the targets, and how many there were."""
    inputs, nexts = padded(batch)
    chosen = (nexts.flatten() >= 0).nonzero().squeeze(1)
    hidden = network(inputs).flatten(0, 1)[chosen]
    return functional.cross_entropy(network.logits(hidden).float(), nexts.flatten()[chosen]), len(chosen)


@torch.no_grad()
def evaluation_loss(network: Network, held_out: Sequence[Encoded]) -> float:
    losses = [loss_of(network, held_out[at : at + 40]) for at in range(0, len(held_out), 40)]
    return sum(float(loss) * count for loss, count in losses) / sum(count for _, count in losses)


def rate_at(*, step: int, elapsed: float) -> float:
    """Warm up by steps, hold, then fall to zero as `elapsed` goes to one."""
    return min(1.0, step / WARM_UP_STEPS) * min(1.0, (1 - elapsed) / (1 - CONSTANT_UNTIL))


def run(place: int, options: Options, meeting_point: Path) -> None:
    """One member's part of the training; the first also reports and saves."""
    team = joined(place, options.processes, meeting_point)
    torch.manual_seed(options.seed)
    renderer = Renderer()
    tokenizer = load_tokenizer(options.out / "tokenizer.json", renderer)
    held_out = list(islice(dialogues(tokenizer, renderer, seed=EVALUATION_SEED), EVALUATION_DIALOGUES))
    held_out.sort(key=lambda dialogue: len(dialogue.tokens))

    network = Network(Shape())
    if options.start:
        network.load_state_dict(torch.load(options.start)["weights"])
    masters = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    network = network.bfloat16()
    optimizer = MuonAdam(network, masters=masters, team=team)

    progress = Progress()
    own_seed = options.seed * 1000 + place
    begun = reported = time.monotonic()
    for batch in batches(dialogues(tokenizer, renderer, seed=own_seed), seed=own_seed):
        loss, targets = loss_of(network, batch)
        loss.backward()
        clock = (time.monotonic() - begun) / (60 * options.minutes) if team.leads else 0.0
        counts = torch.tensor(
            [clock, len(batch), sum(len(each.tokens) for each in batch), targets], dtype=torch.float32
        )
        optimizer.collect(counts)
        elapsed = float(counts[0])
        if elapsed >= 1:
            break
        progress.add(counts)
        optimizer.step(scale=options.rate * rate_at(step=progress.steps, elapsed=elapsed))
        if team.leads and time.monotonic() - reported > REPORT_EVERY_S:
            reported = time.monotonic()
            report(options, progress, network, masters, held_out)
    if team.leads:
        report(options, progress, network, masters, held_out)


def report(
    options: Options, progress: Progress, network: Network, masters: dict[str, Tensor], held_out: Sequence[Encoded]
) -> None:
    progress.evaluation_loss = evaluation_loss(network, held_out)
    print(time.strftime("%H:%M:%S"), progress, flush=True)
    save(options, masters, progress)


def save(options: Options, masters: dict[str, Tensor], progress: Progress) -> None:
    torch.save({"shape": asdict(Shape()), "weights": masters}, options.out / "network.pt")
    earlier = (
        json.loads((options.start.parent / "training.json").read_text(encoding="utf-8")) if options.start else None
    )
    record = {"seed": options.seed, "minutes": options.minutes, **asdict(progress), "continues": earlier}
    (options.out / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def options_from_arguments() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="directory for tokenizer, weights and record")
    parser.add_argument("--minutes", type=float, default=35.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--rate", type=float, default=1.0, help="factor on both learning rates; below 1 for a warm start"
    )
    parser.add_argument("--start", type=Path, help="network.pt of an earlier run to continue from")
    parser.add_argument("--processes", type=int, default=2, help="one core each")
    return Options(**vars(parser.parse_args()))


def main() -> None:
    options = options_from_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.start:
        shutil.copy(options.start.parent / "tokenizer.json", options.out)
    load_tokenizer(options.out / "tokenizer.json", Renderer())
    with tempfile.TemporaryDirectory() as directory:
        spawn(run, (options, Path(directory) / "meeting"), nprocs=options.processes)


if __name__ == "__main__":
    main()
