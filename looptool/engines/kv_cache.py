"""A key-value cache that is written in place.

transformers' own `DynamicLayer` copies all keys and values for every new token, which takes a CPU
a quarter of a step; its `StaticCache` keeps rows that have finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

ROOM = 64  # tokens in reserve whenever a layer is laid out anew


class RoomyLayer(DynamicLayer):
    """One layer's keys and values, of shape (rows, heads, tokens, size), with room for more tokens.

    Args:
        parts: layers that hold some of the rows each, padded on the left; they may be of
            different lengths and are aligned on the right.
        rows: which of all the parts' rows to take, in which order.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, parts: Sequence[DynamicLayer], rows: torch.Tensor) -> None:
        super().__init__()
        self.lazy_initialization(parts[0].keys, parts[0].values)
        self._lay_out([part.keys for part in parts], [part.values for part in parts], rows)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start, end = self.keys.shape[-2], self.keys.shape[-2] + key_states.shape[-2]
        if end > self._keys.shape[-2]:
            self._lay_out([self.keys], [self.values])
        self._keys[:, :, start:end] = key_states
        self._values[:, :, start:end] = value_states
        self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        self._lay_out([self.keys], [self.values], beam_idx)

    def _lay_out(
        self,
        keys: Sequence[torch.Tensor],
        values: Sequence[torch.Tensor],
        rows: torch.Tensor | None = None,
    ) -> None:
        end = max(part.shape[-2] for part in keys)
        self._keys, self._values = _join(keys, end, rows), _join(values, end, rows)
        self.keys, self.values = self._keys[:, :, :end], self._values[:, :, :end]


def _join(parts: Sequence[torch.Tensor], end: int, rows: torch.Tensor | None) -> torch.Tensor:
    pad = torch.nn.functional.pad
    whole = torch.cat([pad(part, (0, 0, end - part.shape[-2], ROOM)) for part in parts])
    return whole if rows is None else whole[rows]
