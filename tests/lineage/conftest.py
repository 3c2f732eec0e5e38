from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.history import make_history
from looptool.core import runs
from looptool.reporting import labels

ROOT = Path(__file__).resolve().parents[2]


def make_project(root: Path, samples: int, iterations: int, seed: int = 0) -> Path:
    """Lay out a project whose history is drawn by lot, its label quality measured."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, root / name)
    make_history(root, samples, iterations, seed)
    rows = labels.measure(root / "data/iterations", iterations, "schema")
    runs.write_json(root / "metrics/labels.json", {str(row["iteration"]): row for row in rows})
    return root


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of three iterations with every verdict, origin and event in it."""
    return make_project(tmp_path_factory.mktemp("history"), 200, 3)


@pytest.fixture
def own(history: Path, tmp_path: Path) -> Path:
    """A copy of `history` to change."""
    return Path(shutil.copytree(history, tmp_path / "own"))
