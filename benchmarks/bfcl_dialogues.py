"""Measure BFCL's dialogues: many in parallel against one after another.

    python -m benchmarks.bfcl_dialogues [--model models/base] [--dialogues 16] [--alone 3]

Plays the first turns of `multi_turn_base` development rows with vLLM (`looptool setup --with
vllm`), with prompts of a few thousand tokens and at most six steps. Prints the model's steps per
second for both, and their ratio.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.vllm_engines import SETTINGS, enter_vllm
from looptool.core import runs
from looptool.engines import Completion, Prompt, Sampling
from looptool.evaluation.bfcl import dialogues
from looptool.evaluation.bfcl.rows import Row, rows

NEW_TOKENS, STEPS = 48, 6


def main() -> None:
    enter_vllm()
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("models/base"))
    parser.add_argument("--dialogues", type=int, default=16)
    parser.add_argument("--alone", type=int, default=3)
    options = parser.parse_args()
    runs.quiet()
    dialogues.MOST_STEPS = STEPS - 1
    from looptool.engines.vllm import VllmEngine

    engine = VllmEngine.load(
        options.model, "bfloat16", SETTINGS.model_copy(update={"max_model_len": 8192})
    )
    chosen = [
        replace(row, turns=row.turns[:1])
        for row in rows(["multi_turn_base"], split="development")[: options.dialogues]
    ]

    def measured(parts: Sequence[Sequence[Row]]) -> float:
        steps, start = 0, time.perf_counter()
        engine.llm.reset_prefix_cache()

        def ask(prompts: Sequence[Prompt]) -> list[Completion]:
            nonlocal steps
            steps += len(prompts)
            return engine.generate(prompts, Sampling(NEW_TOKENS))

        for part in parts:
            dialogues.play(part, ask)
        rate = steps / (time.perf_counter() - start)
        print(f"{len(parts[0]):>3} at a time: {steps} steps, {rate:.2f} a second", flush=True)
        return rate

    alone = measured([[row] for row in chosen[: options.alone]])
    together = measured([chosen])
    print(f"together / alone {together / alone:.2f}")


if __name__ == "__main__":
    main()
