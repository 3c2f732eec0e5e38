"""Log-probabilities of completions whose prompts are read once a group, forward and backward.

A group's completions follow one prompt, which is most of the tokens where tools are documented in
it. TRL scores every completion behind a prompt of its own, and scores the prompt against the
vocabulary too where there is no Triton (1.16). Here a group is one row, [prompt, completion 1,
completion 2, …]: a completion sees the prompt and itself, and its positions go on from the
prompt's, so that the numbers are those of separate rows. With 4 completions a prompt that is half
the tokens, with 16 a tenth. `python -m benchmarks.scoring` prints what it is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from trl.trainer.utils import entropy_from_logits, selective_log_softmax


def score_completions(
    model: Any,
    prompts: Sequence[torch.Tensor],
    completions: Sequence[torch.Tensor],
    pad: int,
    temperature: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Score all completions in one pass; equal prompts that stand together are read once.

    Args:
        prompts: token ids of each completion's prompt, without padding.
        completions: token ids, without padding.

    Returns:
        log p of every token and the entropy where it was drawn (no gradient), both of shape
        (tokens of all completions,), in nats at `temperature`.
    """
    groups: list[tuple[torch.Tensor, list[torch.Tensor]]] = []
    for prompt, completion in zip(prompts, completions, strict=True):
        if groups and shares_prompts(model) and torch.equal(groups[-1][0], prompt):
            groups[-1][1].append(completion)
        else:
            groups.append((prompt, [completion]))
    rows = [_row(prompt, members) for prompt, members in groups]
    width = max(len(row[0]) for row in rows)
    ids, positions, segments, sources = (
        torch.stack([
            torch.nn.functional.pad(row[part], (width - len(row[part]), 0), value=value)
            for row in rows
        ])
        for part, value in ((0, pad), (1, 0), (2, -1), (3, -1))
    )  # fmt: skip
    keep = int((segments > 0).sum(1).max()) + 1
    logits = model(
        input_ids=ids,
        position_ids=positions,
        attention_mask=_visible(segments) if shares_prompts(model) else (segments >= 0).long(),
        logits_to_keep=keep,
        use_cache=False,
    ).logits
    row, column = torch.nonzero(segments > 0, as_tuple=True)
    before = sources[row, column] + width - torch.tensor([len(r[0]) for r in rows]).to(row)[row]
    logits = logits[row, before - (width - keep)].float() / temperature
    with torch.no_grad():
        entropies = entropy_from_logits(logits)
    return selective_log_softmax(logits, ids[row, column]), entropies


def shares_prompts(model: Any) -> bool:
    """Whether `model` takes a mask of our own: attention over everything, by PyTorch's kernel."""
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None) or ["full_attention"]
    return (
        set(layers) == {"full_attention"}
        and not getattr(config, "sliding_window", None)
        and not getattr(model, "_is_stateful", False)
        and config._attn_implementation == "sdpa"
    )


def _row(prompt: torch.Tensor, completions: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return (ids, positions, segments, sources) of one group.

    A segment is 0 for the prompt and k for completion k; a source is the place whose logits tell
    the token.
    """
    start = len(prompt)
    ids, positions = [prompt], [torch.arange(start)]
    segments, sources = [torch.zeros(start, dtype=torch.long)], [torch.full((start,), -1)]
    at = start
    for number, completion in enumerate(completions, start=1):
        length = len(completion)
        ids.append(completion)
        positions.append(torch.arange(start, start + length))
        segments.append(torch.full((length,), number))
        source = torch.arange(at - 1, at + length - 1)
        source[:1] = start - 1
        sources.append(source)
        at += length
    device = prompt.device
    return tuple(torch.cat([part.to(device) for part in parts]) for parts in
                 (ids, positions, segments, sources))  # fmt: skip


def _visible(segments: torch.Tensor) -> torch.Tensor:
    """Return the attention mask of shape (rows, 1, queries, keys), true where a key is seen."""
    query, key = segments[:, :, None], segments[:, None, :]
    place = torch.arange(segments.shape[1], device=segments.device)
    earlier = place[:, None] >= place
    itself = place[:, None] == place  # padding must see something, or its softmax is NaN
    return ((earlier & ((key == 0) | (key == query)) & (key >= 0)) | itself)[:, None]
