"""Batch sizes: on a GPU as large as its memory allows, on a CPU as large as speed improves.

Sizes depend only on the device and the model, not on the memory that is free at the moment. They
decide which rows share a batch, and that affects the last bits of the results.
"""

from __future__ import annotations

from typing import Any

CPU_ROWS = 128  # answers decoded in one batch; 64 are nearly as fast on two cores
CPU_TOKENS = 1 << 17  # tokens of their prompts and answers, including padding
CPU_READ_ROWS = 16  # prompts read in one pass; more are not faster and cost padding
GPU_SHARE = 0.5  # of the memory beside the weights; the rest is for copies, fragments and logits


def decoding_rows(model: Any, tokens: int) -> int:
    """Return how many answers to decode in one batch.

    Args:
        tokens: length of the longest prompt plus its answer.
    """
    if model.device.type == "cpu":
        return max(1, min(CPU_ROWS, CPU_TOKENS // tokens))
    return _rows_in_memory(model, tokens)


def reading_rows(model: Any, rows: int, tokens: int) -> int:
    """Return how many of `rows` prompts to read in one pass; the longest has `tokens` tokens."""
    limit = CPU_READ_ROWS if model.device.type == "cpu" else _rows_in_memory(model, tokens)
    return min(rows, limit)


def _rows_in_memory(model: Any, tokens: int) -> int:
    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    cached = 2 * config.num_hidden_layers * heads * size  # keys and values of a token
    read = 4 * config.hidden_size + 3 * config.intermediate_size  # one layer's activations
    weights = sum(weight.numel() * weight.itemsize for weight in model.parameters())
    room = GPU_SHARE * (_memory(model) - weights)
    return max(1, int(room / ((cached + read) * model.dtype.itemsize * tokens)))


def _memory(model: Any) -> int:
    import torch

    return int(torch.cuda.get_device_properties(model.device).total_memory)
