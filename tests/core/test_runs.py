import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from looptool.core import fingerprints, runs
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.machine import NumberType

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    """A project's root of its own, with a scratch root of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    # `auto` is timed, and may come out otherwise in another process while the machine is busy
    params = (ROOT / "params.yaml").read_text("utf-8").replace("dtype: auto", "dtype: float32")
    (folder / "params.yaml").write_text(params, "utf-8")
    (folder / "input").write_text("one", "utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.delenv("DVC_STAGE", raising=False)
    return folder


def scratch(run):
    return run.scratch(["input"], ["train"])


def stopped_run(name="probe", iteration=1):
    """Run a stage that leaves a file in its scratch folder and is interrupted."""
    with pytest.raises(KeyboardInterrupt), runs.stage(name, iteration) as run:
        folder = scratch(run)
        (folder / "batch").write_text("done", "utf-8")
        raise KeyboardInterrupt
    return folder


def another_process(code, **environment):
    """Start Python in the workspace; it prints a line when it is where the test wants it."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


HOLD = (
    "import time\n"
    "from looptool.core import runs\n"
    "with runs.stage('probe', 1) as run:\n"
    "    run.scratch(['input'], ['train'])\n"
    "    print('ready', flush=True)\n"
    "    time.sleep(60)\n"
)


# --- a run -----------------------------------------------------------------------------------


def test_a_run_has_the_params_of_its_iteration(workspace):
    text = (workspace / "params.yaml").read_text("utf-8")
    second = "prev: 1, generate: {}, train: "
    changed = text.replace(second + "{}", second + "{steps: 99}")
    (workspace / "params.yaml").write_text(changed, "utf-8")
    with runs.stage("train", 2) as run:
        assert run.params.train.steps == 99
    with runs.stage("train", 1) as run:
        assert run.params.train.steps != 99


def test_seeds_differ_between_stages_and_iterations_and_follow_the_params(workspace):
    def seeds():
        found = []
        for name, iteration in (("train", 1), ("train", 2), ("generate", 1), ("heldout", None)):
            with runs.stage(name, iteration) as run:
                found.append((run.seed, run.seed_number))
        return found

    first = seeds()
    assert len(set(first)) == len({number for _, number in first}) == 4
    assert all(0 <= number < 2**31 for _, number in first)
    assert seeds() == first
    with runs.stage("train", 2) as run:
        assert run.seed_of(1) == first[0][0]
    path = workspace / "params.yaml"
    path.write_text(path.read_text("utf-8").replace("seed: 0 #", "seed: 1 #"), "utf-8")
    assert not set(seeds()) & set(first)


def test_a_success_is_timed_and_told_on_one_line(workspace, capsys):
    for iteration in (1, 2):
        with runs.stage("train", iteration) as run:
            run.note(samples=3, tokens=40)
    rows = [json.loads(line) for line in (workspace / runs.TIMINGS).read_text().splitlines()]
    assert [(row["stage"], row["iteration"], row["tokens"]) for row in rows] == [
        ("train", 1, 40),
        ("train", 2, 40),
    ]
    assert all(row["seconds"] >= 0 and row["peak_rss"] > 2**20 for row in rows)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and told[0].startswith("train@1: samples 3, tokens 40, ")


def test_a_known_error_is_one_screen_and_status_1(workspace, capsys):
    with pytest.raises(SystemExit) as stop, runs.stage("train", 1):
        raise LooptoolError("no such luck")
    assert stop.value.code == 1
    assert capsys.readouterr().err == "train@1: no such luck\n"
    assert not (workspace / runs.TIMINGS).exists()


def test_a_mistake_in_params_stops_a_stage_before_its_body(workspace, capsys):
    path = workspace / "params.yaml"
    path.write_text(path.read_text("utf-8").replace("save_steps", "save_step"), "utf-8")
    entered = []
    with pytest.raises(SystemExit), runs.stage("train", 1):
        entered.append(1)
    assert not entered
    told = capsys.readouterr().err
    assert "train.save_step: unknown field" in told and "Traceback" not in told


def test_a_field_that_turns_out_wrong_is_told_like_any_other(capsys):
    with pytest.raises(SystemExit), runs.stage("generate", 1) as run:
        raise run.error("generate.samples", "the data set is empty")
    told = capsys.readouterr().err
    assert told == "generate@1: params.yaml: generate.samples: the data set is empty\n"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_told_with_what_to_do(error, capsys):
    with pytest.raises(SystemExit) as stop, runs.stage("train", 1):
        raise error
    told = capsys.readouterr().err
    assert stop.value.code == 1
    assert "disk is full" in told and "dvc gc" in told and "Traceback" not in told


