"""Show the request cache, and the prompts of models in roles with their answers."""

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
    """Print the size of the request cache and the hit rate for each engine."""
    table = Table("engine", "answers", "MB", "lookups", "hit rate", box=None, header_style="bold")
    for engine in usage:
        lookups = engine.hits + engine.misses
        table.add_row(
            shown(engine.identity),
            f"{engine.answers:,}",
            f"{engine.bytes / 1e6:.1f}",
            f"{lookups:,}",
            f"{engine.hits / lookups:.0%}" if lookups else "–",
        )
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    console.print(shown(f"{path}: {size / 1e6:.1f} MB"))
    if usage:
        console.print(table)


def show_requests(
    connection: duckdb.DuckDBPyConnection, role: str, identity: str, console: Console
) -> None:
    """Print every request to a role about a sample: the exact prompt, and the answer.

    Args:
        role: `author`, `judge` or `expander`.
        identity: a sample_id or its first characters.

    Raises:
        ConfigError: if there is no such request.
    """
    requests = rows(
        connection,
        "SELECT * FROM requests WHERE starts_with(prompt, $1 || '/') AND thread IN (SELECT thread "
        "FROM requests WHERE starts_with(prompt, $1 || '/') AND starts_with(sample_id, $2)) "
        "ORDER BY iteration, number",
        PARTS[role],
        identity,
    )
    if not requests:
        raise ConfigError(
            f"{identity}: no {role} model was asked about such a sample; only models send requests "
            f"(`rules`, `grammar` and `rewriter` send none): see `looptool trace {identity}`"
        )
    for row in requests:
        title = f"{row['prompt']} {row['version']}, {row['model']}, iteration {row['iteration']}"
        console.rule(shown(title))
        for message in canonical.loads(row["messages"]):
            console.print(shown(f"[{message['role']}]", "bold"))
            console.print(shown(message["content"]), soft_wrap=True)
        console.print(shown(f"[answer, {row['tokens']} tokens]", "bold"))
        console.print(shown(row["answer"]), soft_wrap=True)
        if row["error"]:
            console.print(shown(f"refused: {row['error']}", "red"), soft_wrap=True)
