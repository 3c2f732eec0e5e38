"""Measure GRPO's forward and backward pass: shared prompts against one row per completion.

Runs random tokens, with the embedded default's lengths, through the embedded base or another model
folder. Prints the seconds of both and their ratio.

    python -m benchmarks.scoring [MODEL]
"""

import sys
import time

import torch

from looptool.core import machine, runs
from looptool.engines.transformers import load_model
from looptool.training.scoring import score_completions

GROUPS, GROUP_SIZE, PROMPT, COMPLETION = 4, 4, 250, 68


def measure(folder: str) -> None:
    runs.quiet()
    model, tokenizer = load_model(folder, machine.number_type("auto").name)
    model.train()
    generator = torch.Generator().manual_seed(0)

    def tokens(count: int) -> torch.Tensor:
        ids = torch.randint(model.config.vocab_size, (count,), generator=generator)
        return ids.to(model.device)

    prompts = [tokens(PROMPT) for _ in range(GROUPS)]
    rows = [(prompt, tokens(COMPLETION)) for prompt in prompts for _ in range(GROUP_SIZE)]
    apart = [rows[i * GROUP_SIZE + j] for j in range(GROUP_SIZE) for i in range(GROUPS)]
    seconds = []
    for order in (rows, apart):  # only adjacent completions share a prompt
        for _ in range(2):  # the first one warms up
            start = time.perf_counter()
            logps, _ = score_completions(model, *zip(*order, strict=True), tokenizer.pad_token_id)
            logps.sum().backward()
            next(model.parameters()).grad.sum().item()  # waits for a GPU to finish
            last = time.perf_counter() - start
        seconds.append(last)
    print(
        f"{GROUPS} groups of {GROUP_SIZE}: prompt read once {seconds[0]:.1f} s, "
        f"once a completion {seconds[1]:.1f} s, ratio {seconds[1] / seconds[0]:.2f}"
    )


if __name__ == "__main__":
    measure(sys.argv[1] if len(sys.argv) > 1 else "models/base")
