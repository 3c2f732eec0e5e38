"""Find and explain differences between greedy answers of vLLM and transformers.

    python -m benchmarks.vllm_outputs [--model models/base] [--prompts 64] [--new-tokens 48]

Each prompt is answered by vLLM, by transformers in batches, and by transformers one at a time, all
in bf16. Where two answers diverge, the fp32 model computes the logits of the two tokens: a small
gap means that rounding decided, a large one that an engine is wrong.

Needs vLLM's environment (`looptool setup --with vllm`) and restarts itself in it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.vllm_engines import SETTINGS, enter_vllm, make_prompts
from looptool.core import machine, runs
from looptool.engines import Prompt, Sampling


def main() -> None:
    enter_vllm()
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("models/base"))
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=48)
    options = parser.parse_args()
    runs.quiet()
    prompts = make_prompts(options.prompts)
    texts = answers(options.model, prompts, Sampling(options.new_tokens))
    for one, other in (
        ("vllm", "transformers"),
        ("vllm", "transformers, singly"),
        ("transformers", "transformers, singly"),
    ):
        gaps = gaps_between(options.model, prompts, texts[one], texts[other])
        line = f"{one} / {other}: {len(gaps)} of {len(prompts)} answers differ"
        if gaps:
            line += (
                f"; the two tokens are {statistics.median(gaps):.3f} apart in fp32 (median), "
                f"{max(gaps):.3f} at most"
            )
        print(line)


def answers(model: Path, prompts: Sequence[Prompt], sampling: Sampling) -> dict[str, list[str]]:
    from looptool.engines.transformers import TransformersEngine
    from looptool.engines.vllm import VllmEngine

    dtype = machine.number_type("auto").name
    served = VllmEngine.load(model, dtype, SETTINGS)
    texts = {"vllm": [each.text for each in served.generate(prompts, sampling)]}
    served.llm.llm_engine.engine_core.shutdown()
    for name, size in (("transformers", 32), ("transformers, singly", 1)):
        engine = TransformersEngine.load(model, size, dtype)
        texts[name] = [each.text for each in engine.generate(prompts, sampling)]
    return texts


def gaps_between(
    model: Path, prompts: Sequence[Prompt], ones: Sequence[str], others: Sequence[str]
) -> list[float]:
    """Return the gap between the fp32 logits of the first differing tokens, for each such pair."""
    import torch
    from transformers import AutoModelForCausalLM

    from looptool.engines.templates import render
    from looptool.engines.transformers import load_tokenizer

    tokenizer = load_tokenizer(model)
    exact: Any = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32)
    gaps = []
    for prompt, one, other in zip(prompts, ones, others, strict=True):
        if one == other:
            continue
        before = tokenizer(render(tokenizer, prompt), add_special_tokens=False).input_ids
        first, second = (
            [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
            for text in (one, other)
        )
        same = next(n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
        with torch.no_grad():
            logits = exact(torch.tensor([before + first[:same]])).logits[0, -1]
        gaps.append(abs(float(logits[first[same]] - logits[second[same]])))
    return gaps


if __name__ == "__main__":
    main()
