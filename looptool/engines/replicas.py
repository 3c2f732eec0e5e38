"""Copies of one model that share the prompts, each in a process with GPUs of its own.

vLLM's `LLM` takes no data parallel size and tells one to start processes. Dense models need no
more than that: their copies have nothing to say to each other.
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
    """Raised in a copy when its prompts are wanted no longer."""


@dataclass
class Replicas:
    """See `Engine`. The prompts are dealt out in turn, so that copies have as much to do."""

    identity: str
    connections: list[Connection]
    processes: list[BaseProcess]
    independent: bool = True

    @classmethod
    def load(cls, load: Callable[[], Engine], gpus: Sequence[str | None]) -> Replicas:
        """Start a process for each of `gpus`, the GPUs that it may see, and load a copy in it.

        Args:
            load: loads one copy; goes to the processes pickled. What it raises is raised here.
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
        # before Python waits for its processes at its end
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
                for connection in [each for each in self.connections if each in ready]:
                    group = self._receive(connection)
                    if group is None:
                        del busy[connection]
                        continue
                    start = self.connections.index(connection)
                    placed = [(start + copies * place, each) for place, each in group]
                    completions.update(placed)
                    arrived(placed)
        except BaseException:
            self._stop(list(busy))
            raise
        return [completions[place] for place in range(len(prompts))]

    def close(self) -> None:
        """End the processes."""
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
            f"a copy of the model ended with status {process.exitcode}; what was answered "
            "before is kept: the same command goes on from there"
        )

    def _stop(self, busy: Sequence[Connection]) -> None:
        """Have copies drop what they are at, so that they can be asked again."""
        for connection in busy:
            with contextlib.suppress(OSError, EOFError):  # it has ended
                connection.send(None)
                while connection.recv() is not None:
                    pass


def share_gpus(copies: int, each: int) -> Sequence[str | None]:
    """Return the GPUs of each copy as CUDA_VISIBLE_DEVICES has them, None where there are none.

    Raises:
        ConfigError: if there are some, but too few.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [str(number) for number in range(len(machine.gpus()))]
    if gpus and visible is not None:
        gpus = [name for name in visible.split(",") if name]
    if not gpus:
        return [None] * copies
    if len(gpus) < copies * each:
        raise ConfigError(
            f"{FILE}: vllm.data_parallel_size: {copies} copies of {each} GPUs are "
            f"{copies * each}; this machine has {len(gpus)}"
        )
    return [",".join(gpus[start : start + each]) for start in range(0, copies * each, each)]


def _serve(connection: Connection, load: Callable[[], Engine], gpus: str | None) -> None:
    """Answer what comes in until the other side ends. The whole life of a copy's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which tells its copies
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
            if task is None:  # came when this was done
                continue
            prompts, sampling = task
            with contextlib.suppress(_Stopped):
                engine.generate(prompts, sampling, arrived)
            connection.send(None)
    except (EOFError, OSError):
        return  # the parent has gone, and wants nothing more
    except Exception as error:
        connection.send(error)


def _end(connections: Sequence[Connection], processes: Sequence[BaseProcess]) -> None:
    for connection in connections:
        connection.close()
    for process in processes:
        process.join(30)
        process.kill()
