from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from benchmarks.history import make_history
from looptool.core import runs, tables
from looptool.reporting import labels

ROOT = Path(__file__).resolve().parents[2]


def make_project(root: Path, samples: int, iterations: int, seed: int = 0) -> Path:
    """Lay out a project whose history is drawn by lot, its label quality measured."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, root / name)
    make_history(root, samples, iterations, seed)
    rows = labels.measure(root / "data/iterations", iterations, "schema")
    for path in root.glob("data/iterations/*/lineage/expand.parquet"):
        write_counts(root, path.parts[-3], pl.read_parquet(path))
    runs.write_json(root / "metrics/labels.json", {str(row["iteration"]): row for row in rows})
    return root


def write_counts(root: Path, iteration: str, log: pl.DataFrame) -> None:
    """Write how often each event occurs, as the stage `expand` does."""
    counts = tables.counts(log, "event")
    runs.write_json(root / f"metrics/iterations/{iteration}/expand.json", {"events": counts})


def rename_back(root: Path) -> None:
    """Store a project under the column and event names of older revisions."""
    events = {"error_seed": "failed", "alternative": "widened", "high_ppl": "hard"}
    for path in root.glob("data/iterations/*/probe.parquet"):
        probe = pl.read_parquet(path).rename({"error_type": "failure_type"})
        probe.drop("text", "thinking").write_parquet(path)
    for path in root.glob("data/iterations/*/lineage/expand.parquet"):
        log = pl.read_parquet(path).with_columns(pl.col("event").replace(events))
        log.write_parquet(path)
        write_counts(root, path.parts[-3], log)


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of three iterations with every verdict, origin and event in it."""
    return make_project(tmp_path_factory.mktemp("history"), 200, 3)


@pytest.fixture
def own(history: Path, tmp_path: Path) -> Path:
    """A copy of `history` to change."""
    return Path(shutil.copytree(history, tmp_path / "own"))
