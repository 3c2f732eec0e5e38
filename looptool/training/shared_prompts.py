"""The attention mask of rows in which several continuations share a prompt."""

from __future__ import annotations

import torch


def visible(segments: torch.Tensor) -> torch.Tensor:
    """Return the attention mask, shape (rows, 1, queries, keys), true where a key is visible."""
    query, key = segments[:, :, None], segments[:, None, :]
    place = torch.arange(segments.shape[1], device=segments.device)
    earlier = place[:, None] >= place
    itself = place[:, None] == place  # padding attends to itself, or its softmax is NaN
    return ((earlier & ((key == 0) | (key == query)) & (key >= 0)) | itself)[:, None]
