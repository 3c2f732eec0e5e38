"""Whole loops through the real DVC: a tiny model for mechanics, scripted answers for the data."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from looptool.core import machine, tables
from looptool.evaluation.bfcl.rows import PYTHON
from looptool.lineage.checks import verify_lineage
from looptool.lineage.diff import compare, open_data_set
from looptool.lineage.history import trace
from looptool.lineage.revisions import open_revision, open_workspace
from tests.evaluation.acebench.conftest import SAMPLE
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parent.parent
PARTS = [
    "looptool",
    "plugins",
    "stages",
    "configs/accelerate",
    "configs/chat_templates",
    "data/reviews",
    "data/samples",
    "data/tools",
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitignore",
    ".dvc/config",
]
SMALL: dict[str, Any] = {
    "model.base": "models/base",
    "model.threads": 1,  # more gain nothing on a model this small, and tests run side by side
    "heldout.samples": 12,
    "warmup.samples": 8,
    "warmup.steps": 2,
    "warmup.batch_size": 4,
    "generate.samples": 48,
    "train.steps": 2,
    "train.prompts_per_step": 2,
    "train.group_size": 2,
    "train.anchor": "label",
    "train.max_new_tokens": 8,
    "train.save_steps": 1,
    "probe.batch_size": 8,
    "probe.max_new_tokens": 8,
    "eval.bfcl.categories": [*PYTHON, "live_simple", "multi_turn_base"],
    "eval.bfcl.limit": 2,
    "eval.acebench.path": str(SAMPLE) if SAMPLE.exists() else None,
    "eval.acebench.categories": "special_irrelevant",
    "eval.acebench.limit": 2,
    "eval.heldout_limit": 4,
    "eval.max_new_tokens": 8,
}


def project(folder: Path, **changes: Any) -> Path:
    """Lay out a project of its own, with git, DVC and a tiny base model."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    config = folder / ".dvc/config"
    config.write_text(re.sub(r"\[plots\]\n.*\n", "", config.read_text("utf-8")), "utf-8")
    make_tiny_model(folder / "models/base")
    set_params(folder, **{**SMALL, **changes})
    for command in (
        ["init", "-q"],
        ["config", "user.name", "t"],
        ["config", "user.email", "t@t"],
        ["add", "-A"],
        ["commit", "-qm", "start"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def set_params(folder: Path, **changes: Any) -> None:
    yaml = YAML()
    path = folder / "params.yaml"
    data = yaml.load(path.read_text("utf-8"))
    for name, value in changes.items():
        *sections, last = name.split(".")
        section = data
        for part in sections:
            section = section[part]
        section[last] = value
    with open(path, "w", encoding="utf-8") as file:
        yaml.dump(data, file)


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "LOOPTOOL_SCRATCH": str(folder / "scratch")}


def offline(folder: Path) -> dict[str, str]:
    """An environment in which Python refuses connections, and logs them in `network.log`."""
    env = environment(folder)
    env |= {"NETWORK_LOG": str(folder / "network.log"),
            "PYTHONPATH": str(ROOT / "tests/offline_python")}  # fmt: skip
    return env


def dvc(
    folder: Path, *arguments: str, fails: bool = False, env: dict[str, str] | None = None
) -> str:
    """Run dvc in a project; returns what it printed."""
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=env or environment(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert (done.returncode != 0) == fails, done.stdout[-4000:]
    return done.stdout


def ran(output: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", output)


def table(folder: Path, name: str, kind: type[tables.Table]) -> pl.DataFrame:
    return tables.read(folder / "data" / name, kind)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project whose two iterations have run, and what `dvc repro` printed."""
    folder = project(tmp_path_factory.mktemp("loop"))
    return folder, dvc(folder, "repro", env=offline(folder))


@pytest.mark.slow
def test_neither_stages_nor_commands_use_a_network(loop: tuple[Path, str]) -> None:
    folder, _ = loop
    tools, answers = [{"name": "go", "parameters": {}}], [{"name": "go", "arguments": {}}]
    record = {"query": "Go", "tools": json.dumps(tools), "answers": json.dumps(answers)}
    (folder / "calls.jsonl").write_text(json.dumps(record), "utf-8")
    sample = table(folder, "iterations/1/train.parquet", tables.Samples)["sample_id"][0]
    commands = (
        "check", "plan", "status", "summary", "report", "diff 1 2", "verify-lineage",
        "model card 1", "check --model models/1", "bench tools 1", "cache",
        "data import calls.jsonl --output calls", "data export 1 --format hf --output d1",
        "data export 1 --format openai --output d1.jsonl",
        "bench bfcl 1 --category simple --limit 1",
        f"trace {sample}", f"prompts sample {sample}",
    )  # fmt: skip
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "looptool", *command.split()],
            cwd=folder, env=offline(folder), capture_output=True, text=True,
        )  # fmt: skip
        assert not done.returncode, (command, done.stderr)
    assert not (folder / "network.log").exists(), (folder / "network.log").read_text("utf-8")


def test_the_refusal_of_a_network_is_one(tmp_path: Path) -> None:
    asked = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
    done = subprocess.run([sys.executable, "-c", asked], env=offline(tmp_path), capture_output=True)
    assert b"the network is refused here" in done.stderr and (tmp_path / "network.log").exists()


@pytest.mark.slow
def test_two_iterations_run_in_the_order_of_the_design(loop: tuple[Path, str]) -> None:
    order = (
        "heldout warmup_samples warmup eval@0 generate@1 train@1 eval@1 probe@1 verify@1 expand@1"
    )
    assert ran(loop[1]) == [*order.split(), "generate@2", "train@2", "eval@2", "summarize"]


@pytest.mark.slow
def test_every_table_is_there_and_keeps_its_rules(loop: tuple[Path, str]) -> None:
    folder, _ = loop
    for j in (1, 2):
        samples = table(folder, f"iterations/{j}/train.parquet", tables.Samples)
        assert len(samples) == 48
        table(folder, f"iterations/{j}/truth.parquet", tables.Truth)
        table(folder, f"iterations/{j}/lineage/generate.parquet", tables.Lineage)
        table(folder, f"iterations/{j}/rejected/generate.parquet", tables.Rejected)
    probe = table(folder, "iterations/1/probe.parquet", tables.Probe)
    verdicts = table(folder, "iterations/1/verdicts.parquet", tables.Verdicts)
    assert len(verdicts) == len(probe.filter(~pl.col("matched")))
    for j in (0, 1, 2):
        answers = table(folder, f"iterations/{j}/eval.parquet", tables.Eval)
        assert len(answers.filter(benchmark="heldout")) == 4
        assert len(answers.filter(benchmark="bfcl")) == 7 * 2
        assert len(answers.filter(benchmark="acebench")) == (2 if SAMPLE.exists() else 0)
    metrics = {
        name: json.loads((folder / f"metrics/iterations/{name}.json").read_text("utf-8"))
        for name in ("0/warmup", "1/train", "1/probe", "0/eval")
    }
    assert {each["dtype"] for each in metrics.values()} == {machine.number_type("auto").name}
    assert metrics["1/probe"]["engine"] == metrics["0/eval"]["engine"] == "transformers"
    quality = json.loads((folder / "metrics/labels.json").read_text("utf-8"))
    assert 0 < quality["1"]["label_error"] < 0.4


@pytest.mark.slow
def test_every_row_of_a_real_run_goes_back_to_a_seed(loop: tuple[Path, str]) -> None:
    snapshot = open_workspace(loop[0])
    assert snapshot.hashes and list(verify_lineage(snapshot)) == []
    data = table(loop[0], "iterations/2/train.parquet", tables.Samples)
    for identity in data.filter(pl.col("parent_id").is_not_null())["sample_id"]:
        found = trace(snapshot, identity)
        assert found.lives[0].parent_id is None and len(found.lives) == 2
        assert found.lives[0].steps[0].model and found.lives[0].steps[0].model["md5"]


@pytest.mark.slow
def test_models_hold_safetensors_only(loop: tuple[Path, str]) -> None:
    for j in (0, 1, 2):
        names = {path.name for path in (loop[0] / f"models/{j}").iterdir()}
        assert "model.safetensors" in names
        assert not any(name.endswith((".bin", ".pt", ".pth")) for name in names)


@pytest.mark.slow
def test_nothing_to_do_runs_nothing(loop: tuple[Path, str]) -> None:
    assert ran(dvc(loop[0], "repro")) == []


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project before its first training, whose stages the next tests kill."""
    folder = project(tmp_path_factory.mktemp("killed"))
    dvc(folder, "repro", "warmup", "generate@1")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "begun", "results"),
    [
        (
            "train",
            lambda scratch: (scratch / "grpo/checkpoint-1/trainer_state.json").exists(),
            ("models/1/model.safetensors", "metrics/iterations/1/steps.json"),
        ),
        ("probe", lambda scratch: answers_in(scratch), ("data/iterations/1/probe.parquet",)),
    ],
    ids=["train", "probe"],
)
def test_a_second_run_is_refused_and_a_killed_one_ends_as_an_undisturbed_one(
    loop: tuple[Path, str],
    killed: Path,
    stage: str,
    begun: Callable[[Path], int],
    results: tuple[str, ...],
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}", "--iteration", "1"],
        cwd=killed,
        env=environment(killed),
    )
    deadline = time.monotonic() + 120
    while not any(map(begun, (killed / "scratch").glob(f"{stage}@1-*/"))):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGSTOP)  # it must not end before the second run begins
    refused = dvc(killed, "repro", f"{stage}@1", fails=True)
    assert f"is already running, as process {process.pid}" in refused
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not any((killed / name).exists() for name in results)
    output = dvc(killed, "repro", f"{stage}@1")
    assert "resuming where an earlier run stopped" in output
    for name in results:
        assert (killed / name).read_bytes() == (loop[0] / name).read_bytes()


