"""The objective of GRPO, from the answers to a prompt to the loss, top to bottom.

For each prompt, G answers y₁ … y_G are drawn from the policy. They are a *group*. Then:

    r_i = reward of y_i: 1 if it is correct, else 0                               `answered`
    y_G becomes the label if `anchor: label` and no answer is correct             `anchored`
    only groups whose rewards differ are trained on, if `oversample` is above 1   `chosen`
    A_i = (r_i − mean of r) / (standard deviation of r + 1e-4)                    TRL
    A_i is multiplied by `negative_weight` if it is negative                      `compute_loss`
    ρ_it = p(y_it) / p_old(y_it), for each token t of y_i                         TRL
    loss = −Σ_it min(ρ_it A_i, clip(ρ_it, 1 − ε_low, 1 + ε_high) A_i) / number of tokens    TRL

p_old is the policy that drew the answers. With one update per rollout it is p, so ρ is 1 and
clipping has no effect. It matters if `minibatches` or `updates_per_rollout` is above 1. The mean is
over all tokens of a rollout, since a mean over answers would penalise long wrong ones too little.
Answers that vLLM drew are weighted by p_old over vLLM's probability, because its arithmetic differs
(TRL). There is no KL term unless `beta` is above 0.

The paper's objective has `reward: match`, `oversample: 1.0`, `anchor: none` and
`negative_weight: 1.0`. The others are for small models and short runs:

- `reward: graded` also rewards a part of the right calls.
- `oversample`: groups whose rewards are all equal have no gradient, and generation is cheaper than
  training.
- `anchor: label`: the label has reward 1. It also teaches wrong labels, so it makes verification
  matter more.
- `negative_weight` below 1: a wrong answer shares most of its tokens with the right one, and a few
  steps are not enough to tell which tokens were wrong.

Only public parts of TRL's `GRPOTrainer` are used here: `rollout_func`, the columns that it returns,
reward functions and `compute_loss`. The module `one_process` computes the same loss faster in one
process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate.utils import gather_object
from trl import GRPOConfig, GRPOTrainer

from looptool.core.answers import read_answer
from looptool.core.params import Train
from looptool.core.samples import is_correct
from looptool.core.tool_match import MatchMode
from looptool.engines.syntax import read_ids
from looptool.engines.templates import render
from looptool.training.checkpoints import label_ids
from looptool.training.optimizer import MasterAdamW
from looptool.training.rewards import Example, Reward, make_reward
from looptool.training.sampling import draw


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a group.

    Attributes:
        ids: its token ids.
        text: the answer as the model wrote it.
        logprobs: the log p of each token when it was drawn; NaN for a label, which was not drawn.
        reward: from 0 to 1.
        parts: the parts of the reward by name, if it has any.
        is_correct: whether it matches the label or an alternative.
        is_text: whether it is a text, neither calls nor a broken call.
    """

    ids: list[int]
    text: str
    logprobs: list[float]
    reward: float
    parts: Mapping[str, float]
    is_correct: bool
    is_text: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The answers to one prompt.

    Attributes:
        number: the number of the example.
        prompt: the token ids of the prompt.
        anchored: whether the last answer is the label.
    """

    number: int
    prompt: list[int]
    answers: Sequence[Answer]
    anchored: bool = False

    @property
    def has_signal(self) -> bool:
        """Whether the rewards differ; a group without signal has no policy gradient."""
        rewards = [answer.reward for answer in self.answers]
        return max(rewards) > min(rewards)


class LoopTrainer(GRPOTrainer):
    """`GRPOTrainer` with this module's objective.

    Attributes:
        examples: the rows of D_j.
        order: numbers of examples, in the order of their rollouts (`grpo.prompt_order`).
        on_rollout: called in the main process with the optimizer step and the groups of each
            rollout, also those that are not trained on.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        examples: Sequence[Example],
        order: Sequence[int],
        params: Train,
        match: MatchMode,
        args: GRPOConfig,
        on_rollout: Callable[[int, Sequence[Group]], Any] = lambda step, groups: None,
        **options: Any,
    ) -> None:
        from datasets import Dataset

        self.examples = examples
        self.order = order
        self.params = params
        self.match = match
        self.reward: Reward = make_reward(params.reward)
        self.on_rollout = on_rollout
        super().__init__(
            model=model,
            processing_class=tokenizer,
            # TRL trains on the prompts that `roll_out` returns, so its own are only counted.
            train_dataset=Dataset.from_dict({"prompt": [""] * (args.generation_batch_size or 1)}),
            reward_funcs=given_reward,
            args=args,
            rollout_func=roll_out,
            **options,
        )

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Keep fp32 masters, unless FSDP does, which shards the optimizer with the weights."""
        if self.is_fsdp_enabled:
            return super().create_optimizer(model)
        if self.optimizer is None:
            self.optimizer: Any = MasterAdamW(self.model.parameters(), self.args.learning_rate)
        return self.optimizer

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> torch.Tensor:
        """Return TRL's loss, with `negative_weight` on the negative advantages."""
        advantages = inputs["advantages"]
        weights = torch.where(advantages < 0, self.params.negative_weight, 1.0)
        inputs = inputs | {"advantages": advantages * weights}
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)


