"""Processes that train together, one core each, and meet once a step.

Threads inside every operation would meet thousands of times a step, which stalls as soon as anything else runs.
"""

# The ordinary environment has none of the training libraries, and then their types are Any.
# mypy: disable-error-code="import-not-found, unused-ignore, no-untyped-call"

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Team:
    """One member's view: its place and how many there are."""

    place: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.place == 0

    def takes(self, number: int) -> bool:
        """Whether piece of work `number` is this member's."""
        return number % self.size == self.place

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each float32 tensor by its sum over all members."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def joined(place: int, size: int, meeting_point: Path) -> Team:
    """Meet the other members through the file `meeting_point`, which must not exist before."""
    torch.set_num_threads(1)
    if size > 1:
        distributed.init_process_group("gloo", init_method=f"file://{meeting_point}", rank=place, world_size=size)
    return Team(place, size)
