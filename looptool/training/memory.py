"""Estimate of the memory that training needs, from a model's files before it is loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

from looptool.core import machine
from looptool.core.errors import ConfigError
from looptool.core.machine import NumberTypeName
from looptool.core.params import FILE
from looptool.engines.sizes import BYTES_TRAINED

# Bytes per weight under adapters: the bf16 weight itself and its share of the adapters, which
# at rank 32 add 2 % to the weights of a 1.7B model.
BYTES_FROZEN = 3
BYTES_FROZEN_FP32 = 5


def check(
    model: Path | str, field: str, dtype: NumberTypeName, lora_rank: int | None = None
) -> None:
    """Check that training a model fits in the memory of the GPU, if there is one.

    Args:
        model: a model folder or a model's name.
        field: the parameter to change, for the message.
        dtype: number type of the weights during training.
        lora_rank: rank of the adapters, or None if all weights are trained.

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
        remedies = {
            "train.lora_rank": "set a rank, or ",
            "warmup.steps": "set 0 if the model already calls tools, or ",
        }
        remedy = "" if lora_rank else remedies.get(field, "")
        raise ConfigError(
            f"{FILE}: {field}: training {model} needs about {needed / 1e9:.0f} GB, but the GPU "
            f"({device.name}) has {device.total_memory / 1e9:.0f} GB; "
            f"{remedy}choose a smaller model"
        )


def weights_of(model: Path | str) -> int | None:
    """Return a model's number of weights, from its files or else from a name with `8B`; or None."""
    files = list(Path(model).glob("*.safetensors"))
    if files:
        return sum(map(_weights_in, files))
    name = Path(model).name.partition("@")[0]  # without the commit of a model of the hub
    size = re.search(r"(\d+(?:\.\d+)?)\s*([BM])\b", name, re.I)
    return int(float(size[1]) * (1e9 if size[2].upper() == "B" else 1e6)) if size else None


def _weights_in(file: Path) -> int:
    """Count the weights in a safetensors file from its header."""
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
