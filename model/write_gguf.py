"""Store a trained network as GGUF and describe it: `python -m model.write_gguf --run DIRECTORY --created UNIX_TIME`.

Writes `hansard-tiny.gguf` (Q8_0) and `hansard-tiny.json`, the facts that the model card and the tests read. The
creation time is an argument, so that the same run gives the same bytes.
"""

# The ordinary environment has none of the training libraries, and then their types are Any.
# mypy: disable-error-code="import-not-found"

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray

from model.network import Shape
from model.tokenizer import CONTROL_TOKENS, END_OF_TEXT, TEMPLATE, TEXT_TOKENS, TURN_END
from model.world import NAME

LICENCE = "Apache-2.0"
Q8_0 = gguf.GGMLQuantizationType.Q8_0

TENSORS = {"embedding.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
LAYER_TENSORS = {
    "attention_norm": "attn_norm",
    "attention.query": "attn_q",
    "attention.key": "attn_k",
    "attention.value": "attn_v",
    "attention.output": "attn_output",
    "attention.query_norm": "attn_q_norm",
    "attention.key_norm": "attn_k_norm",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}
"""Our names on the left, llama.cpp's for the `qwen3` architecture on the right."""


def tensor_names(layers: int) -> dict[str, str]:
    """Every parameter of the network with its name in the file."""
    inner = {
        f"layers.{layer}.{ours}.weight": f"blk.{layer}.{theirs}.weight"
        for layer in range(layers)
        for ours, theirs in LAYER_TENSORS.items()
    }
    return TENSORS | inner


def add_shape(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.key_value_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocabulary)


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Mapping[str, Any]) -> None:
    """Vocabulary, merges and template. `tokenizer` is the JSON that the tokenizers library saves."""
    ids: dict[str, int] = tokenizer["model"]["vocab"]
    types = [gguf.TokenType.NORMAL] * len(ids)
    for token in CONTROL_TOKENS:
        types[ids[token]] = gguf.TokenType.CONTROL
    for token in TEXT_TOKENS:
        types[ids[token]] = gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(sorted(ids, key=lambda token: ids[token]))
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(ids[TURN_END])
    writer.add_pad_token_id(ids[END_OF_TEXT])
    writer.add_bos_token_id(ids[END_OF_TEXT])
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(TEMPLATE)


def add_sampling(writer: gguf.GGUFWriter) -> None:
    """What requests cannot set: a model this small needs its unlikely tokens cut off at temperature 1."""
    writer.add_sampling_temp(1.0)
    writer.add_sampling_top_k(20)
    writer.add_sampling_min_p(0.4)


def add_weight(writer: gguf.GGUFWriter, name: str, weight: NDArray[np.float32]) -> None:
    """Matrices as Q8_0, vectors as they are."""
    if weight.ndim < 2:
        writer.add_tensor(name, weight)
        return
    writer.add_tensor(name, gguf.quants.quantize(weight, Q8_0), raw_dtype=Q8_0)


def write(run: Path, target: Path) -> int:
    """Write the network of `run` to `target` and give its number of parameters."""
    saved = torch.load(run / "network.pt")
    shape = Shape(**saved["shape"])
    writer = gguf.GGUFWriter(str(target), "qwen3")
    writer.add_name(NAME)
    writer.add_description("A tiny demonstration model that ships with Hansard")
    writer.add_license(LICENCE)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_shape(writer, shape)
    add_tokenizer(writer, json.loads((run / "tokenizer.json").read_text(encoding="utf-8")))
    add_sampling(writer)
    for ours, theirs in tensor_names(shape.layers).items():
        add_weight(writer, theirs, saved["weights"][ours].float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sum(weight.numel() for weight in saved["weights"].values())


def describe(run: Path, target: Path, *, parameters: int, created: int) -> dict[str, Any]:
    """What `hansard-tiny.json` says about the file."""
    content = target.read_bytes()
    return {
        "name": NAME,
        "created": created,
        "license": LICENCE,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "parameters": parameters,
        "architecture": "qwen3",
        "quantization": "Q8_0",
        "context_tokens": Shape.context,
        "training": json.loads((run / "training.json").read_text(encoding="utf-8")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Store a trained network as GGUF.")
    parser.add_argument("--run", type=Path, required=True, help="directory that model.train wrote")
    parser.add_argument("--to", type=Path, required=True, help="directory for the two files")
    parser.add_argument("--created", type=int, required=True, help="unix time to record")
    arguments = parser.parse_args()
    target = arguments.to / f"{NAME}.gguf"
    parameters = write(arguments.run, target)
    description = describe(arguments.run, target, parameters=parameters, created=arguments.created)
    target.with_suffix(".json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    print(target, description["size_bytes"], description["sha256"])


if __name__ == "__main__":
    main()
