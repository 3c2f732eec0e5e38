"""The warm-up: a short SFT for a base model that cannot call tools yet (DESIGN §1).

The paper starts from a model that calls tools already. A base that never emits a call gives GRPO
no reward to learn from, so a few steps of SFT teach it the form; they stop while it is still
unsure, because a sure model answers every rollout alike and GRPO learns nothing from that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from looptool.engines import Prompt
from looptool.engines.transformers import render
from looptool.samples import Label
from looptool.training.checkpoints import label_ids, last_checkpoint, load_model, save_model
from looptool.training.optimizer import MasterAdamW


def train_sft(
    base: Path | str,
    examples: Sequence[tuple[Prompt, Label]],
    target: Path,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    save_steps: int,
    seed: int,
    scratch: Path,
    on_step: Callable[[int], Any] = lambda step: None,
) -> list[dict[str, float]]:
    """Train `base` on the examples' labels and write the model to `target`.

    The loss is on the tokens of the label only, and so are the logits: TRL's SFTTrainer scores
    every position of the prompt against the vocabulary where there is no Triton (1.16), which on
    a CPU doubles the time of a step. A killed run goes on from the last checkpoint in
    `scratch`.

    Returns:
        one row `{"step", "loss"}` a step.
    """
    from transformers import PrinterCallback, Trainer, TrainingArguments

    from looptool.training.progress import StepCallback

    model, tokenizer = load_model(base)
    passes = next(n for n in (4, 2, 1) if batch_size % n == 0)  # less padding, less memory
    rows = [
        {
            "prompt": tokenizer(render(tokenizer, prompt), add_special_tokens=False).input_ids,
            "label": label_ids(label, tokenizer),
        }
        for prompt, label in examples
    ]
    trainer = Trainer(
        model=model,
        train_dataset=rows,
        data_collator=partial(collate, pad=tokenizer.pad_token_id),
        compute_loss_func=label_loss,
        args=TrainingArguments(
            output_dir=str(scratch / "sft"),
            max_steps=steps,
            per_device_train_batch_size=batch_size // passes,
            gradient_accumulation_steps=passes,
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            remove_unused_columns=False,
            save_steps=save_steps,
            save_total_limit=1,
            seed=seed,
            data_seed=seed,
            **common_arguments(),
        ),
        optimizers=(MasterAdamW(model.parameters(), learning_rate), None),
        callbacks=[StepCallback(on_step)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last_checkpoint(scratch / "sft"))
    save_model(trainer.model, tokenizer, target)
    return [
        {"step": row["step"], "loss": row["loss"]}
        for row in trainer.state.log_history
        if "loss" in row
    ]


def collate(rows: Sequence[dict[str, list[int]]], pad: int) -> dict[str, Any]:
    """Pad prompts on the left and labels on the right, so that one cut keeps all labels' logits.

    Returns:
        `input_ids` and `attention_mask` of shape (rows, prompt + label), `labels` of shape
        (rows, label) with -100 as padding, and `logits_to_keep`.
    """
    import torch

    prompt = max(len(row["prompt"]) for row in rows)
    label = max(len(row["label"]) for row in rows)
    ids, mask, labels = [], [], []
    for row in rows:
        before, after = prompt - len(row["prompt"]), label - len(row["label"])
        ids.append([pad] * before + row["prompt"] + row["label"] + [pad] * after)
        mask.append([0] * before + [1] * (len(row["prompt"]) + len(row["label"])) + [0] * after)
        labels.append(row["label"] + [-100] * after)
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "labels": torch.tensor(labels),
        "logits_to_keep": label + 1,
    }


def label_loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
    """Cross-entropy of the label's tokens, a mean over all of the batch's passes."""
    import torch

    logits = outputs.logits[:, :-1].float().flatten(0, 1)
    total = torch.nn.functional.cross_entropy(logits, labels.flatten(), reduction="sum")
    return total / (num_items_in_batch or (labels != -100).sum())


def common_arguments() -> dict[str, Any]:
    """Return the trainer arguments that SFT and GRPO share.

    The weights are bf16 already, so the trainer's own mixed precision stays off; activations of
    the sizes trained here fit in memory, so they are kept instead of computed again.
    """
    import torch

    return {
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "activation_checkpointing": False,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "save_strategy": "steps",
        "logging_strategy": "steps",
    }
