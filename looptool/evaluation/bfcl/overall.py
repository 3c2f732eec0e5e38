"""The leaderboard's averages of BFCL-v3.

Non-live: the mean over simple (the mean of Python, Java and JavaScript), multiple, parallel,
parallel_multiple and irrelevance. Live: the mean over all its rows. Multi-turn: the mean over its
four categories. Overall: the mean of these three.
(Source: bfcl_eval/eval_checker/eval_runner_helper.py, 2025.7.9.)
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from looptool.evaluation.bfcl.rows import CATEGORIES, LIVE, MULTI_TURN, ROWS

SIMPLE = ("simple", "java", "javascript")


@dataclass(frozen=True, slots=True)
class Overall:
    """Averages, each over the categories that were run; None if none was run.

    Attributes:
        overall: None unless every row of every category was run.
        missing: categories that were not run, or not on all rows.
    """

    non_live: float | None
    live: float | None
    multi_turn: float | None
    overall: float | None
    missing: tuple[str, ...]


def overall(results: pl.DataFrame, column: str = "valid") -> Overall:
    """Return the averages of one model's answers.

    Args:
        results: `tables.Eval`; rows of other benchmarks are ignored.
        column: `valid` (the official verdicts) or `strict`.
    """
    by_category = (
        results.filter(pl.col("benchmark") == "bfcl")
        .group_by("category")
        .agg(rows=pl.len(), right=pl.col(column).sum())
    )
    shares = {name: (right / rows, rows) for name, rows, right in by_category.iter_rows()}
    simple = _mean([shares[name][0] for name in SIMPLE if name in shares])
    others = [shares[name][0] for name in ("multiple", "parallel", "parallel_multiple",
                                           "irrelevance") if name in shares]  # fmt: skip
    non_live = _mean([*([] if simple is None else [simple]), *others])
    live_rows = sum(shares[name][1] for name in LIVE if name in shares)
    live = (
        sum(shares[name][0] * shares[name][1] for name in LIVE if name in shares) / live_rows
        if live_rows
        else None
    )
    multi_turn = _mean([shares[name][0] for name in MULTI_TURN if name in shares])
    missing = tuple(n for n in CATEGORIES if n not in shares or shares[n][1] != ROWS[n])
    whole = None if missing else _mean([non_live or 0.0, live or 0.0, multi_turn or 0.0])
    return Overall(non_live, live, multi_turn, whole, missing)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
