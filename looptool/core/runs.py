"""What all stages share: one run at a time, a resumable scratch folder, errors on one screen.

A stage is `with runs.stage("probe", runs.iteration_argument()) as run: …`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from looptool.core import canonical
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import code_files, hash_path
from looptool.core.machine import NumberTypeName, cores, number_type, scratch_root
from looptool.core.params import FILE, Params, load

TIMINGS = Path("metrics/timings.jsonl")
# The parts of params that say which engines a stage uses.
_ASKING = {
    "eval": ("eval", "eval.acebench.user"),
    "probe": ("probe",),
    "verify": ("verify.judge",),
    "expand": ("expand", "verify.judge"),
    **dict.fromkeys(("heldout", "warmup_samples", "generate"), ("generate.author", "verify.judge")),
}
_PR_SET_PDEATHSIG = 1
_FULL = 2**20  # bytes that are left on a disk that a failed write filled
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass
class Run:
    """One run of one stage; `stage` makes it.

    Attributes:
        name: the stage, as in dvc.yaml.
        iteration: its iteration, or None.
        params: params.yaml with that iteration's overrides.
        threads: how many CPU threads the stage computes with.
    """

    name: str
    iteration: int | None
    params: Params
    threads: int
    _figures: dict[str, Any] = field(default_factory=dict)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _folder: Path | None = None

    @property
    def label(self) -> str:
        """The stage's name as DVC writes it, `probe@1`."""
        return _label(self.name, self.iteration)

    @property
    def seed(self) -> str:
        """The text that this run's random numbers derive from: params, stage and iteration."""
        return self.seed_of(self.iteration)

    def seed_of(self, iteration: int | None, stage: str | None = None) -> str:
        """Return what `seed` is in another iteration, of the same stage if none is named."""
        stage = stage or self.name
        own = getattr(getattr(self.params, stage, None), "seed", 0)
        return f"{self.params.seed}:{own}:{_label(stage, iteration)}"

    @property
    def seed_number(self) -> int:
        """`seed` as a number below 2**31, for libraries that want one."""
        return number_of(self.seed)

    @cached_property
    def dtype(self) -> NumberTypeName:
        """The number type that models compute in here; says so where it is a bad choice."""
        found = number_type(self.params.model.dtype)
        if found.warning:
            self.say(found.warning)
        return found.name

    def prepare_torch(self) -> None:
        """Set torch's threads and every library's random seed. Imports torch."""
        import torch
        import transformers

        torch.set_num_threads(self.threads)
        transformers.set_seed(self.seed_number)
        transformers.logging.set_verbosity_error()

    def scratch(self, inputs: Sequence[Path | str], sections: Sequence[str]) -> Path:
        """Return the folder to resume from, made and locked; it lives until the stage succeeds.

        The same inputs, sections of the params, code, packages, threads and number type give the
        same folder, in any workspace: a stage that was killed finds there what it left.

        Args:
            inputs: files and folders that the result depends on.
            sections: sections of the params that it depends on.

        Raises:
            LooptoolError: if another run works in that folder.
        """
        hasher = hashlib.blake2b(digest_size=canonical.DIGEST_BYTES)
        values = self.params.model_dump(include={"seed", *sections})
        packages = sorted({f"{d.name} {d.version}" for d in importlib.metadata.distributions()})
        for part in (values, packages, platform.python_version(), self.threads, self.dtype):
            hasher.update(json.dumps(part, sort_keys=True).encode() + b"\n")
        own = (
            address.partition(":")[0]
            for field, address in self.params.addresses
            if field.partition(".")[0] in sections
        )
        code = {file for name in (f"stages.{self.name}", *own) for file in code_files(name)}
        for path in [*inputs, *sorted(code)]:
            hasher.update(hash_path(path).encode())
        folder = scratch_root() / f"{self.label}-{hasher.hexdigest()[:24]}"
        self._open.enter_context(_locked(folder.name, f"the same {self.label}, with {folder},"))
        self._folder = folder
        if folder.exists():
            self.say("goes on where an earlier run was stopped")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".workspace").write_text(str(Path.cwd()), "utf-8")
        return folder

    @contextlib.contextmanager
    def bar(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how far the work is and the time left: a bar on a terminal, elsewhere a line every
        half minute.

        Yields a function to be called with how many of `total` are done so far.
        """
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        start = told = time.monotonic()
        at_start: int | None = None

        def tell(done: int) -> None:
            nonlocal told, at_start
            at_start = done if at_start is None else at_start  # a resumed stage starts further on
            if time.monotonic() - told > 30:
                told = time.monotonic()
                left = ""
                if done > at_start:
                    seconds = (told - start) / (done - at_start) * (total - done)
                    left = f", about {duration(seconds)} left"
                self.say(f"{what} {done}/{total}{left}")

        if not console.is_terminal:
            yield tell
            return
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task(f"{self.label} {what}", total=total)
            yield lambda done: progress.update(task, completed=done)

    def error(self, field: str, rule: str) -> ConfigError:
        """Return the error to raise where a field of the params turns out to break a rule."""
        return ConfigError(f"{FILE}: {field}: {rule}")

    def note(self, **figures: Any) -> None:
        """Keep figures (samples, tokens, …) for metrics/timings.jsonl and the closing line."""
        self._figures.update(figures)

    def say(self, text: str) -> None:
        """Print one line about the run."""
        print(f"{self.label}: {text}", file=sys.stderr, flush=True)

    def _succeeded(self, seconds: float) -> None:
        peak = peak_rss()
        row = {
            "stage": self.name,
            "iteration": self.iteration,
            "seconds": round(seconds, 2),
            **self._figures,
            "peak_rss": peak,
        }
        TIMINGS.parent.mkdir(parents=True, exist_ok=True)
        with open(TIMINGS, "a", encoding="utf-8") as file:
            file.write(json.dumps(row, sort_keys=True) + "\n")
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            _sweep(self.label)
        noted = "".join(f"{name} {value}, " for name, value in self._figures.items())
        self.say(f"{noted}{seconds:.1f} s, peak {peak / 2**30:.1f} GiB")


def duration(seconds: float) -> str:
    """Return a length of time for people: `40 s`, `12 min`, `3.2 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def number_of(seed: str) -> int:
    """Return a seed's text as a number below 2**31."""
    return int(canonical.digest(seed)[:8], 16) >> 1


@contextlib.contextmanager
def stage(name: str, iteration: int | None = None) -> Iterator[Run]:
    """Run a stage's body; ends the process with one screen and status 1 on a known error.

    Must be entered in the project's root. Refuses a second run of the same stage in the same
    workspace, and dies with the `dvc` that started it.

    Raises:
        SystemExit: with status 1 on a LooptoolError or a full disk, after the message is printed.
    """
    label = _label(name, iteration)
    start = time.monotonic()
    quiet()
    with telling_errors(label):
        if "DVC_STAGE" in os.environ:
            die_with_parent()
        params = load(FILE, iteration)
        _enter_vllm(name, params)
        threads = params.model.threads or cores()
        os.environ["OMP_NUM_THREADS"] = str(threads)
        run = Run(name, iteration, params, threads)
        workspace = canonical.digest(str(Path.cwd().resolve()))[:12]
        with run._open:
            run._open.enter_context(_locked(f"{workspace}-{label}", f"{label} in this workspace"))
            yield run
            run._succeeded(time.monotonic() - start)


@contextlib.contextmanager
def telling_errors(label: str) -> Iterator[None]:
    """End the process with a message on one screen and status 1 on a known error.

    Raises:
        SystemExit: with status 1 on a LooptoolError or a full disk, after the message is printed.
    """
    try:
        yield
    except LooptoolError as error:
        print(f"{label}: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except Exception as error:
        if not _disk_full(error):
            raise
        print(
            f"{label}: the disk is full ({error}). Outputs of earlier stages are intact: make room "
            f"(`dvc gc -w`, scratch folders in {scratch_root()}) and run `dvc repro` again.",
            file=sys.stderr,
        )
        raise SystemExit(1) from None


def _enter_vllm(name: str, params: Params) -> None:
    """Start this stage anew in vLLM's own environment, where it wants vLLM and this one has none.

    vLLM's builds for CPUs pin other versions of transformers than training needs.
    """
    parts = _ASKING.get(name, ())
    writers = (params.generate.author.name, *params.generate.sources)
    if "generate.author" in parts and "llm" not in writers:
        return  # nobody is asked to judge what a grammar wrote
    wanted = any(section.engine == "vllm" and part in parts for part, section in params.asking())
    python = python_with_vllm()
    if not wanted or python in (None, sys.executable):
        return
    os.execv(str(python), [str(python), *sys.orig_argv[1:]])


def python_with_vllm() -> str | None:
    """Return the Python that has vLLM: this one, or that of vLLM's own environment; None if
    neither has."""
    if importlib.util.find_spec("vllm") is not None:
        return sys.executable
    return str(vllm_python()) if vllm_python().exists() else None


def vllm_python() -> Path:
    """Return the Python of vLLM's own environment, which lies beside the one that runs:
    `.venv-vllm` beside `.venv`. `looptool setup --with vllm` makes it."""
    own = Path(sys.prefix)
    return own.with_name(f"{own.name}-vllm") / "bin" / "python"


def timings(root: Path | str = ".") -> dict[str, dict[str, Any]]:
    """Return the timing of each stage's newest run by its label; a cut-off line is left out."""
    path, newest = Path(root, TIMINGS), dict[str, dict[str, Any]]()
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            newest[_label(row["stage"], row["iteration"])] = row
    return newest


def running() -> list[str]:
    """Return the labels of the stages that run in this workspace now."""
    workspace = canonical.digest(str(Path.cwd().resolve()))[:12]
    found = []
    for path in sorted((scratch_root() / "locks").glob(f"{workspace}-*.lock")):
        with open(path, encoding="utf-8") as file:
            # Only the lock of a living process is tried: a stage that starts finds its own free.
            if _is_alive(file.read().strip()) and not _try_lock(file):
                found.append(path.stem.removeprefix(f"{workspace}-"))
    return found


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def quiet() -> None:
    """Keep libraries that are imported later off the network and off the terminal."""
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl")


def iteration_argument() -> int:
    """Return the number after `--iteration` on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--iteration", type=int, required=True, metavar="J")
    return int(parser.parse_args().iteration)


def write_json(path: Path | str, data: Any) -> None:
    """Write `data` to `path`, keys sorted, whole or not at all.

    Raises:
        ValueError: if the data holds NaN or an infinity.
    """
    path = Path(path)
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, "utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def peak_rss() -> int:
    """Return the most memory, in bytes, that this process or one it waited for has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) * unit


def _label(name: str, iteration: int | None) -> str:
    return name if iteration is None else f"{name}@{iteration}"


def die_with_parent() -> None:
    """Have Linux end this process when its parent ends: a killed dvc leaves no orphan behind."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise LooptoolError("the process that started this stage has ended")


@contextlib.contextmanager
def _locked(name: str, what: str) -> Iterator[None]:
    """Hold the lock `name`, which any process of this user may hold once.

    Raises:
        LooptoolError: if it is held; says by which process and what that is doing.
    """
    path = scratch_root() / "locks" / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; set LOOPTOOL_SCRATCH to a folder that can be written"
        ) from None
    with open(path, "r+", encoding="utf-8") as file:
        if not _try_lock(file):
            holder = file.read().strip() or "unknown"
            raise LooptoolError(
                f"{what} is running already, as process {holder}. Wait for it, or stop it first."
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _try_lock(file: IO[str]) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(label: str) -> None:
    """Delete what earlier, stopped runs of a stage left for this workspace or for a vanished one
    a week ago: their inputs are no longer what the stage was run with."""
    for folder in scratch_root().glob(f"{label}-*/"):
        marker = folder / ".workspace"
        if not marker.is_file():
            continue
        workspace = Path(marker.read_text("utf-8"))
        gone = not workspace.exists() and time.time() - marker.stat().st_mtime > 7 * 86_400
        if workspace == Path.cwd() or gone:
            with contextlib.suppress(LooptoolError), _locked(folder.name, label):
                shutil.rmtree(folder, ignore_errors=True)


def _disk_full(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if "No space left on device" in str(error):
        return True
    # torch and safetensors write without Python and raise errors of their own
    places = [place for place in (Path.cwd(), scratch_root()) if place.exists()]
    return min(shutil.disk_usage(place).free for place in places) < _FULL
