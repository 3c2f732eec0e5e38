"""Log probabilities of completions, with each group's prompt read once (forward and backward).

The completions of a group share one prompt. With tool documents in it, the prompt is most of the
tokens. TRL (1.16) repeats the prompt for every completion and, without Triton, computes logits for
the prompt too. Here a group is one row, [prompt, completion 1, completion 2, …]. A completion
attends to the prompt and itself, and its positions continue from the prompt's, so the results are
those of separate rows.

For a prompt of p tokens and n completions of c tokens, a row has p + n·c tokens instead of
n·(p + c). With p = 250 and c = 68, as in the embedded default, this is a factor of 0.41 for n = 4
and 0.26 for n = 16. `python -m benchmarks.scoring` measures the gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from trl.trainer.utils import entropy_from_logits, selective_log_softmax

from looptool.training.shared_prompts import visible

ROW_TOKENS = 8192  # longer rows are split, since the mask grows with the square of the length


def score_completions(
    model: Any,
    prompts: Sequence[torch.Tensor],
    completions: Sequence[torch.Tensor],
    pad: int,
    temperature: float = 1.0,
    entropy: bool = True,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Score all completions in one pass; consecutive equal prompts are read once.

    Args:
        prompts: token ids of each completion's prompt, without padding.
        completions: token ids, without padding.
        pad: id of the padding token.
        entropy: whether to compute entropies.

    Returns:
        The log probability of every token and, if `entropy`, the entropy of the distribution that
        it was drawn from (without gradient). Both have shape (tokens of all completions,) and are
        in nats at `temperature`.
    """
    shared = shares_prompts(model)
    groups: list[tuple[torch.Tensor, list[torch.Tensor]]] = []
    room = 0
    for prompt, completion in zip(prompts, completions, strict=True):
        room -= len(completion)
        if groups and shared and room >= 0 and torch.equal(groups[-1][0], prompt):
            groups[-1][1].append(completion)
        else:
            groups.append((prompt, [completion]))
            room = ROW_TOKENS - len(prompt) - len(completion)
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
        attention_mask=visible(segments) if shared else (segments >= 0).long(),
        logits_to_keep=keep,
        use_cache=False,
    ).logits
    row, column = torch.nonzero(segments > 0, as_tuple=True)
    before = sources[row, column] + width - torch.tensor([len(r[0]) for r in rows]).to(row)[row]
    logits = logits[row, before - (width - keep)].float() / temperature
    if not len(row):  # only empty completions
        return logits.sum(1), logits.sum(1).detach() if entropy else None
    entropies = entropy_from_logits(logits.detach()) if entropy else None
    return selective_log_softmax(logits, ids[row, column]), entropies


def shares_prompts(model: Any) -> bool:
    """Whether `model` accepts a custom mask: full attention in all layers, by PyTorch's SDPA."""
    model = extract_model_from_parallel(model)
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

    A segment is 0 for the prompt and k for completion k. A source is the position whose logits
    predict the token.
    """
    start = len(prompt)
    ids, positions = [prompt], [torch.arange(start)]
    segments, sources = [torch.zeros(start, dtype=torch.long)], [torch.full((start,), -1)]
    position = start
    for number, completion in enumerate(completions, start=1):
        length = len(completion)
        ids.append(completion)
        positions.append(torch.arange(start, start + length))
        segments.append(torch.full((length,), number))
        source = torch.arange(position - 1, position + length - 1)
        source[:1] = start - 1
        sources.append(source)
        position += length
    device = prompt.device
    return tuple(torch.cat([part.to(device) for part in parts]) for parts in
                 (ids, positions, segments, sources))  # fmt: skip
