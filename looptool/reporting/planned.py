"""`looptool plan` for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from looptool.planning import Plan
from looptool.reporting.terminal import shown


def show(plan: Plan, console: Console) -> None:
    """Print a plan: work by stage and model, what it takes, what is missing."""
    table = Table("stage", "model", "requests", "tokens read", "written", "trained on", box=None,
                  header_style="bold")  # fmt: skip
    for each in plan.work:
        where = "" if each.local else " (elsewhere)"
        numbers = (each.requests, each.read, each.written, each.trained)
        table.add_row(
            each.stage, shown(each.model + where), *(f"{n:,}" if n else "–" for n in numbers)
        )
    console.print(table)
    if plan.weights:
        console.print(
            f"{plan.weights / 1e9:.2f} billion weights; {_gb(plan.disk_bytes)} of disk, "
            f"{_gb(plan.train_bytes)} of memory to train without LoRA"
        )
    hours = "unknown hours" if plan.hours is None else f"about {plan.hours:.1f} hours"
    console.print(shown(f"{hours} on {plan.device}, what runs elsewhere left out; "
                        "right within a factor of three at best"))  # fmt: skip
    for problem in plan.missing:
        console.print(shown(f"missing: {problem}", "yellow"), soft_wrap=True)


def _gb(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.1f} GB"
