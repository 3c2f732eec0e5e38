"""Samples that a model cannot learn from: it cannot write their labels, or they are too long.

A chat template may take one call only, refuse a turn, or write a string so that it is not read back
equal. Such samples stay in the data, which does not depend on a model.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.errors import ConfigError
from looptool.core.params import FILE, Model
from looptool.engines import prompts_of
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
) -> pl.DataFrame:
    """Return the samples that a model cannot learn from, as `tables.LeftOut`, and report them.

    Args:
        base: the model's folder.
        samples: `tables.Samples`.
        chosen: the section `model` of params, for a base that has no chat template chosen yet.
        max_tokens: the maximum number of tokens of a prompt and its answer; None: the model's own.
        new_tokens: the number of tokens that an answer may have, if that is more than the label's.

    Raises:
        ConfigError: if no sample is left.
    """
    tokenizer = load_tokenizer(base, chosen)
    room = min(room_of(base), max_tokens or sys.maxsize)
    texts: dict[str, tuple[str, str]] = {}
    rows: list[dict[str, Any]] = []

    def leave_out(sample_id: str, check: str, reason: str) -> None:
        rows.append({"sample_id": sample_id, "check": check, "reason": reason})

    labels = map(canonical.loads, samples["label"])
    for sample_id, prompt, label in zip(
        samples["sample_id"], prompts_of(samples), labels, strict=True
    ):
        try:
            texts[sample_id] = (
                render(tokenizer, prompt), label_text(tokenizer, prompt, label)
            )  # fmt: skip
        except ConfigError as error:
            leave_out(sample_id, "template", str(error))
    for sample_id, parts in texts.items():
        prompt_ids, label_ids = tokenizer(list(parts), add_special_tokens=False).input_ids
        tokens = len(prompt_ids) + max(len(label_ids), new_tokens)
        if tokens > room:
            what = f"{len(prompt_ids)} tokens and an answer of {tokens - len(prompt_ids)}"
            leave_out(sample_id, "length", f"a prompt of {what}, at most {room} together")
    if rows:
        _report(rows, len(samples), max_tokens)
    return tables.frame(tables.LeftOut, rows)


def _report(rows: list[dict[str, Any]], samples: int, max_tokens: int | None) -> None:
    """Print how many samples are left out and why.

    Raises:
        ConfigError: if these are all.
    """
    last = rows[-1]["reason"]
    if len(rows) == samples:
        field = "train.max_tokens" if max_tokens and rows[-1]["check"] == "length" else "model.base"
        raise ConfigError(f"{FILE}: {field}: the model can learn from no sample: {last}")
    print(
        f"{len(rows)} of {samples} samples are left out of training: {last}",
        file=sys.stderr,
        flush=True,
    )
