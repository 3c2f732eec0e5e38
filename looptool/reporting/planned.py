"""Show the result of `looptool plan`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from looptool.core.runs import duration
from looptool.terminal import shown
from looptool.training.memory import Memory
from looptool.workspace.plan import Plan


def show(plan: Plan, console: Console) -> None:
    """Print a plan: work by stage and model, its cost, and what is missing."""
    table = Table("stage", "model", "requests", "tokens read", "written", "trained on", "time",
                  box=None, header_style="bold")  # fmt: skip
    for work in plan.work:
        remote = "" if work.local else " (remote)"
        numbers = (work.requests, work.read, work.written, work.trained)
        table.add_row(
            work.stage,
            shown(work.model + remote),
            *(f"{n:,}" if n else "–" for n in numbers),
            duration(work.seconds) if work.seconds else "–",
        )
    console.print(table)
    if plan.weights:
        console.print(f"{plan.weights / 1e9:.2f} billion weights; {_gb(plan.disk_bytes)} of disk")
    if plan.memory:
        console.print(shown(_memory(plan, plan.memory)), soft_wrap=True)
    console.print(shown(f"{plan.dtype.name}: {plan.dtype.reason}"))
    if plan.dtype.warning:
        console.print(shown(plan.dtype.warning, "yellow"))
    if plan.hours is not None:
        whole = f"about {duration(plan.hours * 3600)} on {plan.device}, without remote work"
        trust = "speed measured here" if plan.measured else "accurate to a factor of three at best"
        console.print(shown(f"{whole}; {trust}"))
    for problem in plan.missing:
        console.print(shown(f"missing: {problem}", "yellow"), soft_wrap=True)


def _memory(plan: Plan, memory: Memory) -> str:
    trained = "adapters" if plan.lora else "all weights"
    sharing = {"one": "one process", "data parallel": "{} processes, each with the whole model",
               "fsdp": "{} processes that share the model (FSDP)"}[plan.layout.sharing]  # fmt: skip
    return (
        f"training {trained} in {sharing.format(plan.layout.processes)}: of "
        f"{_gb(plan.process_bytes)}, a process takes {_gb(memory.generating)} while answers are "
        f"drawn and {_gb(memory.training)} in a backward pass of {memory.tokens:,} tokens"
    )


def _gb(size: float | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.1f} GB"
