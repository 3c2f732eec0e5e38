"""GRPO on rollouts that depend on the prompt alone, in as many processes as started this script.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.training.scripted_rollouts BASE OUT

Writes the model to OUT/model, the history to OUT/history.json, and the examples that each process
was given in its rollouts to OUT/given-<process>.json. With a third argument, `public`, one process
trains with the trainer of several. With `sharded`, the processes shard the model by FSDP. With
`killed`, they do the same and end after the third step, before which a checkpoint is saved.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from looptool.core import runs
from looptool.engines.transformers import Tokens
from looptool.training import grpo, objective
from looptool.training.checkpoints import label_ids
from tests.training.test_training import EXAMPLES, VLLM, settings

GIVEN: list[list[int]] = []
# How many of a group's four completions are right, by the number of the example: none, all, and
# between them.
RIGHT = [1, 4, 2, 3, 0, 1, 2, 4, 3, 1, 0, 2]
SETTINGS = settings(
    steps=4, prompts_per_step=4, group_size=4, oversample=1.5, anchor="none", learning_rate=1e-3,
    negative_weight=0.5,
)  # fmt: skip


def draw(trainer: Any, prompts: list[list[int]]) -> list[Tokens]:
    tokenizer, size = trainer.processing_class, trainer.num_generations
    texts = [grpo.render(tokenizer, example.prompt) for example in EXAMPLES]
    numbers = {tuple(tokenizer(text, add_special_tokens=False).input_ids): number
               for number, text in enumerate(texts)}  # fmt: skip
    GIVEN.append([numbers[tuple(prompt)] for prompt in prompts])
    rollouts = []
    for number in GIVEN[-1]:
        right = label_ids(tokenizer, EXAMPLES[number].prompt, EXAMPLES[number].label)
        wrong = tokenizer(f"no {number}", add_special_tokens=False).input_ids
        for ids in [right] * RIGHT[number] + [wrong] * (size - RIGHT[number]):
            rollouts.append(Tokens(ids, [-1.0] * len(ids), True))
    return rollouts


def shard_on_cpus() -> None:
    """Have accelerate shard in processes without GPUs, which it does in no other way."""
    from accelerate import PartialState
    from accelerate.utils import DistributedType

    os.environ |= {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
        "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
        "FSDP_ACTIVATION_CHECKPOINTING": "true",
    }
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


def main() -> None:
    base, out = map(Path, sys.argv[1:3])
    way = sys.argv[3] if len(sys.argv) > 3 else ""
    runs.quiet()
    objective.draw = draw
    if way == "public":
        grpo.SharedPromptTrainer = grpo.LoopTrainer
    if way in ("sharded", "killed"):
        shard_on_cpus()
    history = grpo.train_grpo(
        base, EXAMPLES, out / "model", SETTINGS, vllm=VLLM, match="schema", dtype="float32", seed=7,
        scratch=out / "scratch", processes=int(os.environ.get("WORLD_SIZE", "1")),
        on_progress=lambda step: os._exit(1) if way == "killed" and step == 3 else None,
    )  # fmt: skip
    process = os.environ.get("RANK", "0")
    (out / f"given-{process}.json").write_text(json.dumps(GIVEN))
    if process == "0":
        (out / "history.json").write_text(json.dumps(history))


if __name__ == "__main__":
    main()
