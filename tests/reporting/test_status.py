"""`looptool status` on a small pipeline of the real DVC."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from looptool.core.errors import ConfigError
from looptool.reporting.status import next_steps, read_status

PIPELINE = """
stages:
  generate:
    foreach: ["1", "2"]
    do:
      cmd: "{python} -c \\"open('data${{item}}', 'w').write(open('in${{item}}').read())\\""
      deps: ["in${{item}}"]
      outs: ["data${{item}}"]
  train:
    foreach: ["1", "2"]
    do:
      cmd: "{python} -c \\"open('model${{item}}', 'w').write(open('data${{item}}').read())\\""
      deps: ["data${{item}}"]
      outs: ["model${{item}}"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path / "scratch"))
    subprocess.run(["git", "init", "-q"], check=True)
    dvc("init", "-q")
    (tmp_path / "dvc.yaml").write_text(PIPELINE.format(python=sys.executable))
    for number in (1, 2):
        (tmp_path / f"in{number}").write_text(str(number))
    return tmp_path


def dvc(*arguments: str) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def states() -> dict[str, str]:
    return {stage.label: stage.state for stage in read_status()}


def test_it_says_what_runs_next_and_why(project: Path) -> None:
    assert states() == {
        "generate@1": "new", "train@1": "waiting", "generate@2": "new", "train@2": "waiting",
    }  # fmt: skip
    assert next(next_steps(read_status())) == "`dvc repro` would run next: generate@1"
    dvc("repro")
    assert set(states().values()) == {"done"}
    assert list(next_steps(read_status())) == ["`dvc repro` has nothing to do"]
    (project / "in2").write_text("changed")
    found = states()
    assert found["generate@1"] == found["train@1"] == "done"
    assert found["generate@2"] == "stale" and found["train@2"] == "waiting"
    told = list(next_steps(read_status()))
    assert told[0] == "`dvc repro` would run next: generate@2"
    assert told[1] == "  generate@2: in2 modified"
    assert told[2].endswith("train@2")


def test_a_stage_that_runs_is_told(project: Path) -> None:
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from looptool.core import runs\n"
        "with runs.stage('generate', 1): print('on', flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    (project / "params.yaml").write_text((root / "params.yaml").read_text())
    process = subprocess.Popen([sys.executable, "-c", script, str(root)], stdout=subprocess.PIPE)
    try:
        assert process.stdout and process.stdout.readline() == b"on\n"
        assert states()["generate@1"] == "running"
        assert next(next_steps(read_status())).startswith("running: generate@1;")
    finally:
        process.kill()
        process.wait()
    assert states()["generate@1"] == "new"


def test_outside_a_project_it_is_told_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dvc\.yaml: does not exist"):
        read_status(tmp_path)
