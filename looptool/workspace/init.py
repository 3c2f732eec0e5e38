"""`looptool init`: create a project with only the installed package, without a clone."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML

from looptool.core.errors import ConfigError, LooptoolError
from looptool.exchange import tool_sets
from looptool.exchange.tool_sets import ToolSet
from looptool.workspace import presets

PINS = "requirements.txt"
_PACKAGE = Path(__file__).parents[1]
_PARTS = (
    ".dvcignore",
    ".gitattributes",
    ".gitignore",
    ".dvc/.gitignore",
    ".dvc/config",
    "configs",
    "constraints-vllm.txt",
    "constraints.txt",
    "data/reviews/README.md",
    "data/samples/README.md",
    "data/tools/README.md",
    "dvc.yaml",
    "models/base.dvc",
    "params.yaml",
    "plugins",
    "stages",
)
_HEAD = """\
# The loop, unrolled: D_j is data/iterations/<j>/train.parquet, model j is models/<j>.
# DVC walks this file in order, depth first. `heldout` comes first, because it says which command
# makes a missing base model, and then `eval`, so that eval@j runs right after train@j.
# The stages depend on {pins}: with another version of looptool in it they run again.
# `looptool unroll N` changes the number of iterations.
"""
_README = """\
# {name}

A closed data-training loop for tool-calling models, made by `looptool init`.

    pip install -r {pins}      # if not yet installed
    looptool setup             # the model and the benchmark
    dvc repro                  # the loop with the settings of params.yaml
    looptool summary

`params.yaml` explains every parameter. `looptool --help` lists the commands.
"""


def start(folder: Path, sources: Sequence[str] = ()) -> ToolSet | None:
    """Create a project folder with git and DVC. If it fails, nothing is left behind.

    Args:
        sources: tools to import and set as `generate.tools`, as for `looptool tools import`; the
            preset `own-tools` is applied too.

    Returns:
        The imported tools, or None.

    Raises:
        ConfigError: if the folder is not empty, or a source cannot be read.
        LooptoolError: if git or DVC fails.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is not empty; name a new folder")
    tools = tool_sets.import_tools(sources) if sources else None
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _copy(folder)
        if tools is not None:
            place = tool_sets.place_of(sources[0])
            tool_sets.write(tools, folder / place)
            presets.use("own-tools", lambda *texts: True, folder / "params.yaml")
            _set_tools(folder / "params.yaml", place)
        _run(["git", "init", "--quiet"], folder)
        (folder / ".dvc").rename(folder / ".dvc.own")
        _run([sys.executable, "-m", "dvc", "init", "--quiet"], folder)
        shutil.copytree(folder / ".dvc.own", folder / ".dvc", dirs_exist_ok=True)
        shutil.rmtree(folder / ".dvc.own")
        _commit(folder)
    except BaseException:  # Ctrl-C leaves nothing behind either
        for path in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in created:  # innermost first
            path.rmdir()
        raise
    return tools


def _copy(folder: Path) -> None:
    built = _PACKAGE / "project"
    source = built if built.is_dir() else _PACKAGE.parent
    for part in _PARTS:
        target = folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / part, target, ignore=ignored)
        else:
            shutil.copyfile(source / part, target)
    pipeline = folder / "dvc.yaml"
    pipeline.write_text(_without_code(pipeline.read_text("utf-8")), "utf-8")
    version = importlib.metadata.version("looptool")
    (folder / PINS).write_text(f"-c constraints.txt\nlooptool=={version}\n", "utf-8")
    readme = _README.format(name=folder.resolve().name, pins=PINS)
    (folder / "README.md").write_text(readme, "utf-8")


def _without_code(pipeline: str) -> str:
    """Return dvc.yaml with dependencies on the pins instead of modules outside the project."""
    body = re.sub(r"\A(?:#.*\n)+", _HEAD.format(pins=PINS), pipeline)
    body = re.sub(r"^ +- looptool/.*\n", "", body, flags=re.MULTILINE)
    return re.sub(r"^( +- )stages/\w+\.py\n", rf"\g<0>\g<1>{PINS}\n", body, flags=re.MULTILINE)


def _set_tools(path: Path, place: Path) -> None:
    text = path.read_text("utf-8")
    changed = re.sub(r"^  tools: null", f"  tools: {place.as_posix()}", text, flags=re.MULTILINE)
    if YAML(typ="safe").load(changed)["generate"]["tools"] != place.as_posix():
        raise LooptoolError(f"{path}: generate.tools: has no line `tools: null` to replace")
    path.write_text(changed, "utf-8")


def _commit(folder: Path) -> None:
    """Commit everything, because `dvc exp` needs a commit. Ignores failure: git may lack a user."""
    _run(["git", "add", "--all"], folder)
    command = ["git", "commit", "--quiet", "--message", "looptool init"]
    subprocess.run(command, cwd=folder, capture_output=True)


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True)
    except FileNotFoundError:
        raise LooptoolError(f"{command[0]} is not installed") from None
    if done.returncode:
        last = done.stderr.strip().splitlines() or [""]
        raise LooptoolError(f"{' '.join(command)} failed: {last[-1]}")
