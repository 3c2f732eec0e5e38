"""Log-probabilities of completions whose prompts are read once a group, forward and backward.

A group's completions follow one prompt, which is most of the tokens where tools are documented in
it. TRL scores every completion behind a prompt of its own, and scores the prompt against the
vocabulary too where there is no Triton (1.16). Here a group is one row, [prompt, completion 1,
completion 2, …]: a completion sees the prompt and itself, and its positions go on from the
prompt's, so that the numbers are those of separate rows. For n completions of c tokens behind a
prompt of p that is p + n·c tokens in place of n·(p + c): with 175 and 60, as in the embedded
default, 0.44 of them at 4 completions and 0.30 at 16.

The prompt may also be given as keys and values that the rollout computed already, from the same
weights. The log-probabilities are the same. The gradient is not: it no longer flows through what
the completions read of the prompt. `python -m benchmarks.scoring` prints what both are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from transformers import DynamicCache
from trl.trainer.utils import entropy_from_logits, selective_log_softmax

from looptool.engines.kv_cache import KeysValues

ROW_TOKENS = 8192  # longer rows are split: their mask grows with the square of their length


def score_completions(
    model: Any,
    prompts: Sequence[torch.Tensor],
    completions: Sequence[torch.Tensor],
    pad: int,
    temperature: float = 1.0,
    entropy: bool = True,
    read: Sequence[KeysValues] | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Score all completions in one pass; equal prompts that stand together are read once.

    Args:
        prompts: token ids of each completion's prompt, without padding.
        completions: token ids, without padding.
        read: the keys and values of each completion's prompt, all tokens of it but the last; the
            prompts then get no gradient. Only for models that `shares_prompts` accepts.

    Returns:
        log p of every token and, if asked for, the entropy where it was drawn (no gradient), both
        of shape (tokens of all completions,), in nats at `temperature`.
    """
    shared = shares_prompts(model)
    groups: list[tuple[int, list[torch.Tensor]]] = []  # (place of the first one, completions)
    room = 0
    for place, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        room -= len(completion)
        if groups and shared and room >= 0 and torch.equal(prompts[groups[-1][0]], prompt):
            groups[-1][1].append(completion)
        else:
            groups.append((place, [completion]))
            room = ROW_TOKENS - len(prompt) - len(completion)
    rows = [
        _row(prompts[place] if read is None else prompts[place][-1:], len(prompts[place]), members)
        for place, members in groups
    ]
    width = max(len(row[0]) for row in rows)
    ids, positions, segments, sources = (
        torch.stack([
            torch.nn.functional.pad(row[part], (width - len(row[part]), 0), value=value)
            for row in rows
        ])
        for part, value in ((0, pad), (1, 0), (2, -1), (3, -1))
    )  # fmt: skip
    keep = int((segments > 0).sum(1).max()) + 1
    mask = _visible(segments) if shared else (segments >= 0).long()
    cache = None
    if read is not None:
        own = [read[place] for place, _ in groups]
        cache = _joined(own)
        lengths = torch.tensor([len(prompts[place]) - 1 for place, _ in groups], device=mask.device)
        before = torch.arange(-int(lengths.max()), 0, device=mask.device) >= -lengths[:, None]
        before = before[:, None, None] & (segments >= 0)[:, None, :, None]
        mask = torch.cat([before, mask], dim=3)
    logits = model(
        input_ids=ids,
        position_ids=positions,
        attention_mask=mask,
        logits_to_keep=keep,
        past_key_values=cache,
        use_cache=cache is not None,
    ).logits
    row, column = torch.nonzero(segments > 0, as_tuple=True)
    source = sources[row, column] + width - torch.tensor([len(r[0]) for r in rows]).to(row)[row]
    logits = logits[row, source - (width - keep)].float() / temperature
    if not len(row):  # only empty completions
        return logits.sum(1), logits.sum(1).detach() if entropy else None
    entropies = entropy_from_logits(logits.detach()) if entropy else None
    return selective_log_softmax(logits, ids[row, column]), entropies


def shares_prompts(model: Any) -> bool:
    """Whether `model` takes a mask of our own: attention over everything, by PyTorch's kernel."""
    model = extract_model_from_parallel(model)
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None) or ["full_attention"]
    return (
        set(layers) == {"full_attention"}
        and not getattr(config, "sliding_window", None)
        and not getattr(model, "_is_stateful", False)
        and config._attn_implementation == "sdpa"
    )


def _joined(read: Sequence[KeysValues]) -> Any:
    """Return a cache of one row a prompt, padded on the left."""
    width = max(keys.shape[-2] for keys, _ in (layers[0] for layers in read))
    pad = torch.nn.functional.pad
    return DynamicCache(
        [
            tuple(
                torch.stack([pad(part, (0, 0, width - part.shape[-2], 0)) for part in parts])
                for parts in zip(*layer, strict=True)
            )
            for layer in zip(*read, strict=True)
        ]
    )


def _row(
    prompt: torch.Tensor, length: int, completions: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Return (ids, positions, segments, sources) of one group.

    A segment is 0 for the prompt and k for completion k; a source is the place whose logits tell
    the token.

    Args:
        prompt: its last tokens, or all of its `length` tokens.
    """
    start = len(prompt)
    ids, positions = [prompt], [torch.arange(length - start, length)]
    segments, sources = [torch.zeros(start, dtype=torch.long)], [torch.full((start,), -1)]
    at = start
    for number, completion in enumerate(completions, start=1):
        count = len(completion)
        ids.append(completion)
        positions.append(torch.arange(length, length + count))
        segments.append(torch.full((count,), number))
        source = torch.arange(at - 1, at + count - 1)
        source[:1] = start - 1
        sources.append(source)
        at += count
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
