"""Training in two processes is training in one, and what an accelerate config may say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file

from looptool.core import errors
from looptool.engines.transformers import load_model
from looptool.training import processes
from looptool.training.groups import split_groups
from tests.tiny import make_tiny_model
from tests.training.test_training import settings

ROOT = Path(__file__).parents[2]
TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SCRIPT = ["-m", "tests.training.scripted_rollouts"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same training in one process and in two."""
    folder = tmp_path_factory.mktemp("both")
    base = make_tiny_model(folder / "base")
    for name, launcher in (("one", []), ("two", TWO)):
        (folder / name).mkdir()
        done = subprocess.run(
            [sys.executable, *launcher, *SCRIPT, str(base), str(folder / name)],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        )  # fmt: skip
        assert not done.returncode, done.stderr[-3000:]
    return folder / "one", folder / "two"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_two_processes_see_the_data_of_one_in_the_same_order(both: tuple[Path, Path]) -> None:
    one, two = both
    whole = read(one / "prompts-0.json")
    halves = [read(two / f"prompts-{process}.json") for process in (0, 1)]
    assert len(whole) == 2  # two rollouts of two minibatches
    for prompts, first, second in zip(whole, *halves, strict=True):
        assert len(first) == len(second) == 6
        assert [p for pair in zip(first, second, strict=True) for p in pair] == prompts


def test_two_processes_make_the_updates_of_one(both: tuple[Path, Path]) -> None:
    one, two = (read(folder / "history.json") for folder in both)
    assert [row["step"] for row in one] == [row["step"] for row in two] == [1, 2, 3, 4]
    for alone, shared in zip(one, two, strict=True):
        assert alone.keys() == shared.keys()
        for name, value in alone.items():
            tolerance = 0.02 if name in ("loss", "grad_norm", "entropy") else 1e-6
            assert shared[name] == pytest.approx(value, rel=tolerance, abs=1e-4), name
    weights, others = (load_model(folder / "model", "float32")[0].state_dict() for folder in both)
    before = load_model(both[0].parent / "base", "float32")[0].state_dict()
    moved = sum(float((weights[name] - before[name]).float().abs().sum()) for name in weights)
    apart = sum(float((weights[name] - others[name]).float().abs().sum()) for name in weights)
    assert moved > 0 and apart < 0.1 * moved


def test_a_process_without_groups_still_takes_part_in_every_pass() -> None:
    batch = {
        "advantages": torch.arange(4.0),
        "completion_mask": torch.ones(4, 3, dtype=torch.long),
        "prompt_mask": torch.ones(4, 2, dtype=torch.long),
    }
    tokens, groups = torch.tensor([6, 6, 6, 6]), torch.tensor([0, 2])  # both are process 0's
    first, second = (
        split_groups(
            batch, groups, tokens, 2, minibatches=1, passes=2, per_pass=2, place=(process, 2)
        )
        for process in (0, 1)
    )
    assert [len(part["advantages"]) for part in first] == [0, 4]
    assert [len(part["advantages"]) for part in second] == [0, 4]
    assert int(second[1]["completion_mask"].sum()) == 0
    assert {int(part["num_items_in_batch"]) for part in [*first, *second]} == {12}


def test_the_configs_of_the_project_are_those_of_accelerate_and_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes.machine, "gpus", lambda: ["one", "two"])
    files = sorted((ROOT / "configs/accelerate").iterdir())
    assert [file.name for file in files] == ["two-cpus.yaml", "two-gpus.yaml"]
    for file in files:
        read = load_config_from_file(str(file))
        assert read.num_processes == 2 and read.distributed_type.startswith("MULTI_")
        processes.check(settings(accelerate_config=str(file)))


CPUS = "distributed_type: MULTI_CPU\nnum_processes: 2\nuse_cpu: true\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CPUS, None),
        (None, "No such file"),
        ("- a", "must be a mapping"),
        ("a: [", "not valid YAML"),
        (CPUS.replace("MULTI_CPU", "FSDP"), "distributed_type: 'FSDP' is unknown (allowed: NO"),
        (CPUS.replace("2", "3"), "num_processes: 3 does not divide the 4 prompts of a step"),
        (CPUS.replace("2", "two"), "num_processes: must be a positive integer, found 'two'"),
        (CPUS + "num_machines: 2", "num_machines: must be 1"),
        (CPUS.replace("CPU", "GPU").replace("true", "false"), "needs 2 GPUs"),
    ],
)
def test_an_accelerate_config_is_checked_before_anything_starts(
    text: str | None, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes.machine, "gpus", lambda: [])
    path = tmp_path / "two.yaml"
    if text is not None:
        path.write_text(text)
    train = settings(accelerate_config=str(path))
    if message is None:
        processes.check(train)
        return
    with pytest.raises(errors.ConfigError) as caught:
        processes.check(train)
    assert str(caught.value).startswith(f"params.yaml: train.accelerate_config: {path}: ")
    assert message in str(caught.value)
