"""`looptool plan`: what a run would take.

Numbers of requests follow from params, up to what nobody can know beforehand: how often the
model is wrong (MISMATCHES), and how long prompts and answers are (TOKENS; those of samples were
counted on the embedded default, the others are guesses). Time follows from operations a token and
the speed of this machine. That is measured with the base model where it is here and small enough;
else it is a usual share of what data sheets say, and right within a factor of three at best.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from looptool.core import machine
from looptool.core.errors import LooptoolError
from looptool.core.machine import NumberType
from looptool.core.params import Params
from looptool.engines import answering
from looptool.engines.folders import base_problem, check_base
from looptool.engines.sizes import BYTES_GRADIENT, BYTES_TRAINED
from looptool.evaluation.bfcl.package import check_benchmark
from looptool.evaluation.bfcl.rows import ROWS as BFCL_ROWS
from looptool.evaluation.bfcl.rows import expand
from looptool.training.memory import BYTES_FROZEN, weights_of

MISMATCHES = 0.5  # share of D_j that the model gets wrong
TOKENS = {  # (prompt, answer) of one request
    "sample": (180, 64),
    "probe": (180, 80),
    "eval": (205, 80),
    "author": (900, 150),
    "judge": (900, 200),
    "expander": (900, 250),
}
AUTHOR_REQUESTS = 5  # a sample: its part of the tools, plan, user, assistant, results
MEASURED_WEIGHTS = 1e9  # larger models are not timed on a CPU
START_SECONDS = 9  # of a stage with a model, on two cores: imports, loading, saving
OTHER_SECONDS = 3  # of a stage without one
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


@dataclass(frozen=True, slots=True)
class Work:
    """What one stage asks of one model over all iterations.

    Attributes:
        read, written, trained: tokens.
        local: whether it is computed on this machine.
        stages: how many stages of the pipeline it is.
        seconds: what it takes here, of all stages together.
    """

    stage: str
    model: str
    requests: int
    read: int
    written: int
    trained: int = 0
    local: bool = True
    stages: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of all iterations takes on this machine.

    Attributes:
        work: what each stage asks of each model.
        weights: of the base model; None where its folder does not tell.
        disk_bytes: what all models and one checkpoint take.
        train_bytes: memory for training, of the GPU if there is one.
        lora: whether adapters are trained in place of all weights.
        device: its name.
        dtype: the number type that models compute in.
        hours: None where the model's size is not known.
        measured: whether they come from a measurement on this machine.
    """

    work: list[Work]
    weights: int | None
    disk_bytes: int | None
    train_bytes: int | None
    lora: bool
    device: str
    dtype: NumberType
    hours: float | None
    measured: bool
    missing: list[str]


def plan(params: Params) -> Plan:
    """Return what a run of all iterations would take on this machine."""
    weights = weights_of(params.model.base)
    work = list(_work(params))
    dtype = machine.number_type(params.model.dtype)
    device, speeds = _device()
    hours, measured = None, False
    if weights and (found := _measured(params, weights, dtype)):
        speeds, measured = found, True
    if weights:
        work = [
            replace(each, seconds=_seconds(each, weights_of(each.model) or weights, speeds))
            for each in work
        ]
        stages = 3 + params.loop.last + 4 * len(params.loop.handoffs)  # those without a model, too
        hours = (sum(each.seconds or 0 for each in work) + OTHER_SECONDS * stages) / 3600
    disk = weights * (2 * (params.loop.last + 1) + 14) if weights else None  # models, a checkpoint
    lora = params.train.lora_rank is not None
    trained = BYTES_TRAINED + (0 if machine.gpus() else BYTES_GRADIENT)
    train = weights * (BYTES_FROZEN if lora else trained) if weights else None
    missing = list(_missing(params, disk, train))
    return Plan(work, weights, disk, train, lora, device, dtype, hours, measured, missing)


def _measured(params: Params, weights: int, dtype: NumberType) -> tuple[float, float, float] | None:
    """Return the operations a second that the base model reaches here, None if it is not tried."""
    if base_problem(Path(params.model.base)):
        return None
    if dtype.warning or (not dtype.on_gpu and weights > MEASURED_WEIGHTS):
        return None
    import torch

    from looptool.engines import speeds

    torch.set_num_threads(params.model.threads or machine.cores())
    try:
        found = speeds.measure(params.model.base, dtype.name)
    except Exception:  # a model that cannot be timed can still be planned for
        return None
    return 2 * weights * found.read, 2 * weights * found.written, 6 * weights * found.trained


def _work(params: Params) -> Iterator[Work]:
    last, base = params.loop.last, params.model.base
    looping = params.loop.mode == "loop"
    samples, handoffs = params.generate.samples, (last - 1 if looping else 0)
    carried = int(samples * params.expand.carry.share)
    fresh = samples * last - carried * handoffs
    judges = list(params.verify.judge.models) if "llm" in params.verify.judges else []
    mix = {str(name): share for name, share in (params.generate.mix or {}).items()}
    mix = mix or {params.generate.author.name: 1.0}
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
        yield Work("warmup", base, 0, 0, 0, rows * (prompt + answer), stages=1)
    train = params.train
    completions = round(
        train.steps * train.prompts_per_step * train.oversample * train.group_size
        / train.updates_per_rollout
    )  # fmt: skip
    kept = train.steps * train.prompts_per_step
    tokens = kept * (prompt + train.group_size * answer) * last
    yield Work("train", base, completions * last, completions // train.group_size * prompt * last,
               completions * answer * last, tokens,
               stages=last)  # fmt: skip
    prompt, answer = TOKENS["probe"]
    if handoffs:
        yield Work("probe", base, samples * handoffs, samples * prompt * handoffs,
                   samples * answer * handoffs, local=params.probe.engine != "openai",
                   stages=handoffs)  # fmt: skip
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
    prompt, answer = TOKENS["eval"]
    yield Work("eval", base, rows, rows * prompt, rows * answer,
               local=params.eval.engine != "openai", stages=last + 1)  # fmt: skip


def _role(stage: str, role: str, requests: int, model: str, engine: str) -> Work:
    prompt, answer = TOKENS[role]
    return Work(f"{stage}: {role}", model, requests, requests * prompt, requests * answer,
                local=engine != "openai")  # fmt: skip


def _seconds(work: Work, weights: int, speeds: tuple[float, float, float]) -> float:
    if not work.local:
        return 0.0
    read, write, train = speeds
    start = START_SECONDS * work.stages
    return start + weights * (
        2 * work.read / read + 2 * work.written / write + 6 * work.trained / train
    )


def _device() -> tuple[str, tuple[float, float, float]]:
    """Return the name of this machine's GPU or CPU, and the operations a second that it reaches."""
    names = machine.gpus()
    for key, peak in GPUS.items():
        if names and key in names[0]:
            read, write, train = (share * peak for share in SHARES)
            return names[0], (read, write, train)
    if names:
        return names[0], (4e13, 5e12, 3e13)
    return f"{machine.cores()} cores of {machine.cpu_name()}", TWO_CORES


def _missing(params: Params, disk: int | None, train: int | None) -> Iterator[str]:
    from looptool.training import processes

    checks: tuple[Callable[[], None], ...] = (
        lambda: check_base(Path(params.model.base)),
        check_benchmark,
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
    if train and train > 20e9 and not machine.gpus():
        yield f"training takes about {train / 1e9:.0f} GB of GPU memory, and there is no GPU here"
