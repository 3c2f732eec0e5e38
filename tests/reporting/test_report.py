from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from looptool.core import canonical
from looptool.core.errors import LooptoolError
from looptool.lineage.revisions import open_workspace
from looptool.reporting.report import BROWSED, collect, write_report
from tests.lineage.conftest import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("report"), 300, 3)


def test_the_report_is_one_file_that_loads_nothing(project: Path) -> None:
    target = write_report(root=project)
    page = target.read_text("utf-8")
    assert target == project / "reports/report.html"
    assert "<script src" not in page and "<link" not in page and "@import" not in page
    assert 100_000 < len(page) < 20e6
    assert "born by generate" in page and "rich.tree" not in page


def test_every_flow_counts_every_row_of_both_sides(project: Path) -> None:
    content = collect(open_workspace(project), [], project)
    flows = [spec for section, _, spec in content["charts"].values() if section == "flow"]
    assert len(flows) == 2
    for spec in flows:
        points = next(iter(spec["layer"]))["data"]["values"]
        ribbons = {p["flow"]: p for p in points}.values()
        into = sum(p["count"] for p in ribbons if p["target"] not in
                   ("mastered", "dropped", "no room", "left out"))  # fmt: skip
        out = sum(p["count"] for p in ribbons if p["source"] not in ("fresh", "expansions"))
        assert into == out == 300
        assert not any(p["target"] == "left out" for p in ribbons)


def test_samples_are_counted_by_their_pass_rate(project: Path) -> None:
    charts = collect(open_workspace(project), [], project)["charts"]
    (drawn,) = (spec for _, title, spec in charts.values() if title == "Samples by pass rate")
    rows = drawn["data"]["values"]
    assert {row["passed"] for row in rows} == {"none", "some", "all"}
    assert sum(row["count"] for row in rows if row["iteration"] == 1) == 150


def test_the_browser_says_how_many_samples_it_leaves_out(project: Path) -> None:
    content = collect(open_workspace(project), [], project)
    assert len(content["samples"]) == BROWSED < content["total"]
    told = {event for card in content["samples"] for event in card["events"]}
    assert {"corrected", "dropped", "alternative", "expanded", "mastered"} <= told


def test_disagreements_are_those_on_which_most_hung(project: Path) -> None:
    rows = collect(open_workspace(project), [], project)["disagreements"]
    hung = [row["trained"] + row["expansions"] for row in rows]
    assert hung == sorted(hung, reverse=True) and hung[0] > 1
    assert {row["verdict"] for row in rows} <= {"LABEL_WRONG", "BOTH_WRONG"}
    first = rows[0]
    data = {j: pl.read_parquet(project / f"data/iterations/{j}/train.parquet") for j in (1, 2, 3)}
    own = data[first["iteration"]].filter(sample_id=first["sample_id"])
    trained = sum(
        len(data[j].filter(sample_id=first["sample_id"], label_id=own["label_id"][0]))
        for j in range(1, first["iteration"] + 1)
    )
    grown = pl.concat(data.values()).filter(
        pl.col("parent_id") == first["sample_id"], pl.col("born_iteration") < first["iteration"]
    )
    assert (first["trained"], first["expansions"]) == (trained, grown["sample_id"].n_unique())


def test_every_link_in_the_page_leads_somewhere(project: Path) -> None:
    page = write_report(root=project).read_text("utf-8")
    named = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= named


def test_text_of_samples_is_no_part_of_the_page(tmp_path: Path) -> None:
    project = make_project(tmp_path, 12, 2)
    path = project / "data/iterations/2/train.parquet"
    evil = canonical.dumps([{"role": "user", "content": "</script><script>alert(1)</script>"}])
    pl.read_parquet(path).with_columns(
        messages=pl.lit(evil), category=pl.lit("<!--<script>")
    ).write_parquet(path)
    page = write_report(root=project).read_text("utf-8")
    assert "<script>alert" not in page and "<!--<script>" not in page


def test_a_project_without_data_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(LooptoolError, match="run `dvc repro` first"):
        write_report(root=tmp_path)
