"""Error seeds: the verified failures that new samples are made from (EDDE)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from looptool.core import canonical
from looptool.core.answers import from_columns
from looptool.core.samples import prediction_label
from looptool.expansion import ErrorSeed


def error_seeds(outcomes: pl.DataFrame) -> list[ErrorSeed]:
    """Return the samples to expand: PRED_WRONG ones, and LABEL_WRONG ones with their new label.

    Args:
        outcomes: the rows of D_j with their events; see `label_correction.outcomes`.
    """
    chosen = outcomes.filter(pl.col("event").is_in(["error_seed", "corrected"])).sort("sample_id")
    return [
        ErrorSeed(
            row["sample_id"],
            canonical.loads(row["tools"]),
            canonical.loads(row["messages"]),
            canonical.loads(row["label"]),
            row["category"],
            row["error_type"],
            from_columns(row),
            row["previous_label"] if row["event"] == "corrected" else _wrong(row),
            row["rationale"] or "",
        )
        for row in chosen.iter_rows(named=True)
    ]


def _wrong(row: Mapping[str, Any]) -> str:
    label = prediction_label(row["text"], row["calls"], row["parse_error"])
    return str(row["prediction"]) if label is None else canonical.dumps(label)
