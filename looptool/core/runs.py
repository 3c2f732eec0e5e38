"""The runtime of a stage: locking, a scratch folder to resume from, and short error messages.

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
from typing import Any

from looptool.core import canonical
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.files import replacing
from looptool.core.fingerprints import code_files, hash_path
from looptool.core.machine import NumberTypeName, cores, number_type, scratch_root
from looptool.core.params import FILE, Params, load, name_of

TIMINGS = Path("metrics/timings.jsonl")
# The fields of the params that choose the engines of a stage.
_ASKING = {
    "eval": ("eval", "eval.acebench.user"),
    "probe": ("probe",),
    "verify": ("verify.judges",),
    "expand": ("expand.expander", "verify.judges"),
    **dict.fromkeys(
        ("heldout", "warmup_samples", "generate"), ("generate.author", "verify.judges")
    ),
}
_PR_SET_PDEATHSIG = 1
_FULL = 2**20  # a disk with fewer free bytes counts as full
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
    """One run of one stage, created by `stage`.

    Attributes:
        name: the stage, as in dvc.yaml.
        iteration: its iteration, or None.
        params: params.yaml with the overrides of that iteration.
        threads: the number of CPU threads that the stage uses.
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
        """The stage's name in DVC's notation, such as `probe@1`."""
        return _label(self.name, self.iteration)

    @property
    def seed(self) -> str:
        """The seed text of this run, derived from params, stage and iteration."""
        return self.seed_of(self.iteration)

    def seed_of(self, iteration: int | None, stage: str | None = None) -> str:
        """Return `seed` for another iteration, and for another stage if one is named."""
        stage = stage or self.name
        stage_seed = getattr(getattr(self.params, stage, None), "seed", 0)
        return f"{self.params.seed}:{stage_seed}:{_label(stage, iteration)}"

    @property
    def seed_number(self) -> int:
        """`seed` as a number below 2**31, for libraries that need a number."""
        return number_of(self.seed)

    @cached_property
    def dtype(self) -> NumberTypeName:
        """The number type that models compute in. Prints a warning if it is slow here."""
        chosen = number_type(self.params.model.dtype)
        if chosen.warning:
            self.say(chosen.warning)
        return chosen.name

    def prepare_torch(self) -> None:
        """Set torch's threads and the random seeds of all libraries. Imports torch."""
        import torch
        import transformers

        torch.set_num_threads(self.threads)
        transformers.set_seed(self.seed_number)
        transformers.logging.set_verbosity_error()

    def scratch(self, inputs: Sequence[Path | str], sections: Sequence[str]) -> Path:
        """Create and lock the scratch folder of this run, and return it.

        The same inputs, sections of the params, code, packages, threads and number type give the
        same folder in any workspace, so a stage that was killed can resume. The folder is deleted
        when the stage succeeds.

        Args:
            inputs: files and folders that the result depends on.
            sections: sections of the params, or single fields as `section.field`, that the result
                depends on.

        Raises:
            LooptoolError: if another run uses that folder.
        """
        hasher = hashlib.blake2b(digest_size=canonical.DIGEST_BYTES)
        chosen: dict[str, Any] = {"seed": True}
        for section, _, name in (each.partition(".") for each in sections):
            others = chosen.get(section, set())
            chosen[section] = {*others, name} if name and others is not True else True
        values = self.params.model_dump(include=chosen)
        packages = sorted({f"{d.name} {d.version}" for d in importlib.metadata.distributions()})
        for part in (values, packages, platform.python_version(), self.threads, self.dtype):
            hasher.update(json.dumps(part, sort_keys=True).encode() + b"\n")
        plugins = (
            address.partition(":")[0]
            for field, address in self.params.addresses
            if field.partition(".")[0] in sections
        )
        code = {file for name in (f"stages.{self.name}", *plugins) for file in code_files(name)}
        for path in [*inputs, *sorted(code)]:
            hasher.update(hash_path(path).encode())
        folder = scratch_root() / f"{self.label}-{hasher.hexdigest()[:24]}"
        self._open.enter_context(_locked(folder.name, f"the same {self.label}, with {folder},"))
        self._folder = folder
        if folder.exists():
            self.say("resuming where an earlier run stopped")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".workspace").write_text(str(Path.cwd()), "utf-8")
        return folder

    @contextlib.contextmanager
    def bar(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show progress and the time left: a bar on a terminal, elsewhere a line every 30 seconds.

        Yields a function that takes the number of items done so far, out of `total`.
        """
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        start = printed = time.monotonic()
        at_start: int | None = None

        def say_progress(done: int) -> None:
            nonlocal printed, at_start
            at_start = done if at_start is None else at_start  # a resumed stage does not start at 0
            if time.monotonic() - printed > 30:
                printed = time.monotonic()
                left = ""
                if done > at_start:
                    seconds = (printed - start) / (done - at_start) * (total - done)
                    left = f", about {duration(seconds)} left"
                self.say(f"{what} {done}/{total}{left}")

        if not console.is_terminal:
            yield say_progress
            return
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task(f"{self.label} {what}", total=total)
            yield lambda done: progress.update(task, completed=done)

    def error(self, field: str, rule: str) -> ConfigError:
        """Return the error for a field of the params that breaks a rule."""
        return ConfigError(f"{FILE}: {field}: {rule}")

    def note(self, **figures: Any) -> None:
        """Record figures (samples, tokens, …) for metrics/timings.jsonl and the last line."""
        self._figures.update(figures)

    def say(self, text: str) -> None:
        """Print one line about the run to stderr."""
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
    """Format a duration for people: `40 s`, `12 min`, `3.2 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def number_of(seed: str) -> int:
    """Hash a seed text to a number below 2**31."""
    return int(canonical.digest(seed)[:8], 16) >> 1


@contextlib.contextmanager
def stage(name: str, iteration: int | None = None) -> Iterator[Run]:
    """Run the body of a stage. Must be entered in the project's root.

    The same stage cannot run twice at a time in one workspace. If `dvc` started the stage and is
    killed, the stage is killed too.

    Raises:
        SystemExit: with status 1 on a LooptoolError or a full disk, after printing the message.
    """
    label = _label(name, iteration)
    start = time.monotonic()
    quiet()
    with telling_errors(label):
        if "DVC_STAGE" in os.environ:
            die_with_parent()
        params = load(FILE, iteration)
        _enter_vllm_if_asked(name, params)
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
    """Print the message of a known error and exit.

    Raises:
        SystemExit: with status 1 on a LooptoolError or a full disk, after printing the message.
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


def _enter_vllm_if_asked(name: str, params: Params) -> None:
    """Restart this stage in vLLM's environment if it needs vLLM and this environment lacks it.

    The environments are separate because vLLM's CPU builds pin other versions of transformers than
    training needs.
    """
    fields = _ASKING.get(name, ())
    writers = {name_of(params.generate.author), *params.generate.sources}
    if "generate.author" in fields and writers <= {"grammar", "own"}:
        return  # their samples need no judge
    if any(
        settings.engine == "vllm" and field.startswith(fields)
        for field, settings in params.asking()
    ):
        enter_vllm(sys.orig_argv[1:])


def enter_vllm(arguments: Sequence[str]) -> None:
    """Restart this process as `python <arguments>` in vLLM's environment, if that is another."""
    python = python_with_vllm()
    if python not in (None, sys.executable):
        os.execv(str(python), [str(python), *arguments])


def python_with_vllm() -> str | None:
    """Return a Python that has vLLM: this one, or that of vLLM's environment, or None."""
    if importlib.util.find_spec("vllm") is not None:
        return sys.executable
    return str(vllm_python()) if vllm_python().exists() else None


def vllm_python() -> Path:
    """Return the path of the Python in vLLM's environment, which may not exist.

    It is next to the current environment: `.venv-vllm` next to `.venv`. `looptool setup --with
    vllm` creates it.
    """
    environment = Path(sys.prefix)
    return environment.with_name(f"{environment.name}-vllm") / "bin" / "python"


def timings(root: Path | str = ".") -> dict[str, dict[str, Any]]:
    """Return the timing of the latest run of each stage, by label. Broken lines are skipped."""
    path, newest = Path(root, TIMINGS), dict[str, dict[str, Any]]()
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            newest[_label(row["stage"], row["iteration"])] = row
    return newest


def running() -> list[str]:
    """Return the labels of the stages that are running in this workspace."""
    workspace = canonical.digest(str(Path.cwd().resolve()))[:12]
    labels = []
    for path in sorted((scratch_root() / "locks").glob(f"{workspace}-*.lock")):
        # Trying a lock takes it for a moment, which must not stop a stage that is starting.
        # So only locks of living processes are tried.
        if _is_alive(path.read_text("utf-8").strip()):
            if free := _try_lock(path):
                with free:
                    continue
            labels.append(path.stem.removeprefix(f"{workspace}-"))
    return labels


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def quiet() -> None:
    """Keep libraries that are imported later from using the network or printing to the terminal."""
    for variable, value in _QUIET.items():
        os.environ.setdefault(variable, value)
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl")


def iteration_argument() -> int:
    """Return the number after `--iteration` on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--iteration", type=int, required=True, metavar="J")
    return int(parser.parse_args().iteration)


def write_json(path: Path | str, data: Any) -> None:
    """Write `data` as JSON with sorted keys to `path`, atomically.

    Raises:
        ValueError: if the data holds NaN or an infinity.
    """
    path = Path(path)
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as partial:
        partial.write_text(text, "utf-8")


def peak_rss() -> int:
    """Return the peak memory, in bytes, of this process or of any child it waited for."""
    unit = 1 if sys.platform == "darwin" else 1024
    processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in processes) * unit


def _label(name: str, iteration: int | None) -> str:
    return name if iteration is None else f"{name}@{iteration}"


def die_with_parent() -> None:
    """Have Linux kill this process when its parent ends, so that a killed dvc leaves no orphan."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise LooptoolError("the process that started this stage has ended")


@contextlib.contextmanager
def _locked(name: str, what: str) -> Iterator[None]:
    """Hold the lock `name`, which only one process of this user can hold at a time.

    Raises:
        ConfigError: if the lock file cannot be created.
        LooptoolError: if another process holds the lock; names the process and `what` it is doing.
    """
    path = scratch_root() / "locks" / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = _try_lock(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; set LOOPTOOL_SCRATCH to a writable folder"
        ) from None
    if not held:
        holder = path.read_text("utf-8").strip() or "unknown"
        raise LooptoolError(
            f"{what} is already running, as process {holder}. Wait for it or stop it first."
        )
    with held:
        path.write_text(str(os.getpid()), "utf-8")
        yield


def _try_lock(path: Path) -> contextlib.AbstractContextManager[object] | None:
    """Take the lock of a file and return what releases it; None if another process holds it."""
    from filelock import FileLock, Timeout  # 55 ms, which most commands need not take

    try:
        # a soft lock would outlive a process that is killed
        return FileLock(path, blocking=False, fallback_to_soft=False).acquire()
    except Timeout:
        return None


def _sweep(label: str) -> None:
    """Delete the scratch folders of stopped runs of a stage.

    Deletes those of this workspace, whose inputs have changed since, and those older than a week
    whose workspace no longer exists.
    """
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
    # torch and safetensors write natively and raise their own errors
    folders = [folder for folder in (Path.cwd(), scratch_root()) if folder.exists()]
    return min(shutil.disk_usage(folder).free for folder in folders) < _FULL
