"""How much memory training takes, estimated from a model's files before it is loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

from looptool.core import machine
from looptool.core.errors import ConfigError
from looptool.core.machine import NumberTypeName
from looptool.core.params import FILE
from looptool.engines.sizes import BYTES_TRAINED

BYTES_FROZEN = 3  # a weight under adapters: itself in bf16; those of rank 32 are 2 % of a 1.7B's
BYTES_FROZEN_FP32 = 5


def check(
    model: Path | str, field: str, dtype: NumberTypeName, lora_rank: int | None = None
) -> None:
    """Make sure that the GPU, if there is one, holds what training a model takes.

    Args:
        model: a model folder.
        field: the parameter that helps, for the message.

    Raises:
        ConfigError: naming the model, the GPU and the field.
    """
    weights = weights_of(model)
    if weights is None or not machine.gpus():
        return
    import torch

    if not torch.cuda.is_available():
        return
    device = torch.cuda.get_device_properties(torch.cuda.current_device())
    frozen = BYTES_FROZEN if dtype == "bfloat16" else BYTES_FROZEN_FP32
    needed = weights * (frozen if lora_rank else BYTES_TRAINED)
    if needed > device.total_memory:
        raise ConfigError(
            f"{FILE}: {field}: training {model} takes about {needed / 1e9:.0f} GB, and the GPU, "
            f"{device.name}, has {device.total_memory / 1e9:.0f} GB"
        )


def weights_of(model: Path | str) -> int | None:
    """Return how many weights a model has: by its folder's files, else by a name like `8B`."""
    files = list(Path(model).glob("*.safetensors"))
    if files:
        return sum(map(_weights_in, files))
    found = re.search(r"(\d+(?:\.\d+)?)\s*([BM])\b", Path(model).name, re.I)
    return int(float(found[1]) * (1e9 if found[2].upper() == "B" else 1e6)) if found else None


def _weights_in(file: Path) -> int:
    """Read a safetensors file's header: the sizes of its tensors."""
    with open(file, "rb") as content:
        header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for length in tensor["shape"]:
                size *= length
            total += size
    return total
