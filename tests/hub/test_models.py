"""Models of the hub by command: what is taken, and one line for each thing that can go wrong."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.conftest import Run, env, half_written, only_line
from tests.hub_server import STRANGER, TOKEN, Fault, Hub

Files = dict[str, bytes]


def read(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_weights(files: Files, size: int) -> Files:
    """The files with a second tensor file, of bytes that occur nowhere else."""
    return {**files, "model-2.safetensors": random.Random(size).randbytes(size)}


def test_a_model_is_taken_without_code_and_pickles_and_the_commit_is_named(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    extra = {"modeling.py": b"1 / 0", "pytorch_model.bin": b"x", "onnx/model.onnx": b"x",
             "consolidated.safetensors": b"x"}  # fmt: skip
    commit = hub.model("acme/tiny", {**read(tiny), **extra})
    done = looptool("check", "--model", "hf:acme/tiny", "--json")
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout)["usable"] and f"hf:acme/tiny@{commit}" in done.stderr
    (snapshot,) = (tmp_path / "hf/hub/models--acme--tiny/snapshots").iterdir()
    assert snapshot.name == commit and {each.name for each in snapshot.iterdir()} == set(read(tiny))
    hub.log.clear()
    done = looptool("check", "--model", f"hf:acme/tiny@{commit}")
    assert not done.returncode and not hub.log  # what is there is not asked for again
    done = looptool("check", "--model", f"hf:acme/tiny@{commit}", HF_HUB_OFFLINE="1")
    assert not done.returncode


CASES: dict[str, tuple[Callable[[Hub, Files], object], dict[str, str], list[str]]] = {
    "no such repository": (
        lambda hub, files: None, {},
        ["hf:acme/m: does not exist, or is private", "`hf auth login` or set HF_TOKEN"],
    ),
    "private, without a token": (
        lambda hub, files: hub.model("acme/m", files, private=True), {},
        ["hf:acme/m: does not exist, or is private", "`hf auth login` or set HF_TOKEN"],
    ),
    "private, with a token that may not read it": (
        lambda hub, files: hub.model("acme/m", files, private=True), {"HF_TOKEN": STRANGER},
        ["hf:acme/m: does not exist, or is private and your token may not read it", "/tokens"],
    ),
    "a token that is not accepted": (
        lambda hub, files: hub.model("acme/m", files), {"HF_TOKEN": "hf_wrong"},
        ["hf:acme/m: the hub does not accept your token (401)", "`hf auth login`"],
    ),
    "gated": (
        lambda hub, files: hub.model("acme/m", files, gated=True), {},
        ["is gated, and you are not logged in", "ask for access at http://", "/acme/m"],
    ),
    "gated, without access": (
        lambda hub, files: hub.model("acme/m", files, gated=True),
        {"HF_TOKEN": STRANGER},
        ["is gated, and your account has no access; ask for access at http://", "/acme/m"],
    ),
    "too many requests": (
        lambda hub, files: (
            hub.model("acme/m", files),
            hub.faults.append(Fault("/api/models/acme/m", 429, headers={"Retry-After": "7"})),
        ), {},
        ["hf:acme/m: too many requests to the hub (429); wait 7 s", "same command again"],
    ),
    "the hub is down": (
        lambda hub, files: (
            hub.model("acme/m", files), hub.faults.append(Fault("/api/models/acme/m", 503)),
        ), {},
        ["hf:acme/m: the hub has a problem (503)", "same command again"],
    ),
    "no connection": (
        lambda hub, files: hub.faults.append(Fault("/api/models/acme/m", "down")), {},
        ["hf:acme/m: the connection to http://127.0.0.1", "failed", "same command again"],
    ),
    "offline": (
        lambda hub, files: hub.model("acme/m", files), {"HF_HUB_OFFLINE": "1"},
        ["hf:acme/m: HF_HUB_OFFLINE is set", "unset it"],
    ),
    "pickled weights only": (
        lambda hub, files: hub.model("acme/m", {
            ("pytorch_model.bin" if name.endswith("tensors") else name): data
            for name, data in files.items()
        }), {},
        ["has only pickled weights (pytorch_model.bin)", "with *.safetensors"],
    ),
    "code of its own": (
        lambda hub, files: hub.model("acme/m", {
            **files, "config.json": b'{"model_type": "odd", "auto_map": {"AutoModel": "odd.M"}}',
        }), {},
        ["its architecture, odd, is not in transformers", "code is never run", "another model"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_failure_is_one_line_and_leaves_nothing(
    case: str, hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    spoil, environment, told = CASES[case]
    spoil(hub, read(tiny))
    line = only_line(looptool("check", "--model", "hf:acme/m", **environment))
    assert all(part in line for part in told), line
    assert not half_written(tmp_path) and TOKEN not in line and STRANGER not in line
    if hub.faults:
        hub.faults.clear()
        hub.model("acme/m", tiny)
        assert not looptool("check", "--model", "hf:acme/m").returncode


def test_a_wrong_revision_and_a_wrong_name_are_told(hub: Hub, tiny: Path, looptool: Run) -> None:
    hub.model("acme/m", tiny)
    line = only_line(looptool("check", "--model", "hf:acme/m@v9"))
    assert line.startswith("hf:acme/m@v9: has no revision v9; choose a branch, tag or commit of")
    for name in ("hf:acme", "hf:acme/a--b", "hf:acme/m.git", "hf:acme/..", "hf:acme/" + "m" * 96):
        line = only_line(looptool("check", "--model", name))
        assert line == f"{name}: must be hf:owner/name or hf:owner/name@revision"


def test_a_cut_connection_is_resumed_where_it_broke(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    files = with_weights(read(tiny), 25_000_000)
    hub.model("acme/m", files)
    large = f"/cdn/{hashlib.sha256(files['model-2.safetensors']).hexdigest()}"
    hub.faults.append(Fault(large, "cut", 1))
    done = looptool("check", "--model", "hf:acme/m")
    assert not done.returncode and not half_written(tmp_path)
    assert hub.bytes_sent(large) == [None, "bytes=10485760-"]  # the library keeps blocks of 10 MiB


def test_a_connection_that_breaks_for_good_keeps_what_is_complete(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    hub.model("acme/m", with_weights(read(tiny), 30_000))
    hub.faults.append(Fault("/cdn/", "cut"))
    line = only_line(looptool("check", "--model", "hf:acme/m"))
    assert "the connection to" in line and "keeps the files that are complete" in line
    assert not half_written(tmp_path)
    hub.faults.clear()
    hub.log.clear()
    assert not looptool("check", "--model", "hf:acme/m").returncode
    assert not hub.bytes_sent("/resolve/") and len(hub.bytes_sent("/cdn/")) == 2


def test_other_bytes_than_the_hubs_are_deleted(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    commit = hub.model("acme/m", tiny)
    hub.faults.append(Fault("/cdn/", "corrupt", 1))
    line = only_line(looptool("check", "--model", "hf:acme/m"))
    assert line.startswith(f"hf:acme/m@{commit}: model.safetensors: what arrived does not have")
    assert not list(tmp_path.rglob("*.safetensors"))
    done = looptool("check", "--model", "hf:acme/m")
    assert not done.returncode


def test_a_full_disk_is_told_before_anything_is_written(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    commit = hub.model("acme/m", tiny)
    full = tmp_path / "full"
    full.mkdir()
    (full / "sitecustomize.py").write_text(
        "import shutil, collections\n"
        "usage = collections.namedtuple('usage', 'total used free')\n"
        "shutil.disk_usage = lambda path: usage(100, 90, 10)\n"
    )
    path = f"{full}:{Path(__file__).resolve().parents[2]}"
    line = only_line(looptool("check", "--model", "hf:acme/m", PYTHONPATH=path))
    assert (
        line.startswith(f"hf:acme/m@{commit}: the disk of ") and "make room, or set HF_HOME" in line
    )
    assert not hub.bytes_sent("/resolve/")


def test_a_file_system_that_is_full_in_the_middle_is_told(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    hub.model("acme/m", with_weights(read(tiny), 3_000_000))
    small = tmp_path / "small"
    small.mkdir()
    (small / "sitecustomize.py").write_text(  # the kernel's own error, with another number
        "import resource, signal, errno, pathlib\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "errno.ENOSPC = errno.EFBIG\n"
    )
    path = f"{small}:{Path(__file__).resolve().parents[2]}"
    line = only_line(looptool("check", "--model", "hf:acme/m", PYTHONPATH=path))
    assert "the disk is full; make room, or set HF_HOME" in line
    assert not half_written(tmp_path)
    assert not looptool("check", "--model", "hf:acme/m").returncode


def test_a_model_that_another_program_cached_in_part_is_completed(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    commit = hub.model("acme/m", tiny)
    partial = (
        "from huggingface_hub import hf_hub_download as get\n"
        "for name in ('config.json', 'model.safetensors'):\n"
        f"    get('acme/m', name, revision='{commit}')"
    )
    own = env(hub, tmp_path)
    subprocess.run([sys.executable, "-c", partial], env=own, check=True, capture_output=True)
    line = only_line(looptool("check", "--model", f"hf:acme/m@{commit}", HF_HUB_OFFLINE="1"))
    assert line.startswith(f"hf:acme/m@{commit}: HF_HUB_OFFLINE is set, and the hub's cache")
    assert not looptool("check", "--model", f"hf:acme/m@{commit}").returncode
    (file,) = (tmp_path / "hf/hub").rglob("tokenizer.json")
    file.unlink()  # as after the cache was cleaned, and filled in part by another program
    assert not looptool("check", "--model", f"hf:acme/m@{commit}").returncode
    assert file.exists()


def test_a_model_of_hf_download_is_used_without_a_network(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    commit = hub.model("acme/m", {**read(tiny), "notes.md": b"x"})
    whole = (
        f"from huggingface_hub import snapshot_download as get; get('acme/m', revision='{commit}')"
    )
    own = env(hub, tmp_path)
    subprocess.run([sys.executable, "-c", whole], env=own, check=True, capture_output=True)
    done = looptool("check", "--model", f"hf:acme/m@{commit}", HF_HUB_OFFLINE="1")
    assert not done.returncode, done.stderr


def test_what_a_killed_download_left_is_removed_when_it_is_old(
    hub: Hub, tiny: Path, looptool: Run, tmp_path: Path
) -> None:
    hub.model("acme/m", tiny)
    blobs = tmp_path / "hf/hub/models--acme--m/blobs"
    blobs.mkdir(parents=True)
    for name, age in (("old", 7200), ("new", 0)):
        (blobs / f"{name}.incomplete").write_bytes(b"x")
        os.utime(blobs / f"{name}.incomplete", (time.time() - age,) * 2)
    assert not looptool("check", "--model", "hf:acme/m").returncode
    assert half_written(tmp_path) == ["new.incomplete"]  # of a process that may be running