def roll_out(prompts: Sequence[str], trainer: LoopTrainer) -> dict[str, Any]:
    """Make the groups of one rollout, and return what TRL trains on (its `rollout_func`).

    Each process answers its part of the rollout's prompts. All see all groups, so that they choose
    the same ones, and each returns its part of these.

    Args:
        prompts: placeholders, one per row that TRL expects from this process.

    Returns:
        One value per row: `prompt_ids`, `completion_ids`, `logprobs`; `env_mask`, 0 for the tokens
        of rows that only fill up; `given`, its reward. And `measured`, the metrics of the rollout.
    """
    params, accelerator = trainer.params, trainer.accelerator
    process, processes = accelerator.process_index, accelerator.num_processes
    period = params.minibatches * params.updates_per_rollout
    size = round(params.prompts_per_step * params.oversample) * params.minibatches
    start = trainer.state.global_step // period * size
    groups = answered(trainer.order[start : start + size][process::processes], trainer)
    if params.anchor == "label":
        groups = [anchored(group, trainer) for group in groups]
    dealt = gather_object(groups)
    parts = [dealt[k * len(groups) : (k + 1) * len(groups)] for k in range(processes)]
    whole = [group for same_place in zip(*parts, strict=True) for group in same_place]
    if accelerator.is_main_process:
        trainer.on_rollout(trainer.state.global_step + 1, whole)
    kept = chosen(whole, params)
    missing = params.prompts_per_step * params.minibatches - len(kept)
    padded = [(group, 1) for group in kept] + [(whole[0], 0)] * missing
    rows = [
        (group.prompt, answer, mask)
        for group, mask in padded[process::processes]
        for answer in group.answers
    ]
    return {
        "prompt_ids": [prompt for prompt, _, _ in rows],
        "completion_ids": [answer.ids for _, answer, _ in rows],
        "logprobs": [answer.logprobs for _, answer, _ in rows],
        "env_mask": [[mask] * len(answer.ids) for _, answer, mask in rows],
        "given": [answer.reward for _, answer, _ in rows],
        "measured": measured(whole, params),
    }


def answered(numbers: Sequence[int], trainer: LoopTrainer) -> list[Group]:
    """Draw `group_size` answers to the prompt of each example, and reward them."""
    tokenizer, examples = trainer.processing_class, [trainer.examples[n] for n in numbers]
    texts = [render(tokenizer, example.prompt) for example in examples]
    prompts = tokenizer(texts, add_special_tokens=False).input_ids
    drawn = draw(trainer, prompts)
    size = trainer.num_generations
    return [
        Group(
            number,
            prompt,
            [
                _rewarded(each.ids, each.logprobs, example, trainer)
                for each in drawn[place * size : (place + 1) * size]
            ],
        )
        for place, (number, prompt, example) in enumerate(
            zip(numbers, prompts, examples, strict=True)
        )
    ]


def _rewarded(
    ids: Sequence[int], logprobs: Sequence[float], example: Example, trainer: LoopTrainer
) -> Answer:
    tools = example.prompt.tools
    text, read = read_ids(trainer.processing_class, ids, tools)
    read = read_answer(text) if read is None else read
    reward = trainer.reward(read, example, trainer.match)
    parts = dict(reward) if isinstance(reward, Mapping) else {}
    value = sum(parts.values()) / len(parts) if isinstance(reward, Mapping) else reward
    right = is_correct(read, example.label, example.alternatives, tools, trainer.match)
    is_text = not read.calls and read.error is None
    return Answer(list(ids), text, list(logprobs), float(value), parts, right, is_text)


def anchored(group: Group, trainer: LoopTrainer) -> Group:
    """Replace the last answer of a group by the label if none of its answers is correct.

    A log p of NaN tells TRL that the policy did not draw the token, so that it does not correct the
    probability for it.
    """
    if any(answer.is_correct for answer in group.answers):
        return group
    example = trainer.examples[group.number]
    ids = label_ids(trainer.processing_class, example.prompt, example.label)
    label = _rewarded(ids, [math.nan] * len(ids), example, trainer)
    return replace(group, answers=[*group.answers[:-1], label], anchored=True)


def chosen(groups: Sequence[Group], params: Train) -> list[Group]:
    """Return the groups to train on: of an oversampled rollout, the first that have signal."""
    if params.oversample == 1:
        return list(groups)
    return [group for group in groups if group.has_signal][
        : params.prompts_per_step * params.minibatches
    ]


def given_reward(
    given: Sequence[float],
    measured: Sequence[Mapping[str, float]],
    log_metric: Callable[[str, float], Any],
    **_: Any,
) -> Sequence[float]:
    """Return the rewards that `roll_out` gave, and log its metrics (a reward function of TRL)."""
    for name, value in measured[0].items():
        log_metric(name, value)
    return given


def measured(groups: Sequence[Group], params: Train) -> dict[str, float]:
    """Return the metrics of a whole rollout, also of the groups that are not trained on."""
    answers = [answer for group in groups for answer in group.answers]
    signal = sum(group.has_signal for group in groups)
    part_names = sorted({name for answer in answers for name in answer.parts})
    return {
        "rollout/reward": _mean([answer.reward for answer in answers]),
        "rollout/zero_variance_share": 1 - signal / len(groups),
        "rollout/groups_kept": min(signal / params.minibatches, float(params.prompts_per_step)),
        "rollout/groups_anchored": float(sum(group.anchored for group in groups)),
        "rollout/text_share": _mean([answer.is_text for answer in answers]),
        "rollout/completion_tokens": _mean([len(answer.ids) for answer in answers]),
    } | {
        f"reward/{name}": _mean([each.parts[name] for each in answers if name in each.parts])
        for name in part_names
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
