"""Groups of completions: when prompts are rolled out, and who trains on them in which pass."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from looptool.core.params import Train


def prompt_order(prompts: Sequence[str], params: Train, seed: int, processes: int = 1) -> list[str]:
    """Return the prompts in the order of their rollouts, each as often as any other, give or take
    one.

    Laid out here because TRL's sampler starts its shuffling anew when a run is resumed. Of several
    processes each takes a stretch of a rollout's prompts; so that every minibatch has work for
    all of them, a stretch holds every n-th prompt of the rollout.
    """
    groups = round(params.prompts_per_step * params.oversample) * params.minibatches
    rollouts = -(-params.steps // (params.minibatches * params.updates_per_rollout))
    random_state, order = random.Random(seed), list[str]()
    while len(order) < groups * rollouts:
        order += random_state.sample(list(prompts), len(prompts))
    return [
        prompt
        for start in range(0, groups * rollouts, groups)
        for process in range(processes)
        for prompt in order[start : start + groups][process::processes]
    ]


def with_signal(advantages: torch.Tensor) -> torch.Tensor:
    """Return which groups have rewards that differ; the others have no policy gradient.

    Args:
        advantages: of shape (groups, completions).
    """
    return torch.nonzero(advantages.abs().sum(1) > 0)[:, 0].cpu()


def split_groups(
    batch: dict[str, Any],
    groups: torch.Tensor,
    tokens: torch.Tensor,
    size: int,
    minibatches: int,
    passes: int,
    per_pass: int,
    place: tuple[int, int] = (0, 1),
) -> list[dict[str, Any]]:
    """Deal groups out to minibatches alike, and within one to its passes; some may get none.

    A pass holds groups of like length, the longest first, so that little of it is padding.
    Whatever has a row a completion is cut alike. The loss of a minibatch is a mean over the
    tokens of what it got: TRL divides by the tokens of all minibatches over their number.

    Args:
        batch: the rollout of this process, `size` rows a group.
        groups: which groups of the whole rollout are trained on.
        tokens: how many tokens the completions of each group of the whole rollout have.
        passes: how many a minibatch has.
        per_pass: how many groups a pass holds; more if there would be too few passes.
        place: (number of this process, number of processes). Process r holds the groups r, r + n,
            r + 2n, …. Their passes are of one size, and the last one, in which they exchange
            gradients, is never empty: who has too few groups fills up with one whose completions
            count for nothing.
    """
    rows, mask = len(batch["advantages"]), batch["completion_mask"]
    lengths = (batch["prompt_mask"].sum(1)[::size] + mask.sum(1).view(-1, size).sum(1)).cpu()
    process, processes = place
    dealt = []
    for minibatch in groups.tensor_split(minibatches):
        total = tokens[minibatch].sum().to(mask.device) * minibatches
        shares = [
            minibatch[minibatch % processes == each] // processes for each in range(processes)
        ]
        most = max(processes > 1, *map(len, shares))
        own = shares[process]
        own = own[lengths[own].argsort(descending=True, stable=True)]
        counts = (torch.arange(most) < len(own)).repeat_interleave(size).to(mask)
        own = torch.nn.functional.pad(own, (0, most - len(own)))
        places = (own[:, None] * size + torch.arange(size)).flatten().to(mask.device)
        width = max(per_pass, -(-most // passes)) * size
        parts = []
        for start in range(0, passes * width, width):
            chunk = places[start : start + width]
            part = {
                key: value[chunk]
                if isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == rows
                else value
                for key, value in batch.items()
            }
            part["completion_mask"] = part["completion_mask"] * counts[start : start + width, None]
            parts.append(part | {"num_items_in_batch": total})
        dealt += parts if processes == 1 else parts[::-1]
    return dealt