@pytest.mark.slow
def test_a_run_whose_stages_were_killed_gives_the_lock_file_of_an_undisturbed_one(
    loop: tuple[Path, str], killed: Path
) -> None:
    dvc(killed, "repro")
    locks = [YAML(typ="safe").load(folder / "dvc.lock") for folder in (killed, loop[0])]
    assert locks[0] == locks[1]


@pytest.mark.slow
def test_one_more_iteration_runs_its_own_stages_only(loop: tuple[Path, str]) -> None:
    folder, _ = loop
    subprocess.run(
        [sys.executable, "-m", "looptool", "unroll", "3"],
        cwd=folder,
        env=environment(folder),
        check=True,
    )
    set_params(folder, **{"loop.iterations.3.train": {"steps": 1}})
    order = "probe@2 verify@2 expand@2 generate@3 train@3 eval@3 summarize"
    assert ran(dvc(folder, "repro")) == order.split()
    set_params(folder, **{"loop.iterations.3.train": {"steps": 2}})
    assert ran(dvc(folder, "repro")) == ["train@3", "eval@3", "summarize"]


@pytest.mark.slow
def test_a_mistyped_param_ends_before_anything_runs(tmp_path: Path) -> None:
    folder = project(tmp_path / "typo", **{"train.learning_rte": 1e-5})
    output = dvc(folder, "repro", fails=True)
    assert "params.yaml: train.learning_rte: unknown field; did you mean learning_rate?" in output
    assert "Traceback" not in output
    assert not (folder / "models/0").exists()


