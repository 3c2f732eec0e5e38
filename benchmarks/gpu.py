"""Measure the embedded default on one GPU: GRPO steps, rollouts, and the engine's cost on vLLM.

Prints each figure once it is measured, with its ratio to a baseline of the same run:

- ten GRPO steps of the default, without start-up, with cuDNN's attention off and on;
- 64 prompts × 8 completions with the engine's decoding loop and with `model.generate`;
- if vLLM is installed: the same with vLLM, and probing with the engine against raw
  `LLM.generate`;
- one iteration's training by our own decoding loop, with `train.vllm: colocate`, and with that
  sharded by FSDP in one process: rewards by step, tokens/s, and the memory beside the plan's.

Needs models/0 and data/iterations/1/train.parquet; `dvc repro generate@1` makes them.

    python -m benchmarks.gpu
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from looptool.core import canonical, machine, params, runs, tables
from looptool.engines import Prompt, Sampling
from looptool.engines.templates import render
from looptool.engines.transformers import decode, load_model

MODEL, DATA = Path("models/0"), Path("data/iterations/1/train.parquet")
PROMPTS, COPIES, NEW_TOKENS = 64, 8, 160
STEPS = 10  # of GRPO


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--one", choices=tuple(PARTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not machine.gpus():
        print("there is no NVIDIA GPU here")
        return
    runs.quiet()
    if options.one:
        PARTS[options.one]()
        return
    for part in PARTS:  # each in its own process, so that memory, kernels and settings start fresh
        subprocess.run([sys.executable, "-m", "benchmarks.gpu", "--one", part])


def train() -> None:
    off = _seconds_a_step(STEPS, cudnn=False)
    print(f"GRPO: {STEPS} steps {STEPS * off:.1f} s", flush=True)
    on = _seconds_a_step(4, cudnn=True)
    print(f"the same with cuDNN's attention: {STEPS * on:.1f} s, ratio {on / off:.2f}", flush=True)


def _seconds_a_step(steps: int, cudnn: bool) -> float:
    """Return the mean seconds per GRPO step, without the first step."""
    from looptool.training.grpo import train_on

    loaded = params.load()
    settings = loaded.train.model_copy(
        update={"steps": steps + 1, "save_steps": steps + 2, "vllm": "off"}
    )
    run = runs.Run("train", 1, loaded.model_copy(update={"train": settings}), machine.cores())
    times: list[float] = []

    def on_progress(step: int) -> None:
        torch.backends.cuda.enable_cudnn_sdp(cudnn)  # loading the model switches it off
        times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        places = Path(folder, "model"), Path(folder, "scratch")
        train_on(run, MODEL, DATA, *places, on_progress)
    return (times[-1] - times[1]) / steps  # times[0] is the start


def rollouts() -> None:
    model, tokenizer = load_model(MODEL, machine.number_type("auto").name)
    ids = tokenizer([render(tokenizer, each) for each in _prompts()], add_special_tokens=False)
    rows = ids.input_ids
    sampling = Sampling(NEW_TOKENS, 1.0)
    decode(model, tokenizer, rows[:8], sampling, COPIES)
    start = time.perf_counter()
    ours = decode(model, tokenizer, rows, sampling, COPIES)
    rate = sum(len(each.ids) for each in ours) / (time.perf_counter() - start)
    batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(model.device)
    start = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(**batch, max_new_tokens=NEW_TOKENS, do_sample=True, top_k=0,
                             num_return_sequences=COPIES)  # fmt: skip
    seconds = time.perf_counter() - start
    answers = out[:, batch["input_ids"].shape[1] :]
    ended = (answers == tokenizer.eos_token_id).int()
    length = torch.where(ended.any(1), ended.argmax(1) + 1, answers.shape[1])
    their_rate = int(length.sum()) / seconds
    print(f"{PROMPTS} prompts x {COPIES}: looptool {rate:.0f} tokens/s, generate {their_rate:.0f}, "
          f"ratio {rate / their_rate:.2f}", flush=True)  # fmt: skip


def vllm() -> None:
    if not machine.serves_vllm():
        print("vLLM is not installed in this environment")
        return
    from looptool.engines.vllm import VllmEngine

    start = time.perf_counter()
    engine = VllmEngine.load(MODEL, machine.number_type("auto").name, params.load().vllm)
    print(f"vLLM: loaded in {time.perf_counter() - start:.0f} s", flush=True)
    from vllm import SamplingParams

    prompts = [{"prompt_token_ids": engine.tokenizer(render(engine.tokenizer, each),
                add_special_tokens=False).input_ids} for each in _prompts()]  # fmt: skip
    drawn = SamplingParams(n=COPIES, temperature=1.0, max_tokens=NEW_TOKENS, seed=0)
    engine.llm.generate(prompts[:8], drawn, use_tqdm=False)
    start = time.perf_counter()
    outputs = engine.llm.generate(prompts, drawn, use_tqdm=False)
    count = sum(len(each.token_ids) for output in outputs for each in output.outputs)
    print(f"{PROMPTS} prompts x {COPIES} by vLLM: {count / (time.perf_counter() - start):.0f} "
          "tokens/s", flush=True)  # fmt: skip
    rates = {}
    for name in ("raw", "engine", "raw", "engine"):  # the second time of each counts
        engine.llm.reset_prefix_cache()
        start = time.perf_counter()
        if name == "raw":
            greedy = SamplingParams(temperature=0.0, max_tokens=256, logprobs=0)
            outputs = engine.llm.generate(prompts * 4, greedy, use_tqdm=False)
            tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
        else:
            answers = engine.generate(_prompts() * 4, Sampling(256, logprobs=True))
            tokens = sum(answer.tokens for answer in answers)
        rates[name] = tokens / (time.perf_counter() - start)
    print(f"probe by vLLM: engine {rates['engine']:.0f} tokens/s, raw {rates['raw']:.0f}, "
          f"ratio {rates['engine'] / rates['raw']:.2f}", flush=True)  # fmt: skip


def alone() -> None:
    _iteration("off", sharded=False)


def colocate() -> None:
    _iteration("colocate", sharded=False)


def fsdp() -> None:
    _iteration("colocate", sharded=True)


def _iteration(vllm: str, sharded: bool) -> None:
    """Train an iteration as params.yaml says, and print what it took."""
    if vllm != "off" and not machine.serves_vllm():
        print("vLLM is not installed in this environment")
        return
    from looptool.training import memory
    from looptool.training.grpo import train_on

    if sharded:  # as accelerate's launcher would
        os.environ |= {
            "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2",
            "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
            "FSDP_CPU_RAM_EFFICIENT_LOADING": "true", "RANK": "0", "LOCAL_RANK": "0",
            "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511",
        }  # fmt: skip
    loaded = params.load()
    chosen = loaded.model_copy(update={"train": loaded.train.model_copy(update={"vllm": vllm})})
    run = runs.Run("train", 1, chosen, machine.cores())
    free_at_start, _ = torch.cuda.mem_get_info()
    least_free = [free_at_start]
    start = time.perf_counter()

    def on_progress(step: int) -> None:
        least_free.append(torch.cuda.mem_get_info()[0])

    with tempfile.TemporaryDirectory() as folder:
        places = Path(folder, "model"), Path(folder, "scratch")
        history = train_on(run, MODEL, DATA, *places, on_progress)
    seconds = time.perf_counter() - start
    model = memory.shape_of(MODEL)
    planned = model and memory.of_process(
        model, chosen.train, dtype=run.dtype, sharing="fsdp" if sharded else "one", processes=1,
        longest=memory.longest(chosen), gpu=memory.gpu_bytes(), vllm=vllm != "off",
    )  # fmt: skip
    rewards = " ".join(f"{row['reward']:.2f}" for row in history if "reward" in row)
    print(f"{'FSDP, ' if sharded else ''}train.vllm: {vllm}: {seconds:.0f} s with start-up, "
          f"{history[-1]['tokens'] / seconds:.0f} tokens/s, rewards {rewards}; "
          f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB by torch, "
          f"{(free_at_start - min(least_free)) / 1e9:.1f} GB taken after a step; planned "
          f"{planned.generating / 1e9 if planned else 0:.1f} and "
          f"{planned.training / 1e9 if planned else 0:.1f} GB", flush=True)  # fmt: skip


def _prompts() -> list[Prompt]:
    rows = tables.read(DATA, tables.Samples).head(PROMPTS).select("messages", "tools").rows()
    return [Prompt(canonical.loads(messages), canonical.loads(tools)) for messages, tools in rows]


PARTS = {"train": train, "rollouts": rollouts, "vllm": vllm, "alone": alone,
         "colocate": colocate, "fsdp": fsdp}  # fmt: skip

if __name__ == "__main__":
    main()
