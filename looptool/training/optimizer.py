"""AdamW for bf16 weights that keeps fp32 master copies.

Pure bf16 weights lose updates below 1/256 of a weight to rounding, which at the learning rates of
RL is nearly all of them. Here the update is made on the master copies and then rounded into the
model's weights. A weight that is fp32 already is its own master.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class MasterAdamW(torch.optim.AdamW):
    """AdamW whose state holds an fp32 master of each weight, saved and loaded with the rest.

    Args:
        params: the model's weights, of any floating type.
        lr: learning rate. Weight decay is 0: GRPO's runs are short.
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
            else:  # written in place: fresh memory for all gradients takes longer than the update
                master.grad.copy_(weight.grad)
        result = super().step(closure)
        for weight, master in copied:
            weight.copy_(master)
            if weight.device.type != "cpu":  # there memory is plentiful and slow to get anew
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
