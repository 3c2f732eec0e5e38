"""Compare probing with our vLLM engines, the bare library and the usual loop.

    python -m benchmarks.vllm_engines [--model models/base] [--prompts 128] [--new-tokens 64]

All run one after another on the same prompts, with log-probs (needed for perplexity). Prints the
generated tokens per second:

- `raw`: `LLM.generate` on rendered prompts, the baseline;
- `vllm`: our engine, which returns answers as they finish;
- `loop`: batches of 64 in a loop at temperature 0.001, as in the paper's published probe;
- `openai`: our engine for servers with `looptool serve`, 64 concurrent requests;
- `openai-all`: the same with all requests at once, as in `raw`.

Needs vLLM's environment (`looptool setup --with vllm`) and restarts itself in it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from looptool.core import runs
from looptool.core.params import Server, Vllm
from looptool.engines import Prompt, Sampling

ROOM = 2048
PORT = 8765
BATCH = 64


SETTINGS = Vllm(
    max_model_len=ROOM, gpu_memory_utilization=0.3, tensor_parallel_size=1,
    data_parallel_size=1, rollout_url="http://127.0.0.1:1",
)  # fmt: skip


def main() -> None:
    enter_vllm()
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("models/base"))
    parser.add_argument("--prompts", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=64)
    options = parser.parse_args()
    runs.quiet()
    prompts = make_prompts(options.prompts)
    rates = in_process(options.model, prompts, options.new_tokens)
    rates |= served(options.model, prompts, options.new_tokens)
    for name, rate in rates.items():
        print(f"{name:>10} {rate:7.1f} tokens/s, {rate / rates['raw']:.2f} of raw")
    print(f"vllm / loop {rates['vllm'] / rates['loop']:.2f}")


def enter_vllm() -> None:
    """Restart in vLLM's environment; exits if there is none."""
    python = runs.python_with_vllm()
    if python is None:
        raise SystemExit("vLLM is not installed; `looptool setup --with vllm` installs it")
    if python != sys.executable:
        os.execv(python, [python, *sys.orig_argv[1:]])


def make_prompts(count: int) -> list[Prompt]:
    """Return prompts as in probing: tools and conversations by the grammar author."""
    from looptool.core import params
    from looptool.offline.grammar.author import GrammarAuthor

    drafts = GrammarAuthor().write(
        4 * count, seed="bench", split="train", shares=params.load().generate.shares
    )
    # the shortest prompts: a CPU would spend most of its time on reading longer ones
    drafts.sort(key=lambda draft: len(str((draft.messages, draft.tools))))
    return [Prompt(draft.messages, draft.tools) for draft in drafts[:count]]


def in_process(model: Path, prompts: Sequence[Prompt], new_tokens: int) -> dict[str, float]:
    from vllm import SamplingParams

    from looptool.engines.templates import render
    from looptool.engines.vllm import VllmEngine

    engine = VllmEngine.load(model, "bfloat16", SETTINGS)
    texts = [render(engine.tokenizer, prompt) for prompt in prompts]

    def raw() -> int:
        params = SamplingParams(max_tokens=new_tokens, temperature=0.0, logprobs=0)
        return tokens_of(engine.llm.generate(texts, params, use_tqdm=False))

    def loop() -> int:
        params = SamplingParams(max_tokens=new_tokens, temperature=0.001, logprobs=0)
        parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        return sum(tokens_of(engine.llm.generate(p, params, use_tqdm=False)) for p in parts)

    def ours() -> int:
        answers = engine.generate(prompts, Sampling(new_tokens, logprobs=True))
        return sum(each.tokens for each in answers)

    def timed(run: Callable[[], int]) -> float:
        engine.llm.reset_prefix_cache()
        start = time.perf_counter()
        return run() / (time.perf_counter() - start)

    raw()  # warms up
    # each twice, in reversed order the second time, so that the order favours none
    order = {"raw": raw, "vllm": ours, "loop": loop}
    first = {name: timed(run) for name, run in order.items()}
    print("one round done", file=sys.stderr, flush=True)
    second = {name: timed(run) for name, run in reversed(order.items())}
    engine.llm.llm_engine.engine_core.shutdown()
    return {name: (first[name] + second[name]) / 2 for name in order}


def served(model: Path, prompts: Sequence[Prompt], new_tokens: int) -> dict[str, float]:
    from looptool.engines.openai import OpenAIEngine

    command = [sys.executable, "-m", "looptool", "serve", str(model), "--port", str(PORT), "--"]
    command += ["--max-model-len", str(ROOM), "--gpu-memory-utilization", "0.3"]
    environment = {**os.environ, "VLLM_SERVER_DEV_MODE": "1"}  # needed to reset its cache
    process = subprocess.Popen([*command, "--uvicorn-log-level", "error"], env=environment)
    try:
        while not is_up():
            if process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(1)
        server = Server(
            base_urls=(f"http://127.0.0.1:{PORT}/v1",), key=None, concurrency=BATCH, timeout=600.0,
            retries=0, structured_output=True, api="chat",
        )  # fmt: skip
        engine = OpenAIEngine.load(model, "local", server)
        engine.generate(prompts[:BATCH], Sampling(8))  # warms up
        all_at_once = server.model_copy(update={"concurrency": len(prompts)})
        engines = {"openai": engine, "openai-all": OpenAIEngine.load(model, "local", all_at_once)}
        rates = dict.fromkeys(engines, 0.0)
        for name in [*engines, *reversed(engines)]:
            reset = f"http://127.0.0.1:{PORT}/reset_prefix_cache"
            urllib.request.urlopen(urllib.request.Request(reset, method="POST"))
            start = time.perf_counter()
            answers = engines[name].generate(prompts, Sampling(new_tokens, logprobs=True))
            rates[name] += sum(each.tokens for each in answers) / (time.perf_counter() - start) / 2
        return rates
    finally:
        process.terminate()
        process.wait(60)


def tokens_of(outputs: Sequence[Any]) -> int:
    return sum(len(output.outputs[0].token_ids) for output in outputs)


def is_up() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    main()
