"""A key-value cache that is written in place.

transformers' `DynamicLayer` copies all keys and values for every new token, which takes a quarter
of a decoding step on a CPU. Its `StaticCache` cannot drop finished rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

ROOM = 64  # extra tokens to allocate whenever a layer is reallocated


class RoomyLayer(DynamicLayer):
    """The keys and values of one layer, of shape (rows, heads, tokens, size), with spare room.

    Args:
        parts: layers that each hold some of the rows, padded on the left. Their lengths may
            differ; they are aligned on the right.
        rows: indices into the rows of all parts together, in the order to take them.
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
