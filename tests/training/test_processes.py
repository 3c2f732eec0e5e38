"""Training in two processes is training in one, and what an accelerate config may say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from looptool.core import errors
from looptool.engines.transformers import load_model
from looptool.training import processes
from tests.tiny import make_tiny_model
from tests.training.test_training import settings

ROOT = Path(__file__).parents[2]
TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SCRIPT = ["-m", "tests.training.scripted_rollouts"]


def train(
    base: Path, folder: Path, way: str = "", processes: int = 1
) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    launcher = TWO if processes == 2 else []
    return subprocess.run(
        [sys.executable, *launcher, *SCRIPT, str(base), str(folder), way],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip


WAYS = {"public": ("public", 1), "two": ("", 2), "sharded": ("sharded", 2)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training in one process with shared prompts, and in each other way."""
    folder = tmp_path_factory.mktemp("ways")
    make_tiny_model(folder / "base")
    for name, (way, count) in {"one": ("", 1), **WAYS}.items():
        if name == "sharded":
            done = train(folder / "base", folder / name, "killed", count)
            assert done.returncode and not (folder / name / "model").exists()
        done = train(folder / "base", folder / name, way, count)
        assert not done.returncode, done.stderr[-3000:]
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_two_processes_see_the_data_of_one_in_the_same_order(folder: Path) -> None:
    whole = read(folder / "one/given-0.json")
    halves = [read(folder / f"two/given-{process}.json") for process in (0, 1)]
    assert len(whole) == 4  # rollouts
    for numbers, first, second in zip(whole, *halves, strict=True):
        assert len(first) == len(second) == 3
        assert [n for pair in zip(first, second, strict=True) for n in pair] == numbers


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_training_makes_the_same_updates(folder: Path, way: str) -> None:
    """Shared prompts, TRL's scoring, data parallel, and sharded after a kill."""
    one, other = (read(folder / name / "history.json") for name in ("one", way))
    assert [row["step"] for row in one] == [row["step"] for row in other] == [1, 2, 3, 4]
    assert {row["groups_kept"] for row in one} == {1, 2, 3}  # some rows only fill up
    for row, its in zip(one, other, strict=True):
        assert row.keys() == its.keys()
        for name in row.keys() - {"entropy"}:  # TRL's is a mean over passes, also of fillers
            assert its[name] == pytest.approx(row[name], rel=1e-4, abs=1e-6), name
    weights, others, before = (
        load_model(folder / name, "float32")[0].state_dict()
        for name in ("one/model", f"{way}/model", "base")
    )
    moved = sum(float((weights[name] - before[name]).abs().sum()) for name in weights)
    apart = sum(float((weights[name] - others[name]).abs().sum()) for name in weights)
    assert moved > 0 and apart < 0.01 * moved


def test_the_configs_of_the_project_are_those_of_accelerate_and_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes.machine, "gpus", lambda: ["one"] * 8)
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    expected = {
        "eight-gpus-fsdp.yaml": ("fsdp", 8, 1),
        "four-machines-fsdp.yaml": ("fsdp", 32, 4),
        "two-cpus.yaml": ("data parallel", 2, 1),
        "two-gpus.yaml": ("data parallel", 2, 1),
    }
    files = sorted((ROOT / "configs/accelerate").iterdir())
    assert [file.name for file in files] == list(expected)
    for file in files:
        read = load_config_from_file(str(file))
        train = settings(accelerate_config=str(file), prompts_per_step=32)
        chosen = processes.layout(train)
        assert (chosen.sharing, chosen.processes, chosen.machines) == expected[file.name]
        assert (read.num_processes, read.num_machines) == expected[file.name][1:]
        processes.check(train, "colocate")


CPUS = "distributed_type: MULTI_CPU\nnum_processes: 2\nuse_cpu: true\n"
FSDP = "distributed_type: FSDP\nnum_processes: 2\nfsdp_config: {fsdp_version: 2}\n"
MACHINES = CPUS + "num_machines: 2\nmain_process_ip: 10.0.0.1\nmain_process_port: 29500\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CPUS, None),
        (None, "No such file"),
        ("- a", "must be a mapping"),
        ("a: [", "not valid YAML"),
        (CPUS.replace("MULTI_CPU", "TPU"), "distributed_type: 'TPU' is unknown (allowed: NO"),
        (CPUS.replace("MULTI_CPU", "DEEPSPEED"), "DEEPSPEED is not supported, because its ZeRO"),
        (CPUS.replace("2", "3"), "num_processes: 3 does not divide the 2 prompts of a step"),
        (CPUS.replace("2", "two"), "num_processes: must be a positive integer, found 'two'"),
        (CPUS.replace("CPU", "GPU").replace("true", "false"), "num_processes: 2 on this machine "
         "need as many GPUs, and it has 0"),
        (MACHINES, None),
        (MACHINES.replace("2", "1", 1), "num_processes: 1 is no multiple of num_machines, 2"),
        (MACHINES.replace("main_process_ip", "# ip"), "main_process_ip: set it, or MASTER_ADDR"),
        (MACHINES.replace("29500", "port"), "main_process_port (or MASTER_PORT): must be a port"),
        (MACHINES + "machine_rank: 2", "machine_rank (or MACHINE_RANK): must be from 0 to 1"),
        (FSDP.replace("version: 2", "version: 1"), "fsdp_config.fsdp_version: must be 2"),
        (FSDP, "FSDP needs vLLM for its rollouts, because no process holds the whole model; set "
         "train.vllm: colocate or server"),
    ],
)  # fmt: skip
def test_an_accelerate_config_is_checked_before_anything_starts(
    text: str | None, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes.machine, "gpus", lambda: [])
    path = tmp_path / "two.yaml"
    if text is not None:
        path.write_text(text)
    train = settings(accelerate_config=str(path))
    if message is None:
        processes.check(train, "off")
        return
    with pytest.raises(errors.ConfigError) as caught:
        processes.check(train, "off")
    assert str(caught.value).startswith(f"params.yaml: train.accelerate_config: {path}: ")
    assert message in str(caught.value)


def test_sharded_adapters_are_refused_with_the_setting_to_change(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(FSDP)
    with pytest.raises(errors.ConfigError, match=r"set train\.lora_rank: null, or use MULTI_GPU"):
        processes.check(settings(accelerate_config=str(path), lora_rank=8), "colocate")


def test_the_environment_takes_precedence_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(MACHINES)
    for name, value in (("MACHINE_RANK", "1"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "7")):
        monkeypatch.setenv(name, value)
    chosen = processes.layout(settings(accelerate_config=str(path)))
    assert (chosen.rank, chosen.address, chosen.port) == (1, "a", 7)
