"""Answers of `looptool sql` as a table, CSV, JSON or Parquet, and its interactive prompt."""

from __future__ import annotations

import contextlib
import io
import sys

import duckdb
import polars as pl
from rich.console import Console
from rich.table import Table

from looptool.errors import ConfigError, LooptoolError
from looptool.lineage.views import query

SHOWN = 50  # rows of a table on the terminal; the other formats hold all


def write(answer: pl.DataFrame, output: str, console: Console) -> None:
    """Print an answer in one of the formats table, csv, json, parquet.

    Raises:
        ConfigError: if Parquet would go to a terminal.
    """
    if output == "table":
        console.print(table(answer))
    elif output == "csv":
        sys.stdout.write(answer.write_csv())
    elif output == "json":
        sys.stdout.write(answer.write_json() + "\n")
    else:
        if sys.stdout.isatty():
            raise ConfigError("--format parquet: is no text; send it to a file: `> answer.parquet`")
        buffer = io.BytesIO()
        answer.write_parquet(buffer)
        sys.stdout.buffer.write(buffer.getvalue())


def table(answer: pl.DataFrame) -> Table:
    """Return an answer as a table of its first rows, which says so if there are more."""
    more = f"the first {SHOWN} of {len(answer):,} rows; --format csv prints all"
    found = Table(caption=more if len(answer) > SHOWN else None)
    for name, kind in answer.schema.items():
        found.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in answer.head(SHOWN).iter_rows():
        found.add_row(*("" if value is None else str(value) for value in row))
    return found


def prompt(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    """Ask for queries, which end with a semicolon, until the input does."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  gives `input` a history
    console.print("Queries end with a semicolon; `show tables;` lists the views, Ctrl-D ends.")
    lines: list[str] = []
    while True:
        try:
            lines.append(input("... " if lines else "sql> "))
        except EOFError:
            console.print()
            return
        except KeyboardInterrupt:
            console.print()
            lines = []
            continue
        text = "\n".join(lines).strip()
        if not text or not text.endswith(";"):
            lines = lines if text else []
            continue
        lines = []
        try:
            console.print(table(query(connection, text)))
        except LooptoolError as error:
            console.print(str(error), style="red", markup=False)
