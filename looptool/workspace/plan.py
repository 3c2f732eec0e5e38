"""`looptool plan`: estimate the cost of a run.

The numbers of requests follow from the params and two assumptions: how often the model is wrong
(MISMATCHES), and how long prompts and answers are (TOKENS: those of samples were counted with the
default params, the others are guesses). Time follows from the operations per token and the speed of
this machine. The speed is measured with the base model if it is present and small enough. Otherwise
it is a typical share of the data sheet's peak, and right within a factor of three at best.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from looptool.core import machine
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.machine import NumberType
from looptool.core.params import BASE, LLM, Params, name_of
from looptool.engines import answering
from looptool.engines.folders import check_base
from looptool.engines.template_check import check_template
from looptool.evaluation.bfcl.package import check_benchmark
from looptool.evaluation.bfcl.rows import ROWS as BFCL_ROWS
from looptool.evaluation.bfcl.rows import expand
from looptool.training import processes
from looptool.training.memory import (
    Memory,
    gpu_bytes,
    longest,
    of_process,
    shape_of,
    unfit,
    weights_of,
)
from looptool.training.processes import Layout
from looptool.workspace.base import check_adapter

MISMATCHES = 0.5  # share of D_j that the model gets wrong
TOKENS = {  # (prompt tokens, answer tokens) per request
    "sample": (250, 68),
    "probe": (250, 70),
    "eval": (250, 70),
    "author": (900, 150),
    "judge": (900, 200),
    "expander": (900, 250),
}
AUTHOR_REQUESTS = 5  # per sample: its share of the tools, plan, user, assistant, results
MEASURED_WEIGHTS = 1e9  # larger models are not timed on a CPU
START_SECONDS = 9  # overhead of a stage with a model, on two cores: imports, loading, saving
OTHER_SECONDS = 3  # of a stage without a model
# Effective operations per second in (reading, generating, training).
TWO_CORES = (0.5e12, 0.065e12, 0.18e12)  # SmolLM2-135M in bf16, batches of 32
GPUS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "4090": 165e12,
    "3090": 71e12,
}
SHARES = (0.4, 0.05, 0.3)  # of a GPU's peak in (reading, generating, training)


@dataclass(frozen=True, slots=True)
class Work:
    """The work of one model in one kind of stage, summed over all iterations.

    Attributes:
        read, written, trained: tokens.
        local: whether it runs on this machine.
        stages: the number of pipeline stages.
        seconds: the total time on this machine; None if the model size is unknown.
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
    """The estimated cost of a run of all iterations on this machine.

    Attributes:
        work: the work of each model in each kind of stage.
        weights: the number of weights of the base model; None if unknown.
        disk_bytes: disk space for all models and one checkpoint.
        layout: how many processes train, and how they share the model.
        memory: the memory of one training process; None if the model's shape is unknown.
        process_bytes: the memory that a process has: its GPU's, or on a CPU its share.
        lora: whether adapters are trained instead of all weights.
        device: the name of the GPU or CPU.
        dtype: the number type that models compute in.
        hours: None if the model size is unknown.
        measured: whether the hours are based on a measurement on this machine.
        missing: what must be fixed before the run can start.
    """

    work: list[Work]
    weights: int | None
    disk_bytes: int | None
    layout: Layout
    memory: Memory | None
    process_bytes: float
    lora: bool
    device: str
    dtype: NumberType
    hours: float | None
    measured: bool
    missing: list[str]


@dataclass(frozen=True, slots=True)
class Gpus:
    """GPUs to plan for in place of this machine's: how many, and the bytes of each."""

    count: int
    bytes: float


def parse_gpus(text: str) -> Gpus:
    """Parse `8x80`: eight GPUs with 80 GB each.

    Raises:
        ConfigError: if the text has another form.
    """
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise ConfigError(f"--gpus: must be COUNTxGB, such as 8x80, found {text!r}")
    return Gpus(int(found[1]), int(found[2]) * 1e9)


