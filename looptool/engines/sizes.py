"""How much a device gets at once: on a GPU as much as its memory holds, on a CPU as much as gains
speed.

Sizes follow from the device and the model alone, not from what memory is free at the moment: they
decide what is batched with what, and on that the last bits of the results depend.
"""

from __future__ import annotations

from typing import Any

CPU_ROWS = 128  # answers that are decoded side by side: 64 are nearly as fast on two cores
CPU_TOKENS = 1 << 17  # tokens of their prompts and answers, padding included
CPU_READ_ROWS = 16  # prompts read in one pass: more gain no speed, and cost padding
CPU_GROUPS = 2  # of completions that share a backward pass: more gain no speed
GPU_SHARE = 0.5  # of what the weights leave; the rest is for copies, fragments and logits
BYTES_TRAINED = 16  # a weight: itself and its gradient in bf16, master copy and Adam's two in fp32
BYTES_GRADIENT = 4  # the gradient in fp32: of a GPU's step alone, when no activations are there


def decoding_rows(model: Any, tokens: int) -> int:
    """Return how many answers are decoded side by side.

    Args:
        tokens: the longest prompt and its answer together.
    """
    if model.device.type == "cpu":
        return max(1, min(CPU_ROWS, CPU_TOKENS // tokens))
    return _rows_in_memory(model, tokens)


def reading_rows(model: Any, rows: int, tokens: int) -> int:
    """Return how many of `rows` prompts, the longest of `tokens`, are read in one pass."""
    most = CPU_READ_ROWS if model.device.type == "cpu" else _rows_in_memory(model, tokens)
    return min(rows, most)


def _rows_in_memory(model: Any, tokens: int) -> int:
    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    cached = 2 * config.num_hidden_layers * heads * size  # keys and values of a token
    read = 4 * config.hidden_size + 3 * config.intermediate_size  # one layer's activations
    weights = sum(weight.numel() * weight.itemsize for weight in model.parameters())
    room = GPU_SHARE * (_memory(model) - weights)
    return max(1, int(room / ((cached + read) * model.dtype.itemsize * tokens)))


def training_rows(model: Any, tokens: int, cpu_rows: int, taken: float = 0.0) -> int:
    """Return how many rows share one forward and backward pass.

    A layer keeps about 34 bytes for each of a token's `hidden_size` numbers in bf16 (Korthikanti
    et al. 2022, arXiv 2205.05198, table 2, without the attention matrices, which PyTorch's kernels
    never store), and the loss four float32 numbers for each token of the vocabulary.

    Args:
        tokens: the longest row.
        cpu_rows: what a CPU gets.
        taken: the share of the GPU's memory that vLLM has taken.
    """
    if model.device.type == "cpu":
        return cpu_rows
    config = model.config.get_text_config()
    kept = 17 * model.dtype.itemsize * config.hidden_size * config.num_hidden_layers
    state = sum(
        weight.numel() * (BYTES_TRAINED if weight.requires_grad else weight.itemsize)
        for weight in model.parameters()
    )
    room = GPU_SHARE * (_memory(model) * (1 - taken) - state)
    return max(1, int(room / ((kept + 16 * config.vocab_size) * tokens)))


def _memory(model: Any) -> int:
    import torch

    return int(torch.cuda.get_device_properties(model.device).total_memory)
