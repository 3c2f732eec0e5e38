"""Show the result of an audit on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from looptool.auditing import name_in_review
from looptool.auditing.apply import Applied
from looptool.auditing.audit import SUSPECT
from looptool.core import canonical
from looptool.terminal import percent, short, shown

_COUNTS = 8  # rows of the counts by category, tool and argument


def show_audit(
    described: Mapping[str, Any], table: pl.DataFrame, rows: int, place: Path, console: Console
) -> None:
    """Print the most suspicious labels, what would change, counts, and what could not be judged."""
    suspects = table.filter(pl.col("verdict").is_in(SUSPECT)).head(rows)
    if len(suspects):
        listed = Table(
            "sample", "verdict", "conf.", "ppl label/answer", "what would change, and why", box=None
        )
        for row in suspects.iter_rows(named=True):
            line = f"\nline {row['line']}" if row["line"] is not None else ""
            listed.add_row(
                f"{row['sample_id'][:12]}{line}",
                row["verdict"],
                f"{row['confidence']:.2f}",
                f"{_number(row['label_ppl'])} / {_number(row['ppl'])}",
                shown(f"{change(row)}\n{short(row['rationale'], 200)}"),
            )
        console.print(listed)
        console.print()
    for name in ("category", "tool", "argument"):
        counts = list(described[f"by_{name}"].items())[:_COUNTS]
        if counts:
            console.print(
                shown(f"suspects by {name}: " + ", ".join(f"{key} {n:,}" for key, n in counts))
            )
    verdicts = ", ".join(f"{name} {n:,}" for name, n in described["verdicts"].items()) or "none"
    unread = [f"{name} {n:,}" for name, n in described["unread"].items()]
    undecided = described["verdicts"].get("NO_CONSENSUS", 0)
    unread += [f"undecided {undecided:,}"] if undecided else []
    console.print(shown(f"verdicts: {verdicts}"))
    if described["answers_of"]:
        console.print(
            shown(
                f"answers of {', '.join(described['answers_of'])} to {described['answered']:,} of "
                f"{described['samples']:,} samples contradict {described['judged']:,} labels"
            )
        )
    console.print(
        shown(
            f"{'+'.join(described['judges'])} could judge {percent(described['could_judge'])} % of "
            f"{described['judged']:,} labels" + (f" (not: {', '.join(unread)})" if unread else "")
        )
    )
    if described["refused"]:
        checks = ", ".join(f"{key} {n:,}" for key, n in described["refused_by_check"].items())
        where = place / "imported/rejected.parquet"
        text = f"the import refused {described['refused']:,} more ({checks}), in {where}"
        console.print(shown(text, "red"))
    console.print(shown(f"{described['suspects']:,} suspects → {place}"))
    if described["suspects"]:
        console.print(shown(f"decide on them: looptool review {name_in_review(place)}"))


def change(row: Mapping[str, Any]) -> str:
    """Return the label and what would take its place, on one line."""
    if row["verdict"] == "BOTH_WRONG" or row["prediction"] is None:
        return "wrong, and nothing to replace it with"
    new = canonical.loads(row["prediction"])
    calls = new.get("calls")
    text = f"{new['text']}" if calls is None else "; ".join(_call(call) for call in calls)
    return f"→ {short(text, 160)}"


def _call(call: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{k}={canonical.dumps(v)}" for k, v in call["arguments"].items())
    return f"{call['name']}({arguments})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def show_applied(applied: Applied, target: Path, console: Console) -> None:
    """Print what became of the decisions."""
    decisions = ", ".join(f"{name} {n:,}" for name, n in sorted(applied.decisions.items()))
    console.print(shown(f"decisions: {decisions}"))
    if applied.misfits:
        text = f"{applied.misfits:,} decisions no longer fit the set and were not applied"
        console.print(shown(text, "red"))
    dropped = ""
    if applied.dropped:
        dropped = f", {applied.dropped:,} dropped, in {target.stem}.rejected.parquet"
    console.print(shown(f"{applied.written:,} samples → {target}{dropped}"))
