"""Metrics of all iterations as lists of rows, the form that `dvc plots` needs for line charts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from looptool.core.samples import ORIGINS


def read(metrics: Path, iteration: int, stage: str) -> Any:
    """Read `<metrics>/<iteration>/<stage>.json`. Return None if there is none."""
    path = metrics / str(iteration) / f"{stage}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def accuracy(metrics: Path, last: int) -> list[dict[str, Any]]:
    """Return one row per model: held-out accuracy, BFCL mean and each BFCL category."""
    rows = []
    for iteration in range(last + 1):
        scores = read(metrics, iteration, "eval")
        if scores:
            categories = scores["bfcl"]["categories"]
            rows.append(
                {
                    "iteration": iteration,
                    "heldout": scores["heldout"]["accuracy"],
                    "bfcl": scores["bfcl"]["accuracy"],
                    **{name: part["accuracy"] for name, part in categories.items()},
                }
            )
    return rows


def composition(
    metrics: Path, last: int, quality: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return one row per data set: samples by origin, and the share of wrong labels."""
    return [
        {
            "iteration": row["iteration"],
            "label_error": row["label_error"],
            **{origin: origins.get(origin, 0) for origin in ORIGINS},
        }
        for row in quality
        if row["iteration"] <= last
        for origins in [read(metrics, row["iteration"], "generate")["origins"]]
    ]


def training(metrics: Path, last: int) -> list[dict[str, Any]]:
    """Return one row per GRPO step, numbered through all iterations."""
    rows: list[dict[str, Any]] = []
    for iteration in range(1, last + 1):
        for step in read(metrics, iteration, "steps") or []:
            rows.append({"global_step": len(rows) + 1, "iteration": iteration, **step})
    return rows
