"""Samples that a model cannot learn from: it cannot write their labels, or they are too long.

A chat template may take one call only, refuse a turn, or write a string so that it is not read back
equal. Such samples stay in the data, which does not depend on a model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.errors import ConfigError
from looptool.core.params import FILE, Model
from looptool.core.runs import Run
from looptool.core.samples import Label, Message
from looptool.engines import Prompt, prompts_of
from looptool.engines.syntax import label_text
from looptool.engines.templates import render
from looptool.engines.transformers import load_tokenizer, room_of


def left_out(
    base: Path | str,
    samples: pl.DataFrame,
    *,
    chosen: Model | None = None,
    max_tokens: int | None = None,
    new_tokens: int = 0,
    on_progress: Callable[[int], Any] = lambda count: None,
) -> pl.DataFrame:
    """Return the samples that a model cannot learn from, as `tables.LeftOut`.

    Args:
        base: the model's folder.
        samples: `tables.Samples`.
        chosen: the section `model` of params, for a base that has no chat template chosen yet.
        max_tokens: the maximum number of tokens of a prompt and its answer; None: the model's own.
        new_tokens: the number of tokens that an answer may have, if that is more than the label's.
        on_progress: called with the number of samples checked so far.

    Raises:
        ConfigError: if no sample is left.
    """
    tokenizer = load_tokenizer(base, chosen)
    room = min(room_of(base), max_tokens or sys.maxsize)
    rows: list[dict[str, Any]] = []
    labels = map(canonical.loads, samples["label"])
    parts = zip(samples["sample_id"], prompts_of(samples), labels, strict=True)
    for number, (sample_id, prompt, label) in enumerate(parts, start=1):
        if problem := _problem(tokenizer, prompt, label, room, new_tokens):
            rows.append({"sample_id": sample_id, "check": problem[0], "reason": problem[1]})
        on_progress(number)
    if rows and len(rows) == len(samples):
        too_long = max_tokens and rows[-1]["check"] == "length"
        field = "train.max_tokens or vllm.max_model_len" if too_long else "model.base"
        raise ConfigError(
            f"{FILE}: {field}: the model can learn from no sample: {rows[-1]['reason']}"
        )
    return tables.frame(tables.LeftOut, rows)


def split(
    run: Run,
    base: Path | str,
    samples: pl.DataFrame,
    *,
    chosen: Model | None = None,
    max_tokens: int | None = None,
    new_tokens: int = 0,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the samples that a model can learn from, in their order, and those left out.

    Shows progress, and tells how many are left out. See `left_out` for the arguments.
    """
    with run.bar("samples checked", len(samples)) as on_progress:
        unfit = left_out(
            base, samples, chosen=chosen, max_tokens=max_tokens, new_tokens=new_tokens,
            on_progress=on_progress,
        )  # fmt: skip
    if len(unfit):
        reason = unfit["reason"][0]
        run.say(f"{len(unfit)} of {len(samples)} samples are left out of training: {reason}")
    return samples.join(unfit, on="sample_id", how="anti", maintain_order="left"), unfit


def _problem(
    tokenizer: Any, prompt: Prompt, label: Label, room: int, new_tokens: int
) -> tuple[str, str] | None:
    """Return the check that a sample fails and why, or None."""
    try:
        parts = render(tokenizer, prompt), label_text(tokenizer, prompt, label)
    except ConfigError as error:
        return "template", str(error)
    if any(_dropped(message, parts[0]) for message in prompt.messages):
        return "template", "the chat template drops a text beside calls"
    before, answer = map(len, tokenizer(list(parts), add_special_tokens=False).input_ids)
    answer = max(answer, new_tokens)
    if before + answer > room:
        reason = f"a prompt of {before} tokens and an answer of {answer}, at most {room} together"
        return "length", reason
    return None


def _dropped(message: Message, prompt: str) -> bool:
    """Return whether a prompt lacks the text that an assistant's message has beside its calls."""
    said = (message.get("content") or "").strip() if message.get("tool_calls") else ""
    return said not in prompt
