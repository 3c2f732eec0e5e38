"""Tampering shows: every way of changing the tables behind the event log's back is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from ruamel.yaml import YAML

from looptool.core import canonical
from looptool.core.errors import LooptoolError
from looptool.lineage.checks import verify_lineage
from looptool.lineage.revisions import open_workspace

Edit = Callable[[pl.DataFrame], pl.DataFrame]
OTHER = canonical.dumps({"text": "No."})


def only_first(**values: str | None) -> Edit:
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


def without_expansion(capped: bool) -> Edit:
    """Drop the event of the first expansion that found room, or of the first that found none."""

    def edit(data: pl.DataFrame) -> pl.DataFrame:
        no_room = data.filter(event="capped")["sample_id"].implode()
        grown = data.filter(
            pl.col("event") == "expanded", pl.col("sample_id").is_in(no_room) == capped
        )
        lost = grown["sample_id"][0]
        return data.filter(~((pl.col("event") == "expanded") & (pl.col("sample_id") == lost)))

    return edit


EDITS: dict[str, tuple[str, Edit, str]] = {
    "a label by hand": ("2/train.parquet", only_first(label=OTHER), "is not the hash of its label"),
    "a label with its id": (
        "2/train.parquet",
        only_first(label=OTHER, label_id=canonical.digest(OTHER)),
        "changed without an event",
    ),
    "a conversation": ("1/train.parquet", only_first(messages="[]"), "not the hash of its tools"),
    "an origin": (
        "3/train.parquet",
        lambda d: d.with_columns(origin=pl.lit("high_ppl")),
        "differs from what was carried over in its origin",
    ),
    "an origin everywhere": (
        "2/carried.parquet",
        lambda d: d.with_columns(origin=pl.lit("high_ppl")),
        "has the origin high_ppl, but was",
    ),
    "a label to none": ("2/train.parquet", only_first(label=None), "a column has no value"),
    "alternatives to no JSON": ("1/train.parquet", only_first(alternatives="[{"), "not a list of"),
    "a birth": ("1/lineage/generate.parquet", lambda d: d[1:], "no event born or kept"),
    "an arrival": ("2/lineage/generate.parquet", without(event="kept"), "no event born or kept"),
    "a birth twice": ("1/lineage/generate.parquet", lambda d: pl.concat([d, d[:1]]), "2 times"),
    "an outcome": ("1/lineage/expand.parquet", without(event="mastered"), "has 0 outcomes"),
    "a correction": ("1/lineage/expand.parquet", without(event="corrected"), "has 0 outcomes"),
    "an expansion": (
        "1/lineage/expand.parquet",
        without_expansion(capped=False),
        "neither of D_1 nor expanded",
    ),
    "an expansion without room": (
        "1/lineage/expand.parquet",
        without_expansion(capped=True),
        "was accepted, but the log has no such expansion",
    ),
    "an expansion twice": (
        "1/lineage/expand.parquet",
        lambda d: pl.concat([d, d.filter(event="expanded")[:1]]),
        "expanded 2 times",
    ),
    "an event's judge": (
        "1/lineage/expand.parquet",
        lambda d: d.with_columns(judge=pl.lit("a friend")),
        "but its event says a friend",
    ),
    "an event's model": (
        "1/lineage/expand.parquet",
        lambda d: d.with_columns(model=pl.when(pl.int_range(pl.len()) > 0).then("model")),
        "by another model",
    ),
    "an event's data set": (
        "1/lineage/expand.parquet",
        lambda d: d.with_columns(inputs=pl.lit("0" * 32)),
        "was made from the data set 0",
    ),
    "an event's iteration": (
        "1/lineage/expand.parquet",
        lambda d: d.with_columns(iteration=pl.lit(7, pl.Int64)),
        "in the log of expand@1",
    ),
    "a birth's random seed": (
        "1/lineage/generate.parquet",
        lambda d: d.with_columns(seed=pl.when(pl.int_range(pl.len()) > 0).then("seed")),
        "of another random seed",
    ),
    "a verdict on a failure": (
        "1/verdicts.parquet",
        without(verdict="PRED_WRONG"),
        "error_seed, but its verdict is missing",
    ),
    "a prediction": (
        "1/probe.parquet",
        lambda d: d.with_columns(calls=pl.lit("[]"), prediction=pl.lit("no")),
        "not the model's answer in probe.parquet",
    ),
    "all of the probe": ("1/probe.parquet", lambda d: d.clear(), "was not probed"),
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


@pytest.mark.parametrize("name", ["train", "carried", "lineage/expand", "lineage/generate"])
def test_an_unreadable_table_is_told_and_blames_no_other(own: Path, name: str) -> None:
    (own / f"data/iterations/1/{name}.parquet").write_bytes(b"no parquet")
    found = list(verify_lineage(open_workspace(own)))
    assert [problem.file for problem in found] == [f"data/iterations/1/{name}.parquet"]
    (own / f"data/iterations/1/{name}.parquet").unlink()
    if name != "train":  # without its D_1 an iteration is none
        assert "is missing" in next(iter(verify_lineage(open_workspace(own)))).what


def test_a_project_without_data_does_not_add_up(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(LooptoolError, match="has no data set yet"):
        list(verify_lineage(open_workspace(tmp_path)))


def test_a_missing_table_and_one_that_is_no_parquet_are_told(own: Path) -> None:
    (own / "data/iterations/1/verdicts.parquet").unlink()
    (own / "data/iterations/2/probe.parquet").write_bytes(b"no parquet")
    found = {problem.file: problem.what for problem in verify_lineage(open_workspace(own))}
    assert "is missing" in found["data/iterations/1/verdicts.parquet"]
    assert "not a Parquet file" in found["data/iterations/2/probe.parquet"]


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
