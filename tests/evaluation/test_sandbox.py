"""The sandbox: what it holds a worker to, and that others are answered all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.core.errors import LooptoolError
from looptool.evaluation import sandbox

WORKER = """
import json, os, sys, time
from looptool.evaluation import sandbox

def handle(item):
    if item["do"] == "loop":
        while True: pass
    if item["do"] == "power":
        9**10**9
    if item["do"] == "memory":
        return {"length": len(bytearray(16 << 30))}
    if item["do"] == "socket":
        import socket; socket.socket()
    if item["do"] == "program":
        import subprocess; subprocess.run(["true"])
    if item["do"] == "shell":
        os.system("true")
    if item["do"] == "write":
        open(item["path"], "w")
    if item["do"] == "remove":
        os.remove(item["path"])
    if item["do"] == "exit":
        os._exit(3)
    if item["do"] == "print":
        print("noise on stdout")
    if item["do"] == "environment":
        return {"environment": dict(os.environ), "folder": os.getcwd()}
    return {"did": item["do"]}

if __name__ == "__main__":
    sandbox.SECONDS = 1
    sandbox.serve(handle)
"""


@pytest.fixture(autouse=True)
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rogue.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.parametrize(
    ("do", "told"),
    [
        ("loop", {"limits": "more than 1 s"}),
        ("power", {"limits": "more than 1 s"}),
        ("memory", {"limits": "more than 2 GiB"}),
        ("exit", {"limits": "ended"}),
        ("socket", {"raised": "PermissionError('socket.__new__: not allowed here')"}),
        ("program", {"raised": "PermissionError('subprocess.Popen: not allowed here')"}),
        ("shell", {"raised": "PermissionError('os.system: not allowed here')"}),
        ("write", {"raised": "PermissionError('open: not allowed here')"}),
        ("remove", {"raised": "PermissionError('os.remove: not allowed here')"}),
        ("print", {"did": "print"}),
    ],
)
def test_a_rogue_item_gets_nowhere_and_the_others_are_answered(
    do: str, told: dict[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "kept"
    target.write_text("mine")
    items = [{"do": "well"}, {"do": do, "path": str(target)}, {"do": "well"}]
    found = sandbox.run("rogue", items)
    assert found == [{"did": "well"}, told, {"did": "well"}]
    assert target.read_text() == "mine"


def test_a_worker_sees_nothing_of_our_environment_nor_our_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    found = sandbox.run("rogue", [{"do": "environment"}])[0]
    assert "secret" not in str(found) and "PATH" in found["environment"]
    assert Path(found["folder"]) != Path.cwd() and not Path(found["folder"]).exists()


def test_answers_come_in_order_over_many_children() -> None:
    items = [{"do": str(number)} for number in range(50)]
    assert sandbox.run("rogue", items, chunk=7) == [{"did": str(n)} for n in range(50)]


def test_no_items_need_no_worker() -> None:
    assert sandbox.run("missing", []) == []


def test_a_worker_that_cannot_start_is_an_error_with_its_reason() -> None:
    with pytest.raises(LooptoolError, match=r"missing ended with status 1 after 0 of 1 answers"):
        sandbox.run("missing", [{}])
