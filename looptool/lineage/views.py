"""DuckDB views over the tables of all iterations of one revision; the files stay as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from looptool.errors import ConfigError, LooptoolError
from looptool.lineage.revisions import Snapshot

if TYPE_CHECKING:  # polars and pandera take most of a second to load, which a question seldom needs
    import polars as pl

# Each view with its model in `tables` and the files that it joins; lineage's in the order of time.
VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "samples": ("Samples", ("train.parquet",)),
    "carried": ("Samples", ("carried.parquet",)),
    "probes": ("Probe", ("probe.parquet",)),
    "verdicts": ("Verdicts", ("verdicts.parquet",)),
    "lineage": (
        "Lineage",
        ("lineage/warmup.parquet", "lineage/generate.parquet", "lineage/expand.parquet"),
    ),
    "rejected": (
        "Rejected",
        ("rejected/warmup.parquet", "rejected/generate.parquet", "rejected/expand.parquet"),
    ),
    "evals": ("Eval", ("eval.parquet",)),
    "truth": ("Truth", ("truth.parquet",)),
    "warmup": ("Samples", ("data/warmup.parquet",)),
    "heldout": ("Samples", ("data/heldout.parquet",)),
}


def connect(snapshot: Snapshot) -> duckdb.DuckDBPyConnection:
    """Open views `samples`, `carried`, `probes`, `verdicts`, `lineage`, `rejected`, `evals`,
    `truth` and `metrics`, each with the column `iteration`, and `warmup` and `heldout`.

    `samples` is D_j for j ≥ 1. `lineage` has one more column, `number`: an event's row in its
    stage's file. `metrics` has a row for each number in metrics/iterations/*/*.json but those of
    single steps: iteration, stage, name (with dots), value. The connection can read these files
    and no other, and write none.
    """
    connection = duckdb.connect()
    allowed = []
    for view, (table, names) in VIEWS.items():
        files = [(j, path) for name in names for j, path in snapshot.tables(name).items()]
        if view in ("warmup", "heldout"):
            files = [(0, snapshot.path(name)) for name in names if name in snapshot.files]
        allowed += [str(path.resolve()) for _, path in files]
        connection.execute(f"CREATE VIEW {view} AS {_union(view, table, files)}")
    connection.execute(
        "CREATE TABLE metrics (iteration BIGINT, stage VARCHAR, name VARCHAR, value DOUBLE)"
    )
    if rows := list(_metrics(snapshot)):
        places = ", ".join(["(?, ?, ?, ?)"] * len(rows))  # one statement: each costs a millisecond
        values = [value for row in rows for value in row]
        connection.execute(f"INSERT INTO metrics VALUES {places}", values)
    connection.execute("SET allowed_paths = $1", [allowed])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def query(connection: duckdb.DuckDBPyConnection, sql: str) -> pl.DataFrame:
    """Run one statement that only reads.

    Raises:
        ConfigError: if it is none, or DuckDB does not understand it.
    """
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise ConfigError(
                "sql: one statement that reads is allowed: SELECT, FROM, DESCRIBE or SUMMARIZE"
            )
        return connection.sql(statements[0]).pl()
    except duckdb.Error as error:
        raise ConfigError(f"sql: {_plain(error)}") from None


def _union(view: str, table: str, files: Sequence[tuple[int, Path]]) -> str:
    if not files:
        return _empty(view, table)
    numbered = view == "lineage"
    parts = []
    for iteration, path in files:
        source = "'" + str(path.resolve()).replace("'", "''") + "'"
        if numbered:  # it has the iteration already
            columns = "* EXCLUDE (file_row_number), file_row_number AS number"
            parts.append(f"SELECT {columns} FROM read_parquet({source}, file_row_number = true)")
        else:
            parts.append(f"SELECT {iteration}::BIGINT AS iteration, * FROM read_parquet({source})")
    return " UNION ALL BY NAME ".join(parts)


def _empty(view: str, table: str) -> str:
    from looptool import tables

    names = {"String": "VARCHAR", "Int64": "BIGINT", "Float64": "DOUBLE", "Boolean": "BOOLEAN"}
    columns = {
        name: names[str(kind)]
        for name, kind in tables.polars_schema(getattr(tables, table)).items()
    }
    columns = {"iteration": "BIGINT", **columns}
    if view == "lineage":
        columns["number"] = "BIGINT"
    typed = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
    return f"SELECT {typed} WHERE false"


def _metrics(snapshot: Snapshot) -> Iterator[tuple[int, str, str, float]]:
    for name in sorted(snapshot.files):
        parts = name.split("/")
        if parts[0] != "metrics" or not name.endswith(".json"):
            continue
        if parts[1:2] == ["iterations"] and len(parts) == 4:
            content = read_json(snapshot, name)
            if isinstance(content, dict):
                stage = parts[3].removesuffix(".json")
                for key, value in _numbers(content):
                    yield int(parts[2]), stage, key, value
        elif name == "metrics/labels.json":
            for iteration, content in read_json(snapshot, name).items():
                for key, value in _numbers(content):
                    yield int(iteration), "labels", key, value


def read_json(snapshot: Snapshot, name: str) -> Any:
    """Return the content of one of the snapshot's JSON files.

    Raises:
        LooptoolError: if it is missing or no JSON.
    """
    try:
        return json.loads(snapshot.path(name).read_text("utf-8"))
    except ValueError as error:
        raise LooptoolError(f"{name}: is no JSON: {error}") from None


def _numbers(content: dict[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{before}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{key}", float(value)


def _plain(error: duckdb.Error) -> str:
    """Return DuckDB's message on one line, its guess at what was meant included."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("LINE ", "^")))
