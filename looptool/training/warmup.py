"""The warm-up: a short SFT for a base model that cannot call tools yet (docs/design.md, section 1).

The paper starts from a model that already calls tools. A base model that never emits a call gives
GRPO no reward to learn from, so a few SFT steps teach it the format. They stop while the model is
still uncertain: if all rollouts of a prompt are alike, GRPO learns nothing from them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from looptool.core.machine import NumberTypeName
from looptool.core.params import Model, Schedule
from looptool.core.samples import Label
from looptool.engines import Prompt
from looptool.engines.templates import render
from looptool.engines.transformers import load_model
from looptool.training.checkpoints import (
    label_ids,
    last_checkpoint,
    save_model,
)
from looptool.training.memory import training_rows
from looptool.training.optimizer import MasterAdamW


def train_sft(
    base: Path | str,
    examples: Sequence[tuple[Prompt, Label]],
    target: Path,
    *,
    chosen: Model | None = None,
    steps: int,
    batch_size: int,
    learning_rate: float,
    schedule: Schedule,
    dtype: NumberTypeName,
    save_steps: int,
    seed: int,
    scratch: Path,
    on_progress: Callable[[int], Any] = lambda step: None,
) -> list[dict[str, float]]:
    """Train `base` on the examples' labels and write the model to `target`.

    Loss and logits are computed for the label's tokens only. Without Triton, TRL's SFTTrainer
    (1.16) computes logits for the whole prompt, which doubles the time of a step on a CPU. A killed
    run resumes from the last checkpoint in `scratch`.

    Args:
        chosen: the section `model` of params; its chat template and options are saved with the
            model. Default: the base's own.
        batch_size: examples per step.
        save_steps: steps between two checkpoints.
        on_progress: called with the number of steps done.

    Returns:
        One row `{"step", "loss", "learning_rate"}` per step.
    """
    from transformers import PrinterCallback, Trainer

    from looptool.training.progress import StepCallback

    model, tokenizer = load_model(base, dtype, chosen)
    rows = _tokenized(examples, tokenizer)
    trainer = Trainer(
        model=model,
        train_dataset=in_order(rows, steps, batch_size, seed),
        data_collator=partial(collate, pad=tokenizer.pad_token_id),
        compute_loss_func=label_loss,
        args=_arguments(
            scratch / "sft",
            passes=_passes(model, rows, batch_size),
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            schedule=schedule,
            save_steps=save_steps,
            seed=seed,
        ),
        optimizers=(MasterAdamW(model.parameters(), learning_rate), None),
        callbacks=[StepCallback(on_progress)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_checkpoint(scratch / "sft"))
    save_model(trainer.model, tokenizer, base, target)
    return [
        {name: row[name] for name in ("step", "loss", "learning_rate")}
        for row in trainer.state.log_history
        if "loss" in row
    ]


def _tokenized(
    examples: Sequence[tuple[Prompt, Label]], tokenizer: Any
) -> list[dict[str, list[int]]]:
    """Return the token ids of each example's prompt and label."""
    return [
        {
            "prompt": tokenizer(render(tokenizer, prompt), add_special_tokens=False).input_ids,
            "label": label_ids(tokenizer, prompt, label),
        }
        for prompt, label in examples
    ]


def _passes(model: Any, rows: Sequence[dict[str, list[int]]], batch_size: int) -> int:
    """Return the least number of passes that divides a batch into parts that fit in memory."""
    longest = max(len(row["prompt"]) + len(row["label"]) for row in rows)
    fitting = training_rows(model, longest, cpu_rows=2)
    return next(
        n for n in range(1, batch_size + 1) if batch_size % n == 0 and batch_size / n <= fitting
    )


def _arguments(
    folder: Path,
    *,
    passes: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
    schedule: Schedule,
    save_steps: int,
    seed: int,
) -> Any:
    """Return the trainer's arguments, with checkpoints in `folder`."""
    from transformers import TrainingArguments

    return on_one_device(
        TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=batch_size // passes,
            gradient_accumulation_steps=passes,
            learning_rate=learning_rate,
            max_grad_norm=1.0,
            remove_unused_columns=False,
            train_sampling_strategy="sequential",
            save_steps=save_steps,
            save_total_limit=1,
            report_to="none",
            seed=seed,
            data_seed=seed,
            **common_arguments(schedule),
        )
    )


def in_order(
    rows: Sequence[dict[str, list[int]]], steps: int, batch_size: int, seed: int
) -> list[dict[str, list[int]]]:
    """Return the rows in the order of training; row counts differ by at most one.

    Batches are drawn at random. Within a batch long rows come first, so that a pass holds rows of
    similar length and little padding.
    """
    random_state, order = random.Random(seed), list[dict[str, list[int]]]()
    while len(order) < steps * batch_size:
        order += random_state.sample(list(rows), len(rows))
    return [
        row
        for start in range(0, steps * batch_size, batch_size)
        for row in sorted(
            order[start : start + batch_size], key=lambda row: -len(row["prompt"] + row["label"])
        )
    ]


def collate(rows: Sequence[dict[str, list[int]]], pad: int) -> dict[str, Any]:
    """Pad rows on the left, so that all labels are at the end, where logits are kept.

    Returns:
        `input_ids` and `attention_mask` of shape (rows, longest row); `labels` of shape
        (rows, longest label + 1); `logits_to_keep`, the width of `labels`. Each row of `labels`
        starts with at least one -100, because `Trainer` ignores the first column when it counts
        tokens.
    """
    import torch

    width = max(len(row["prompt"]) + len(row["label"]) for row in rows)
    longest = max(len(row["label"]) for row in rows)
    ids, mask, labels = [], [], []
    for row in rows:
        tokens = row["prompt"] + row["label"]
        ids.append([pad] * (width - len(tokens)) + tokens)
        mask.append([0] * (width - len(tokens)) + [1] * len(tokens))
        labels.append([-100] * (longest + 1 - len(row["label"])) + row["label"])
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "labels": torch.tensor(labels),
        "logits_to_keep": longest + 1,
    }


def label_loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
    """Return the cross-entropy of the label tokens, averaged over all passes of the batch."""
    import torch

    logits = outputs.logits[:, :-1].float().flatten(0, 1)
    total = torch.nn.functional.cross_entropy(logits, labels[:, 1:].flatten(), reduction="sum")
    return total / (num_items_in_batch or (labels != -100).sum())


def on_one_device(args: Any) -> Any:
    """Prevent `Trainer` from splitting batches over all GPUs with DataParallel."""
    if args.n_gpu > 1:
        args._n_gpu = 1
    return args


def common_arguments(
    schedule: Schedule, *, mixed_bf16: bool = False, checkpointing: bool = False
) -> dict[str, Any]:
    """Return the trainer arguments that SFT and GRPO share.

    With the `linear` schedule the learning rate falls from its full value to 0. There is no
    learning-rate warm-up, since runs have only tens of steps.

    Args:
        mixed_bf16: whether to compute in bf16 with float32 weights. Else the weights already have
            the type to compute in.
        checkpointing: whether to compute activations again in the backward pass.
    """
    import torch
    from transformers import TrainingArguments

    renamed = (
        "activation_checkpointing" in TrainingArguments.__dataclass_fields__
    )  # transformers 5.2x
    return {
        "lr_scheduler_type": schedule,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": mixed_bf16,
        "activation_checkpointing" if renamed else "gradient_checkpointing": checkpointing,
        "logging_steps": 1,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "ddp_find_unused_parameters": False,
        "save_strategy": "steps",
        "logging_strategy": "steps",
    }
