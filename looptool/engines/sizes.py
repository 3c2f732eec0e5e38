"""How much a device takes at once: on a GPU what its memory holds, on a CPU what gains speed.

A CPU's sizes are the same whatever memory is free, for they decide what is batched with what, and
on that the last bits of the results depend.
"""

from __future__ import annotations

from typing import Any

CPU_ROWS = 128  # answers that are decoded side by side: twice as many are no faster on two cores
CPU_TOKENS = 1 << 17  # of their prompts, padding included
CPU_READ_ROWS = 16  # prompts read in one pass: more gain no speed, and cost padding
CPU_GROUPS = 2  # of completions that share a backward pass: more gain no speed
GPU_SHARE = 0.5  # of the free memory; the rest is for copies, fragments and the vocabulary's logits


def decoding_rows(model: Any, tokens: int) -> int:
    """Return how many answers are decoded side by side.

    Args:
        tokens: the longest prompt and its answer together.
    """
    if model.device.type == "cpu":
        return max(1, min(CPU_ROWS, CPU_TOKENS // tokens))
    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    cached = 2 * config.num_hidden_layers * heads * size  # keys and values of a token
    read = 4 * config.hidden_size + 3 * config.intermediate_size  # one layer's activations
    return max(1, int(_free(model) / ((cached + read) * model.dtype.itemsize * tokens)))


def reading_rows(model: Any, rows: int) -> int:
    """Return how many of `rows` prompts are read in one pass."""
    return min(rows, CPU_READ_ROWS) if model.device.type == "cpu" else rows


def training_rows(model: Any, tokens: int, cpu_rows: int) -> int:
    """Return how many rows share one forward and backward pass.

    A layer keeps about 34 bytes for each of a token's `hidden_size` numbers in bf16 (Korthikanti
    et al. 2022, arXiv 2205.05198, table 2, without the attention matrices, which PyTorch's kernels
    never store), and the loss four float32 numbers for each token of the vocabulary.

    Args:
        tokens: the longest row.
        cpu_rows: what a CPU gets.
    """
    if model.device.type == "cpu":
        return cpu_rows
    config = model.config.get_text_config()
    kept = 17 * model.dtype.itemsize * config.hidden_size * config.num_hidden_layers
    return max(1, int(_free(model) / ((kept + 16 * config.vocab_size) * tokens)))


def _free(model: Any) -> float:
    """Return the bytes of the GPU's memory that one batch may take."""
    import torch

    total = torch.cuda.get_device_properties(model.device).total_memory
    return GPU_SHARE * (total - torch.cuda.memory_allocated(model.device))
