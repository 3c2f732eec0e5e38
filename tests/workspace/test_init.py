"""`looptool init`: a wheel makes a project that runs without a clone."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from looptool.core import params
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import code_files
from looptool.warm_start import merging
from looptool.workspace import init as starting
from tests.test_loop import SMALL, ran, set_params
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parents[2]
TOOLS = [
    {
        "name": f"{verb}_show",
        "description": f"{verb.capitalize()} a show",
        "parameters": {
            "type": "object",
            "properties": {"show_id": {"type": "integer"}},
            "required": ["show_id"],
        },
    }
    for verb in ("follow", "delete", "rename", "share")
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as pip would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "-w", str(folder), "."], cwd=source, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, folder: Path, *command: str, fails: bool = False) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    more = {
        f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    more |= {
        "PYTHONPATH": str(installed),
        "PATH": path,
        "LOOPTOOL_SCRATCH": str(folder / "scratch"),
    }
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, **more},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert (done.returncode != 0) == fails, done.stdout[-4000:]
    return done.stdout


@pytest.mark.slow
def test_the_wheel_has_the_adapter(installed: Path) -> None:
    for file in merging.ADAPTER.iterdir():
        packed = installed / "looptool/warm_start/adapter" / file.name
        assert packed.read_bytes() == file.read_bytes()
    assert (merging.ADAPTER / merging.WEIGHTS).is_file()


@pytest.mark.slow
def test_an_installed_package_makes_a_project_that_runs(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "functions.json").write_text(json.dumps(TOOLS))
    told = run(installed, tmp_path, "looptool", "init", "mine", "--tools", "functions.json")
    assert "4 tools, 0 skipped" in told and "cd mine && looptool setup" in told
    project = tmp_path / "mine"
    assert "looptool/" not in (project / "dvc.yaml").read_text("utf-8").split("stages:", 1)[1]
    asked = ["git", "log", "--format=%s"], ["git", "status", "--short"]
    told = [subprocess.check_output(command, cwd=project, text=True) for command in asked]
    assert told == ["looptool init\n", ""]
    made = params.load(project / "params.yaml")
    assert made.generate.tools == "data/tools/functions.json" and made.warmup.steps == 30
    assert made.warmup.label_noise == made.generate.label_noise == 0
    (project / "models/base.dvc").unlink()  # of the embedded model
    make_tiny_model(project / "models/base")
    set_params(project, **SMALL, **{"loop.mode": "loop"})
    output = run(installed, project, "dvc", "repro", "train@1")
    stages = ran(output)  # DVC may run generate@1 before or after warmup
    assert sorted(stages) == ["generate@1", "heldout", "train@1", "warmup", "warmup_samples"]
    assert run(installed, project, "dvc", "repro", "train@1").count("didn't change") >= 4
    assert ran(run(installed, project, "dvc", "repro", "train@1")) == []
    pins = project / starting.PINS
    pins.write_text(pins.read_text().replace("==", "==9."))
    assert ran(run(installed, project, "dvc", "repro", "heldout")) == ["heldout"]
    told = run(installed, tmp_path, "looptool", "init", "mine", fails=True)
    assert told.strip() == "mine: is not empty; name a new folder"


def test_the_wheel_is_built_with_all_that_a_project_is_made_of() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text("utf-8"))
    built = next(node.value for node in tree.body if isinstance(node, ast.Assign))
    assert tuple(ast.literal_eval(built)) == starting._PARTS
    listed = (ROOT / "MANIFEST.in").read_text("utf-8").split()
    assert not set(starting._PARTS) - set(listed)


def test_a_source_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        starting.start(tmp_path / "mine", [str(tmp_path / "none.yaml")])
    assert not (tmp_path / "mine").exists()


def test_an_empty_folder_that_was_there_stays_empty(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LooptoolError, match="git is not installed"):
        starting.start(Path("."))
    with pytest.raises(LooptoolError, match="git is not installed"):
        starting.start(Path("p/q/r"))
    assert list(tmp_path.iterdir()) == []


def test_without_git_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LooptoolError, match="git is not installed"):
        starting.start(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_projects_own_stages_count_as_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/mine.py").write_text("from looptool.core import calls\n")
    monkeypatch.chdir(tmp_path)
    found = {path.name for path in code_files("stages.mine")}
    assert {"mine.py", "calls.py", "canonical.py"} <= found
