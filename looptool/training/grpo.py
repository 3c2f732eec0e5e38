"""GRPO on D_j (the paper's training stage), by TRL's `GRPOTrainer`.

Reward 1 if the completion is correct, else 0 (`rewards.match`); no KL term; clip-higher. What goes
beyond the paper (`reward: match`, `oversample: 1.0`, `anchor: none` and `negative_weight: 1.0` are
its ways):

- `reward: graded` also rewards a part of the right calls.
- `oversample`: more prompts are rolled out than are trained on, and groups whose rewards are all
  equal, which have no gradient, are dropped before the backward pass. After a warm-up most groups
  are of this kind, and generation is cheaper than training.
- `anchor: label`: a group without any success gets the reference label in place of its last
  completion (reward 1). It also teaches wrong labels, so it makes verification matter more.
- `negative_weight` below 1: completions below their group's mean count for less. A wrong answer
  shares most of its tokens with the right one, and a few steps are not enough to tell which tokens
  were wrong.

With one update per rollout, the trained policy is the one that sampled, so the ratio is 1 and
clipping (ε) has no effect. Clipping matters if `minibatches` or `updates_per_rollout` is above 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from looptool.core import canonical, machine, tables
from looptool.core.errors import LooptoolError
from looptool.core.machine import NumberTypeName
from looptool.core.params import Params, Train, Vllm
from looptool.core.runs import Run
from looptool.core.samples import is_correct
from looptool.core.tool_match import MatchMode
from looptool.engines import Prompt, Sampling
from looptool.engines.sizes import CPU_GROUPS, training_rows
from looptool.engines.syntax import answer_to
from looptool.engines.templates import render
from looptool.engines.transformers import Tokens, decode, load_model, stop_ids
from looptool.training.checkpoints import (
    add_lora,
    label_ids,
    last_checkpoint,
    save_model,
)
from looptool.training.groups import prompt_order, split_groups, with_signal
from looptool.training.optimizer import MasterAdamW
from looptool.training.progress import StepCallback
from looptool.training.rewards import Example, make_reward
from looptool.training.scoring import score_completions
from looptool.training.warmup import common_arguments, on_one_device

STEPS_APART = 1_000_003  # distance between the seeds of two neighbouring processes

# TRL's log entry → our name. Times are left out, because outputs must be reproducible.
LOGGED = {
    "step": "step",
    "loss": "loss",
    "reward": "reward",
    "entropy": "entropy",
    "frac_reward_zero_std": "zero_variance_share",
    "clip_ratio/region_mean": "clip_share",
    "completions/mean_length": "completion_tokens",
    "groups_kept": "groups_kept",
    "texts": "text_share",
    "anchored": "groups_anchored",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "num_tokens": "tokens",
}


def train_on(
    run: Run,
    base: Path,
    data: Path,
    target: Path,
    scratch: Path,
    on_progress: Callable[[int], Any] = lambda step: None,
    processes: int = 1,
) -> list[dict[str, float]]:
    """Train on the table `data` (`tables.Samples`) with the run's params; see `train_grpo`."""
    examples = [
        Example(
            Prompt(canonical.loads(row["messages"]), canonical.loads(row["tools"])),
            canonical.loads(row["label"]),
            canonical.loads(row["alternatives"]),
        )
        for row in tables.read(data, tables.Samples).iter_rows(named=True)
    ]
    return train_grpo(
        base,
        examples,
        target,
        run.params.train,
        vllm=run.params.vllm,
        match=run.params.match,
        dtype=run.dtype,
        seed=run.seed_number,
        scratch=scratch,
        on_progress=on_progress,
        processes=processes,
    )


