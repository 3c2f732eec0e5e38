"""Measure how fast this machine reads, generates and trains with a model, in a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looptool.core.machine import NumberTypeName

READ_ROWS, READ_TOKENS = 4, 200  # about the prompt length of the default params
WRITTEN_ROWS, WRITTEN_STEPS = 32, 8  # answers decoded in one batch, tokens of each
# Answers of a batch end at different times, so the last tokens are generated with few rows, slowly.
WRITTEN_SHARE = 0.45  # of the rate with WRITTEN_ROWS; measured with the embedded model
TRAINED_SHARE = 0.85  # of the rate of a pass; padding and the optimizer take the rest
TRAINED_ROWS, TRAINED_TOKENS, LABEL_TOKENS = 2, 240, 64


@dataclass(frozen=True, slots=True)
class Speeds:
    """Rates in tokens per second, averaged over whole batches."""

    read: float
    written: float
    trained: float


def measure(model: Path | str, dtype: NumberTypeName) -> Speeds:
    """Time reading, generating and training with random tokens.

    Args:
        model: a model folder. Memory must hold the model and its gradients.
    """
    import torch
    from transformers import DynamicCache

    from looptool.engines.kv_cache import RoomyLayer
    from looptool.engines.packed import packed
    from looptool.engines.transformers import load_model

    loaded, _ = load_model(model, dtype)
    vocabulary = loaded.config.get_text_config().vocab_size

    def tokens(rows: int, columns: int) -> Any:
        return torch.randint(vocabulary, (rows, columns), device=loaded.device)

    prompts = tokens(READ_ROWS, READ_TOKENS)
    cache = DynamicCache(config=loaded.config)

    def read() -> None:
        nonlocal cache
        cache = DynamicCache(config=loaded.config)
        loaded(input_ids=prompts, past_key_values=cache, logits_to_keep=1)

    with torch.inference_mode():
        read_seconds = _seconds(read)
        rows = torch.arange(WRITTEN_ROWS, device=loaded.device) % READ_ROWS
        for index, layer in enumerate(cache.layers):
            cache.layers[index] = RoomyLayer([layer], rows)
        mask = torch.ones(WRITTEN_ROWS, READ_TOKENS, dtype=torch.long, device=loaded.device)
        mask[0, 0] = 0  # a mask without padding is dropped, which would time another kernel

        def write() -> None:
            nonlocal mask
            mask = torch.cat([mask, mask.new_ones(WRITTEN_ROWS, 1)], dim=1)
            token = tokens(WRITTEN_ROWS, 1)
            out = loaded(input_ids=token, attention_mask=mask, past_key_values=cache)
            out.logits.float().log_softmax(-1)

        with packed(loaded):
            written_seconds = _seconds(write, WRITTEN_STEPS)

    def train() -> None:
        ids = tokens(TRAINED_ROWS, TRAINED_TOKENS)
        out = loaded(input_ids=ids, use_cache=False, logits_to_keep=LABEL_TOKENS)
        out.logits.float().log_softmax(-1)[..., 0].mean().backward()
        loaded.zero_grad()

    trained_seconds = _seconds(train)
    return Speeds(
        read=READ_ROWS * READ_TOKENS / read_seconds,
        written=WRITTEN_SHARE * WRITTEN_ROWS / written_seconds,
        trained=TRAINED_SHARE * TRAINED_ROWS * TRAINED_TOKENS / trained_seconds,
    )


def _seconds(work: Callable[[], None], times: int = 1) -> float:
    """Return the seconds of one `work` call, after one warm-up call."""
    import torch

    work()
    _wait(torch)
    start = time.perf_counter()
    for _ in range(times):
        work()
    _wait(torch)
    return (time.perf_counter() - start) / times


def _wait(torch: Any) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
