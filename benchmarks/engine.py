"""Compare the engine's decoding loop with `model.generate` of transformers on the same prompts.

Generates greedy answers of models/0 (or another model folder) to held-out requests, and rollouts of
four completions per prompt. Prints tokens per second for both and their ratio.

    python -m benchmarks.engine [MODEL]
"""

import sys
import time

import torch

from looptool.core import canonical, machine, runs, tables
from looptool.engines import Prompt, Sampling
from looptool.engines.templates import render
from looptool.engines.transformers import TransformersEngine, decode

COPIES, ROWS, NEW_TOKENS = 4, 64, 96


def measure(model: str) -> None:
    runs.quiet()
    engine = TransformersEngine.load(model, ROWS, machine.number_type("auto").name)
    samples = tables.read("data/heldout.parquet", tables.Samples).head(ROWS)
    prompts = [
        Prompt(canonical.loads(messages), canonical.loads(tools))
        for messages, tools in samples.select("messages", "tools").rows()
    ]
    texts = [render(engine.tokenizer, prompt) for prompt in prompts]
    ids = engine.tokenizer(texts, add_special_tokens=False).input_ids
    for name, rows, copies, temperature in (
        ("greedy, a prompt each", ids, 1, 0.0),
        (f"sampled, {COPIES} a prompt", ids[: ROWS // COPIES], COPIES, 1.0),
    ):
        start = time.perf_counter()
        ours = decode(
            engine.model, engine.tokenizer, rows, Sampling(NEW_TOKENS, temperature), copies
        )
        our_rate = sum(len(tokens.ids) for tokens in ours) / (time.perf_counter() - start)

        batch = engine.tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(
            engine.model.device
        )
        options = {"do_sample": temperature > 0, "num_return_sequences": copies, "top_k": 0}
        start = time.perf_counter()
        with torch.inference_mode():
            out = engine.model.generate(**batch, max_new_tokens=NEW_TOKENS, **options)
        seconds = time.perf_counter() - start
        answers = out[:, batch["input_ids"].shape[1] :]
        ended = (answers == engine.tokenizer.eos_token_id).int()
        length = torch.where(ended.any(1), ended.argmax(1) + 1, answers.shape[1])
        their_rate = int(length.sum()) / seconds
        print(
            f"{name}: looptool {our_rate:.0f} tokens/s, generate {their_rate:.0f} tokens/s, "
            f"ratio {our_rate / their_rate:.2f}"
        )


if __name__ == "__main__":
    measure(sys.argv[1] if len(sys.argv) > 1 else "models/0")
