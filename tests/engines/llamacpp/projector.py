"""Writes a random image projector: enough for the engine to take images, too little to see anything in them."""

from __future__ import annotations

import math
import random
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

from tests.engines.llamacpp import container
from tests.engines.llamacpp.container import ARRAY, BOOL, FLOAT32, STRING, UINT32, Key, numbers, text

# The shape of a small CLIP encoder: 56 pixels square in patches of 14, two blocks of width 64.
WIDTH, FEED_FORWARD, BLOCKS, HEADS, PATCH, SIDE = 64, 128, 2, 4, 14, 56

# A red pixel, as PNG.
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGA"
    "hKmMIQAAAABJRU5ErkJggg=="
)


def write(path: Path, *, embedding: int) -> None:
    """A projector into ``embedding`` dimensions."""
    tensors = [(name, shape, _random(shape)) for name, shape in _tensors(embedding)]
    container.write(path, keys=list(_keys(embedding)), tensors=tensors)


def _keys(embedding: int) -> Iterator[Key]:
    yield "general.architecture", STRING, text("clip")
    yield "clip.has_vision_encoder", BOOL, b"\x01"
    yield "clip.projector_type", STRING, text("mlp")
    yield "clip.use_gelu", BOOL, b"\x01"
    for name, number in {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "projection_dim": embedding,
        "block_count": BLOCKS,
        "attention.head_count": HEADS,
    }.items():
        yield f"clip.vision.{name}", UINT32, struct.pack("<I", number)
    yield "clip.vision.attention.layer_norm_epsilon", FLOAT32, struct.pack("<f", 1e-5)
    for name in ("image_mean", "image_std"):
        yield f"clip.vision.{name}", ARRAY, numbers(FLOAT32, "f", [0.5, 0.5, 0.5])


def _tensors(embedding: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "v.patch_embd.weight", (WIDTH, 3, PATCH, PATCH)
    yield "v.position_embd.weight", ((SIDE // PATCH) ** 2 + 1, WIDTH)
    yield "v.class_embd", (WIDTH,)
    for name in ("pre_ln", "post_ln"):
        yield from _layer(f"v.{name}", (WIDTH,))
    for block in range(BLOCKS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield from _layer(f"v.blk.{block}.{name}", (WIDTH, WIDTH))
        for name in ("ln1", "ln2"):
            yield from _layer(f"v.blk.{block}.{name}", (WIDTH,))
        yield from _layer(f"v.blk.{block}.ffn_up", (FEED_FORWARD, WIDTH))
        yield from _layer(f"v.blk.{block}.ffn_down", (WIDTH, FEED_FORWARD))
    yield from _layer("mm.0", (embedding, WIDTH))
    yield from _layer("mm.2", (embedding, embedding))


def _layer(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _random(shape: tuple[int, ...]) -> bytes:
    chance = random.Random(0)
    return array("f", (chance.gauss(0, 0.05) for _ in range(math.prod(shape)))).tobytes()
