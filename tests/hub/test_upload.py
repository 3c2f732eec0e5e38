"""Pushing a model and a data set: shown first, private, and again only what changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hub.conftest import ROOT, env, only_line
from tests.hub_server import STRANGER, TOKEN, Hub
from tests.lineage.conftest import make_project
from tests.tiny import make_tiny_model


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("push"), 60, 3)
    base = f"hf:acme/tiny@{'1' * 40}"
    text = (ROOT / "params.yaml").read_text("utf-8").replace("base: embedded", f"base: {base}")
    (folder / "params.yaml").write_text(text, "utf-8")
    make_tiny_model(folder / "models/2")
    return folder


@pytest.fixture
def run(built: Path, hub: Hub, tmp_path: Path) -> Any:
    folder = tmp_path / "project"
    shutil.copytree(built, folder)

    def looptool(*arguments: str, answer: str = "", **more: str) -> Any:
        command = [sys.executable, "-m", "looptool", *arguments]
        own = env(hub, tmp_path, **{"HF_TOKEN": TOKEN, **more})
        return subprocess.run(
            command, cwd=folder, env=own, input=answer, capture_output=True, text=True
        )

    return looptool


def what_happens(text: str) -> set[str]:
    """Of each file that is shown, what happens to it and its name."""
    return {" ".join(line.split()[:2]) for line in text.splitlines()[1:]}


def held(hub: Hub, kind: str, name: str) -> Any:
    found = hub.repositories[kind, name]
    return found, found.commits[found.branches["main"]]


def test_a_model_is_shown_and_uploaded_privately_with_its_card(run: Any, hub: Hub) -> None:
    push = ("model", "push", "2", "owner/mine", "--license", "mit")
    done = run(*push, answer="n\n")
    assert "owner/mine (model) on http://127.0.0.1" in done.stdout and "as owner" in done.stdout
    assert "is new, and is private: only those whom you let see it" in done.stdout
    assert {"new README.md", "new model.safetensors"} <= what_happens(done.stdout)
    assert not hub.repositories and done.returncode == 0
    done = run(*push, "--yes")
    assert not done.returncode, done.stderr
    repository, files = held(hub, "models", "owner/mine")
    assert repository.private and done.stdout.strip().endswith("/owner/mine")
    card = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    assert (card["base_model"], card["license"]) == ("acme/tiny", "mit")
    assert f"Trained from `hf:acme/tiny@{'1' * 40}`" in files["README.md"].decode()
    assert "model.safetensors" in files
    assert TOKEN not in done.stdout + done.stderr


def test_a_second_push_uploads_what_changed_and_takes_old_weights_away(
    run: Any, hub: Hub, tmp_path: Path
) -> None:
    push = ("model", "push", "2", "owner/mine", "--yes")
    assert not run(*push).returncode
    repository, files = held(hub, "models", "owner/mine")
    count = len(repository.commits)
    assert "nothing to upload" in run(*push).stdout and len(repository.commits) == count
    mine = {"notes.md": b"mine", "adapter/adapter_model.safetensors": b"mine"}
    repository.commit({**files, "model-00001-of-00002.safetensors": b"old", **mine})
    make_tiny_model(tmp_path / "project/models/2", seed=5)
    hub.log.clear()
    done = run(*push)
    assert not done.returncode, done.stderr
    shown = {"changed model.safetensors", "changed README.md", "same config.json",
             "same tokenizer.json", "removed model-00001-of-00002.safetensors"}  # fmt: skip
    assert shown <= what_happens(done.stdout) and "notes.md" not in done.stdout
    _, files = held(hub, "models", "owner/mine")
    new = (tmp_path / "project/models/2/model.safetensors").read_bytes()
    assert files["model.safetensors"] == new and mine.items() <= files.items()
    assert "model-00001-of-00002.safetensors" not in files
    assert sum(method == "PUT" for method, *_ in hub.log) == 1  # the weights alone


def test_a_data_set_is_uploaded_and_can_be_imported(run: Any, hub: Hub, tmp_path: Path) -> None:
    done = run("data", "export", "2", "--push", "owner/calls", "--yes")
    assert not done.returncode, done.stderr
    repository, files = held(hub, "datasets", "owner/calls")
    assert repository.private and "# Tool-calling samples" in files["README.md"].decode()
    assert "exports/data-2" in done.stdout
    count = int(done.stdout.split()[0])
    imported = run("data", "import", "hf:owner/calls", "--json")
    assert not imported.returncode, imported.stderr
    told = json.loads(imported.stdout)
    assert told["format"] == "hf" and told["samples"] == count and not told["rejected"]


def test_who_can_see_it_is_said_before_anything_is_uploaded(run: Any, hub: Hub) -> None:
    hub.model("owner/open", {"README.md": b"x"})
    shown = run("model", "push", "2", "owner/open", answer="n\n").stdout
    assert "exists, and is public: everyone can see it" in shown
    shown = run("model", "push", "2", "owner/new", "--public", answer="n\n").stdout
    assert "is new, and is public: everyone can see it" in shown
    line = only_line(run("model", "push", "2", "owner/open", "--yes"))
    assert line == "hf:owner/open: is public; --yes needs --public too"
    assert len(hub.repositories) == 1 and len(hub.repositories["models", "owner/open"].commits) == 1


def test_without_a_login_or_a_right_nothing_is_created(run: Any, hub: Hub) -> None:
    push = ("model", "push", "2", "owner/mine", "--yes")
    line = only_line(run(*push, HF_TOKEN=""))
    assert (
        line == "hf:owner/mine: you are not logged in; log in with `hf auth login` or set HF_TOKEN"
    )
    line = only_line(run(*push, HF_TOKEN="hf_wrong"))
    assert "does not accept your token (401)" in line
    hub.model("owner/hidden", {"README.md": b"x"}, private=True)
    line = only_line(run("model", "push", "2", "owner/hidden", "--yes", HF_TOKEN=STRANGER))
    assert "your token may not see it (409)" in line
    hub.repositories.clear()
    line = only_line(run("model", "push", "2", "stranger/mine", "--yes"))
    assert line.startswith("hf:stranger/mine: your token does not permit this (403)")
    assert only_line(run("model", "push", "2", "mine")) == "mine: must be owner/name"
    assert not hub.repositories
