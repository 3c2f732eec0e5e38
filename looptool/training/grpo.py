"""GRPO on D_j (the paper's training stage): what is trained, saved and logged.

The module `objective` has the method, from answers to the loss.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import PrinterCallback
from trl import GRPOConfig

from looptool.core import canonical, machine, tables
from looptool.core.errors import LooptoolError
from looptool.core.machine import NumberTypeName
from looptool.core.params import Params, Train, Vllm
from looptool.core.runs import Run
from looptool.core.tool_match import MatchMode
from looptool.engines import Prompt
from looptool.engines.templates import render
from looptool.engines.transformers import load_model
from looptool.training import memory, rollouts
from looptool.training.checkpoints import (
    last_checkpoint,
    lora_config,
    save_model,
    with_adapters,
)
from looptool.training.objective import LoopTrainer
from looptool.training.one_process import SharedPromptTrainer
from looptool.training.progress import StepCallback
from looptool.training.rewards import Example
from looptool.training.trackers import tracker
from looptool.training.warmup import common_arguments, on_one_device

# TRL's log entry → our name. Times are left out, because outputs must be reproducible.
LOGGED = {
    "step": "step",
    "loss": "loss",
    "rollout/reward": "reward",
    "entropy": "entropy",
    "rollout/zero_variance_share": "zero_variance_share",
    "clip_ratio/region_mean": "clip_share",
    "rollout/completion_tokens": "completion_tokens",
    "rollout/groups_kept": "groups_kept",
    "rollout/text_share": "text_share",
    "rollout/groups_anchored": "groups_anchored",
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
            row["sample_id"],
            row["origin"],
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
        report=(tracker(run.label), f"{Path.cwd().name} {run.label}"),
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
    report: tuple[str, str] = ("none", ""),
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
        report: the experiment tracker, and the name of the run in it.

    Returns:
        One row per step, with the columns of `LOGGED`.

    Raises:
        LooptoolError: if there are no examples.
    """
    if not examples:
        raise LooptoolError("there is no sample to train on")
    params = params.model_copy(update={"vllm": machine.rollout_mode(params.vllm)})
    sharded = os.environ.get("ACCELERATE_USE_FSDP") == "true"
    # accelerate moves each process's part of the weights to its GPU
    model, tokenizer = load_model(base, dtype, place=not sharded)
    whole = processes == 1 and not sharded
    trainer_class = SharedPromptTrainer if whole else LoopTrainer
    trainer = trainer_class(
        model,
        tokenizer,
        examples,
        prompt_order(len(examples), params, seed),
        params,
        match,
        arguments(
            params, vllm, seed, scratch / "grpo",
            processes=processes,
            rows=None if whole else _rows_in_a_pass(
                model, tokenizer, examples, params, processes, sharded=sharded
            ),
            mixed_bf16=sharded and dtype == "bfloat16",
            report=report,
        ),
        rollouts.recorder(scratch, examples),
        peft_config=lora_config(model, params.lora_rank) if params.lora_rank else None,
        callbacks=[StepCallback(on_progress)],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_checkpoint(scratch / "grpo"))
    model = _whole_model(trainer, base, dtype, sharded=sharded)
    if trainer.accelerator.is_main_process:
        save_model(model, tokenizer, base, target)
    trainer.accelerator.wait_for_everyone()
    return [
        {ours: row[theirs] for theirs, ours in LOGGED.items() if row.get(theirs) is not None}
        | {name.replace("/", "_"): row[name] for name in row if name.startswith("reward/")}
        for row in trainer.state.log_history
        if "loss" in row
    ]


def _whole_model(
    trainer: LoopTrainer, base: Path | str, dtype: NumberTypeName, *, sharded: bool
) -> Any:
    """Return the trained model, with its adapters merged; all processes must call this."""
    if not sharded and not trainer.params.lora_rank:
        return trainer.accelerator.unwrap_model(trainer.model)
    trained = trainer.accelerator.get_state_dict(trainer.model)  # empty but in the main process
    if not trainer.accelerator.is_main_process:
        return None
    fresh, _ = load_model(base, dtype, place=not sharded)
    if trainer.params.lora_rank:
        return with_adapters(fresh, trainer.params.lora_rank, trained)
    fresh.load_state_dict(trained)
    return fresh


