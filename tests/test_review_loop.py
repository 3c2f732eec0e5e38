"""People decide on the verdicts of a run: `dvc repro` applies what they decided, and only that."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from looptool.core import canonical, tables
from looptool.lineage.checks import verify_lineage
from looptool.lineage.history import trace
from looptool.lineage.revisions import open_workspace
from looptool.review.decisions import Decisions
from looptool.review.verdicts import Reviewed, open_reviewed
from tests.test_loop import dvc, project, ran, table
from tests.test_replay_loop import write_script


@pytest.mark.slow
def test_after_a_review_dvc_repro_runs_verify_and_what_depends_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(
        tmp_path / "reviewed",
        **{
            "generate.samples": 60, "generate.label_noise": 0.4, "probe.engine": "replay",
            "eval.engine": "replay", "verify.review": "corrected",
        },
    )  # fmt: skip
    dvc(folder, "repro", "generate@1")
    samples = table(folder, "iterations/1/train.parquet", tables.Samples)
    truth = table(folder, "iterations/1/truth.parquet", tables.Truth)
    write_script(folder, samples, truth)
    dvc(folder, "repro", "generate@2")
    before = verdicts_of(folder)
    waiting = before.filter(proposed="LABEL_WRONG")
    assert len(waiting) and set(waiting["verdict"]) == {"NO_CONSENSUS"}
    carried = table(folder, "iterations/1/carried.parquet", tables.Samples)
    assert "corrected" not in set(carried["origin"])

    monkeypatch.chdir(folder)
    reviewed = open_reviewed("1")
    first, *others = rows_of(reviewed, "LABEL_WRONG")
    right = rows_of(reviewed, "PRED_WRONG")
    with Decisions("ada") as decisions:
        decisions.add(reviewed, first, "accept", None, "as the user says", 3.0)
        for row in others[:1]:
            decisions.add(reviewed, row, "drop", None, "", 1.0)
        written = canonical.dumps({"text": "None of the tools can do that."})
        decisions.add(reviewed, right[0], "edit", written, "", 9.0)
        decisions.track()
    assert (folder / "data/reviews/ada.parquet.dvc").is_file()

    output = dvc(folder, "repro", "generate@2")
    assert ran(output) == ["verify@1", "expand@1", "generate@2"]
    after = {row["sample_id"]: row for row in verdicts_of(folder).iter_rows(named=True)}
    ids = reviewed.table["sample_id"]
    taken, edited = after[ids[first]], after[ids[right[0]]]
    assert taken["verdict"] == "LABEL_WRONG" and taken["judge"] == "human:ada"
    assert edited["new_label"] == written and edited["proposed"] == "PRED_WRONG"
    assert all(after[ids[row]]["verdict"] == "BOTH_WRONG" for row in others[:1])
    assert list(verify_lineage(open_workspace(folder))) == []
    life = trace(open_workspace(folder), ids[right[0]]).lives[-1]
    assert life.labels[-1].source == "judge:human:ada" and "text" in life.labels[-1].label
    events = table(folder, "iterations/1/lineage/expand.parquet", tables.Lineage)
    decided = sorted(events.filter(judge="human:ada")["event"])
    assert decided == ["corrected", "corrected", *["dropped"] * len(others[:1])]
    assert ran(dvc(folder, "repro", "generate@2")) == []
    clone = tmp_path / "clone"
    os.system(f"git -C {folder} add -A && git -C {folder} commit -qm reviewed")
    os.system(f"git clone -q {folder} {clone}")
    assert (clone / "data/reviews/ada.parquet.dvc").is_file()
    assert not (clone / "data/reviews/ada.parquet").exists()


def verdicts_of(folder: Path) -> pl.DataFrame:
    return table(folder, "iterations/1/verdicts.parquet", tables.Verdicts)


def rows_of(reviewed: Reviewed, verdict: str) -> list[int]:
    return reviewed.order({"verdict": verdict}, set())
