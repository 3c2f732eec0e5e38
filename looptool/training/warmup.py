"""The warm-up: a short SFT for a base model that cannot call tools yet (DESIGN §1).

The paper starts from a model that calls tools already. A base that never emits a call gives GRPO
no reward to learn from, so a few steps of SFT teach it the form; they stop while it is still
unsure, because a sure model answers every rollout alike and GRPO learns nothing from that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from looptool.engines import Prompt
from looptool.engines.transformers import render
from looptool.samples import Label
from looptool.training.checkpoints import label_text, last_checkpoint, load_model, save_model
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

    The loss is on the tokens of the label only. A killed run goes on from the last checkpoint in
    `scratch`.

    Returns:
        one row `{"step", "loss"}` a step.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from looptool.training.progress import StepCallback

    model, tokenizer = load_model(base)
    passes = 2 if batch_size % 2 == 0 else 1  # halves the memory of activations
    rows = [
        {"prompt": render(tokenizer, prompt), "completion": label_text(label) + tokenizer.eos_token}
        for prompt, label in examples
    ]
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
        args=SFTConfig(
            output_dir=str(scratch / "sft"),
            max_steps=steps,
            per_device_train_batch_size=batch_size // passes,
            gradient_accumulation_steps=passes,
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            completion_only_loss=True,
            max_length=None,
            save_steps=save_steps,
            save_total_limit=1,
            seed=seed,
            data_seed=seed,
            **common_arguments(),
        ),
        optimizers=(MasterAdamW(model.parameters(), learning_rate), None),
        callbacks=[StepCallback(on_step)],
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(scratch / "sft"))
    save_model(trainer.model, tokenizer, target)
    return [
        {"step": row["step"], "loss": row["loss"]}
        for row in trainer.state.log_history
        if "loss" in row
    ]


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