@pytest.mark.slow
def test_training_goes_on_in_the_processes_of_an_accelerate_config(
    loop: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tmp_path / "two"
    shutil.copytree(loop[0], folder, symlinks=True)
    config = folder / "configs/accelerate/two-cpus.yaml"
    set_params(folder, **{"train.accelerate_config": "configs/accelerate/two-cpus.yaml"})
    output = dvc(folder, "repro", "train@1")
    assert ran(output) == ["train@1"] and "Traceback" not in output
    one, two = (
        json.loads((each / "metrics/iterations/1/steps.json").read_text())
        for each in (loop[0], folder)
    )
    assert [row["step"] for row in two] == [row["step"] for row in one] == [1, 2]
    weights = [each / "models/1/model.safetensors" for each in (loop[0], folder)]
    assert weights[0].stat().st_size == weights[1].stat().st_size
    assert weights[0].read_bytes() != weights[1].read_bytes()

    config.write_text(config.read_text().replace("num_processes: 2", "num_processes: 4"))
    output = dvc(folder, "repro", "train@1", fails=True)
    assert "two-cpus.yaml: num_processes: 4 does not divide the 2 prompts of a step" in output
    assert "Traceback" not in output


def answers_in(scratch: Path) -> int:
    """How many answers a stage's scratch folder holds already."""
    try:
        with closing(sqlite3.connect(f"file:{scratch}/answers.db?mode=ro", uri=True)) as database:
            return int(database.execute("select count(*) from answers").fetchone()[0])
    except sqlite3.Error:
        return 0  # not yet made


@pytest.mark.slow
def test_results_runs_each_arm_once_and_compares_them(loop: tuple[Path, str]) -> None:
    folder, _ = loop
    config = {
        "iterations": 2,
        "seeds": [1],
        "hours": 1,
        "set": {"eval.bfcl.limit": 3},
        "arms": {"loop": {}, "static": {"loop.mode": "static"}},
        "ablations": {},
    }
    YAML().dump(config, folder / "configs/results.yaml")
    (folder / "docs").mkdir()
    (folder / "docs/results.md").write_text(
        "before\n<!-- results:begin -->\n<!-- results:end -->\nafter\n"
    )
    params = (folder / "params.yaml").read_text("utf-8")
    dvc(folder, "add", "models/base")  # as `looptool setup` does: runs find it in DVC's cache
    for command in (["add", "models/base.dvc"], ["commit", "-qm", "base"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    told = results(folder)
    assert "results-loop-s1" in told and "results-static-s1" in told
    found = json.loads((folder / "docs/results.json").read_text("utf-8"))
    assert [run["arm"] for run in found["runs"]] == ["loop", "static"]
    assert all(len(run["iterations"]) == 3 and run["training_tokens"] for run in found["runs"])
    assert {(c["benchmark"], c["against"]) for c in found["comparisons"]} == {
        (benchmark, against)
        for benchmark in ("heldout", "bfcl")
        for against in ("models/0", "static, last iteration")
    }
    page = (folder / "docs/results.md").read_text("utf-8")
    assert page.startswith("before") and page.endswith("after\n") and "| static | 1 | 2 |" in page
    assert (folder / "params.yaml").read_text("utf-8") == params  # runs never touch the workspace
    assert "results-" not in results(folder)  # all is done

    static = open_revision("results-static-s1", folder)  # an experiment that was never here
    assert list(verify_lineage(static)) == []
    told = compare(*(open_data_set(f"results-static-s1:{j}", folder) for j in (1, 2))).to_json()
    assert told["unchanged"]["total"] == 48
    between = [open_data_set(f"results-{arm}-s1:2", folder) for arm in ("static", "loop")]
    assert compare(*between).to_json()["added"]["total"] > 0


def results(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "looptool", "results"],
        cwd=folder,
        env=environment(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout
