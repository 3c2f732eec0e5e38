"""models/base: made from what params name, the same for all, and described in its .dvc file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from looptool.core import params, tables
from looptool.warm_start import embedded
from tests.hub.conftest import env, hub, only_line, tiny
from tests.hub_server import Fault, Hub
from tests.test_loop import ROOT, dvc, project, set_params, table
from tests.tiny import make_tiny_model

__all__ = ["hub", "tiny"]  # fixtures
DVC = "import sys; from dvc.cli import main; sys.exit(main(sys.argv[1:]))"
NO_WARMUP = {"warmup.steps": 0, "warmup.samples": 4, "heldout.samples": 6}


def setup(folder: Path, server: Hub, *arguments: str, **more: str) -> Any:
    command = [sys.executable, "-m", "looptool", "setup", *arguments]
    return subprocess.run(
        command, cwd=folder, env=env(server, folder.parent, PATH=path(), **more),
        capture_output=True, text=True,
    )  # fmt: skip


def path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def git(folder: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=folder, text=True)


def fresh(folder: Path, **changes: Any) -> Path:
    """A project under git and DVC, in a folder of its own beside the caches, without a base."""
    folder.mkdir(parents=True)
    made = project(folder / "project", **NO_WARMUP, **changes)
    shutil.rmtree(made / "models/base")
    (made / ".dvc/plots").mkdir()
    (made / ".dvc/plots/page.html").touch()  # setup would take a second to write it
    return made


def recorded(folder: Path) -> tuple[str, str]:
    content = YAML(typ="safe").load((folder / "models/base.dvc").read_text("utf-8"))
    return content["meta"]["base"], content["outs"][0]["md5"]


@pytest.mark.slow
def test_a_pinned_base_is_the_same_on_two_machines(hub: Hub, tiny: Path, tmp_path: Path) -> None:
    commit = hub.model("acme/tiny", tiny)
    locks = []
    for machine in ("one", "two"):
        folder = fresh(tmp_path / machine)
        done = setup(folder, hub, "--base", "hf:acme/tiny" + (f"@{commit}" if locks else ""))
        assert not done.returncode, done.stderr
        assert params.load(folder / "params.yaml").model.base == f"hf:acme/tiny@{commit}"
        assert recorded(folder)[0] == f"hf:acme/tiny@{commit}"
        assert "models/base.dvc" in git(folder, "status", "--short", "-uall")
        dvc(folder, "repro", "warmup")
        locks.append((folder / "dvc.lock").read_text("utf-8"))
        measured = (folder / "metrics/iterations/0/warmup.json").read_text("utf-8")
        assert f'"base": "hf:acme/tiny@{commit}"' in measured
    assert locks[0] == locks[1] and f"base: hf:acme/tiny@{commit}" in locks[0]
    # a colleague's clone has the model with `dvc pull`, and one with the network by `setup`
    dvc(folder, "remote", "add", "-d", "store", str(tmp_path / "store"))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    dvc(folder, "push", "models/base")
    clone = tmp_path / "three/project"
    subprocess.run(["git", "clone", "-q", folder, clone], check=True)
    dvc(clone, "pull", "models/base")
    hub.log.clear()
    assert not setup(clone, hub).returncode and not hub.log  # nothing is left to do
    # the branch moves: the pin stays, until a new one is asked for
    newer = hub.model("acme/tiny", make_tiny_model(tmp_path / "newer", seed=1))
    again = tmp_path / "four/project"
    subprocess.run(["git", "clone", "-q", folder, again], check=True)
    told = dvc(again, "repro", fails=True)
    assert "heldout: params.yaml: model.base: hf:acme/tiny@" in told
    assert "models/base: no such folder; `looptool setup` downloads it" in told
    assert not setup(again, hub).returncode and recorded(again) == recorded(folder)
    done = setup(again, hub, "--base", "hf:acme/tiny@main")
    assert f"params.yaml: hf:acme/tiny@main → hf:acme/tiny@{newer}" in done.stderr
    assert recorded(again)[0].endswith(newer) and recorded(again)[1] != recorded(folder)[1]


@pytest.mark.slow
def test_models_in_roles_are_pinned_and_downloaded_and_only_then(
    hub: Hub, tiny: Path, tmp_path: Path
) -> None:
    commit = hub.model("acme/judge", tiny)
    judge = {
        "name": "llm", "engine": "transformers", "server": "local", "model": "hf:acme/judge",
        "batch_size": 1, "temperature": 0.0, "max_new_tokens": 4, "template_options": {},
    }  # fmt: skip
    folder = fresh(tmp_path / "one", **{"verify.judges": ["rules", judge]})
    make_tiny_model(folder / "models/base")

    def check() -> Any:
        command = [sys.executable, "-m", "looptool", "check"]
        own = env(hub, folder.parent, PATH=path())
        return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)

    assert only_line(check()) == (
        "params.yaml: verify.judges.1.model: hf:acme/judge: names no commit; "
        "`looptool setup` looks it up and writes it there"
    )
    assert not hub.log
    done = setup(folder, hub)
    assert not done.returncode, done.stderr
    assert f"params.yaml: hf:acme/judge → hf:acme/judge@{commit}" in done.stderr
    text = (folder / "params.yaml").read_text("utf-8")
    assert text.count(f"hf:acme/judge@{commit}") == 1 and "# clip higher" in text
    hub.log.clear()
    assert not check().returncode
    shutil.rmtree(folder.parent / "hf")
    assert only_line(check()) == (
        f"params.yaml: verify.judges.1.model: hf:acme/judge@{commit}: is not in the hub's cache "
        "as a whole; `looptool setup` downloads it"
    )
    assert not hub.log  # checks never use the network


@pytest.mark.slow
def test_another_base_in_params_than_in_the_folder_is_told(hub: Hub, tmp_path: Path) -> None:
    folder = fresh(tmp_path / "one", **{"model.base": "mine"})
    make_tiny_model(folder / "mine")
    (folder / "mine/pytorch_model.bin").write_bytes(b"x")
    assert not setup(folder, hub).returncode
    assert not (folder / "models/base/pytorch_model.bin").exists()
    assert recorded(folder)[0] == "mine"
    before = (folder / "models/base/model.safetensors").stat().st_mtime_ns
    assert not setup(folder, hub).returncode  # the same folder is not copied again
    assert (folder / "models/base/model.safetensors").stat().st_mtime_ns == before
    make_tiny_model(folder / "mine", seed=1)
    (folder / "mine/generation_config.json").unlink()
    hash_before = recorded(folder)[1]
    assert not setup(folder, hub).returncode and recorded(folder)[1] != hash_before
    assert not (folder / "models/base/generation_config.json").exists()
    assert (folder / "mine/model.safetensors").stat().st_nlink == 1  # a copy, which may be edited
    dvc(folder, "repro", "warmup_samples")
    assert table(folder, "warmup.parquet", tables.Samples).is_empty()  # there is no warm-up
    set_params(folder, **{"model.base": f"hf:acme/tiny@{'0' * 40}"})
    told = dvc(folder, "repro", "warmup", fails=True)
    assert re.search(
        r"model.base: hf:acme/tiny@0+: models/base is mine; `looptool setup` down", told
    )
    set_params(folder, **{"model.base": "hf:acme/tiny"})
    told = dvc(folder, "repro", "warmup", fails=True)
    assert "`looptool setup --base hf:acme/tiny` downloads it" in told
    assert only_line(setup(folder, hub, "--base", "nowhere")) == (
        "params.yaml: model.base: nowhere: no such folder"
    )
    set_params(folder, **{"model.base": "hf:tiny"})
    assert only_line(setup(folder, hub)) == (
        "params.yaml: model.base: must be hf:owner/name or hf:owner/name@revision, found 'hf:tiny'"
    )


@pytest.mark.slow
def test_a_download_that_fails_leaves_the_base_and_the_params(
    hub: Hub, tiny: Path, tmp_path: Path
) -> None:
    folder = fresh(tmp_path / "one")
    commit = hub.model("acme/tiny", tiny)
    assert not setup(folder, hub, "--base", "hf:acme/tiny").returncode
    hub.model("acme/other", make_tiny_model(tmp_path / "other", seed=2))
    hub.faults.append(Fault("/cdn/", "corrupt", 1))
    line = only_line(setup(folder, hub, "--base", "hf:acme/other"))
    assert "model.safetensors: what arrived does not have the hub's checksum" in line
    assert recorded(folder)[0] == f"hf:acme/tiny@{commit}"
    assert (folder / "models/base/model.safetensors").read_bytes() == (
        tiny / "model.safetensors"
    ).read_bytes()
    assert params.load(folder / "params.yaml").model.base == f"hf:acme/tiny@{commit}"
    assert not setup(folder, hub, "--base", "hf:acme/other").returncode
    assert recorded(folder)[0].startswith("hf:acme/other@")


@pytest.mark.slow
def test_a_base_that_stands_stays_and_one_that_dvc_does_not_know_is_kept(
    hub: Hub, tiny: Path, tmp_path: Path
) -> None:
    folder = fresh(tmp_path / "one")
    base = make_tiny_model(folder / "models/base")
    assert not setup(folder, hub).returncode and recorded(folder)[0] == "models/base"
    record = folder / "models/base.dvc"
    before = {file: file.stat().st_mtime_ns for file in base.iterdir()}
    assert not setup(folder, hub).returncode and recorded(folder)[0] == "models/base"
    assert {file: file.stat().st_mtime_ns for file in base.iterdir()} == before
    shutil.rmtree(base)
    mine = (make_tiny_model(base, seed=7) / "model.safetensors").read_bytes()
    hub.model("acme/tiny", tiny)
    done = setup(folder, hub, "--base", "hf:acme/tiny")
    kept = re.search(
        r"models/base: another model was there; DVC's cache keeps it, md5 (\S+)", done.stderr
    )
    assert kept and not done.returncode
    text = record.read_text("utf-8").replace(recorded(folder)[1], kept[1])
    record.write_text(text, "utf-8")
    dvc(folder, "checkout", "--force", "models/base.dvc")
    assert (base / "model.safetensors").read_bytes() == mine


@pytest.mark.slow
def test_an_embedded_model_without_the_shipped_adapter_is_replaced_by_the_one_all_have(
    hub: Hub, tmp_path: Path
) -> None:
    folder = fresh(tmp_path / "one")
    base = make_tiny_model(folder / "models/base")
    assert not setup(folder, hub).returncode
    record = folder / "models/base.dvc"
    record.write_text(record.read_text("utf-8").replace("base: models/base", "base: embedded"))
    set_params(folder, **{"model.base": "embedded"})
    assert not setup(folder, hub).returncode
    made = YAML(typ="safe").load(record.read_text("utf-8"))
    assert made == YAML(typ="safe").load((ROOT / "models/base.dvc").read_text("utf-8"))
    assert made["meta"]["adapter"] == embedded.adapter_hash()
    before = {file: file.stat().st_mtime_ns for file in base.iterdir()}
    assert not setup(folder, hub).returncode
    assert {file: file.stat().st_mtime_ns for file in base.iterdir()} == before


@pytest.mark.slow
def test_files_that_the_record_of_the_same_commit_does_not_have_are_refused(
    hub: Hub, tiny: Path, tmp_path: Path
) -> None:
    folder = fresh(tmp_path / "one")
    hub.model("acme/tiny", tiny)
    assert not setup(folder, hub, "--base", "hf:acme/tiny").returncode
    record = folder / "models/base.dvc"
    before = record.read_text("utf-8")
    record.write_text(before.replace(recorded(folder)[1], f"{'0' * 32}.dir"), "utf-8")
    shutil.rmtree(folder / "models/base")
    line = only_line(setup(folder, hub))
    assert "its files differ from those that models/base.dvc records for this commit" in line
    told = dvc(folder, "repro", "warmup", fails=True)
    assert "models/base is another model, or was changed; `looptool setup` downloads it" in told
    record.unlink()
    assert not setup(folder, hub).returncode and record.read_text("utf-8") == before


@pytest.mark.slow
def test_the_base_of_another_branch_is_not_trained_under_this_one_s_name(
    hub: Hub, tiny: Path, tmp_path: Path
) -> None:
    folder = fresh(tmp_path / "one")
    hub.model("acme/a", tiny)
    hub.model("acme/b", make_tiny_model(tmp_path / "b", seed=1))
    for name in "ab":
        assert not setup(folder, hub, "--base", f"hf:acme/{name}").returncode
        git(folder, "checkout", "-qb", name)
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", name)
    git(folder, "checkout", "-q", "a")  # without `dvc checkout`: models/base is that of b
    told = dvc(folder, "repro", "warmup", fails=True)
    # by heldout if DVC looked at models/base before it, else by warmup: DVC's order is by chance
    assert "params.yaml: model.base: hf:acme/a@" in told and "was changed" in told
    assert not setup(folder, hub).returncode
    assert git(folder, "status", "--short", "models") == ""


@pytest.mark.slow
def test_a_killed_setup_leaves_no_base_under_another_s_name(
    hub: Hub, tiny: Path, tmp_path: Path
) -> None:
    folder = fresh(tmp_path / "one")
    hub.model("acme/a", tiny)
    hub.model("acme/b", make_tiny_model(tmp_path / "b", seed=1))
    assert not setup(folder, hub, "--base", "hf:acme/a").returncode
    of_a = recorded(folder)
    for after_adding in (False, True):
        stub = tmp_path / f"stub{after_adding}"
        (stub / "dvc").mkdir(parents=True)
        real = f"subprocess.run([sys.executable, '-c', {DVC!r}, *sys.argv[1:]], env=env)"
        (stub / "dvc/__main__.py").write_text(
            "import os, signal, subprocess, sys\n"
            "env = {**os.environ, 'PYTHONPATH': ''}\n"
            "if sys.argv[1] == 'status': sys.exit("
            + real
            + ".returncode)\n"
            + (real + "\n" if after_adding else "")
            + "os.kill(os.getppid(), signal.SIGKILL)\n"
        )
        (stub / "dvc/__init__.py").touch()
        killed = setup(folder, hub, "--base", "hf:acme/b", PYTHONPATH=f"{stub}:{ROOT}")
        assert killed.returncode == -9
        told = subprocess.run(
            [sys.executable, "-m", "looptool", "check"], cwd=folder,
            env=env(hub, folder.parent, PATH=path()), capture_output=True, text=True,
        ).stderr  # fmt: skip
        assert "models/base is another model, or was changed" in told
        assert not setup(folder, hub, "--base", "hf:acme/a").returncode
        assert recorded(folder) == of_a
