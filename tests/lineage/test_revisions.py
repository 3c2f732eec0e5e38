"""Data sets of other revisions, out of the real DVC's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from looptool.core import tables
from looptool.core.errors import LooptoolError
from looptool.lineage.checks import verify_lineage
from looptool.lineage.diff import compare, open_data_set
from looptool.lineage.history import trace
from looptool.lineage.revisions import open_revision, open_workspace
from looptool.lineage.views import connect
from tests.lineage.conftest import make_project, rename_back

STAGE = """
stages:
  loop:
    cmd: cp -r ../$(cat seed)/data ../$(cat seed)/metrics .
    deps: [seed]
    outs: [{outs}]
"""


def run(folder: Path, *command: str) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def dvc(folder: Path, *arguments: str) -> None:
    run(folder, sys.executable, "-m", "dvc", *arguments)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the commits `empty`, `one` and `two`, whose data are in DVC's cache alone.

    The tables of `one` have the names of older revisions.
    """
    root = tmp_path_factory.mktemp("versions")
    for seed in (1, 2):
        made = make_project(root / str(seed), 40, 2, seed)
        if seed == 1:
            rename_back(made)
    files = sorted(p.relative_to(made).as_posix() for d in ("data", "metrics")
                   for p in (made / d).rglob("*") if p.is_file())  # fmt: skip
    folder = root / "project"
    folder.mkdir()
    run(folder, "git", "init", "-q", "-b", "main")
    for name, value in (("user.name", "t"), ("user.email", "t@t")):
        run(folder, "git", "config", name, value)
    dvc(folder, "init", "-q")
    (folder / ".gitignore").write_text("/data\n/metrics\n")
    (folder / "dvc.yaml").write_text(STAGE.format(outs=", ".join(files)))
    (folder / "seed").write_text("1")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "empty")
    run(folder, "git", "tag", "empty")
    for seed, tag in ((1, "one"), (2, "two")):
        (folder / "seed").write_text(str(seed))
        dvc(folder, "repro", "-q")
        run(folder, "git", "add", "-A")
        run(folder, "git", "commit", "-qm", tag)
        run(folder, "git", "tag", tag)
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "metrics")
    return folder


def test_revisions_are_compared_without_being_checked_out(versions: Path) -> None:
    one, two = open_data_set("one:2", versions), open_data_set("two:2", versions)
    told = compare(one, two).to_json()
    assert told["added"]["total"] == told["removed"]["total"] == 40
    assert told["before"]["label_error"] is not None
    assert compare(two, open_data_set("main:2", versions)).to_json()["unchanged"]["total"] == 40
    assert not (versions / "data").exists()


def test_a_sample_of_another_revision_is_traced(versions: Path) -> None:
    snapshot = open_revision("one", versions)
    assert list(verify_lineage(snapshot)) == []
    import polars as pl

    identity = pl.read_parquet(snapshot.path("data/iterations/2/train.parquet"))["sample_id"][0]
    assert trace(snapshot, identity).sample_id == identity
    with pytest.raises(LooptoolError, match="there are no samples yet"):
        trace(open_workspace(versions), identity)


def test_an_older_revision_is_read_under_the_names_of_today(versions: Path) -> None:
    snapshot = open_revision("one", versions)
    connection = connect(snapshot)
    columns = connection.execute("SELECT column_name FROM (DESCRIBE probes)").fetchall()
    assert {name for (name,) in columns} == {"iteration", *tables.polars_schema(tables.Probe)}
    counts = dict(
        connection.execute(
            "SELECT event, count(*) FROM lineage WHERE stage = 'expand' GROUP BY ALL"
        ).fetchall()
    )
    assert counts["error_seed"] and counts["high_ppl"] and set(counts) <= set(tables.EVENTS)
    recorded = connection.execute(
        "SELECT name[8:], value FROM metrics WHERE name LIKE 'events.%'"
    ).fetchall()
    assert dict(recorded) == counts
    seeds = "SELECT sample_id FROM lineage WHERE event = 'error_seed' LIMIT 1"
    ((sample,),) = connection.execute(seeds).fetchall()
    steps = trace(snapshot, sample).lives[-1].steps
    assert any(step.probe and step.probe["error_type"] for step in steps)


def test_a_revision_that_is_not_there_is_told_with_what_was_meant(versions: Path) -> None:
    with pytest.raises(LooptoolError, match=r"mian: no such .* did you mean main"):
        open_revision("mian", versions)
    with pytest.raises(LooptoolError, match="see `git log` and `dvc exp list`"):
        open_revision("zzzzzzzz", versions)
    with pytest.raises(LooptoolError, match="empty: nothing was run in that revision"):
        open_revision("empty", versions)
    with pytest.raises(LooptoolError, match="one:9: revision one has no data set 9; it has 1, 2"):
        open_data_set("one:9", versions)


def test_a_file_that_is_no_longer_in_the_cache_is_told(versions: Path) -> None:
    snapshot = open_revision("one", versions)
    cached = snapshot.files["data/iterations/1/train.parquet"]
    moved = cached.with_suffix(".away")
    cached.rename(moved)
    try:
        with pytest.raises(LooptoolError, match=r"DVC's cache does not .*`dvc fetch -A`"):
            open_data_set("one:1", versions)
    finally:
        moved.rename(cached)
