"""Muon for the matrices, Adam for embeddings and norms, with float32 masters behind a bfloat16 network.

On this model and budget Muon reached 0.98 evaluation loss where AdamW reached 1.18 in the same two minutes.
"""

# The ordinary environment has none of the training libraries, and then their types are Any.
# mypy: disable-error-code="import-not-found, untyped-decorator, no-any-return"

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.team import Team

MATRIX_RATE = 0.02
VECTOR_RATE = 0.003
MATRIX_DECAY = 0.005
MOMENTUM = 0.95
BETAS = (0.9, 0.98)
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz step from Keller Jordan's description of Muon (2024)."""


def orthogonalised(gradient: Tensor, *, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: every singular value is pushed towards one."""
    a, b, c = QUINTIC
    tall = gradient.shape[0] > gradient.shape[1]
    x = gradient.bfloat16()
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    result: Tensor = x.T if tall else x
    return result.float()


@dataclass
class Vector:
    """Adam's two running means for one parameter."""

    mean: Tensor
    square: Tensor


class MuonAdam:
    """Steps a bfloat16 network through its float32 masters, which are what is worth saving."""

    def __init__(self, network: nn.Module, *, masters: Mapping[str, Tensor], team: Team) -> None:
        self.parameters = dict(network.named_parameters())
        self.masters = dict(masters)
        self.team = team
        self.steps = 0
        self.gradients = {n: torch.zeros_like(w) for n, w in self.masters.items()}
        matrices = [n for n, p in self.parameters.items() if p.dim() == 2 and "embedding" not in n]
        vectors = [n for n in self.parameters if n not in matrices]
        self.momenta = {n: torch.zeros_like(self.masters[n]) for n in matrices}
        self.vectors = {
            n: Vector(torch.zeros_like(self.masters[n]), torch.zeros_like(self.masters[n])) for n in vectors
        }

    @torch.no_grad()
    def collect(self, *extra: Tensor) -> None:
        """Take over the gradients, averaged over the team; `extra` tensors are summed on the same way."""
        for name, parameter in self.parameters.items():
            assert parameter.grad is not None
            self.gradients[name].copy_(parameter.grad).div_(self.team.size)
            parameter.grad = None
        self.team.add_up([*self.gradients.values(), *extra])

    @torch.no_grad()
    def step(self, *, scale: float) -> None:
        """Apply the collected gradients, with both learning rates times `scale`."""
        self.steps += 1
        self._step_matrices(rate=MATRIX_RATE * scale)
        clip = self._clip()
        for name, vector in self.vectors.items():
            self._step_vector(name, vector, rate=VECTOR_RATE * scale, clip=clip)
        for name, parameter in self.parameters.items():
            parameter.copy_(self.masters[name])

    def _step_matrices(self, *, rate: float) -> None:
        """Every member works out its share of the updates; all apply all of them."""
        updates = {}
        for number, (name, momentum) in enumerate(self.momenta.items()):
            gradient = self.gradients[name]
            momentum.lerp_(gradient, 1 - MOMENTUM)
            mine = self.team.takes(number)
            updates[name] = orthogonalised(gradient.lerp(momentum, MOMENTUM)) if mine else torch.zeros_like(gradient)
        self.team.add_up(list(updates.values()))
        for name, update in updates.items():
            master = self.masters[name]
            master.mul_(1 - rate * MATRIX_DECAY)
            master.add_(update, alpha=-rate * max(1.0, master.shape[0] / master.shape[1]) ** 0.5)

    def _clip(self) -> float:
        """Factor that keeps the joint norm of the vector gradients at one or below."""
        squares = [self.gradients[name].square().sum() for name in self.vectors]
        return min(1.0, 1.0 / (float(torch.stack(squares).sum().sqrt()) + 1e-6))

    def _step_vector(self, name: str, vector: Vector, *, rate: float, clip: float) -> None:
        gradient = self.gradients[name] * clip
        vector.mean.lerp_(gradient, 1 - BETAS[0])
        vector.square.lerp_(gradient.square(), 1 - BETAS[1])
        mean = vector.mean / (1 - BETAS[0] ** self.steps)
        deviation = (vector.square / (1 - BETAS[1] ** self.steps)).sqrt()
        self.masters[name].add_(mean / (deviation + 1e-8), alpha=-rate)
