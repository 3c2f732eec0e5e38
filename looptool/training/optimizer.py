"""AdamW for bf16 weights that keeps fp32 master copies.

In pure bf16, rounding loses updates smaller than 1/256 of a weight, which at RL learning rates is
nearly all of them. Here the master copies are updated and then rounded into the model's weights.
A weight that is already fp32 is its own master.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class MasterAdamW(torch.optim.AdamW):
    """AdamW with an fp32 master copy of each weight in its state, saved and loaded with the rest.

    Weight decay is 0, because training runs are short.

    Args:
        params: the model's weights, of any floating-point type.
        lr: learning rate.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float) -> None:
        self.weights = [weight for weight in params if weight.requires_grad]
        self.masters: list[torch.Tensor] = [
            weight if weight.dtype == torch.float32 else weight.detach().float()
            for weight in self.weights
        ]
        super().__init__(self.masters, lr=lr, weight_decay=0.0, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        copied = [(w, m) for w, m in zip(self.weights, self.masters, strict=True) if w is not m]
        for weight, master in copied:
            if weight.grad is None or master.grad is None:
                master.grad = None if weight.grad is None else weight.grad.float()
            else:  # in place: allocating memory for all gradients takes longer than the update
                master.grad.copy_(weight.grad)
        result = super().step(closure)
        for weight, master in copied:
            weight.copy_(master)
            # On a CPU the memory is kept: it is plentiful, but slow to allocate again.
            if weight.device.type != "cpu":
                master.grad = None
        return result

    def zero_grad(self, set_to_none: bool = True) -> None:
        for weight in self.weights:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "masters": self.masters}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        masters = state_dict["masters"]
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        with torch.no_grad():
            for master, weight, saved in zip(self.masters, self.weights, masters, strict=True):
                master.copy_(saved)
                weight.copy_(saved)
