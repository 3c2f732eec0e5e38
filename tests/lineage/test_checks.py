"""Tampering shows: every way of changing the tables behind the event log's back is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from ruamel.yaml import YAML

from looptool import canonical
from looptool.lineage.checks import verify_lineage
from looptool.lineage.revisions import open_workspace

Edit = Callable[[pl.DataFrame], pl.DataFrame]
OTHER = canonical.dumps({"text": "No."})


def only_first(**values: str) -> Edit:
    """Change columns of the first row."""

    def edit(data: pl.DataFrame) -> pl.DataFrame:
        first = pl.int_range(pl.len()) == 0
        return data.with_columns(
            **{name: pl.when(first).then(pl.lit(v)).otherwise(name) for name, v in values.items()}
        )

    return edit


def without(**values: str) -> Edit:
    """Drop the first row that has these values."""

    def edit(data: pl.DataFrame) -> pl.DataFrame:
        fits = pl.all_horizontal(pl.col(name) == value for name, value in values.items())
        return data.filter(~(fits & (fits.cum_sum() == 1)))

    return edit


EDITS: dict[str, tuple[str, Edit, str]] = {
    "a label by hand": ("2/train.parquet", only_first(label=OTHER), "is not the hash of its label"),
    "a label with its id": (
        "2/train.parquet",
        only_first(label=OTHER, label_id=canonical.digest(OTHER)),
        "changed without an event",
    ),
    "a conversation": ("1/train.parquet", only_first(messages="[]"), "not the hash of its tools"),
    "an origin": ("3/train.parquet", only_first(origin="high_ppl"), ""),
    "a birth": ("1/lineage/generate.parquet", lambda d: d[1:], "no event born or kept"),
    "an arrival": ("2/lineage/generate.parquet", without(event="kept"), "no event born or kept"),
    "a birth twice": ("1/lineage/generate.parquet", lambda d: pl.concat([d, d[:1]]), "2 times"),
    "an outcome": ("1/lineage/expand.parquet", without(event="mastered"), "has 0 outcomes"),
    "a correction": ("1/lineage/expand.parquet", without(event="corrected"), "has 0 outcomes"),
    "an expansion": ("1/lineage/expand.parquet", without(event="expanded"), ""),
    "a verdict": ("1/verdicts.parquet", without(verdict="LABEL_WRONG"), "verdict is missing"),
    "a changed verdict": (
        "1/verdicts.parquet",
        lambda d: d.with_columns(new_label_id=pl.col("old_label_id")),
        "but the verdict says",
    ),
    "a probed row": ("2/probe.parquet", lambda d: d[1:], "was not probed"),
    "a carried row": ("1/carried.parquet", lambda d: d[1:], "neither carried over nor"),
    "a parent": (
        "1/carried.parquet",
        lambda d: d.with_columns(
            parent_id=pl.when(pl.col("origin") == "expanded").then(pl.lit("0" * 32))
        ),
        "was expanded from",
    ),
    "an author of labels": (
        "2/carried.parquet",
        lambda d: d.with_columns(label_source=pl.lit("judge:rules")),
        "says that its label is by",
    ),
    "what is accepted": (
        "2/train.parquet",
        only_first(alternatives=canonical.dumps([{"text": "?"}])),
        "its dataset_id is",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_table_changed_behind_the_logs_back_is_told(own: Path, name: str) -> None:
    file, edit, told = EDITS[name]
    path = own / "data/iterations" / file
    before = pl.read_parquet(path)
    after = edit(before)
    assert not after.equals(before)
    after.write_parquet(path)
    found = [str(problem) for problem in verify_lineage(open_workspace(own))]
    iteration = file.split("/")[0]
    assert any(f"data/iterations/{iteration}" in line and told in line for line in found), found


def test_an_untouched_history_adds_up(history: Path) -> None:
    assert list(verify_lineage(open_workspace(history))) == []


def test_a_missing_table_and_one_that_is_no_parquet_are_told(own: Path) -> None:
    (own / "data/iterations/1/verdicts.parquet").unlink()
    (own / "data/iterations/2/probe.parquet").write_bytes(b"no parquet")
    found = {problem.file: problem.what for problem in verify_lineage(open_workspace(own))}
    assert "is missing" in found["data/iterations/1/verdicts.parquet"]
    assert "cannot be read as Parquet" in found["data/iterations/2/probe.parquet"]


def test_bytes_that_are_not_those_that_dvc_recorded_are_told(own: Path) -> None:
    names = ["data/iterations/1/train.parquet", "data/iterations/1/truth.parquet"]
    outs = [
        {"path": name, "md5": hashlib.md5((own / name).read_bytes()).hexdigest()} for name in names
    ]
    gone = {"path": "data/iterations/9/train.parquet", "md5": "0" * 32}
    lock = {"schema": "2.0", "stages": {"generate@1": {"outs": [*outs, gone]}}}
    YAML().dump(lock, own / "dvc.lock")
    truth = own / names[1]
    pl.read_parquet(truth)[1:].write_parquet(truth)
    found = {problem.file: problem.what for problem in verify_lineage(open_workspace(own))}
    assert set(found) == {names[1], gone["path"]}
    assert "but dvc.lock says" in found[names[1]] and "missing" in found[gone["path"]]
