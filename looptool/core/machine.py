"""Properties of this machine: cores, GPUs, and the number type that models compute in.

bf16 is about twice as fast as float32 on a CPU with bf16 units, and a hundred times slower on one
without. `model.dtype: auto` therefore checks both the CPU's flags and a short timing. Flags alone
would be wrong where a virtual machine or an environment variable hides the units from PyTorch's
kernels. A timing alone could be wrong on a busy machine.
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
from looptool.core.files import replacing

NumberTypeName = Literal["bfloat16", "float32"]
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # as `torch.cpu` names them
SLOW = 2  # times float32; about 0.5 with bf16 units, 30 and more without
# Environment variables that PyTorch and its libraries read to choose their kernels.
KERNELS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS",
            "CUDA_VISIBLE_DEVICES")  # fmt: skip


@dataclass(frozen=True, slots=True)
class NumberType:
    """The number type that models compute in.

    Attributes:
        on_gpu: whether models run on a GPU.
        reason: why it was chosen, as text for the user.
        slowdown: the time that bf16 takes over that of float32; None if not timed.
    """

    name: NumberTypeName
    on_gpu: bool
    reason: str
    slowdown: float | None = None

    @property
    def warning(self) -> str | None:
        """A warning if bf16 was set by hand and is slow here, else None."""
        if self.name != "bfloat16" or self.slowdown is None or self.slowdown < SLOW:
            return None
        return (
            f"model.dtype: bfloat16 takes {self.slowdown:.0f} times as long as float32 on this "
            "machine; `auto` would choose float32"
        )


def number_type(wanted: str) -> NumberType:
    """Return the number type to compute in. The choice for `auto` is made once and stored.

    Args:
        wanted: the value of `model.dtype` in params.yaml: `auto`, `bfloat16` or `float32`.

    Raises:
        ConfigError: if bfloat16 is wanted and the GPU has no bf16.
    """
    auto = _kept()
    if wanted == "auto":
        return auto
    reason = f"set by model.dtype; auto would be {auto.name}: {auto.reason}"
    if wanted == "float32":
        return NumberType("float32", auto.on_gpu, reason)
    if auto.on_gpu and auto.name == "float32":
        raise ConfigError(f"params.yaml: model.dtype: bfloat16: {auto.reason}; set it to auto")
    slowdown = auto.slowdown
    if slowdown is None and not auto.on_gpu:
        slowdown = _slowdown()
    return NumberType("bfloat16", auto.on_gpu, reason, slowdown)


@lru_cache(maxsize=1)
def _kept() -> NumberType:
    """Return this machine's choice: the stored one, or a new one that is then stored."""
    file, key = scratch_root() / "machine.json", _identity()
    kept: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        kept = dict(json.loads(file.read_text("utf-8")))
    with contextlib.suppress(KeyError, TypeError):  # none yet, or written by another version
        return NumberType(**kept[key])
    decided = _decide()
    # a stage that needs this folder reports the error
    with contextlib.suppress(OSError), replacing(file) as partial:
        partial.write_text(json.dumps({**kept, key: asdict(decided)}, indent=2) + "\n", "utf-8")
    return decided


def _identity() -> str:
    """Return a hash of all that the choice depends on. Avoids the slow import of torch."""
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
    reason = (
        unused
        + f"{cpu_name()} has {flags[0]}, and bf16 takes {slowdown:.2g} times as long as float32"
    )
    chosen: NumberTypeName = "bfloat16" if slowdown < SLOW else "float32"
    return NumberType(chosen, False, reason, round(slowdown, 3))


def _slowdown() -> float:
    """Return the time of bf16 over that of float32, for the matrix products of one layer.

    Times a forward and a backward pass. On a CPU without bf16 units the backward pass is the slow
    one.
    """
    import torch

    best = dict.fromkeys((torch.float32, torch.bfloat16), float("inf"))
    for _ in range(4):  # alternate and take the fastest, so that a busy moment does not decide
        for dtype in best:
            rows, weight = torch.ones(64, 576, dtype=dtype), torch.ones(576, 576, dtype=dtype)
            start = time.perf_counter()
            torch.mm(torch.mm(rows, weight.t()), weight)
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.bfloat16] / best[torch.float32]


def cpu_name() -> str:
    """Return the model name of the CPU."""
    try:
        line = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"), re.M)
    except OSError:
        line = None
    return line[1].strip() if line else platform.processor() or platform.machine()


def torch_device() -> Any:
    """Return the torch device that models run on: the GPU if torch can use one, else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return torch.device("cpu")
    # cuDNN makes a plan for every new shape, and each decoding step has a new shape: 1.5 ms a call.
    torch.backends.cuda.enable_cudnn_sdp(False)
    return torch.device("cuda", torch.cuda.current_device())


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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


def rollout_mode(wanted: str) -> str:
    """Return how vLLM draws the answers of GRPO: `off`, `colocate` or `server`.

    Args:
        wanted: the value of `train.vllm`; `auto` means colocate if vLLM and a GPU are there.
    """
    if wanted != "auto":
        return wanted
    return "colocate" if serves_vllm() else "off"


def scratch_root() -> Path:
    """Return the folder for unfinished work: $LOOPTOOL_SCRATCH or ~/.cache/looptool."""
    root = os.environ.get("LOOPTOOL_SCRATCH") or Path.home() / ".cache" / "looptool"
    return Path(root).absolute()