def test_a_full_disk_is_told_of_whatever_a_library_makes_of_it(capsys, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=4096))
    with pytest.raises(SystemExit), runs.stage("train", 1):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")
    assert "disk is full" in capsys.readouterr().err


def test_an_unknown_error_is_not_hidden():
    with pytest.raises(ZeroDivisionError), runs.stage("train", 1):
        raise ZeroDivisionError


def test_a_bar_off_a_terminal_tells_a_line_at_times(monkeypatch, capsys):
    now = iter(range(0, 10_000, 20))
    monkeypatch.setattr(runs.time, "monotonic", lambda: next(now))
    with runs.stage("train", 1) as run, run.bar("steps", 6) as reach:
        for done in range(1, 7):  # of a stage that resumes after the first step
            reach(done)
    told = [line for line in capsys.readouterr().err.splitlines() if "steps" in line]
    assert 0 < len(told) < 6
    assert all(re.search(r"steps [2-6]/6, about \d+ (s|min) left$", line) for line in told)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (89, "89 s"), (91, "2 min"), (5340, "89 min"), (9000, "2.5 h")],
)
def test_a_length_of_time_is_told_in_the_unit_that_people_use(seconds, told):
    assert runs.duration(seconds) == told


def test_libraries_are_kept_off_the_network(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with runs.stage("train", 1):
        assert os.environ["HF_HUB_OFFLINE"] == "1"


# --- one at a time ---------------------------------------------------------------------------


def test_a_second_run_of_the_same_stage_is_refused_with_a_reason(capsys):
    other = another_process(HOLD)
    try:
        with pytest.raises(SystemExit) as stop, runs.stage("probe", 1):
            pass
        assert stop.value.code == 1
        assert f"is already running, as process {other.pid}" in capsys.readouterr().err
        with runs.stage("probe", 2):
            pass
    finally:
        other.kill()
        other.communicate()
    with runs.stage("probe", 1):
        pass


def test_a_lock_ends_with_its_process_though_a_process_that_it_forked_goes_on():
    code = (
        "import os, time\n"
        "from looptool.core import runs\n"
        "with runs.stage('probe', 1):\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        print('ready', child, sep='\\n', flush=True)\n"
        "    time.sleep(60)\n"
    )
    other = another_process(code)
    child = int(other.stdout.readline())
    other.kill()
    other.wait()
    try:
        with runs.stage("probe", 1):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        other.communicate()


def test_the_same_work_in_another_workspace_is_refused_too(workspace, monkeypatch, capsys):
    other = another_process(HOLD)
    try:
        copy = workspace.with_name("copy")
        copy.mkdir()
        for name in ("params.yaml", "input"):
            (copy / name).write_text((workspace / name).read_text("utf-8"), "utf-8")
        monkeypatch.chdir(copy)
        with pytest.raises(SystemExit), runs.stage("probe", 1) as run:
            scratch(run)
        assert "the same probe@1" in capsys.readouterr().err
    finally:
        other.kill()
        other.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone ends a process with its parent")
def test_a_stage_under_dvc_ends_with_the_process_that_started_it():
    launcher = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {HOLD!r}], stdout=subprocess.PIPE)\n"
        "assert child.stdout.readline() == b'ready\\n'\n"
        "print('ready', flush=True)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    parent = another_process(launcher, DVC_STAGE="probe@1")
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with runs.stage("probe", 1):
                return
        except SystemExit:
            time.sleep(0.05)
    pytest.fail(f"the orphan {child} still holds its lock")


def test_a_scratch_root_that_cannot_be_made_is_told(workspace, monkeypatch, capsys):
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(workspace / "input" / "below"))
    with pytest.raises(SystemExit), runs.stage("train", 1):
        pass
    assert "LOOPTOOL_SCRATCH" in capsys.readouterr().err


# --- scratch ---------------------------------------------------------------------------------


def test_a_stopped_run_finds_its_scratch_folder_again_and_a_success_deletes_it():
    left = stopped_run()
    with runs.stage("probe", 1) as run:
        assert scratch(run) == left
        assert (left / "batch").read_text() == "done"
    assert not left.exists()
    with runs.stage("probe", 1) as run:
        assert not (scratch(run) / "batch").exists()


