"""Other people's code on what a model wrote: in processes without network, with limits.

Benchmarks bring checkers and classes of their own, and some evaluate text. Here they run on
literals that we parsed, in a child process for every few items, which may use so much time and
memory, opens no socket, starts no program, writes no file, and sees nothing of our environment. An
item that breaks a limit ends its child alone: the others are answered by the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from looptool.core.errors import LooptoolError

SECONDS = 5.0  # of computing, an item
MEMORY = 2 << 30  # bytes of address space, a child
LIMITS = "limits"  # the key of an item's answer that says which limit it broke
RAISED = "raised"  # and of one at which the worker's code raised

_PATIENCE = 6  # times the seconds that an item may take by the clock, if it sleeps
_REFUSED = (
    "socket.", "subprocess.", "shutil.", "ctypes.", "pty.", "webbrowser.",
    *(f"os.{name}" for name in (
        "exec", "fork", "posix_spawn", "spawn", "system", "kill", "remove", "rename", "rmdir",
        "mkdir", "link", "symlink", "chmod", "chown", "truncate")),
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def run(
    worker: str,
    items: Sequence[Mapping[str, Any]],
    *,
    chunk: int = 16,
) -> list[dict[str, Any]]:
    """Return a worker's answer to each item, in order.

    Args:
        worker: a module that calls `serve` when it is run.
        chunk: items that one child answers, one after the other.

    Returns:
        What the worker's function returned, `{"limits": which}` for an item that broke one, or
        `{"raised": what}` for one at which it raised.

    Raises:
        LooptoolError: if the worker itself cannot be run.
    """
    if not items:
        return []
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="looptool-") as scratch:
        done = subprocess.run(
            [sys.executable, "-m", worker],
            input="".join(f"{json.dumps(line)}\n" for line in [{"chunk": chunk}, *items]),
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=scratch,
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": path,
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": scratch,
            },
        )
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != len(items):
        raise LooptoolError(
            f"{worker} ended with status {done.returncode} after {len(lines)} of {len(items)} "
            f"answers; `looptool setup` reinstalls what it needs\n{done.stderr[-2000:]}"
        )
    return [json.loads(line) for line in lines]


def serve(handle: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer the items on stdin by `handle`, a line each on stdout. The whole life of a worker.

    What the worker imports must be imported before: its children inherit it.
    """
    options, *lines = sys.stdin.read().splitlines()
    chunk = json.loads(options)["chunk"]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what other people's code prints is no answer
    _leave_network()
    place = 0
    while place < len(lines):
        part = lines[place : place + chunk]
        answered, ended = _in_child(handle, part)
        if len(answered) < len(part):
            answered.append(json.dumps({LIMITS: ended}))
        answers.writelines(f"{line}\n" for line in answered)
        place += len(answered)
    answers.close()


def _in_child(
    handle: Callable[[dict[str, Any]], dict[str, Any]], lines: Sequence[str]
) -> tuple[list[str], str]:
    """Return the answers that a child gave before it ended, and why it did."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        try:
            _answer(handle, lines, sending)
        finally:
            os._exit(0)
    os.close(sending)
    received, ended = b"", ""
    while not ended:
        ready, _, _ = select.select([receiving], [], [], _PATIENCE * SECONDS)
        if not ready:
            ended = f"no answer within {_PATIENCE * SECONDS:g} s"
            os.kill(child, signal.SIGKILL)
        elif part := os.read(receiving, 1 << 20):
            received += part
        else:
            ended = "ended"
    os.close(receiving)
    _, status = os.waitpid(child, 0)
    if ended == "ended" and os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        slow = number in (signal.SIGXCPU, signal.SIGKILL)
        ended = f"more than {SECONDS:g} s" if slow else signal.Signals(number).name
    whole = received[: received.rfind(b"\n") + 1]
    return whole.decode("utf-8").splitlines(), ended


def _answer(
    handle: Callable[[dict[str, Any]], dict[str, Any]], lines: Sequence[str], sending: int
) -> None:
    with contextlib.suppress(ValueError, OSError):  # systems that know no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse)
    for line in lines:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = int(usage.ru_utime + usage.ru_stime)
        with contextlib.suppress(ValueError, OSError):
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            resource.setrlimit(resource.RLIMIT_CPU, (used + int(SECONDS) + 1, hard))
        try:
            answer = json.dumps(handle(json.loads(line)))
        except MemoryError:
            answer = json.dumps({LIMITS: f"more than {MEMORY >> 30} GiB"})
        except Exception as error:  # other people's code trusts its input: anything can come out
            answer = json.dumps({RAISED: repr(error)[:1000]})
        left = answer.encode("utf-8") + b"\n"
        while left:
            left = left[os.write(sending, left) :]


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise at what a checker has no business with (PEP 578: such a hook cannot be taken off)."""
    if event == "open" and not _writes(*arguments[1:3]):
        return
    if event == "open" or event.startswith(_REFUSED):
        raise PermissionError(f"{event}: not in here")


def _writes(mode: Any, flags: Any) -> bool:
    return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & _WRITING)


def _leave_network() -> None:
    """Go where there is no network, if the system lets us; `_refuse` holds wherever it does not."""
    new_user, new_net = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of linux/sched.h
    with contextlib.suppress(OSError, AttributeError):
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(new_net) != 0:
            unshare(new_user | new_net)
