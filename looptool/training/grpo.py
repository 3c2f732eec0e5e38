"""GRPO on D_j (the paper's training stage), by TRL's `GRPOTrainer`.

Reward 1 if the completion is correct (`samples.is_correct`), else 0; no KL term; clip-higher. Two
things go beyond the paper, both off in its presets, both ablated in docs/results.md:

- `oversample`: more prompts are rolled out than are trained on, and groups whose rewards are all
  equal, which have no gradient, are dropped before the backward pass. After a warm-up most groups
  are such, and generating is the cheap part.
- `anchor: label`: a group without any success gets the reference label in place of its last
  completion (reward 1). It also teaches wrong labels, so it makes verification matter more.

With one update per rollout the policy that is trained is the one that sampled: the ratio is 1 and
the clip range ε never acts. It acts when `minibatches` or `updates_per_rollout` is above 1.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import entropy_from_logits, selective_log_softmax

from looptool.calls import MatchMode, parse
from looptool.engines import Prompt, Sampling
from looptool.engines.transformers import Tokens, decode, render
from looptool.params import Train
from looptool.samples import Label, is_correct
from looptool.training.checkpoints import label_ids, last_checkpoint, load_model, save_model
from looptool.training.optimizer import MasterAdamW
from looptool.training.progress import StepCallback
from looptool.training.warmup import common_arguments

# What is kept of TRL's log, under our names. Times are left out: outputs must not differ by them.
LOGGED = {
    "step": "step",
    "loss": "loss",
    "reward": "reward",
    "entropy": "entropy",
    "frac_reward_zero_std": "zero_variance_share",
    "clip_ratio/region_mean": "clip_share",
    "completions/mean_length": "completion_tokens",
    "groups_kept": "groups_kept",
    "anchored": "groups_anchored",
    "grad_norm": "grad_norm",
    "num_tokens": "tokens",
}


@dataclass(frozen=True, slots=True)
class Example:
    """One row of D_j as the trainer needs it."""

    prompt: Prompt
    label: Label
    alternatives: Sequence[Label] = ()


def train_grpo(
    base: Path | str,
    examples: Sequence[Example],
    target: Path,
    params: Train,
    *,
    match: MatchMode,
    seed: int,
    scratch: Path,
    on_step: Callable[[int], Any] = lambda step: None,
) -> list[dict[str, float]]:
    """Train `base` on `examples` by GRPO and write the model to `target`.

    A killed run goes on from the last checkpoint in `scratch` and ends as it would have.

    Returns:
        one row a step, with the columns of `LOGGED`.
    """
    from datasets import Dataset

    model, tokenizer = load_model(base)
    by_prompt = {render(tokenizer, example.prompt): example for example in examples}
    order = prompt_order(list(by_prompt), params, seed)
    trainer = LoopTrainer(
        model,
        tokenizer,
        Dataset.from_list([{"prompt": prompt} for prompt in order]),
        by_prompt,
        params,
        match,
        arguments(params, seed, scratch / "grpo"),
        StepCallback(on_step),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_checkpoint(scratch / "grpo"))
    save_model(trainer.model, tokenizer, target)
    return [
        {ours: row[theirs] for theirs, ours in LOGGED.items() if row.get(theirs) is not None}
        for row in trainer.state.log_history
        if "loss" in row
    ]


def prompt_order(prompts: Sequence[str], params: Train, seed: int) -> list[str]:
    """Return the prompts in the order of their rollouts, each as often as any other, give or take
    one.

    Laid out here because TRL's sampler starts its shuffling anew when a run is resumed.
    """
    groups = round(params.prompts_per_step * params.oversample) * params.minibatches
    rollouts = -(-params.steps // (params.minibatches * params.updates_per_rollout))
    random_state, order = random.Random(seed), list[str]()
    while len(order) < groups * rollouts:
        order += random_state.sample(list(prompts), len(prompts))
    return order


def training_metrics(history: Sequence[dict[str, float]]) -> dict[str, float | None]:
    """Return what a training's history comes to: means over its steps, the reward by halves.

    Steps that train on an earlier step's rollouts have no reward of their own.
    """

    def mean(name: str, rows: Sequence[dict[str, float]] = history) -> float | None:
        values = [row[name] for row in rows if name in row]
        return sum(values) / len(values) if values else None

    half = len(history) // 2
    return {
        "reward_first_half": mean("reward", history[: half or 1]),
        "reward_second_half": mean("reward", history[half:]),
        **{
            name: mean(name)
            for name in ("zero_variance_share", "groups_kept", "groups_anchored", "entropy")
        },
        "tokens": max(row.get("tokens", 0.0) for row in history),
    }


def arguments(params: Train, seed: int, folder: Path) -> GRPOConfig:
    """Translate our parameters into TRL's.

    One rollout batch holds `prompts_per_step × oversample × minibatches` groups. TRL wants its
    size as (rows of one backward pass) × (passes): there are `group_size` passes an update, so
    that whatever number of groups is kept divides evenly.
    """
    prompts = round(params.prompts_per_step * params.oversample)
    period = params.minibatches * params.updates_per_rollout  # a rollout is not in a checkpoint
    return GRPOConfig(
        output_dir=str(folder),
        max_steps=params.steps,
        per_device_train_batch_size=prompts,
        gradient_accumulation_steps=params.group_size,
        steps_per_generation=params.group_size * params.minibatches,
        num_iterations=params.updates_per_rollout,
        num_generations=params.group_size,
        max_completion_length=params.max_new_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        learning_rate=params.learning_rate,
        lr_scheduler_type="constant",
        epsilon=params.epsilon_low,
        epsilon_high=params.epsilon_high,
        beta=params.beta,
        loss_type="dapo",  # per token over the whole batch, so dropped groups do not change it
        max_grad_norm=1.0,
        save_steps=-(-params.save_steps // period) * period,
        shuffle_dataset=False,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        **common_arguments(),
    )


class LoopTrainer(GRPOTrainer):
    """`GRPOTrainer` with our rollouts, our reward, and groups without signal dropped."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        dataset: Any,
        examples: dict[str, Example],
        params: Train,
        match: MatchMode,
        args: GRPOConfig,
        callback: StepCallback,
    ) -> None:
        self.examples = examples
        self.params = params
        self.match = match

        def correct(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
            return [
                float(self.is_correct(*pair)) for pair in zip(prompts, completions, strict=True)
            ]

        super().__init__(
            model=model,
            processing_class=tokenizer,
            train_dataset=dataset,
            reward_funcs=correct,
            args=args,
            rollout_func=roll_out,
            optimizers=(MasterAdamW(model.parameters(), args.learning_rate), None),
            callbacks=[callback],
        )

    def is_correct(self, prompt: str, completion: str) -> bool:
        example = self.examples[prompt]
        return is_correct(
            parse(completion),
            example.label,
            example.alternatives,
            example.prompt.tools,
            self.match,
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
        """Score the completions only. TRL's own scores the prompt too where there is no Triton.

        Columns that are padding in all rows of a part are cut off on the left.
        """
        logps, entropies = [], []
        size = batch_size or len(input_ids)
        for rows in range(0, len(input_ids), size):
            part = slice(rows, rows + size)
            start = int(attention_mask[part].any(0).int().argmax())
            logits = model(
                input_ids=input_ids[part, start:],
                attention_mask=attention_mask[part, start:],
                logits_to_keep=logits_to_keep + 1,
                use_cache=False,
            ).logits[:, :-1]
            logits = logits.float() / self.temperature
            logps.append(selective_log_softmax(logits, input_ids[part, -logits_to_keep:]))
            if compute_entropy:
                with torch.no_grad():
                    entropies.append(entropy_from_logits(logits))
        return torch.cat(logps), torch.cat(entropies) if compute_entropy else None, None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super()._generate_and_score_completions(inputs)
        size = self.num_generations
        signal = batch["advantages"].view(-1, size).abs().sum(1) > 0
        self._metrics["train"]["groups_kept"].append(
            min(int(signal.sum()), self.params.prompts_per_step * self.params.minibatches)
        )
        if self.params.oversample > 1:
            batch = keep_groups(
                batch, signal, self.params.prompts_per_step, self.params.minibatches, size
            )
        return batch


def keep_groups(
    batch: dict[str, Any], signal: torch.Tensor, cap: int, minibatches: int, size: int
) -> dict[str, Any]:
    """Keep the groups with signal, at most `cap` a minibatch and as many in each.

    Where there are fewer than one a minibatch, groups without signal fill up: an update of nothing
    is an update still. All tensors with a row per completion are cut down alike.
    """
    rows = len(batch["advantages"])
    order = torch.argsort((~signal).to(torch.int8), stable=True)
    wanted = min(int(signal.sum()), cap * minibatches)
    wanted = max(wanted - wanted % minibatches, minibatches)
    groups = order[:wanted].sort().values
    keep = (groups[:, None] * size + torch.arange(size, device=groups.device)).flatten()
    batch = {
        key: value[keep]
        if isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == rows
        else value
        for key, value in batch.items()
    }
    batch["num_items_in_batch"] = batch["completion_mask"].sum()
    return batch


def roll_out(prompts: list[str], trainer: LoopTrainer) -> dict[str, Any]:
    """TRL's rollout hook: `num_generations` completions for each prompt, in one batch.

    Sampled from the very weights that are trained; the draws depend on the seed and the step, so
    a resumed run makes the same ones.
    """
    params, tokenizer = trainer.params, trainer.processing_class
    size = trainer.num_generations
    unique = prompts[::size]
    sampling = Sampling(
        params.max_new_tokens,
        params.temperature,
        params.top_p,
        seed=trainer.args.seed + trainer.state.global_step,
    )
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.eval()
    ids = tokenizer(unique, add_special_tokens=False).input_ids
    rollouts = decode(model, tokenizer, ids, sampling, copies=size)
    model.train()
    anchored = 0
    if params.anchor == "label":
        for group, prompt in enumerate(unique):
            own = slice(group * size, (group + 1) * size)
            texts = [tokenizer.decode(r.ids, skip_special_tokens=True) for r in rollouts[own]]
            if not any(trainer.is_correct(prompt, text) for text in texts):
                reference = label_ids(trainer.examples[prompt].label, tokenizer)
                rollouts[own.stop - 1] = Tokens(reference, [0.0] * len(reference), True)
                anchored += 1
    trainer._metrics["train"]["anchored"].append(anchored)
    return {
        "prompt_ids": [row for row in ids for _ in range(size)],
        "completion_ids": [rollout.ids for rollout in rollouts],
        "logprobs": [rollout.logprobs for rollout in rollouts],
    }