def plan(params: Params, gpus: Gpus | None = None) -> Plan:
    """Estimate the cost of a run of all iterations on this machine, or on other GPUs.

    No model is loaded for other GPUs, and the time is unknown.
    """
    base = _base(params)
    weights = weights_of(base)
    work = list(_work(params))
    dtype = machine.number_type(params.model.dtype)
    device, speeds = _device()
    if gpus:
        dtype = NumberType("bfloat16", True, "GPUs as given by --gpus")
        device = f"{gpus.count} x {gpus.bytes / 1e9:.0f} GB"
    hours, measured = None, False
    if weights and not gpus:
        if base == str(BASE) and (rates := _measured(params, weights, dtype)):
            speeds, measured = rates, True
        work = [
            replace(item, seconds=_seconds(item, weights_of(item.model) or weights, speeds))
            for item in work
        ]
        stages = 3 + params.loop.last + 4 * len(params.loop.handoffs)  # also those without a model
        hours = (sum(item.seconds or 0 for item in work) + OTHER_SECONDS * stages) / 3600
    disk = weights * (2 * (params.loop.last + 1) + 14) if weights else None  # models, a checkpoint
    missing = [] if gpus else list(_missing(params, disk))
    layout, needed, available = Layout(), None, 0.0
    try:
        layout = processes.layout(params.train)
        needed, available, problem = _training_memory(params, base, dtype, layout, gpus)
        missing += [problem] if problem else []
    except LooptoolError as error:  # of accelerate_config
        missing += [str(error)] if gpus else []
    lora = params.train.lora_rank is not None
    return Plan(work, weights, disk, layout, needed, available, lora, device, dtype, hours,
                measured, missing)  # fmt: skip


