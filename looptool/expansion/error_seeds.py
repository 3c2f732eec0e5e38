"""Error seeds: the verified failures that new samples are made from (EDDE)."""

from __future__ import annotations

import polars as pl

from looptool.core import canonical
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
            row["prediction"],
            row["previous_label"] if row["event"] == "corrected" else row["prediction"],
            row["rationale"] or "",
        )
        for row in chosen.iter_rows(named=True)
    ]
