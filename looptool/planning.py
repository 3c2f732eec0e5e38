"""`looptool plan`: what a run would take, worked out without loading a model.

Numbers of requests follow from params, up to what nobody can know beforehand: how often the
model is wrong (MISMATCHES), and how long prompts and answers are (TOKENS; those of D_1 were counted
on the embedded default, the others are guesses). Hours follow from operations a token and the speed
of a device: measured for two CPU cores, and for GPUs a usual share of what data sheets say. They
are right within a factor of three at best.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from looptool import runs
from looptool.benchmarks.bfcl.rows import ROWS as BFCL_ROWS
from looptool.benchmarks.bfcl.rows import expand
from looptool.engines import answering
from looptool.errors import LooptoolError
from looptool.params import Params

MISMATCHES = 0.5  # share of D_j that the model gets wrong
TOKENS = {  # (prompt, answer) of one request
    "sample": (180, 85),
    "author": (900, 150),
    "judge": (900, 200),
    "expander": (900, 250),
}
AUTHOR_REQUESTS = 5  # a sample: its part of the tools, plan, user, assistant, results
# Operations a second that are reached in (reading, writing, training).
TWO_CORES = (0.5e12, 0.065e12, 0.18e12)  # SmolLM2-135M in bf16, batches of 32
GPUS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "4090": 165e12,
    "3090": 71e12,
}
SHARES = (0.4, 0.05, 0.3)  # of a GPU's peak
BYTES_FROZEN = 3  # a weight under adapters: itself in bf16; those of rank 32 are 2 % of a 1.7B's
BYTES_TRAINED = 16  # a weight: itself and its gradient in bf16, master copy and Adam's two in fp32


@dataclass(frozen=True, slots=True)
class Work:
    """What one stage asks of one model over all iterations.

    Attributes:
        read, written, trained: tokens.
        local: whether it is computed on this machine.
    """

    stage: str
    model: str
    requests: int
    read: int
    written: int
    trained: int = 0
    local: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's needs: `gpu_bytes` of one GPU for training, `hours` None where no size is known."""

    work: list[Work]
    weights: int | None
    disk_bytes: int | None
    train_bytes: int | None
    device: str
    hours: float | None
    missing: list[str]


def plan(params: Params) -> Plan:
    """Return what a run of all iterations would take on this machine."""
    weights = weights_of(params.model.base)
    work = list(_work(params))
    device, speeds = _device()
    hours = None
    if weights:
        hours = sum(_seconds(each, weights_of(each.model) or weights, speeds) for each in work)
        hours /= 3600
    disk = weights * (2 * (params.loop.last + 1) + 14) if weights else None  # models, a checkpoint
    each = BYTES_FROZEN if params.train.lora_rank else BYTES_TRAINED
    train = weights * each if weights else None
    return Plan(work, weights, disk, train, device, hours, list(_missing(params, disk, train)))


def weights_of(model: str) -> int | None:
    """Return how many weights a model has: by its folder's files, else by a name like `8B`."""
    files = list(Path(model).glob("*.safetensors"))
    if files:
        return sum(map(_weights_in, files))
    found = re.search(r"(\d+(?:\.\d+)?)\s*([BM])\b", Path(model).name, re.I)
    return int(float(found[1]) * (1e9 if found[2].upper() == "B" else 1e6)) if found else None


def _weights_in(file: Path) -> int:
    """Read a safetensors file's header: the sizes of its tensors."""
    with open(file, "rb") as content:
        header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for length in tensor["shape"]:
                size *= length
            total += size
    return total


