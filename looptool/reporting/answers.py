"""Output of `looptool sql` as a table, CSV, JSON or Parquet, and its interactive prompt."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Literal

import duckdb
import polars as pl
from rich.console import Console
from rich.table import Table

from looptool.core.errors import ConfigError, LooptoolError
from looptool.lineage.views import query
from looptool.terminal import short, shown

SHOWN = 50  # rows of a table on the terminal; the other formats have all rows


def write(connection: duckdb.DuckDBPyConnection, sql: str, output: str, console: Console) -> None:
    """Run a query and print its result in one of the formats table, csv, json, parquet.

    Raises:
        ConfigError: if the query is invalid, the format cannot represent its result, or Parquet
            would go to a terminal.
    """
    if output == "table":
        console.print(table(query(connection, sql, SHOWN + 1), console.width))
        return
    if output == "parquet" and sys.stdout.isatty():
        raise ConfigError("--format parquet: is binary; write it to a file: `> answer.parquet`")
    answer = query(connection, sql)
    try:
        if output == "csv":
            sys.stdout.write(answer.write_csv())
        elif output == "json":
            sys.stdout.write(answer.write_json() + "\n")
        else:
            buffer = io.BytesIO()
            answer.write_parquet(buffer)
            sys.stdout.buffer.write(buffer.getvalue())
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"--format {output}: {error}; cast it in the query") from None


def table(answer: pl.DataFrame, width: int) -> Table:
    """Return the first rows of a result as a table, with a note if there are more."""
    more = f"the first {SHOWN} rows; --format csv prints all"
    result = Table(caption=more if len(answer) > SHOWN else None)
    room = max(16, 2 * width // max(1, answer.width))  # cells wrap, but not over a whole page
    for name, kind in answer.schema.items():
        justify: Literal["left", "right"] = "right" if kind.is_numeric() else "left"
        result.add_column(shown(name), justify=justify, overflow="fold")
    for row in answer.head(SHOWN).iter_rows():
        result.add_row(*(shown("" if v is None else short(str(v), room)) for v in row))
    return result


def prompt(connection: duckdb.DuckDBPyConnection, console: Console) -> None:
    """Read queries, each ending with a semicolon, and print their results until end of input."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  gives `input` a history
    console.print("Queries end with a semicolon; `show tables;` lists the views, Ctrl-D ends.")
    lines: list[str] = []
    while True:
        try:
            lines.append(input("... " if lines else "sql> "))
            text = "\n".join(lines).strip()
            if not text.endswith(";"):
                lines = lines if text else []
                continue
            lines = []
            console.print(table(query(connection, text, SHOWN + 1), console.width))
        except LooptoolError as error:
            console.print(shown(error, "red"))
        except KeyboardInterrupt:
            lines = []
            console.print()
        except EOFError:
            console.print()
            return
