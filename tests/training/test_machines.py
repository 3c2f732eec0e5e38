"""Training on two machines, which are two projects on one computer with an address each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from looptool.core import canonical, tables
from looptool.core.samples import label_id, sample_id
from tests.test_loop import environment, project
from tests.training.test_training import EXAMPLES

CONFIG = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
num_machines: 2
num_processes: 2
machine_rank: 0
main_process_ip: 127.0.0.2
main_process_port: {port}
same_network: true
use_cpu: true
"""
STEPS = 30
NAME = "configs/accelerate/two-machines.yaml"


def samples(count: int) -> list[dict[str, object]]:
    return [
        {
            "sample_id": sample_id(example.prompt.tools, example.prompt.messages),
            "tools": canonical.dumps(example.prompt.tools),
            "messages": canonical.dumps(example.prompt.messages),
            "label": canonical.dumps(example.label),
            "label_id": label_id(example.label),
            "alternatives": "[]",
            "category": "single",
            "origin": "seed",
            "parent_id": None,
            "born_iteration": 1,
            "label_iteration": 1,
            "label_source": "author:grammar",
        }
        for example in EXAMPLES[:count]
    ]


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Path, Path]:
    first = project(
        tmp_path / "first",
        **{"train.steps": STEPS, "train.save_steps": 2, "train.accelerate_config": NAME},
    )
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        (first / NAME).write_text(CONFIG.format(port=free.getsockname()[1]), "utf-8")
    shutil.copytree(first / "models/base", first / "models/0")
    frame = tables.frame(tables.Samples, samples(12))
    tables.write(frame, tables.Samples, first / "data/iterations/1/train.parquet")
    shutil.copytree(first, tmp_path / "second")
    return first, tmp_path / "second"


def start(folder: Path, rank: int, scratch: Path) -> subprocess.Popen[str]:
    env = {
        **environment(folder),
        "LOOPTOOL_SCRATCH": str(scratch),
        "MACHINE_RANK": str(rank),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "stages.train", "--iteration", "1"],
        cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def both(machines: tuple[Path, Path], scratch: Path) -> tuple[tuple[int, str], ...]:
    """Train on both, the second one started first; return status and output of each."""
    second = start(machines[1], 1, scratch)
    first = start(machines[0], 0, scratch)
    outputs = [each.communicate(timeout=200)[0] for each in (first, second)]
    return (first.returncode, outputs[0]), (second.returncode, outputs[1])


@pytest.mark.slow
@pytest.mark.parametrize("part", ["data/iterations/1/train.parquet", "the code"])
def test_machines_that_differ_stop_with_one_line_before_a_model_is_loaded(
    machines: tuple[Path, Path], tmp_path: Path, part: str
) -> None:
    second = machines[1]
    if part == "the code":
        with open(second / "looptool/training/rewards.py", "a", encoding="utf-8") as file:
            file.write("# another version\n")
    else:
        tables.write(tables.frame(tables.Samples, samples(11)), tables.Samples, second / part)
    for status, output in both(machines, tmp_path / "scratch"):
        assert status == 1 and "Traceback" not in output
        assert f"machine 1 differs from machine 0 in {part}\n" in output


def train_until_a_checkpoint(
    machines: tuple[Path, Path], scratch: Path
) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
    second, first = start(machines[1], 1, scratch), start(machines[0], 0, scratch)
    while not list(scratch.glob("train@1-*/grpo/checkpoint-*/trainer_state.json")):
        assert first.poll() is None and second.poll() is None, first.communicate()[0]
        time.sleep(0.1)
    return first, second


@pytest.mark.slow
def test_a_machine_that_dies_ends_the_other_and_a_rerun_resumes(
    machines: tuple[Path, Path], tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    first, second = train_until_a_checkpoint(machines, scratch)
    os.killpg(second.pid, signal.SIGKILL)
    killed = time.monotonic()
    output = first.communicate(timeout=60)[0]
    assert first.returncode == 1 and time.monotonic() - killed < 60
    assert "run `dvc repro` again to go on from the last checkpoint" in output
    assert "Traceback" not in output
    second.communicate()
    (status, output), (other_status, other_output) = both(machines, scratch)
    assert (status, other_status) == (0, 0), output + other_output
    assert "resuming where an earlier run stopped" in output
    assert "waiting for the first machine, 127.0.0.2:" in other_output
    assert "trained with the first machine, which has models/1" in other_output
    folder, other = machines
    assert (folder / "models/1/model.safetensors").exists()
    assert not (other / "models/1").exists() and not (other / "metrics").exists()
    history = json.loads((folder / "metrics/iterations/1/steps.json").read_text())
    assert [row["step"] for row in history] == list(range(1, STEPS + 1))
    drawn = tables.read(folder / "data/iterations/1/rollouts.parquet", tables.Rollouts)
    assert len(drawn) == STEPS * 2 * 2


@pytest.mark.slow
def test_a_machine_that_is_silent_ends_the_other(
    machines: tuple[Path, Path], tmp_path: Path
) -> None:
    for folder in machines:  # wait for seconds in place of most of a minute
        module = folder / "looptool/training/processes.py"
        text = module.read_text("utf-8")
        assert "BEAT = 5.0" in text and "SILENT = 40.0" in text
        text = text.replace("BEAT = 5.0", "BEAT = 0.5").replace("SILENT = 40.0", "SILENT = 4.0")
        module.write_text(text, "utf-8")
    first, second = train_until_a_checkpoint(machines, tmp_path / "scratch")
    parts = [psutil.Process(second.pid), *psutil.Process(second.pid).children(recursive=True)]
    for part in parts:  # as if the network failed
        part.suspend()
    output = first.communicate(timeout=60)[0]
    for part in parts:
        part.kill()
    assert first.returncode == 1
    assert "process 1 has not answered for 4 s; run `dvc repro` again" in output
    second.communicate()
