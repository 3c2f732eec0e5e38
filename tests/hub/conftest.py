"""A hub on this machine, and the command as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.hub_server import Hub, serving
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]
Runs = Callable[..., list[subprocess.CompletedProcess[str]]]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def looptool(hub: Hub, tmp_path: Path) -> Run:
    """Run `looptool` with this hub, in `tmp_path / "project"`, with a cache of its own."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "dvc.yaml").write_text("stages: {}\n")
    shutil.copy(ROOT / "params.yaml", project)

    def run(*arguments: str, answer: str = "", **environment: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "looptool", *arguments],
            cwd=project, env=env(hub, tmp_path, **environment), input=answer,
            capture_output=True, text=True,
        )  # fmt: skip

    return run


@pytest.fixture
def looptools(hub: Hub, tmp_path: Path, looptool: Run) -> Runs:
    """Run several commands as `looptool` does one, in one process, which saves its start."""
    script = (
        "import contextlib, io, json, sys\n"
        "from looptool import cli\n"
        "for command in json.load(sys.stdin):\n"
        "    out, err, status = io.StringIO(), io.StringIO(), 0\n"
        "    sys.argv = ['looptool', *command]\n"
        "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):\n"
        "        try: cli.main()\n"
        "        except SystemExit as stop: status = stop.code or 0\n"
        "    print(json.dumps([status, out.getvalue(), err.getvalue()]))\n"
    )

    def run(*commands: Sequence[str], **environment: str) -> list[Any]:
        command = [sys.executable, "-c", script]
        done = subprocess.run(
            command, cwd=tmp_path / "project", env=env(hub, tmp_path, **environment),
            input=json.dumps(commands), capture_output=True, text=True,
        )  # fmt: skip
        assert not done.returncode, done.stderr
        results = [json.loads(line) for line in done.stdout.splitlines()]
        return [subprocess.CompletedProcess(command, *result) for result in results]

    return run


def env(hub: Hub, folder: Path, **more: str) -> dict[str, str]:
    """The environment of a user of this hub, whose token is given as HF_TOKEN if at all."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    # the real hub's storage for large files, Xet, is another protocol
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1",
           "LOOPTOOL_SCRATCH": str(folder / "scratch"), "PYTHONPATH": str(ROOT)}  # fmt: skip
    return {**kept, **own, **more}


# what the hub's library says of its work and of what it tries again, and what we say of ours
_PROGRESS = re.compile(
    r"\s*$|.*Fetching \d+ files|Error while downloading|Trying to resume|Max retries|HTTP Error"
    r"|Retrying in|hf:\S+: downloading|params\.yaml: hf:\S+ → "
)


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command says, beside its progress."""
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    (line,) = (each for each in done.stderr.splitlines() if not _PROGRESS.match(each))
    return line


def half_written(folder: Path) -> list[str]:
    """What is left in a cache of the hub, or in a project, of writing that did not end."""
    marks = (".incomplete", ".partial", ".part")
    return [path.name for path in folder.rglob("*") if path.name.endswith(marks)]
