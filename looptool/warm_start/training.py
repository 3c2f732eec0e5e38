"""The training loop of the warm start: LoRA on all linear layers, one pass over the samples."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from looptool.core.files import replacing
from looptool.training.optimizer import MasterAdamW
from looptool.training.shared_prompts import visible
from looptool.warm_start.rows import Row

SAVE_SECONDS = 120  # between two checkpoints


def train(
    model: Any,
    batches: Sequence[Sequence[Sequence[Row]]],
    *,
    learning_rate: float,
    pad: int,
    scratch: Path,
    on_step: Callable[[int, int, float], None],
    at: Callable[[int, int], None],
) -> int:
    """Train a model's adapters on the batches in order; a killed run resumes.

    Args:
        model: a PEFT model, of which only the adapters have gradients.
        learning_rate: reached after 3 % of the steps, from where it falls to a tenth by a cosine.
        pad: id of the padding token.
        scratch: the folder of the checkpoint.
        on_step: called after each step with the number of steps, tokens, and the loss.
        at: called after each step with the number of steps and samples so far; it may evaluate.

    Returns:
        The number of tokens trained on, without padding.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = MasterAdamW(weights, learning_rate)
    done, samples, tokens = _resume(scratch, weights, optimizer)
    saved = time.monotonic()
    if done:  # the run may have been killed while it evaluated
        at(done, samples)
    model.train()
    for step, parts in enumerate(batches[done:], start=done + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * scale(step, len(batches))
        total = sum(w for part in parts for row in part for b in row.branches for w in b.weights)
        loss = 0.0
        for part in parts:
            part_loss = weighted_loss(model, part, pad) / total
            torch.autograd.backward(part_loss)
            loss += part_loss.item()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        tokens += sum(row.length for part in parts for row in part)
        samples += sum(len(row.branches) for part in parts for row in part)
        if time.monotonic() - saved > SAVE_SECONDS or step == len(batches):
            _save(scratch, optimizer, step, samples, tokens)
            saved = time.monotonic()
        on_step(step, tokens, loss)
        at(step, samples)
        model.train()
    return tokens


def scale(step: int, steps: int) -> float:
    """Return the share of the full learning rate at a step: 3 % linear, then a cosine to 0.1."""
    rise = max(1, round(0.03 * steps))
    if step <= rise:
        return step / rise
    return 0.55 + 0.45 * math.cos(math.pi * (step - rise) / max(1, steps - rise))


def weighted_loss(model: Any, rows: Sequence[Row], pad: int) -> torch.Tensor:
    """Return the sum of the weighted cross-entropies of all label tokens of some rows.

    A branch sees the prefix and itself, and its positions continue from the prefix's, so the
    result is that of separate rows.
    """
    width = max(row.length for row in rows)
    ids = torch.full((len(rows), width), pad)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    segments = torch.full((len(rows), width), -1)
    sources: list[tuple[int, int]] = []
    targets: list[int] = []
    weights: list[float] = []
    for number, row in enumerate(rows):
        start = len(row.prefix)
        ids[number, :start] = torch.tensor(row.prefix)
        positions[number, :start] = torch.arange(start)
        segments[number, :start] = 0
        place = start
        for index, branch in enumerate(row.branches, start=1):
            end = place + len(branch.tokens)
            ids[number, place:end] = torch.tensor(branch.tokens)
            positions[number, place:end] = torch.arange(start, start + len(branch.tokens))
            segments[number, place:end] = index
            for offset, weight in enumerate(branch.weights):
                if weight:
                    sources.append((number, place + offset - 1))
                    targets.append(branch.tokens[offset])
                    weights.append(weight)
            place = end
    device = model.device
    hidden = model.get_base_model().get_decoder()(
        input_ids=ids.to(device),
        position_ids=positions.to(device),
        attention_mask=visible(segments.to(device)),
        use_cache=False,
    )[0]
    row_of, column = torch.tensor(sources, device=device).T
    logits = model.get_output_embeddings()(hidden[row_of, column]).float()
    losses = torch.nn.functional.cross_entropy(
        logits, torch.tensor(targets, device=device), reduction="none"
    )
    return (losses * torch.tensor(weights, device=device)).sum()


def _save(scratch: Path, optimizer: MasterAdamW, step: int, samples: int, tokens: int) -> None:
    state = {"optimizer": optimizer.state_dict(), "step": step, "samples": samples,
             "tokens": tokens}  # fmt: skip
    with replacing(scratch / "checkpoint.pt") as partial:
        torch.save(state, partial)


def _resume(
    scratch: Path, weights: Sequence[torch.Tensor], optimizer: MasterAdamW
) -> tuple[int, int, int]:
    """Load the checkpoint, if there is one; return the steps, samples and tokens so far."""
    path = scratch / "checkpoint.pt"
    if not path.exists():
        return 0, 0, 0
    state = torch.load(path, map_location=weights[0].device, weights_only=True)
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["samples"], state["tokens"]