def _training_memory(
    params: Params, base: str, dtype: NumberType, layout: Layout, gpus: Gpus | None
) -> tuple[Memory | None, float, str | None]:
    """Return the memory of a training process, what it has, and what does not fit."""
    model, train = shape_of(base), params.train
    gpu = gpus.bytes if gpus else gpu_bytes() if machine.gpus() else None
    vllm = machine.rollout_mode(train.vllm)
    if gpus and train.vllm == "auto":
        vllm = "colocate"
    available = gpu or machine.memory_bytes() / (layout.processes // layout.machines)
    if model is None:
        return None, available, None
    needed = of_process(
        model, train, dtype=dtype.name, sharing=layout.sharing, processes=layout.processes,
        longest=longest(params), gpu=gpu, vllm=vllm == "colocate",
        split=params.vllm.tensor_parallel_size,
    )  # fmt: skip
    count = gpus.count if gpus else len(machine.gpus()) * layout.machines
    if gpu and layout.processes > count:
        problem: str | None = (
            f"train.accelerate_config: {layout.processes} processes need as many GPUs, and there "
            f"are {count}; change num_processes in {train.accelerate_config}"
        )
    elif gpu:
        problem = unfit(needed, train, gpu, layout.sharing)
    elif needed.peak > available:
        problem = (
            f"memory: training takes {needed.peak / 1e9:.0f} GB, and this machine has "
            f"{available / 1e9:.0f} GB for a process and no GPU; `looptool plan --gpus 8x80` plans "
            "for GPUs elsewhere"
        )
    else:
        problem = None
    return needed, available, problem


def _check_base(params: Params) -> None:
    check_base(params.model)
    check_adapter(params.model.base)
    check_template(params.model, params.warmup.steps)


def _base(params: Params) -> str:
    """Return the folder of the base model, or its name if it is not there yet."""
    try:
        check_base(params.model)
    except LooptoolError:
        return params.model.base
    return str(BASE)


def _measured(params: Params, weights: int, dtype: NumberType) -> tuple[float, float, float] | None:
    """Return the measured operations per second of the base model, or None if not measured."""
    if dtype.warning or (not dtype.on_gpu and weights > MEASURED_WEIGHTS):
        return None
    import torch

    from looptool.engines import speeds

    torch.set_num_threads(params.model.threads or machine.cores())
    try:
        rates = speeds.measure(BASE, dtype.name)
    except Exception:  # a plan is possible for a model that cannot be timed
        return None
    return 2 * weights * rates.read, 2 * weights * rates.written, 6 * weights * rates.trained


def _work(params: Params) -> Iterator[Work]:
    last, base = params.loop.last, params.model.base
    looping = params.loop.mode == "loop"
    samples, handoffs = params.generate.samples, (last - 1 if looping else 0)
    carried = int(samples * params.expand.carry.share)
    fresh = samples * last - carried * handoffs
    author, expander = params.generate.author, params.expand.expander
    judges = [judge for judge in params.verify.judges if isinstance(judge, LLM)]
    mix = {str(name): share for name, share in (params.generate.mix or {}).items()}
    mix = mix or {name_of(author): 1.0}
    written = round(fresh * mix.get("llm", 0.0) / sum(mix.values()))
    if isinstance(author, LLM):
        written += params.heldout.samples
        written += params.warmup.samples if params.warmup.steps else 0
        yield _role("generate", "author", written * AUTHOR_REQUESTS, author)
        for judge in judges:
            yield _role("generate", "judge", written, judge)
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
        for judge in judges if params.verify.enabled else ():
            yield _role("verify", "judge", 2 * wrong, judge)
        if params.expand.mode == "generate" and isinstance(expander, LLM):
            grown = wrong * params.expand.per_seed
            yield _role("expand", "expander", grown, expander)
            for judge in judges:
                yield _role("expand", "judge", grown, judge)
    rows = min(params.heldout.samples, params.eval.heldout_limit or params.heldout.samples)
    rows += sum(min(BFCL_ROWS[name], params.eval.bfcl.limit or BFCL_ROWS[name])
                for name in expand(params.eval.bfcl.categories))  # fmt: skip
    rows *= last + 1
    prompt, answer = TOKENS["eval"]
    yield Work("eval", base, rows, rows * prompt, rows * answer,
               local=params.eval.engine != "openai", stages=last + 1)  # fmt: skip


def _role(stage: str, role: str, requests: int, settings: LLM) -> Work:
    prompt, answer = TOKENS[role]
    return Work(f"{stage}: {role}", settings.model, requests, requests * prompt,
                requests * answer, local=settings.engine != "openai")  # fmt: skip


def _seconds(work: Work, weights: int, speeds: tuple[float, float, float]) -> float:
    if not work.local:
        return 0.0
    read, write, train = speeds
    start = START_SECONDS * work.stages
    return start + weights * (
        2 * work.read / read + 2 * work.written / write + 6 * work.trained / train
    )


def _device() -> tuple[str, tuple[float, float, float]]:
    """Return the name of this machine's GPU or CPU and its estimated operations per second."""
    names = machine.gpus()
    for key, peak in GPUS.items():
        if names and key in names[0]:
            read, write, train = (share * peak for share in SHARES)
            return names[0], (read, write, train)
    if names:
        return names[0], (4e13, 5e12, 3e13)
    return f"{machine.cores()} cores of {machine.cpu_name()}", TWO_CORES


def _missing(params: Params, disk: int | None) -> Iterator[str]:
    checks: tuple[Callable[[], None], ...] = (
        lambda: _check_base(params),
        check_benchmark,
        lambda: answering.check(params),
        lambda: processes.check(params.train, machine.rollout_mode(params.train.vllm)),
    )
    for check in checks:
        try:
            check()
        except LooptoolError as error:
            yield str(error)
    free = shutil.disk_usage(Path.cwd()).free
    if disk and disk > free:
        yield f"disk: needs {disk / 1e9:.0f} GB, {free / 1e9:.0f} GB are free"
