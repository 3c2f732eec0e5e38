"""What was asked of large models, for people: the request cache, and prompts with their answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from looptool.core import canonical
from looptool.core.errors import ConfigError
from looptool.engines.request_cache import Usage
from looptool.lineage.views import rows
from looptool.terminal import shown

PARTS = {"author": "synthesis", "judge": "judging", "expander": "expansion"}


def show_cache(path: Path, usage: Sequence[Usage], console: Console) -> None:
    """Print what the request cache holds of each engine, and how often it had the answer."""
    table = Table("engine", "answers", "MB", "asked", "found", box=None, header_style="bold")
    for each in usage:
        asked = each.hits + each.misses
        table.add_row(
            shown(each.identity),
            f"{each.answers:,}",
            f"{each.bytes / 1e6:.1f}",
            f"{asked:,}",
            f"{each.hits / asked:.0%}" if asked else "–",
        )
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    console.print(shown(f"{path}: {size / 1e6:.1f} MB"))
    if usage:
        console.print(table)


def show_requests(
    connection: duckdb.DuckDBPyConnection, role: str, identity: str, console: Console
) -> None:
    """Print every request that a role got on a sample: what the model saw, word for word, and what
    it answered.

    Args:
        role: `author`, `judge` or `expander`.
        identity: a sample_id or the start of one.

    Raises:
        ConfigError: if nothing was asked on such a sample.
    """
    found = rows(
        connection,
        "SELECT * FROM requests WHERE starts_with(prompt, $1 || '/') AND thread IN (SELECT thread "
        "FROM requests WHERE starts_with(prompt, $1 || '/') AND starts_with(sample_id, $2)) "
        "ORDER BY iteration, number",
        PARTS[role],
        identity,
    )
    if not found:
        raise ConfigError(f"no {role} that is a model was asked about a sample {identity!r}")
    for row in found:
        told = f"{row['prompt']} {row['version']}, {row['model']}, iteration {row['iteration']}"
        console.rule(shown(told))
        for message in canonical.loads(row["messages"]):
            console.print(shown(f"[{message['role']}]", "bold"))
            console.print(shown(message["content"]), soft_wrap=True)
        console.print(shown(f"[answer, {row['tokens']} tokens]", "bold"))
        console.print(shown(row["answer"]), soft_wrap=True)
        if row["error"]:
            console.print(shown(f"refused: {row['error']}", "red"), soft_wrap=True)
