"""What judges are worth where people decided: shares, intervals, kappa, and the cost of reviews."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core import tables
from looptool.lineage import views
from looptool.lineage.history import trace
from looptool.lineage.revisions import open_workspace
from looptool.reporting.judges import (
    add_views,
    agreements,
    kappa,
    next_percent,
    qualities,
    sources,
    wilson,
)
from looptool.reporting.report import write_report
from looptool.review.decisions import Decisions
from looptool.review.verdicts import Reviewed, open_reviewed
from tests.lineage.conftest import make_project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("judged"), 300, 2)


@pytest.fixture
def own(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(shutil.copytree(made, tmp_path / "own"))
    monkeypatch.chdir(folder)
    return folder


def review(name: str, wanted: dict[str, list[str]], sample: int | None = None) -> pl.DataFrame:
    """Give the first rows of each verdict these decisions, in order; returns what was reviewed."""
    reviewed = open_reviewed("1", sample)
    with Decisions(name) as decisions:
        for verdict, said in wanted.items():
            rows = reviewed.order({"verdict": verdict}, set())
            for row, decision in zip(rows, said, strict=False):
                decisions.add(reviewed, row, decision, None, "", 1.0)
    return reviewed.table


def test_precision_and_recall_are_shares_of_decided_rows(own: Path) -> None:
    review("ada", {
        "LABEL_WRONG": ["take", "take", "keep", "unsure"], "PRED_WRONG": ["keep"] * 6 + ["take"] * 2
    })  # fmt: skip
    (source,) = sources(open_workspace())
    found = {row["verdict"]: row for row in qualities(source)}
    assert found["LABEL_WRONG"]["precision"] == pytest.approx(2 / 3)
    assert found["LABEL_WRONG"]["recall"] == pytest.approx(2 / 4)
    assert found["PRED_WRONG"]["precision"] == pytest.approx(6 / 8)
    assert found["PRED_WRONG"]["recall"] == pytest.approx(6 / 7)
    assert found["LABEL_WRONG"]["decided"] == 3 and not found["LABEL_WRONG"]["sampled"]
    for row in found.values():
        assert row["precision_low"] <= row["precision"] <= row["precision_high"]


def decide_all(reviewed: Reviewed, wrong: set[str]) -> None:
    """Decide on all rows: labels judged LABEL_WRONG and those of `wrong` are taken, others kept."""
    with Decisions("ada") as decisions:
        for row, values in enumerate(reviewed.table.iter_rows(named=True)):
            take = values["verdict"] == "LABEL_WRONG" or values["sample_id"] in wrong
            decisions.add(reviewed, row, "take" if take else "keep", None, "", 1.0)


def test_a_sample_estimates_what_all_rows_would_give_whatever_was_decided_before(own: Path) -> None:
    table = review("ada", {"PRED_WRONG": ["take"] * 12, "BOTH_WRONG": ["keep"] * 3})
    # a person who thinks that every fourth label judged right is wrong
    wrong = {name for place, name in enumerate(sorted(table["sample_id"])) if place % 4 == 0}
    decide_all(open_reviewed("1", sample=10), wrong)
    reviewed = open_reviewed("1", sample=60)
    with Decisions("ada") as decisions:  # rows that were chosen before are asked for again
        assert len(reviewed.order({"undecided": "1"}, decisions.decided(reviewed))) >= 50
    decide_all(reviewed, wrong)
    (source,) = sources(open_workspace())
    sizes = dict(table["verdict"].value_counts().iter_rows())
    stands_for: Counter[str] = Counter()
    for key, weight in source.weights.items():
        stands_for[source.verdicts[key][0]] += weight
    assert {verdict: round(count) for verdict, count in stands_for.items()} == sizes
    found = {row["verdict"]: row for row in qualities(source)}
    takes = (pl.col("verdict") == "LABEL_WRONG") | pl.col("sample_id").is_in(list(wrong))
    recall = sizes["LABEL_WRONG"] / len(table.filter(takes))
    assert found["LABEL_WRONG"]["sampled"]
    assert found["LABEL_WRONG"]["recall_low"] <= recall <= found["LABEL_WRONG"]["recall_high"]
    assert found["LABEL_WRONG"]["recall"] == pytest.approx(recall, abs=0.12)


def test_the_next_percent_is_taken_where_reviews_change_most(own: Path) -> None:
    review("ada", {"LABEL_WRONG": ["take", "keep"], "PRED_WRONG": ["keep"] * 9 + ["drop"]})
    (source,) = sources(open_workspace())
    cost = next_percent(source)
    assert cost["samples"] == 300 and cost["decided"] == 12
    assert cost["reviews"] == math.ceil(0.01 * 300 / 0.5)  # half of LABEL_WRONG changes a label


def test_views_report_and_trace_show_them(own: Path) -> None:
    review("ada", {"LABEL_WRONG": ["take", "keep"]})
    review("bo", {"LABEL_WRONG": ["take", "take"]})
    snapshot = open_workspace()
    connection = views.connect(snapshot, guarded=True)
    try:
        add_views(connection, snapshot)
        (row,) = views.rows(connection, "SELECT * FROM agreement")
        assert (row["one"], row["two"], row["rows"], row["agreement"]) == ("ada", "bo", 2, 0.5)
        assert views.rows(connection, "SELECT count(*) AS n FROM reviews")[0]["n"] == 4
        assert views.rows(connection, "SELECT count(*) AS n FROM judges")[0]["n"] > 0
        assert views.rows(connection, "SELECT * FROM review_costs")[0]["decided"] == 2
        assert views.rows(connection, "SELECT * FROM audits") == []
    finally:
        views.close(connection)
    page = write_report().read_text("utf-8")
    assert "What judges are worth where people decided" in page and "kappa" in page
    one = tables.read(own / "data/reviews/ada.parquet", tables.Reviews)["sample_id"][0]
    assert [each["reviewer"] for each in trace(snapshot, one).lives[-1].reviews] == ["ada", "bo"]


def test_kappa_is_that_of_cohen() -> None:
    # the example of Cohen 1960, table 1, as used in textbooks: 20, 5, 10, 15 of 50
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([("y", "y")] * 3) is None
    assert agreements(tables.frame(tables.Reviews, [])) == []


@given(st.integers(0, 40), st.integers(1, 40))
def test_an_interval_holds_the_share_and_shrinks_with_rows(hits: int, rows: int) -> None:
    share = min(hits, rows) / rows
    low, high = wilson(share, rows)
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1
    narrower = wilson(share, 4 * rows)
    assert narrower[1] - narrower[0] <= high - low + 1e-12
