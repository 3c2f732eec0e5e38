"""The trainer for one process that holds the whole model: each group's prompt is read once.

It computes the loss of `objective` in fewer operations. TRL would distribute single answers over
the backward passes, so that a group's prompt is read in several of them, and read it once for each
answer. Here a pass holds whole groups, which `scoring` turns into one row each. For that, private
methods of TRL 1.16 are overridden; this module is the only one that does so.
"""

from __future__ import annotations

from typing import Any

import torch

from looptool.training.memory import CPU_GROUPS, training_rows
from looptool.training.objective import LoopTrainer
from looptool.training.scoring import score_completions


class SharedPromptTrainer(LoopTrainer):
    """`LoopTrainer` that reads each group's prompt once."""

    _buffered_inputs: list[dict[str, Any]] | None

    def _prepare_inputs(self, generation_batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the answers of the next backward pass, as whole groups."""
        passes_per_rollout = self.args.steps_per_generation * self.num_iterations
        if self._step % passes_per_rollout == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            size = self.num_generations
            tokens = batch["prompt_mask"].sum(1)[::size]
            tokens = tokens + batch["completion_mask"].sum(1).view(-1, size).sum(1)
            self._buffered_inputs = split_groups(
                batch,
                size,
                self.params.minibatches,
                self.args.gradient_accumulation_steps,
                self._groups_in_a_pass(int(tokens.max())),
            )
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _groups_in_a_pass(self, tokens: int) -> int:
        """Return how many groups of at most `tokens` tokens fit in a pass."""
        if self.params.tokens_per_pass:
            return max(1, self.params.tokens_per_pass // tokens)
        return training_rows(
            self.model, tokens, CPU_GROUPS, checkpointing=self.params.activation_checkpointing
        )

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """Score answers with `scoring`, for text models without a router loss.

        Rows are (padding, prompt, answer, padding). The last `logits_to_keep` columns are the
        answer's, and the results have these columns.
        """
        logps = torch.zeros(len(input_ids), logits_to_keep, device=input_ids.device)
        entropies = torch.zeros_like(logps)
        mask = attention_mask.bool()
        size = batch_size or len(input_ids)
        for start in range(0, len(input_ids), size):
            part = range(start, min(start + size, len(input_ids)))
            present, scored = mask[part, -logits_to_keep:], slice(-logits_to_keep, None)
            part_logps, part_entropies = score_completions(
                model,
                [input_ids[i, :-logits_to_keep][mask[i, :-logits_to_keep]] for i in part],
                [input_ids[i, scored][mask[i, scored]] for i in part],
                self.processing_class.pad_token_id,
                self.temperature,
                compute_entropy,
            )
            offset = torch.tensor([start, 0], device=present.device)
            places = (torch.nonzero(present) + offset).unbind(1)
            logps = logps.index_put(places, part_logps)
            if part_entropies is not None:
                entropies[places] = part_entropies
        return logps, entropies if compute_entropy else None, None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if len(inputs["advantages"]):
            return super()._compute_loss(model, inputs)
        trained = (weight for weight in model.parameters() if weight.requires_grad)
        return min(trained, key=torch.numel).sum() * 0.0  # a pass without groups


def split_groups(
    batch: dict[str, Any], size: int, minibatches: int, passes: int, per_pass: int
) -> list[dict[str, Any]]:
    """Divide groups evenly among minibatches, and each minibatch among its passes.

    A pass holds groups of similar length, so that it needs little padding; some passes may be
    empty. Groups that only fill up the rollout, whose `tool_mask` is 0, are left out. Tensors with
    one row per answer are split, other values are copied to every pass.

    Args:
        batch: the rollout, `size` rows per group.
        size: answers per group.
        passes: passes per minibatch.
        per_pass: groups per pass; there are more if `passes` passes would not hold all groups.

    Returns:
        The batches of all passes, minibatch by minibatch.
    """
    rows = len(batch["advantages"])
    lengths = batch["prompt_mask"].sum(1)[::size]
    lengths = (lengths + batch["completion_mask"].sum(1).view(-1, size).sum(1)).cpu()
    trained = batch["completion_mask"] * batch["tool_mask"]
    groups = torch.nonzero(trained[::size].any(1))[:, 0].cpu()
    dealt = []
    for minibatch in groups.tensor_split(minibatches):
        minibatch = minibatch[lengths[minibatch].argsort(descending=True, stable=True)]
        places = (minibatch[:, None] * size + torch.arange(size)).flatten()
        places = places.to(batch["advantages"].device)
        width = max(per_pass, -(-len(minibatch) // passes)) * size
        for start in range(0, passes * width, width):
            chunk = places[start : start + width]
            dealt.append(
                {
                    key: value[chunk]
                    if isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == rows
                    else value
                    for key, value in batch.items()
                }
            )
    return dealt
