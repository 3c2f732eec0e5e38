"""Measure GRPO's updates: our trainers against TRL's `GRPOTrainer` as it comes.

All train models/0 on the same prompts and rollouts of data/iterations/1/train.parquet, which
`dvc repro generate@1` makes. The rollouts are fixed, so that no time goes into drawing answers.
Prints the steps per second of each, the median of five alternating runs, and the ratio to TRL's.
Each run is a process of its own: in one process a trainer gains from the memory that another freed.

    python -m benchmarks.grpo
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOTrainer

from looptool.core import canonical, machine, params, runs, tables
from looptool.engines import prompts_of
from looptool.engines.templates import render
from looptool.engines.transformers import Tokens, load_model
from looptool.training import grpo, objective
from looptool.training.checkpoints import label_ids
from looptool.training.one_process import SharedPromptTrainer
from looptool.training.progress import StepCallback
from looptool.training.rewards import Example

MODEL, DATA = Path("models/0"), Path("data/iterations/1/train.parquet")
PROMPTS, STEPS, RUNS = 2, 3, 5  # prompts per step; steps of a run, the first not timed; runs


class AsItComes(GRPOTrainer):
    """TRL's trainer with the arguments of `LoopTrainer`."""

    def __init__(
        self, model: Any, tokenizer: Any, examples: Sequence[Example], order: Sequence[int],
        train: Any, match: Any, args: Any, **options: Any,
    ) -> None:  # fmt: skip
        steps = iter(range(STEPS))

        def roll_out(prompts: list[str], trainer: Any) -> dict[str, Any]:
            start = next(steps) * PROMPTS
            ids = _prompt_ids(tokenizer, [examples[n] for n in order[start : start + PROMPTS]])
            drawn = draw(self, ids)
            return {
                "prompt_ids": [row for row in ids for _ in range(train.group_size)],
                "completion_ids": [each.ids for each in drawn],
                "logprobs": [each.logprobs for each in drawn],
            }

        def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
            return [float(place % 2) for place in range(len(completion_ids))]

        super().__init__(
            model=model, processing_class=tokenizer, reward_funcs=reward, args=args,
            train_dataset=Dataset.from_dict({"prompt": [""] * PROMPTS}), rollout_func=roll_out,
            **options,
        )  # fmt: skip


TRAINERS = {
    "TRL's GRPOTrainer": AsItComes,
    "ours for several processes": grpo.LoopTrainer,
    "ours for one process": SharedPromptTrainer,
}
ANSWERS: dict[tuple[int, ...], list[int]] = {}  # the label's token ids by those of the prompt


def draw(trainer: Any, prompts: list[list[int]]) -> list[Tokens]:
    """Return the label and a wrong answer of its length, in turn."""
    drawn = []
    for prompt in prompts:
        right = ANSWERS[tuple(prompt)]
        wrong = random.Random(len(prompt)).sample(right, len(right))
        for place in range(trainer.num_generations):
            ids = right if place % 2 else wrong
            drawn.append(Tokens(ids, [-1.0] * len(ids), True))
    return drawn


def _prompt_ids(tokenizer: Any, examples: Sequence[Example]) -> list[list[int]]:
    texts = [render(tokenizer, example.prompt) for example in examples]
    return list(tokenizer(texts, add_special_tokens=False).input_ids)


def seconds_a_step(trainer_class: type[Any], seed: int) -> float:
    """Return the mean seconds of a step of one run, without the first step."""
    loaded = params.load()
    train = loaded.train.model_copy(
        update={"steps": STEPS, "prompts_per_step": PROMPTS, "oversample": 1.0, "anchor": "none",
                "save_steps": STEPS + 1, "vllm": "off"}
    )  # fmt: skip
    model, tokenizer = load_model(MODEL, machine.number_type("auto").name)
    rows = tables.read(DATA, tables.Samples).filter(category="single").head(STEPS * PROMPTS)
    labels = map(canonical.loads, rows["label"])
    examples = [Example(*pair) for pair in zip(prompts_of(rows), labels, strict=True)]
    for ids, example in zip(_prompt_ids(tokenizer, examples), examples, strict=True):
        ANSWERS[tuple(ids)] = label_ids(tokenizer, example.prompt, example.label)
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_class(
            model, tokenizer, examples, list(range(len(examples))), train, loaded.match,
            grpo.arguments(train, loaded.vllm, seed, Path(folder)),
            callbacks=[StepCallback(lambda step: times.append(time.perf_counter()))],
        )  # fmt: skip
        trainer.remove_callback(grpo.PrinterCallback)
        trainer.train()
    return (times[-1] - times[1]) / (STEPS - 1)


def main() -> None:
    for path in (MODEL, DATA):
        if not path.exists():
            sys.exit(f"{path}: does not exist; run `dvc repro generate@1`")
    if len(sys.argv) > 1:
        runs.quiet()
        objective.draw = draw
        print(seconds_a_step(TRAINERS[sys.argv[1]], seed=0))
        return
    times: dict[str, list[float]] = {name: [] for name in TRAINERS}
    for _ in range(RUNS):
        for name in TRAINERS:
            command = [sys.executable, "-m", "benchmarks.grpo", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times[name].append(float(done.stdout.split()[-1]))
    baseline = statistics.median(times["TRL's GRPOTrainer"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(
            f"{name}: {1 / middle:.3f} steps/s ({min(seconds):.2f} to {max(seconds):.2f} s a "
            f"step), ratio {baseline / middle:.2f}"
        )


if __name__ == "__main__":
    main()
