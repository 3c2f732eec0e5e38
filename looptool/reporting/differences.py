"""Show the difference of two data sets: tables, and examples with an inline label diff."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from looptool.lineage.diff import CLASSES, Diff
from looptool.terminal import shown

_WORDS = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\],:]+|\s+|.')


def show(diff: Diff, console: Console) -> None:
    """Print counts by category and by origin, the label error, and the examples."""
    counts = diff.to_json()
    for key in ("category", "origin"):
        title = f"{diff.before.name} → {diff.after.name}, by {key}"
        console.print(_counts(counts, key, shown(title)))
    error = [_percent(side.label_error) for side in (diff.before, diff.after)]
    console.print(f"wrong labels: {error[0]} → {error[1]}")
    for row in diff.rows:
        console.print(_example(row))


def _counts(counts: dict[str, Any], key: str, title: Text) -> Table:
    table = Table(title=title)
    table.add_column(key)
    for name in CLASSES:
        table.add_column(name, justify="right")
    for value in sorted({value for name in CLASSES for value in counts[name]["by"][key]}):
        table.add_row(
            shown(value), *(str(counts[name]["by"][key].get(value, 0)) for name in CLASSES)
        )
    table.add_section()
    table.add_row("total", *(str(counts[name]["total"]) for name in CLASSES))
    return table


def _example(row: dict[str, Any]) -> Text:
    origins = dict.fromkeys(filter(None, (row["origin_before"], row["origin_after"])))
    text = Text.assemble(
        "\n", (row["change"], "bold"), f" {row['sample_id']}  ",
        shown(f"{row['category']}, {' → '.join(origins)}"),
    )  # fmt: skip
    if row["user"]:
        text.append_text(shown(f"\n  user: {' '.join(row['user'].split())}"))
    text.append("\n  label: ")
    text.append_text(inline(row["label_before"], row["label_after"]))
    if row["alternatives_before"] != row["alternatives_after"] and row["change"] == "relabelled":
        text.append("\n  also accepted: ")
        text.append_text(inline(row["alternatives_before"], row["alternatives_after"]))
    return text


def inline(before: Any, after: Any) -> Text:
    """Return an inline diff of two JSON values: [-removed-] and {+added+}.

    None means that the row is missing; the other value is then shown whole. The marks also show
    where colours do not.
    """
    old, new = ([] if value is None else _WORDS.findall(_json(value)) for value in (before, after))
    text = Text()
    if before is None or after is None:
        text.append("".join(old or new), style="red" if after is None else "green")
        return text
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for kind, i, j, k, end in matcher.get_opcodes():
        if kind == "equal":
            text.append("".join(old[i:j]))
            continue
        if i < j:
            text.append(f"[-{''.join(old[i:j])}-]", style="red")
        if k < end:
            text.append(f"{{+{''.join(new[k:end])}+}}", style="green")
    return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"