def test_a_killed_process_leaves_its_scratch_folder_to_the_next():
    process = another_process(HOLD.replace("    print(", "    (run._folder / 'x').touch(); print("))
    process.kill()
    process.communicate()
    with runs.stage("probe", 1) as run:
        assert (scratch(run) / "x").exists()


def edit(path, old, new):
    text = Path(path).read_text("utf-8")
    assert old in text
    Path(path).write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda: edit("input", "one", "two"), False),
        (lambda: edit("params.yaml", "  save_steps: 5", "  save_steps: 6"), False),
        (lambda: edit("params.yaml", "seed: 0 #", "seed: 9 #"), False),
        (lambda: edit("params.yaml", "threads: null", "threads: 1"), False),
        (lambda: edit("params.yaml", "    limit: 4", "    limit: 5"), True),
        (lambda: os.utime("input", (0, 0)), True),
    ],
)
def test_the_folder_follows_inputs_sections_and_threads(change, same, monkeypatch):
    monkeypatch.setattr(runs, "cores", lambda: 2)
    left = stopped_run()
    change()
    with pytest.raises(KeyboardInterrupt), runs.stage("probe", 1) as run:
        assert (scratch(run) == left) == same
        raise KeyboardInterrupt


def test_the_folder_follows_the_number_type(monkeypatch):
    def computing_in(name):
        monkeypatch.setattr(runs, "number_type", lambda wanted: NumberType(name, False, ""))

    computing_in("float32")
    left = stopped_run()
    computing_in("bfloat16")
    with pytest.raises(KeyboardInterrupt), runs.stage("probe", 1) as run:
        assert scratch(run) != left
        raise KeyboardInterrupt


def test_a_slow_number_type_is_warned_of_once(monkeypatch, capsys):
    slow = NumberType("bfloat16", False, "", 97.0)
    monkeypatch.setattr(runs, "number_type", lambda wanted: slow)
    with runs.stage("probe", 1) as run:
        assert run.dtype == run.dtype == "bfloat16"
    assert capsys.readouterr().err.count("takes 97 times as long as float32") == 1


def test_the_folder_follows_the_stage_and_the_installed_packages(monkeypatch):
    left = {stopped_run("probe", 1), stopped_run("probe", 2), stopped_run("train", 1)}
    monkeypatch.setattr(runs.importlib.metadata, "distributions", lambda: [])
    assert len(left | {stopped_run("probe", 1)}) == 4


def test_a_success_sweeps_what_older_runs_left_in_this_workspace(workspace):
    left, other = stopped_run("probe", 1), stopped_run("probe", 2)
    (workspace / "input").write_text("two", "utf-8")
    with runs.stage("probe", 1) as run:
        scratch(run)
    assert not left.exists()
    assert other.exists()


# --- files -----------------------------------------------------------------------------------


def test_json_is_written_sorted_and_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "m.json"
    runs.write_json(path, {"b": 1, "a": "ü"})
    assert path.read_text("utf-8") == '{\n  "a": "ü",\n  "b": 1\n}\n'
    with pytest.raises(ValueError):
        runs.write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text("utf-8")) == {"a": "ü", "b": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_folders_hash_follows_names_and_contents(tmp_path):
    def folder(**files):
        made = tmp_path / str(len(list(tmp_path.iterdir())))
        (made / "sub").mkdir(parents=True)
        for name, text in files.items():
            (made / name.replace("_", "/")).write_text(text, "utf-8")
        return fingerprints.hash_path(made)

    base = folder(a="1", sub_b="2")
    assert folder(sub_b="2", a="1") == base
    assert len({base, folder(a="2", sub_b="1"), folder(a="1", b="2"), folder(a="1")}) == 4


def test_a_missing_input_is_told(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        fingerprints.hash_path(tmp_path / "nothing")


def test_code_files_follow_imports_wherever_they_stand(tmp_path):
    files = {
        "stages/__init__.py": "",
        "stages/one.py": "from pkg import low\nimport json\n",
        "pkg/__init__.py": "",
        "pkg/low.py": "def f():\n    from .sub import deep\n    return deep\n",
        "pkg/sub/__init__.py": "from . import beside\n",
        "pkg/sub/deep.py": "from ..top import name\n",
        "pkg/sub/beside.py": "import pkg.low\n",
        "pkg/top.py": "name = 1\n",
        "pkg/unused.py": "import pkg.low\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    found = fingerprints.code_files("stages.one", tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in found] == [
        "pkg/low.py",
        "pkg/sub/__init__.py",
        "pkg/sub/beside.py",
        "pkg/sub/deep.py",
        "pkg/top.py",
        "stages/one.py",
    ]
