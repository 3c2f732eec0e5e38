"""The capability matrix of two models."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from rich.console import Console

from looptool.core import tables
from looptool.reporting.capabilities import matrix, show


def evals(*found: tuple[str, str, str | None]) -> pl.DataFrame:
    return tables.frame(
        tables.Eval,
        [
            {
                "benchmark": benchmark, "category": category, "id": str(number), "split": "test",
                "prediction": "", "answer": None, "valid": error is None, "strict": error is None,
                "error_type": error,
            }
            for number, (benchmark, category, error) in enumerate(found)
        ],
    )  # fmt: skip


BEFORE = evals(
    ("heldout", "single", "wrong_tool"), ("heldout", "single", "wrong_tool"),
    ("heldout", "parallel", None), ("bfcl", "simple", "unparsable"),
)  # fmt: skip
AFTER = evals(
    ("heldout", "single", None), ("heldout", "single", "wrong_argument"),
    ("heldout", "parallel", "wrong_count"), ("bfcl", "simple", "unparsable"),
)  # fmt: skip


def test_each_category_counts_its_failures_before_and_after() -> None:
    rows = {(row["benchmark"], row["category"]): row for row in matrix(BEFORE, AFTER)}
    single = rows["heldout", "single"]
    assert single["rows"] == 2 and single["right"] == [0, 1]
    assert single["failures"] == {"wrong_tool": [2, 0], "wrong_argument": [0, 1]}
    assert rows["heldout", "parallel"]["failures"] == {"wrong_count": [0, 1]}
    assert rows["bfcl", "simple"]["failures"] == {"unparsable": [1, 1]}


def test_bfcl_s_names_for_calls_and_texts_are_the_project_s() -> None:
    before = evals(
        ("bfcl", "irrelevance", "irrelevance_error:decoder_success"),
        ("bfcl", "live_relevance", "relevance_error:decoder_failed"),
        ("bfcl", "simple", "value_error:string"),
    )
    rows = matrix(before, before.with_columns(valid=True, strict=True, error_type=None))
    assert {row["category"]: row["failures"] for row in rows} == {
        "irrelevance": {"unexpected_call": [1, 0]},
        "live_relevance": {"missing_call": [1, 0]},
        "simple": {"other": [1, 0]},
    }


def test_it_is_printed_for_the_first_and_the_last_model(tmp_path: Path) -> None:
    console = Console(width=160, record=True)
    show(tmp_path, 2, console)
    assert console.export_text() == ""
    for iteration, frame in ((0, BEFORE), (2, AFTER)):
        tables.write(frame, tables.Eval, tmp_path / str(iteration) / "eval.parquet")
    show(tmp_path, 2, console)
    text = console.export_text()
    assert "models/0 → models/2" in text
    line = next(line for line in text.splitlines() if "held-out single" in line)
    assert "2 → 0" in line and "0 → 1" in line
    assert "wrong tool" in text and "wrong type" not in text
