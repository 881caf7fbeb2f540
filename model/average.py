"""The mean of two runs, the second of which continues the first: `python -m model.average --runs A B --out C`.

It answered more prompts correctly than either of them.
"""

# The ordinary environment has none of the training libraries, and then their types are Any.
# mypy: disable-error-code="import-not-found"

import argparse
import json
import shutil
from pathlib import Path

import torch


def average(first: Path, second: Path, out: Path) -> None:
    """Write a run directory with the mean weights and the record of the second run."""
    out.mkdir(parents=True, exist_ok=True)
    mean = torch.load(second / "network.pt")
    for name, weight in torch.load(first / "network.pt")["weights"].items():
        mean["weights"][name] = (mean["weights"][name] + weight) / 2
    torch.save(mean, out / "network.pt")
    record = json.loads((second / "training.json").read_text(encoding="utf-8"))
    content = json.dumps({**record, "averaged_with_the_run_before": True}, indent=2)
    (out / "training.json").write_text(content + "\n", encoding="utf-8")
    shutil.copy(second / "tokenizer.json", out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Average the weights of two runs.")
    parser.add_argument("--runs", type=Path, nargs=2, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    average(arguments.runs[0], arguments.runs[1], arguments.out)


if __name__ == "__main__":
    main()
