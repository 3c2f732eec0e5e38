"""GRPO on rollouts that depend on the prompt alone, in as many processes as started this script.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.training.scripted_rollouts BASE OUT

Writes the model to OUT/model, the history to OUT/history.json, and what each process was given in
its rollouts to OUT/prompts-<process>.json.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from looptool.core import runs
from looptool.engines.transformers import Tokens
from looptool.training import grpo
from looptool.training.checkpoints import label_ids
from tests.training.test_training import EXAMPLES, VLLM, settings

GIVEN: list[list[str]] = []
# How many of a group's four completions are right, by the number of the example: none, all, and
# between them.
RIGHT = [1, 4, 2, 3, 0, 1, 2, 4, 3, 1, 0, 2]
SETTINGS = settings(
    steps=4, prompts_per_step=4, minibatches=2, group_size=4, oversample=1.5, anchor="none",
    learning_rate=1e-3, negative_weight=0.5,
)  # fmt: skip


def roll_out(prompts: list[str], trainer: Any) -> dict[str, Any]:
    tokenizer, size = trainer.processing_class, trainer.num_generations
    GIVEN.append(prompts[::size])
    numbers = {prompt: number for number, prompt in enumerate(trainer.examples)}
    ids = tokenizer(prompts[::size], add_special_tokens=False).input_ids
    rollouts = []
    for prompt in prompts[::size]:
        right = label_ids(
            tokenizer, trainer.examples[prompt].prompt, trainer.examples[prompt].label
        )
        wrong = tokenizer(f"no {numbers[prompt]}", add_special_tokens=False).input_ids
        good = RIGHT[numbers[prompt]]
        for text in [right] * good + [wrong] * (size - good):
            rollouts.append(Tokens(text, [-1.0] * len(text), True))
    trainer._metrics["train"]["anchored"].append(0)
    return {
        "prompt_ids": [row for row in ids for _ in range(size)],
        "completion_ids": [rollout.ids for rollout in rollouts],
        "logprobs": [rollout.logprobs for rollout in rollouts],
    }


def main() -> None:
    base, out = map(Path, sys.argv[1:])
    runs.quiet()
    grpo.roll_out = roll_out
    history = grpo.train_grpo(
        base, EXAMPLES, out / "model", SETTINGS, vllm=VLLM, match="schema", dtype="float32", seed=7,
        scratch=out / "scratch", processes=int(os.environ.get("WORLD_SIZE", "1")),
    )  # fmt: skip
    process = os.environ.get("RANK", "0")
    (out / f"prompts-{process}.json").write_text(json.dumps(GIVEN))
    if process == "0":
        (out / "history.json").write_text(json.dumps(history))


if __name__ == "__main__":
    main()
