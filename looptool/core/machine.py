"""What this machine is: cores, GPUs, and the number type that models compute in here.

bf16 is about twice as fast as float32 where a CPU has units for it, and a hundred times slower
where it has none. So `model.dtype: auto` asks both the CPU's flags and a short timing: flags alone
would be wrong where a virtual machine or an environment variable hides the units from PyTorch's
kernels, and a timing alone would be at the mercy of a busy moment.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from looptool.core import canonical
from looptool.core.errors import ConfigError

NumberTypeName = Literal["bfloat16", "float32"]
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # as `torch.cpu` names them
SLOW = 2  # times float32: with bf16 units it is about 0.5, without them 30 and more
# Environment variables that PyTorch and its libraries read before they choose their kernels.
KERNELS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS",
            "CUDA_VISIBLE_DEVICES")  # fmt: skip


@dataclass(frozen=True, slots=True)
class NumberType:
    """The number type that models compute in.

    Attributes:
        on_gpu: whether models run on a GPU.
        reason: why it was chosen, for people.
        slowdown: how many times as long bf16 takes as float32 here; None where it was not timed.
    """

    name: NumberTypeName
    on_gpu: bool
    reason: str
    slowdown: float | None = None

    @property
    def warning(self) -> str | None:
        """What a user should know who chose this type by hand, or None."""
        if self.name != "bfloat16" or self.slowdown is None or self.slowdown < SLOW:
            return None
        return (
            f"model.dtype: bfloat16 takes {self.slowdown:.0f} times as long as float32 on this "
            "machine; `auto` chooses float32"
        )


def number_type(wanted: str) -> NumberType:
    """Return the number type to compute in; `auto` is decided once for this machine, and kept.

    Args:
        wanted: `auto`, `bfloat16` or `float32`, as `model.dtype` in params.yaml says.

    Raises:
        ConfigError: if bfloat16 was chosen by hand, and the GPU has no bf16.
    """
    found = _kept()
    if wanted == "auto":
        return found
    told = f"model.dtype says so; auto is {found.name}: {found.reason}"
    if wanted == "float32":
        return NumberType("float32", found.on_gpu, told)
    if found.on_gpu and found.name == "float32":
        raise ConfigError(f"params.yaml: model.dtype: bfloat16: {found.reason}; set it to auto")
    slowdown = found.slowdown
    if slowdown is None and not found.on_gpu:
        slowdown = _slowdown()
    return NumberType("bfloat16", found.on_gpu, told, slowdown)


@lru_cache(maxsize=1)
def _kept() -> NumberType:
    """Return the machine's decision: the one that is kept in a file, or a new one."""
    file, key = scratch_root() / "machine.json", _identity()
    kept: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        kept = dict(json.loads(file.read_text("utf-8")))
    with contextlib.suppress(KeyError, TypeError):  # none yet, or one of another version
        return NumberType(**kept[key])
    found = _decide()
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    with contextlib.suppress(OSError):  # a stage says so where it needs that folder
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({**kept, key: asdict(found)}, indent=2) + "\n", "utf-8")
        os.replace(partial, file)
    return found


def _identity() -> str:
    """Return a hash of all that the decision depends on. Needs no torch: stages ask at once."""
    try:
        cpu = Path("/proc/cpuinfo").read_text("utf-8")
        lines = sorted(set(re.findall(r"^(?:model name|flags|Features|CPU part)\s*:.*", cpu, re.M)))
    except OSError:
        lines = [platform.processor(), platform.machine()]
    kernels = [f"{name}={os.environ.get(name)}" for name in KERNELS]
    return canonical.digest(*lines, *kernels, *gpus(), importlib.metadata.version("torch"))


def _decide() -> NumberType:
    import torch

    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return NumberType("bfloat16", True, f"the GPU, {name}, has bf16")
        return NumberType("float32", True, f"the GPU, {name}, has no bf16")
    if gpus():
        unused = f"torch {torch.__version__} cannot use the GPU, {gpus()[0]}; "
    elif torch.version.cuda:
        unused = "torch's CUDA libraries find no NVIDIA driver, so the CPU computes; "
    else:
        unused = ""
    flags = [flag for flag in BF16_FLAGS if torch.cpu.get_capabilities().get(flag)]
    if not flags:
        return NumberType("float32", False, f"{unused}{cpu_name()} has no bf16 units")
    slowdown = _slowdown()
    told = (
        unused
        + f"{cpu_name()} has {flags[0]}, and bf16 takes {slowdown:.2g} times as long as float32"
    )
    return NumberType("bfloat16" if slowdown < SLOW else "float32", False, told, round(slowdown, 3))


def _slowdown() -> float:
    """Return bf16's time over float32's for a product and its transposed one: the forward and the
    backward pass of a layer. On a CPU without bf16 units the latter is the slow one."""
    import torch

    best = dict.fromkeys((torch.float32, torch.bfloat16), float("inf"))
    for _ in range(4):  # in turn, the fastest of each: a busy moment must not decide
        for dtype in best:
            rows, weight = torch.ones(64, 576, dtype=dtype), torch.ones(576, 576, dtype=dtype)
            start = time.perf_counter()
            torch.mm(torch.mm(rows, weight.t()), weight)
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.bfloat16] / best[torch.float32]


def cpu_name() -> str:
    """Return what the CPU calls itself."""
    try:
        found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def torch_device() -> Any:
    """Return the device that models run on: the GPU if torch can use one, else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    # It makes a plan for every new shape, and each decoding step has one: 1.5 ms a call.
    torch.backends.cuda.enable_cudnn_sdp(False)
    return torch.device("cuda", torch.cuda.current_device())


def cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def gpus() -> list[str]:
    """Return the names of this machine's NVIDIA GPUs."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip().splitlines() if not done.returncode else []


def serves_vllm() -> bool:
    """Whether vLLM is installed in this environment and has a GPU that torch can use."""
    return importlib.util.find_spec("vllm") is not None and _kept().on_gpu


def scratch_root() -> Path:
    """Return where unfinished work is kept: $LOOPTOOL_SCRATCH or ~/.cache/looptool."""
    root = os.environ.get("LOOPTOOL_SCRATCH") or Path.home() / ".cache" / "looptool"
    return Path(root).absolute()