def prompt_order(count: int, params: Train, seed: int) -> list[int]:
    """Return the numbers of the examples in the order of their rollouts.

    The numbers of rollouts of two examples differ by at most one. The order is fixed in advance
    because TRL's sampler shuffles anew when a run is resumed.
    """
    groups = round(params.prompts_per_step * params.oversample) * params.minibatches
    rounds = -(-params.steps // (params.minibatches * params.updates_per_rollout))
    random_state, order = random.Random(seed), list[int]()
    while len(order) < groups * rounds:
        order += random_state.sample(range(count), count)
    return order[: groups * rounds]


def _rows_in_a_pass(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    params: Train,
    processes: int,
    *,
    sharded: bool,
) -> int:
    """Return the most answers that fit in a backward pass and divide those of a step."""
    texts = [render(tokenizer, example.prompt) for example in examples]
    longest = max(map(len, tokenizer(texts, add_special_tokens=False).input_ids))
    longest += params.max_new_tokens
    dtype: NumberTypeName = "bfloat16" if model.dtype.itemsize == 2 else "float32"
    needed = memory.of_process(
        memory.shape(model.config.to_dict(), sum(each.numel() for each in model.parameters())),
        params,
        dtype=dtype,
        sharing="fsdp" if sharded else "data parallel",
        processes=processes,
        longest=longest,
        gpu=memory.gpu_bytes(),
        vllm=params.vllm == "colocate",
    )
    answers = params.prompts_per_step * params.group_size // processes
    fitting = needed.tokens // longest
    return max(rows for rows in range(1, answers + 1) if answers % rows == 0 and rows <= fitting)


def length_limit(params: Params) -> int | None:
    """Return the maximum number of tokens of a prompt and its answer, None for the model's own."""
    limits = [params.train.max_tokens]
    if machine.rollout_mode(params.train.vllm) != "off" and not params.train.max_tokens:
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


def arguments(
    params: Train,
    vllm: Vllm,
    seed: int,
    folder: Path,
    *,
    processes: int = 1,
    rows: int | None = None,
    mixed_bf16: bool = False,
    report: tuple[str, str] = ("none", ""),
) -> GRPOConfig:
    """Translate our parameters to TRL's.

    A rollout batch holds `prompts_per_step × minibatches` groups; `objective.roll_out` draws more
    if `oversample` is above 1.

    Args:
        rows: answers per backward pass of a process; default: one group, since the module
            `one_process` needs as many passes as there may be groups.
        report: the experiment tracker, and the name of the run in it.
        mixed_bf16: whether accelerate computes in bf16 with float32 weights, as FSDP does.
    """
    answers = params.prompts_per_step * params.group_size // processes
    rows = rows or params.group_size
    # Checkpoints do not contain the rollout, so they are saved only between rollouts.
    period = params.minibatches * params.updates_per_rollout
    config = GRPOConfig(
        output_dir=str(folder),
        max_steps=params.steps,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=answers // rows,
        steps_per_generation=answers // rows * params.minibatches,
        num_iterations=params.updates_per_rollout,
        num_generations=params.group_size,
        max_completion_length=params.max_new_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        learning_rate=params.learning_rate,
        epsilon=params.epsilon_low,
        epsilon_high=params.epsilon_high,
        beta=params.beta,
        loss_type="dapo",
        max_grad_norm=1.0,
        save_steps=-(-params.save_steps // period) * period,
        shuffle_dataset=False,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        report_to=report[0],
        run_name=report[1] or None,
        use_vllm=params.vllm != "off",
        vllm_mode="server" if params.vllm == "server" else "colocate",
        vllm_server_base_url=vllm.rollout_url if params.vllm == "server" else None,
        vllm_gpu_memory_utilization=params.rollout_memory,
        vllm_enable_sleep_mode=params.vllm == "colocate",
        vllm_max_model_length=params.max_tokens or vllm.max_model_len,
        vllm_tensor_parallel_size=vllm.tensor_parallel_size,
        **common_arguments(params.schedule, mixed_bf16=mixed_bf16,
                           checkpointing=params.activation_checkpointing and not mixed_bf16),
    )  # fmt: skip
    return on_one_device(config)