def train_grpo(
    base: Path | str,
    examples: Sequence[Example],
    target: Path,
    params: Train,
    *,
    vllm: Vllm,
    match: MatchMode,
    dtype: NumberTypeName,
    seed: int,
    scratch: Path,
    on_progress: Callable[[int], Any] = lambda step: None,
    processes: int = 1,
) -> list[dict[str, float]]:
    """Train `base` on `examples` by GRPO and write the model to `target`.

    A killed run resumes from the last checkpoint in `scratch`. Its result is that of an
    uninterrupted run, unless vLLM makes the rollouts.

    Args:
        base: folder of the model to train.
        target: folder to write the trained model to.
        dtype: number type of the weights during training.
        scratch: folder for checkpoints.
        on_progress: called with the number of steps done.
        processes: number of processes that make the same call, each for its part of every batch
            (see the module `processes`).

    Returns:
        One row per step, with the columns of `LOGGED`.

    Raises:
        LooptoolError: if there are no examples.
    """
    from datasets import Dataset

    if not examples:
        raise LooptoolError("there is no sample to train on")
    params = params.model_copy(update={"vllm": rollout_mode(params)})
    model, tokenizer = load_model(base, dtype)
    if params.lora_rank:
        model = add_lora(model, params.lora_rank, seed)
    by_prompt = {render(tokenizer, example.prompt): example for example in examples}
    order = prompt_order(list(by_prompt), params, seed, processes)
    trainer = LoopTrainer(
        model,
        tokenizer,
        Dataset.from_list([{"prompt": prompt} for prompt in order]),
        by_prompt,
        params,
        match,
        arguments(params, vllm, seed, scratch / "grpo", processes),
        StepCallback(on_progress),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_checkpoint(scratch / "grpo"))
    if trainer.accelerator.is_main_process:
        save_model(trainer.model, tokenizer, base, target)
    trainer.accelerator.wait_for_everyone()
    return [
        {ours: row[theirs] for theirs, ours in LOGGED.items() if row.get(theirs) is not None}
        | {name.replace("/", "_"): row[name] for name in row if name.startswith("reward/")}
        for row in trainer.state.log_history
        if "loss" in row
    ]


def rollout_mode(params: Train) -> Literal["off", "colocate", "server"]:
    """Return how vLLM makes rollouts; `auto` means colocate if vLLM and a GPU are available."""
    if params.vllm != "auto":
        return params.vllm
    return "colocate" if machine.serves_vllm() else "off"


def length_limit(params: Params) -> int | None:
    """Return the maximum number of tokens of a prompt and its answer, None for the model's own."""
    limits = [params.train.max_tokens]
    if rollout_mode(params.train) != "off":
        limits.append(params.vllm.max_model_len)
    return min((limit for limit in limits if limit), default=None)


def training_metrics(history: Sequence[dict[str, float]]) -> dict[str, Any]:
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
            for name in (
                "zero_variance_share",
                "groups_kept",
                "groups_anchored",
                "text_share",
                "entropy",
            )
        },
        "tokens": max(row.get("tokens", 0.0) for row in history),
    }


def text_warning(history: Sequence[dict[str, float]]) -> str | None:
    """Return a warning if more than half of the answers of a step were texts, else None.

    A model that declines where it should call tools gets no reward, and no group has signal.
    """
    steps = [int(row["step"]) for row in history if row.get("text_share", 0) > 0.5]
    if not steps:
        return None
    return (
        f"more than half of the answers were texts in {len(steps)} of {len(history)} steps, first "
        f"in step {steps[0]}: the model declines; lower train.learning_rate or the shares of "
        "`irrelevant` and `clarify`, or, if the base calls no tools, set warmup.steps to 30"
    )


