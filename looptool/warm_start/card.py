"""The card of an adapter: what it was made from, how, and what it scores."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical, machine
from looptool.warm_start import embedded
from looptool.warm_start.merging import template_hash, weights_hash
from looptool.warm_start.recipe import WarmStart

LICENCE = (
    "The adapter modifies SmolLM2-135M-Instruct by HuggingFaceTB (Apache-2.0, "
    "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct). It is under the licence of "
    "looptool and was trained on samples of looptool's grammar author alone."
)


def make(
    recipe: WarmStart,
    samples: pl.DataFrame,
    *,
    command: str,
    start: Mapping[str, Any] | None,
    scores: Mapping[str, Any],
    steps: int,
    tokens: int,
    dtype: str,
) -> dict[str, Any]:
    """Return the card of an adapter for the embedded model.

    Args:
        samples: `tables.Samples` that it was trained on.
        command: the command without its --output.
        start: the card of the adapter that was trained further, if it was one.
        scores: the scores along the way, by the number of samples.
        tokens: tokens read, without padding.
    """
    return {
        "base": {
            "model": "HuggingFaceTB/SmolLM2-135M-Instruct, Q4_1 of the package, in bf16",
            "package": f"{embedded.PACKAGE}=={embedded.VERSION}",
            "weights": weights_hash(embedded.load()),
        },
        "template": template_hash(),
        "commit": _commit(),
        "command": command,
        "start": start,
        "recipe": recipe.model_dump(mode="json"),
        "data": canonical.digest("\n".join(sorted(samples["sample_id"] + samples["label_id"]))),
        "samples": len(samples),
        "steps": steps,
        "tokens": tokens,
        "dtype": dtype,
        "device": machine.gpus()[0] if machine.gpus() else "CPU",
        "scores": dict(scores),
        "licence": LICENCE,
    }


def _commit() -> str | None:
    """Return the commit of the code, with "+" if files differ from it; None without git."""
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent, capture_output=True, text=True,
        )  # fmt: skip
    except FileNotFoundError:
        return None
    return shown.stdout.strip() or None
