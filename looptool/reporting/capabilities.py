"""The capability matrix: which failures of which categories became rarer between two models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from looptool.core import tables
from looptool.core.samples import ERROR_TYPES
from looptool.evaluation.scores import headline

NAMES = (*ERROR_TYPES, "other")  # BFCL's checker has names of its own for some failures
_SAME = {
    "irrelevance_error:decoder_success": "unexpected_call",
    "relevance_error:decoder_failed": "missing_call",
}
_NAMES = {"heldout": "held-out", "bfcl": "BFCL", "acebench": "ACEBench"}


def matrix(before: pl.DataFrame, after: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one row per benchmark and category, with the failures of two models.

    Args:
        before, after: `tables.Eval` of the same rows.

    Returns:
        `{"benchmark", "category", "rows", "right": [before, after], "failures": {error type:
        [before, after]}}`, with the error types that occur.
    """
    before, after = map(headline, (before, after))
    both = pl.concat([before.with_columns(when=pl.lit(0)), after.with_columns(when=pl.lit(1))])
    both = both.with_columns(pl.col("error_type").replace(_SAME))
    known = pl.col("error_type").is_in(ERROR_TYPES)
    both = both.with_columns(
        error_type=pl.when("valid")
        .then(None)
        .when(known)
        .then("error_type")
        .otherwise(pl.lit("other"))
    )
    counted = both.group_by("benchmark", "category", "error_type", "when").len()
    rows = []
    for benchmark, category in (
        both.select("benchmark", "category").unique(maintain_order=True).iter_rows()
    ):
        part = counted.filter(benchmark=benchmark, category=category)
        found = {(row["error_type"], row["when"]): row["len"] for row in part.iter_rows(named=True)}

        def of(error_type: str | None, found: dict[Any, int] = found) -> list[int]:
            return [found.get((error_type, when), 0) for when in (0, 1)]

        rows.append(
            {
                "benchmark": benchmark,
                "category": category,
                "rows": int(part.filter(when=0)["len"].sum()),
                "right": of(None),
                "failures": {name: of(name) for name in NAMES if any(of(name))},
            }
        )
    return rows


def show(data: Path, last: int, console: Console) -> None:
    """Print the matrix of models/0 and the last model; nothing if one was not evaluated."""
    paths = [data / str(iteration) / "eval.parquet" for iteration in (0, last)]
    if not all(path.exists() for path in paths):
        return
    rows = matrix(*(tables.read(path, tables.Eval) for path in paths))
    names = [name for name in NAMES if any(name in row["failures"] for row in rows)]
    table = Table(title=f"Answers of models/0 → models/{last}, in numbers of rows")
    for title in ("category", "rows", "right", *(name.replace("_", " ") for name in names)):
        first = title == "category"
        table.add_column(title, justify="left" if first else "right", no_wrap=first)
    for row in rows:
        table.add_row(
            f"{_NAMES[row['benchmark']]} {row['category']}",
            str(row["rows"]),
            _change(row["right"], better=1),
            *(_change(row["failures"].get(name), better=-1) for name in names),
        )
    console.print(table)


def _change(counts: list[int] | None, better: int) -> str:
    """Return "5 → 2", in green if it got better and in red if it got worse."""
    if counts is None:
        return ""
    before, after = counts
    gain = better * (after - before)
    style = "green" if gain > 0 else "red" if gain < 0 else "dim"
    return f"[{style}]{before} → {after}[/{style}]"
