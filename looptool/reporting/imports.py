"""Show the result of an import on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from looptool.core import canonical
from looptool.exchange import Note
from looptool.exchange.sample_sets import REJECTED, Outcome
from looptool.exchange.tool_sets import ToolSet
from looptool.terminal import short, shown

_ROWS = 60  # maximum rows of the table
_NOTES = 20  # maximum notes of each kind


def show_tools(tool_set: ToolSet, target: Path, console: Console) -> None:
    """Print a table of the tools, the skipped ones, the warnings, and the totals."""
    table = Table("tool", "parameters", "required", "characters", "description", box=None)
    for tool in tool_set.tools[:_ROWS]:
        parameters = tool["parameters"]
        table.add_row(
            shown(tool["name"]),
            str(len(parameters.get("properties", {}))),
            str(len(parameters.get("required", ()))),
            f"{len(canonical.dumps(tool)):,}",
            shown(short(tool.get("description", ""), 60)),
        )
    console.print(table)
    if len(tool_set.tools) > _ROWS:
        console.print(f"… and {len(tool_set.tools) - _ROWS:,} more")
    _show("skipped", tool_set.skipped, "red", target, console)
    _show("warnings", tool_set.warnings, "yellow", target, console)
    console.print(
        f"{len(tool_set.tools):,} tools, {len(tool_set.skipped):,} skipped, "
        f"{len(tool_set.warnings):,} warnings",
        shown(f"→ {target}"),
    )


def show_samples(outcome: Outcome, target: Path, console: Console) -> None:
    """Print samples by category, changes, refusals by check with examples, and the totals."""
    table = Table("category", "samples", box=None)
    for category, count in sorted(outcome.categories.items()):
        table.add_row(category, f"{count:,}")
    console.print(table)
    if outcome.changes:
        console.print(shown("changed:", "yellow"))
        for change, count in sorted(outcome.changes.items()):
            console.print(shown(f"  {change}: {count:,}"))
    refused = sum(outcome.rejected.values())
    if refused:
        console.print(shown(f"refused, all in {target / REJECTED}:", "red"))
        for check, count in sorted(outcome.rejected.items()):
            console.print(f"  {check}: {count:,}")
        for line, _, reason in outcome.examples[:_NOTES]:
            console.print(shown(f"  line {line}: {short(reason, 200)}"), soft_wrap=True)
        if refused > _NOTES:
            console.print(f"  … and {refused - min(_NOTES, len(outcome.examples)):,} more")
    console.print(
        f"{outcome.records:,} records of {outcome.format}: {outcome.samples:,} samples, "
        f"{refused:,} refused",
        shown(f"→ {target}"),
    )


def _show(title: str, notes: Sequence[Note], style: str, target: Path, console: Console) -> None:
    if not notes:
        return
    console.print(shown(f"{title}:", style))
    for note in notes[:_NOTES]:
        console.print(shown(f"  {note.what}: {note.why}"), soft_wrap=True)
    if len(notes) > _NOTES:
        console.print(shown(f"  … and {len(notes) - _NOTES:,} more, in {target}"))
