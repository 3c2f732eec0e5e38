"""Groups of completions: order of the rollouts, and division into minibatches and passes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from looptool.core.params import Train


def prompt_order(prompts: Sequence[str], params: Train, seed: int, processes: int = 1) -> list[str]:
    """Return the prompts in the order of their rollouts; prompt counts differ by at most one.

    The order is fixed in advance because TRL's sampler shuffles anew when a run is resumed. Each of
    n processes takes a contiguous part of a rollout's prompts. A part holds every n-th prompt of
    the drawn order, so that every minibatch has work for all processes.
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
    """Return the indices of groups whose rewards differ; the others have no policy gradient.

    Args:
        advantages: shape (groups, completions).
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
    """Divide groups evenly among minibatches, and each minibatch among its passes.

    A pass holds groups of similar length, so that it needs little padding; some passes may be
    empty. Tensors with one row per completion are split, other values are copied to every pass.
    The loss of a minibatch is a mean over its own tokens. TRL divides `num_items_in_batch` by the
    number of minibatches, so it is set to the minibatch's tokens times that number.

    Args:
        batch: the rollout of this process, `size` rows per group.
        groups: indices, in the whole rollout, of the groups to train on.
        tokens: number of completion tokens of each group of the whole rollout.
        size: completions per group.
        passes: passes per minibatch.
        per_pass: groups per pass; there are more if `passes` passes would not hold all groups.
        place: (rank of this process, number of processes n). Process r holds the groups r, r + n,
            r + 2n, …. A pass has the same size in all processes. The last pass, in which processes
            exchange gradients, is never empty: a process with too few groups fills up with a group
            whose completions are masked out.

    Returns:
        The batches of all passes, minibatch by minibatch.
    """
    rows, mask = len(batch["advantages"]), batch["completion_mask"]
    lengths = (batch["prompt_mask"].sum(1)[::size] + mask.sum(1).view(-1, size).sum(1)).cpu()
    process, processes = place
    dealt = []
    for minibatch in groups.tensor_split(minibatches):
        total = tokens[minibatch].sum().to(mask.device) * minibatches
        shares = [
            minibatch[minibatch % processes == rank] // processes for rank in range(processes)
        ]
        most = max(processes > 1, *map(len, shares))
        share = shares[process]
        share = share[lengths[share].argsort(descending=True, stable=True)]
        counts = (torch.arange(most) < len(share)).repeat_interleave(size).to(mask)
        share = torch.nn.functional.pad(share, (0, most - len(share)))
        places = (share[:, None] * size + torch.arange(size)).flatten().to(mask.device)
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
