"""The network of `hansard-tiny`: a small Qwen3-shaped decoder in plain PyTorch.

Only the shape lives here. `model.train` fits it and `model.write_gguf` stores it under the names llama.cpp expects,
so the attribute names below are free to be readable ones.
"""

# The ordinary environment has none of the training libraries, and then their types are Any.
# mypy: disable-error-code="import-not-found, misc"

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes of the network. Every matrix row is a multiple of 32, which Q8_0 blocks need."""

    vocabulary: int = 2048
    width: int = 256
    layers: int = 6
    heads: int = 4
    key_value_heads: int = 2
    head_width: int = 64
    feed_forward: int = 704
    context: int = 2048
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-6


class Norm(nn.Module):
    """Root-mean-square norm with a learned gain."""

    def __init__(self, width: int, *, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.epsilon)


def rotate(x: Tensor, *, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding, first half against second half (the NEOX order that Qwen3 uses)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class Attention(nn.Module):
    """Causal grouped-query attention with norms on queries and keys."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        query_width = shape.heads * shape.head_width
        key_width = shape.key_value_heads * shape.head_width
        self.query = nn.Linear(shape.width, query_width, bias=False)
        self.key = nn.Linear(shape.width, key_width, bias=False)
        self.value = nn.Linear(shape.width, key_width, bias=False)
        self.output = nn.Linear(query_width, shape.width, bias=False)
        self.query_norm = Norm(shape.head_width, epsilon=shape.norm_epsilon)
        self.key_norm = Norm(shape.head_width, epsilon=shape.norm_epsilon)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        rows, length, _ = x.shape
        split = (rows, length, -1, self.shape.head_width)
        query = rotate(self.query_norm(self.query(x).view(split)).transpose(1, 2), cosine=cosine, sine=sine)
        key = rotate(self.key_norm(self.key(x).view(split)).transpose(1, 2), cosine=cosine, sine=sine)
        value = self.value(x).view(split).transpose(1, 2)
        copies = self.shape.heads // self.shape.key_value_heads
        mixed = functional.scaled_dot_product_attention(
            query.to(value.dtype),
            key.to(value.dtype).repeat_interleave(copies, dim=1),
            value.repeat_interleave(copies, dim=1),
            is_causal=True,
        )
        projected: Tensor = self.output(mixed.transpose(1, 2).reshape(rows, length, -1))
        return projected


class FeedForward(nn.Module):
    """Gated feed-forward layer (SwiGLU)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return projected


class Layer(nn.Module):
    """One pre-norm decoder layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = Norm(shape.width, epsilon=shape.norm_epsilon)
        self.attention = Attention(shape)
        self.feed_forward_norm = Norm(shape.width, epsilon=shape.norm_epsilon)
        self.feed_forward = FeedForward(shape)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cosine, sine)
        result: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return result


class Network(nn.Module):
    """The decoder. `forward` gives the last hidden states; `logits` scores chosen ones over the vocabulary."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width, epsilon=shape.norm_epsilon)
        frequencies = shape.rope_base ** (-torch.arange(0, shape.head_width, 2).float() / shape.head_width)
        angles = torch.arange(shape.context).float()[:, None] * frequencies
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Start residual outputs at half the scale of the other matrices, so that depth does not add noise."""
        for name, weight in self.named_parameters():
            if weight.dim() < 2:
                continue
            gain = 0.3 if name.endswith(("output.weight", "down.weight")) else 0.6
            deviation = 0.02 if name == "embedding.weight" else gain / math.sqrt(weight.shape[1])
            nn.init.normal_(weight, 0.0, deviation)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x: Tensor = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, self.cosine[:length], self.sine[:length])
        result: Tensor = self.norm(x)
        return result

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of hidden states (..., width) over the vocabulary; the output matrix is the embedding itself."""
        return hidden @ self.embedding.weight.T
