"""A sandbox for third-party code that runs on model output.

Benchmarks ship their own checkers and classes, and some of these evaluate text. They run here on
literals that we parsed, in a child process per chunk of items. A child has limited time and memory,
is refused sockets, programs and writing to files, and does not inherit our environment variables.
An item that exceeds a limit ends only its own child; the next child answers the rest.

This contains code that fails on a model's odd arguments. It does NOT contain code that tries to
get out:

- Sockets, programs and files are refused by an audit hook (PEP 578), which sees only what Python
  reports. Native code passes it: `_posixsubprocess.fork_exec` starts a program, `sqlite3` creates a
  file (an empty one). So does any event that `_refuse` does not name: file times and attributes can
  be changed, named pipes and threads created, and signals sent through a pidfd.
- Reading is free: all files that the user may read and, through Linux's /proc, the environment of
  the process that called `run`, with its keys. What was read can leave in an answer, which goes to
  tables and into prompts.
- The namespace without network needs Linux and the right to create it. Without it, which is not
  reported, only the hook keeps code off the network.
- A limit that the system lacks is left out, with those set after it, and not reported. Code can
  raise its limit of CPU time; then only the wall clock ends it, unless it keeps writing to the pipe
  of the answers. The numbers of threads and open files are not limited.
- A child holds the pipes of the answers, and its items share one process: code can forge the
  answers to its own and to other items.
- What a worker imports before `serve`, as it does BFCL's package, runs with no limit and no hook.
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

SECONDS = 5.0  # CPU time per item
MEMORY = 2 << 30  # bytes of address space per child
LIMITS = "limits"  # key of an item's answer: the limit that it exceeded
RAISED = "raised"  # key of an item's answer: the exception that the worker's code raised

_PATIENCE = 6  # an item may take this many times SECONDS of wall-clock time, e.g. if it sleeps
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
    """Run a worker on each item and return its answers, in order.

    Args:
        worker: name of a module that calls `serve` when run with `python -m`.
        chunk: number of items that one child answers, one after another.

    Returns:
        For each item what the worker's function returned, `{"limits": limit}` if it exceeded a
        limit, or `{"raised": exception}` if it raised.

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
            f"answers; `looptool setup` reinstalls its dependencies\n{done.stderr[-2000:]}"
        )
    return [json.loads(line) for line in lines]


def serve(handle: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Run a worker: answer each item on stdin by `handle`, one line per item on stdout.

    Import the worker's modules before calling this: its children inherit them.
    """
    options, *lines = sys.stdin.read().splitlines()
    chunk = json.loads(options)["chunk"]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what third-party code prints must not mix with the answers
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
    """Return the answers that a child gave before it ended, and why it ended."""
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
    with contextlib.suppress(ValueError, OSError):  # some systems lack such limits
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
        except Exception as error:  # third-party code does not validate its input
            answer = json.dumps({RAISED: repr(error)[:1000]})
        left = answer.encode("utf-8") + b"\n"
        while left:
            left = left[os.write(sending, left) :]


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what a checker must not do (PEP 578: an audit hook cannot be removed)."""
    if event == "open" and not _writes(*arguments[1:3]):
        return
    if event == "open" or event.startswith(_REFUSED):
        raise PermissionError(f"{event}: not allowed here")


def _writes(mode: Any, flags: Any) -> bool:
    return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & _WRITING)


def _leave_network() -> None:
    """Enter a namespace without network if the system permits it; if not, `_refuse` is left."""
    new_user, new_net = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of linux/sched.h
    with contextlib.suppress(OSError, AttributeError):
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(new_net) != 0:
            unshare(new_user | new_net)
