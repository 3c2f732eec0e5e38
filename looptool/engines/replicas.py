"""Copies of one model that share the prompts, each in a process with its own GPUs.

vLLM's `LLM` does not support a data parallel size; its documentation says to start processes. That
is enough for dense models, whose copies need not communicate.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any

from looptool.core import machine, runs
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.params import FILE
from looptool.engines import Arrived, Completion, Engine, Prompt, Sampling


class _Stopped(Exception):
    """Raised in a copy when its current prompts are cancelled."""


@dataclass
class Replicas:
    """See `Engine`. The prompts are dealt out in turn, so that copies get equal work."""

    identity: str
    connections: list[Connection]
    processes: list[BaseProcess]
    independent: bool = True

    @classmethod
    def load(cls, load: Callable[[], Engine], gpus: Sequence[str | None]) -> Replicas:
        """Start one process per entry of `gpus` and load a copy of the model in each.

        Args:
            load: loads one copy. Must be picklable. Its exceptions are raised here.
            gpus: CUDA_VISIBLE_DEVICES for each process, or None to leave it unset.
        """
        context = multiprocessing.get_context("spawn")
        connections: list[Connection] = []
        processes: list[BaseProcess] = []
        for visible in gpus:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, load, visible))
            process.start()
            theirs.close()
            connections.append(ours)
            processes.append(process)
        engine = cls("", connections, processes)
        # runs before Python joins its child processes at exit
        Finalize(engine, _end, (connections, processes), exitpriority=10)
        engine.identity, *_ = [engine._receive(connection) for connection in connections]
        return engine

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        """See `Engine.generate`.

        Raises:
            LooptoolError: if a copy's process has ended.
        """
        copies = len(self.connections)
        completions: dict[int, Completion] = {}
        busy: dict[Connection, int] = {}
        try:
            for start, connection in enumerate(self.connections):
                self._send(connection, (prompts[start::copies], sampling))
                busy[connection] = start
            while busy:
                ready = wait(list(busy))
                for connection in [one for one in self.connections if one in ready]:
                    group = self._receive(connection)
                    if group is None:
                        del busy[connection]
                        continue
                    start = self.connections.index(connection)
                    placed = [(start + copies * place, completion) for place, completion in group]
                    completions.update(placed)
                    arrived(placed)
        except BaseException:
            self._stop(list(busy))
            raise
        return [completions[place] for place in range(len(prompts))]

    def close(self) -> None:
        """Stop the processes."""
        _end(self.connections, self.processes)

    def _send(self, connection: Connection, message: Any) -> None:
        try:
            connection.send(message)
        except OSError:
            raise self._ended(connection) from None

    def _receive(self, connection: Connection) -> Any:
        try:
            message = connection.recv()
        except (OSError, EOFError):
            raise self._ended(connection) from None
        if isinstance(message, Exception):
            raise message
        return message

    def _ended(self, connection: Connection) -> LooptoolError:
        process = self.processes[self.connections.index(connection)]
        process.join(10)
        return LooptoolError(
            f"a copy of the model ended with status {process.exitcode}; earlier answers are "
            "stored, and the same command resumes from there"
        )

    def _stop(self, busy: Sequence[Connection]) -> None:
        """Cancel the current prompts of copies, so that they can take new ones."""
        for connection in busy:
            with contextlib.suppress(OSError, EOFError):  # the process has ended
                connection.send(None)
                while connection.recv() is not None:
                    pass


def share_gpus(copies: int, each: int) -> Sequence[str | None]:
    """Return the value of CUDA_VISIBLE_DEVICES for each copy, or None for each if there is no GPU.

    Args:
        copies: the number of copies.
        each: the number of GPUs per copy.

    Raises:
        ConfigError: if there are GPUs, but too few.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(number) for number in range(len(machine.gpus()))]
    if gpus and visible is not None:
        gpus = [name for name in visible.split(",") if name]
    if not gpus:
        return [None] * copies
    if len(gpus) < copies * each:
        raise ConfigError(
            f"{FILE}: vllm.data_parallel_size: {copies} copies of {each} GPUs need "
            f"{copies * each}; this machine has {len(gpus)}"
        )
    return [",".join(gpus[start : start + each]) for start in range(0, copies * each, each)]


def _serve(connection: Connection, load: Callable[[], Engine], gpus: str | None) -> None:
    """Answer prompts until the parent ends: the main function of a copy's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and tells its copies
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    runs.quiet()

    def arrived(group: Sequence[tuple[int, Completion]]) -> None:
        if connection.poll():
            connection.recv()
            raise _Stopped
        connection.send(group)

    try:
        engine = load()
        connection.send(engine.identity)
        while True:
            task = connection.recv()
            if task is None:  # a cancellation that came after the work was done
                continue
            prompts, sampling = task
            with contextlib.suppress(_Stopped):
                engine.generate(prompts, sampling, arrived)
            connection.send(None)
    except (EOFError, OSError):
        return  # the parent has ended
    except Exception as error:
        connection.send(error)


def _end(connections: Sequence[Connection], processes: Sequence[BaseProcess]) -> None:
    for connection in connections:
        connection.close()
    for process in processes:
        process.join(30)
        process.kill()