def _work(params: Params) -> Iterator[Work]:
    last, base = params.loop.last, params.model.base
    looping = params.loop.mode == "loop"
    samples, handoffs = params.generate.samples, (last - 1 if looping else 0)
    carried = int(samples * params.expand.carry.share)
    fresh = samples * last - carried * handoffs
    judges = list(params.verify.judge.models) if "llm" in params.verify.judges else []
    mix = params.generate.mix or {params.generate.author.name: 1.0}
    written = round(fresh * mix.get("llm", 0.0) / sum(mix.values()))
    if params.generate.author.name == "llm":
        written += params.heldout.samples + params.warmup.samples
    if written:
        yield _role("generate", "author", written * AUTHOR_REQUESTS, params.generate.author.model,
                    params.generate.author.engine)  # fmt: skip
        for model in judges:
            yield _role("generate", "judge", written, model, params.verify.judge.engine)
    prompt, answer = TOKENS["sample"]
    if params.warmup.steps:
        rows = params.warmup.steps * params.warmup.batch_size
        yield Work("warmup", base, 0, 0, 0, rows * (prompt + answer))
    train = params.train
    completions = round(
        train.steps * train.prompts_per_step * train.oversample * train.group_size
        / train.updates_per_rollout
    )  # fmt: skip
    kept = train.steps * train.prompts_per_step
    yield Work("train", base, completions * last, completions // train.group_size * prompt * last,
               completions * answer * last,
               kept * (prompt + train.group_size * answer) * last)  # fmt: skip
    if handoffs:
        yield Work("probe", base, samples * handoffs, samples * prompt * handoffs,
                   samples * answer * handoffs, local=params.probe.engine != "openai")  # fmt: skip
        wrong = round(samples * MISMATCHES) * handoffs
        for model in judges if params.verify.enabled else ():
            yield _role("verify", "judge", 2 * wrong, model, params.verify.judge.engine)
        if params.expand.mode == "generate" and params.expand.expander == "llm":
            grown = wrong * params.expand.per_seed
            yield _role("expand", "expander", grown, params.expand.model, params.expand.engine)
            for model in judges:
                yield _role("expand", "judge", grown, model, params.verify.judge.engine)
    rows = min(params.heldout.samples, params.eval.heldout_limit or params.heldout.samples)
    rows += sum(min(BFCL_ROWS[name], params.eval.bfcl.limit or BFCL_ROWS[name])
                for name in expand(params.eval.bfcl.categories))  # fmt: skip
    rows *= last + 1
    yield Work("eval", base, rows, rows * prompt, rows * answer,
               local=params.eval.engine != "openai")  # fmt: skip


def _role(stage: str, role: str, requests: int, model: str, engine: str) -> Work:
    prompt, answer = TOKENS[role]
    return Work(f"{stage}: {role}", model, requests, requests * prompt, requests * answer,
                local=engine != "openai")  # fmt: skip


def _seconds(work: Work, weights: int, speeds: tuple[float, float, float]) -> float:
    if not work.local:
        return 0.0
    read, write, train = speeds
    return weights * (2 * work.read / read + 2 * work.written / write + 6 * work.trained / train)


def _device() -> tuple[str, tuple[float, float, float]]:
    """Return this machine's GPU or "CPU", and the operations a second that it reaches."""
    names = runs.gpus()
    for key, peak in GPUS.items():
        if names and key in names[0]:
            read, write, train = (share * peak for share in SHARES)
            return names[0], (read, write, train)
    if names:
        return names[0], (4e13, 5e12, 3e13)
    return "CPU", TWO_CORES


def _missing(params: Params, disk: int | None, train: int | None) -> Iterator[str]:
    from looptool import installing
    from looptool.training import processes

    checks: tuple[Callable[[], None], ...] = (
        lambda: installing.check_base(params),
        installing.check_benchmark,
        lambda: answering.check(params),
        lambda: processes.check(params.train),
    )
    for check in checks:
        try:
            check()
        except LooptoolError as error:
            yield str(error)
    free = shutil.disk_usage(Path.cwd()).free
    if disk and disk > free:
        yield f"disk: {disk / 1e9:.0f} GB are needed, {free / 1e9:.0f} GB are free"
    if train and train > 20e9 and not runs.gpus():
        yield f"training takes about {train / 1e9:.0f} GB of GPU memory, and there is no GPU here"
