"""Linear layers whose weights are packed for the CPU's kernels in advance.

PyTorch multiplies by a weight in its plain memory layout. With few rows, as in decoding, that takes
up to twice as long as with a weight that oneDNN has packed. `torch.compile` packs weights too when
it freezes a model, but has to compile the model first. `python -m benchmarks.packed` measures the
gain.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from typing import Any

import torch


class PackedLinear(torch.nn.Module):
    """A linear layer that computes with a packed copy of its weight. It has no gradient."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")


@contextlib.contextmanager
def packed(model: Any) -> Iterator[None]:
    """Replace the linear layers of a model by `PackedLinear` inside the block, on x86 CPUs.

    The copies take as much memory as the weights. Packing a 135M model takes a tenth of a second.
    Models on other CPUs, which have not been tested, and on GPUs are left unchanged.
    """
    if not _can_pack(model):
        yield
        return
    places = [
        (parent, name, layer)
        for parent in model.modules()
        for name, layer in parent.named_children()
        if type(layer) is torch.nn.Linear
    ]
    try:
        for parent, name, layer in places:
            parent._modules[name] = PackedLinear(layer)
        yield
    finally:
        for parent, name, layer in places:
            parent._modules[name] = layer


def _can_pack(model: Any) -> bool:
    x86 = platform.machine() in ("x86_64", "AMD64")
    if model.device.type != "cpu" or not x86 or not torch._C._has_mkldnn:
        return False
    if model.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return model.dtype == torch.float32