def arguments(params: Train, vllm: Vllm, seed: int, folder: Path, processes: int = 1) -> GRPOConfig:
    """Translate our parameters to TRL's.

    One rollout batch holds `prompts_per_step × oversample × minibatches` groups. TRL takes its size
    as (rows per backward pass) × (passes), so the config has one pass per group. `split_groups`
    fills the first passes and leaves the others empty. The sizes are per process.
    """
    prompts = round(params.prompts_per_step * params.oversample) // processes
    # Checkpoints do not contain the rollout, so they are saved only between rollouts.
    period = params.minibatches * params.updates_per_rollout
    config = GRPOConfig(
        output_dir=str(folder),
        max_steps=params.steps,
        per_device_train_batch_size=params.group_size,
        gradient_accumulation_steps=prompts,
        steps_per_generation=prompts * params.minibatches,
        num_iterations=params.updates_per_rollout,
        num_generations=params.group_size,
        max_completion_length=params.max_new_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        learning_rate=params.learning_rate,
        epsilon=params.epsilon_low,
        epsilon_high=params.epsilon_high,
        beta=params.beta,
        # A mean over all tokens: a mean over completions would penalise long wrong ones too little.
        loss_type="dapo",
        max_grad_norm=1.0,
        save_steps=-(-params.save_steps // period) * period,
        shuffle_dataset=False,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        use_vllm=params.vllm != "off",
        vllm_mode="server" if params.vllm == "server" else "colocate",
        vllm_server_base_url=vllm.rollout_url if params.vllm == "server" else None,
        vllm_gpu_memory_utilization=vllm.gpu_memory_utilization,
        vllm_max_model_length=vllm.max_model_len,
        vllm_tensor_parallel_size=vllm.tensor_parallel_size,
        # The correction for vLLM's different arithmetic needs the sampler's log probabilities,
        # which an anchored label does not have.
        vllm_importance_sampling_correction=params.anchor == "none",
        **common_arguments(params.schedule),
    )
    return on_one_device(config)


class LoopTrainer(GRPOTrainer):
    """`GRPOTrainer` with our rollouts, our reward, and groups without signal dropped."""

    _buffered_inputs: list[dict[str, Any]] | None

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

        reward = make_reward(params.reward)

        def rewards(
            prompts: list[str],
            completion_ids: list[list[int]],
            log_metric: Callable[[str, float], Any],
            **_: Any,
        ) -> list[float]:
            values: list[float] = []
            parts: dict[str, list[float]] = {}
            for prompt, ids in zip(prompts, completion_ids, strict=True):
                example = examples[prompt]
                answer = answer_to(tokenizer, ids, example.prompt.tools)
                rewarded = reward(answer, example, match)
                if not isinstance(rewarded, Mapping):
                    rewarded = {"": rewarded}
                for name, value in rewarded.items():
                    parts.setdefault(name, []).append(float(value))
                values.append(sum(rewarded.values()) / len(rewarded))
            for name, shares in parts.items():
                if name:
                    log_metric(f"reward/{name}", sum(shares) / len(shares))
            return values

        super().__init__(
            model=model,
            processing_class=tokenizer,
            train_dataset=dataset,
            reward_funcs=rewards,
            args=args,
            rollout_func=roll_out,
            optimizers=(MasterAdamW(model.parameters(), args.learning_rate), None),
            callbacks=[callback],
        )

    def is_correct(self, prompt: str, ids: Sequence[int]) -> bool:
        example = self.examples[prompt]
        return is_correct(
            answer_to(self.processing_class, ids, example.prompt.tools),
            example.label,
            example.alternatives,
            example.prompt.tools,
            self.match,
        )

    def is_text(self, prompt: str, ids: Sequence[int]) -> bool:
        """Whether an answer is a text, neither calls nor a broken call."""
        answer = answer_to(self.processing_class, ids, self.examples[prompt].prompt.tools)
        return not answer.calls and answer.error is None

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
        """Score completions with `scoring`, for text models without a router loss.

        Rows are (padding, prompt, completion, padding). The last `logits_to_keep` columns are the
        completion's, and the results have these columns.
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

    def _prepare_inputs(self, generation_batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the completions of the next backward pass, as whole groups.

        TRL would distribute single completions, so that a group's prompt is read in several passes.
        """
        passes_per_rollout = self.args.steps_per_generation * self.num_iterations
        if self._step % passes_per_rollout == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            params, advantages = self.params, batch["advantages"]
            weights = torch.where(advantages < 0, params.negative_weight, 1.0)
            batch["advantages"] = advantages * weights
            advantages = self._of_all(advantages.view(-1, self.num_generations))
            informative = with_signal(advantages)[: params.prompts_per_step * params.minibatches]
            self._metrics["train"]["groups_kept"].append(len(informative) / params.minibatches)
            everything = torch.arange(len(advantages))
            groups = informative if params.oversample > 1 else everything
            tokens = batch["completion_mask"].sum(1).view(-1, self.num_generations).sum(1)
            longest = int((batch["prompt_mask"].sum(1)[:: self.num_generations] + tokens).max())
            self._buffered_inputs = split_groups(
                batch,
                groups,
                self._of_all(tokens).cpu(),
                self.num_generations,
                params.minibatches,
                self.args.gradient_accumulation_steps,
                self._groups_in_a_pass(longest),
                (self.accelerator.process_index, self.accelerator.num_processes),
            )
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _groups_in_a_pass(self, tokens: int) -> int:
        """Return how many groups of at most `tokens` fit in a pass, the same in all processes."""
        vllm = self.args.vllm_gpu_memory_utilization if self.args.vllm_mode == "colocate" else 0.0
        rows = training_rows(self.model, tokens, CPU_GROUPS, vllm if self.use_vllm else 0.0)
        return int(self.accelerator.gather(torch.tensor([rows], device=self.args.device)).min())

    def _of_all(self, values: torch.Tensor) -> torch.Tensor:
        """Gather one value per group from all processes, in rollout order."""
        parts = self.accelerator.gather(values).unflatten(0, (-1, len(values)))
        return parts.transpose(0, 1).flatten(0, 1)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if len(inputs["advantages"]):
            return super()._compute_loss(model, inputs)
        trained = (weight for weight in model.parameters() if weight.requires_grad)
        return min(trained, key=torch.numel).sum() * 0.0  # a pass without groups


def roll_out(prompts: list[str], trainer: LoopTrainer) -> dict[str, Any]:
    """Generate `num_generations` completions per prompt in one batch (TRL's `rollout_func`).

    Args:
        prompts: each prompt repeated `num_generations` times.

    Returns:
        `prompt_ids`, `completion_ids` and `logprobs`, one list per completion.
    """
    params, tokenizer = trainer.params, trainer.processing_class
    size = trainer.num_generations
    unique = prompts[::size]
    ids = tokenizer(unique, add_special_tokens=False).input_ids
    rollouts = (_by_vllm if trainer.use_vllm else _by_decode)(trainer, ids)
    texts = sum(trainer.is_text(prompts[place], each.ids) for place, each in enumerate(rollouts))
    anchored = 0
    if params.anchor == "label":
        for group, prompt in enumerate(unique):
            members = slice(group * size, (group + 1) * size)
            example = trainer.examples[prompt]
            if not any(trainer.is_correct(prompt, rollout.ids) for rollout in rollouts[members]):
                reference = label_ids(tokenizer, example.prompt, example.label)
                rollouts[members.stop - 1] = Tokens(reference, [0.0] * len(reference), True)
                anchored += 1
    counted = torch.tensor([[anchored, texts, len(rollouts)]], device=trainer.args.device)
    anchored, texts, answers = trainer.accelerator.gather(counted).sum(0).tolist()
    trainer._metrics["train"]["anchored"].append(anchored)
    trainer._metrics["train"]["texts"].append(texts / answers)
    return {
        "prompt_ids": [row for row in ids for _ in range(size)],
        "completion_ids": [rollout.ids for rollout in rollouts],
        "logprobs": [rollout.logprobs for rollout in rollouts],
    }


def _by_decode(trainer: LoopTrainer, prompts: list[list[int]]) -> list[Tokens]:
    """Sample from the weights that are trained.

    The draws depend on the seed, the step and the process, so a resumed run repeats them.
    """
    params = trainer.params
    sampling = Sampling(
        params.max_new_tokens,
        params.temperature,
        params.top_p,
        seed=trainer.args.seed
        + trainer.state.global_step
        + STEPS_APART * trainer.accelerator.process_index,
    )
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.eval()
    size = trainer.num_generations
    rollouts = decode(model, trainer.processing_class, prompts, sampling, copies=size)
    model.train()
    return rollouts


def _by_vllm(trainer: LoopTrainer, prompts: list[list[int]]) -> list[Tokens]:
    """Sample with vLLM, to which TRL has just copied the trained weights.

    TRL seeds vLLM once, so a resumed run draws other samples than an uninterrupted one.
    """
    size = trainer.num_generations
    repeated = [prompt for prompt in prompts for _ in range(size)]
    _, completions, logprobs, _ = trainer.vllm_generation.generate(repeated, None, size)
    ends = stop_ids(trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class)
    return [
        Tokens(list(ids), [step[0] for step in steps], bool(ids) and ids[-1] in ends)
        for ids, steps in zip(completions, logprobs, strict=True)
    ]
