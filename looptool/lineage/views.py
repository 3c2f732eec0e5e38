"""DuckDB views over the tables of all iterations of one revision. The files are only read."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from looptool.core.errors import ConfigError, LooptoolError, TableError
from looptool.lineage.revisions import Snapshot

if TYPE_CHECKING:  # importing polars and pandera takes most of a second, and few queries need them
    import polars as pl

# Each view with its model in `tables` and its files; those of lineage are in chronological order.
VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "samples": ("Samples", ("train.parquet",)),
    "carried": ("Samples", ("carried.parquet",)),
    "left_out": ("LeftOut", ("left_out.parquet",)),
    "rollouts": ("Rollouts", ("rollouts.parquet",)),
    "probes": ("Probe", ("probe.parquet",)),
    "verdicts": ("Verdicts", ("verdicts.parquet",)),
    "lineage": (
        "Lineage",
        ("lineage/warmup.parquet", "lineage/generate.parquet", "lineage/expand.parquet"),
    ),
    "rejected": (
        "Rejected",
        (
            "rejected/heldout.parquet",
            "rejected/warmup.parquet",
            "rejected/generate.parquet",
            "rejected/expand.parquet",
        ),
    ),
    "misfits": ("Rejected", ("rejected/verify.parquet",)),
    "requests": (
        "Requests",
        (
            "requests/heldout.parquet",
            "requests/warmup.parquet",
            "requests/generate.parquet",
            "requests/verify.parquet",
            "requests/expand.parquet",
        ),
    ),
    "evals": ("Eval", ("eval.parquet",)),
    "truth": ("Truth", ("truth.parquet",)),
    "warmup": ("Samples", ("data/warmup.parquet",)),
    "heldout": ("Samples", ("data/heldout.parquet",)),
}


# Views of files that belong to no iteration; a named group of the pattern is a column.
LOOSE: dict[str, tuple[str, re.Pattern[str]]] = {
    "bench": ("Bench", re.compile(r"data/bench/.+\.parquet")),
    "reviews": ("Reviews", re.compile(r"data/reviews/[^/]+\.parquet")),
    "audits": ("Audit", re.compile(r"data/audits/(?P<audit>[^/]+)/audit\.parquet")),
    "audited": ("Samples", re.compile(r"data/audits/(?P<audit>[^/]+)/samples\.parquet")),
}
# Columns that older revisions lack, each with the column that they have instead.
OLDER_COLUMNS = {"error_type": "failure_type", "text": "prediction", "thinking": "prediction"}
# What Python's strip removes; DuckDB's own class is ASCII.
_BLANK = (
    r"[\s\x{0b}\x{1c}-\x{1f}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}"
    r"\x{205f}\x{3000}]"
)
# What an answer says, in revisions that store it as text alone: all after its thinking.
_SAID = (
    "CASE WHEN calls <> '[]' OR contains(string_split(prediction, '</think>')[-1], '<think>') "
    "THEN '' ELSE "
    f"regexp_replace(string_split(prediction, '</think>')[-1], '^{_BLANK}+|{_BLANK}+$', '', 'g')"
    " END"
)
# Names that older revisions store, with their names of today.
RENAMED_EVENTS = {"failed": "error_seed", "widened": "alternative", "hard": "high_ppl"}
RENAMED_METRICS = {f"events.{old}": f"events.{new}" for old, new in RENAMED_EVENTS.items()}


def connect(snapshot: Snapshot, guarded: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB connection with views over the tables of a snapshot.

    The views of VIEWS and `metrics` have the column `iteration`. Those of LOOSE are the answers
    that `looptool bench` stored, decisions of people, and audits with their samples; where there
    are none, only a guarded connection has the view. `samples` is D_j
    for j ≥ 1. `lineage` has the additional column `number`: the row of an event in the file of its
    stage. `metrics` has one row for each number in metrics/labels.json and
    metrics/iterations/*/*.json, except lists such as steps.json: iteration, stage, name (dotted),
    value.

    Args:
        guarded: for queries written by users. They can read only these files and write none,
            because `ReadOnly` opens the files. Such a connection must be closed with `close`.

    Raises:
        TableError: if one of the files is not Parquet.
    """
    connection = duckdb.connect()
    spill = Path(tempfile.gettempdir(), f"looptool-{os.getpid()}")  # for data larger than memory
    connection.execute(f"SET memory_limit = '3GiB'; SET temp_directory = {_quoted(spill)}")
    if guarded:
        from looptool.lineage.guard import ReadOnly

        connection.register_filesystem(ReadOnly())
    allowed, filled = list[str](), list[str]()
    for view, (table, names) in VIEWS.items():
        files = [(j, path) for name in names for j, path in snapshot.tables(name).items()]
        if view in ("warmup", "heldout"):
            files = [(0, snapshot.path(name)) for name in names if name in snapshot.files]
        sources = [(j, f"readonly://{path.resolve()}" if guarded else str(path.resolve()))
                   for j, path in files]  # fmt: skip
        allowed += [source for _, source in sources]
        alike = next((name for name in filled if VIEWS[name][0] == table), None)
        if sources:
            filled.append(view)
        elif alike:  # avoids `empty`, which imports `tables` and is slow
            connection.execute(f"CREATE VIEW {view} AS SELECT * FROM {alike} WHERE false")
            continue
        try:
            connection.execute(f"CREATE VIEW {view} AS {_union(connection, view, table, sources)}")
        except duckdb.Error as error:
            raise TableError(f"{_spoilt(files)}: cannot be read: {_plain(error)}") from None
    for view, (table, pattern) in LOOSE.items():
        matches = ((pattern.fullmatch(name), path) for name, path in sorted(snapshot.files.items()))
        found = {path: match for match, path in matches if match}
        kept = {f"readonly://{path.resolve()}" if guarded else str(path.resolve()): match
                for path, match in found.items()}  # fmt: skip
        allowed += kept
        try:
            if kept or guarded:  # only users' queries and `trace` read them, and `empty` is slow
                query = _loose(table, pattern.groupindex, kept)
                connection.execute(f"CREATE VIEW {view} AS {query}")
        except duckdb.Error as error:
            files = [(0, path) for path in found]
            raise TableError(f"{_spoilt(files)}: cannot be read: {_plain(error)}") from None
    connection.execute(f"CREATE VIEW metrics AS {_metrics(snapshot)}")
    if guarded:
        connection.execute("SET allowed_paths = $1", [allowed])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    return connection


def close(connection: duckdb.DuckDBPyConnection) -> None:
    """Close a guarded connection."""
    connection.unregister_filesystem("readonly")
    connection.close()


def rows(connection: duckdb.DuckDBPyConnection, sql: str, *values: Any) -> list[dict[str, Any]]:
    """Run a trusted query and return its rows as dicts by column name."""
    result = connection.execute(sql, list(values))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def query(
    connection: duckdb.DuckDBPyConnection, sql: str, limit: int | None = None
) -> pl.DataFrame:
    """Run one read-only statement and return its rows, at most `limit` of them.

    Raises:
        ConfigError: if it is not a single read-only statement, DuckDB rejects it, or polars cannot
            represent a type of its result.
        KeyboardInterrupt: if the user interrupts it. The connection remains usable.
    """
    import polars as pl

    def run() -> pl.DataFrame:
        relation = connection.sql(statements[0])
        return (relation if limit is None else relation.limit(limit)).pl()

    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise ConfigError(
                "sql: only one read-only statement is allowed: SELECT, FROM, WITH, DESCRIBE, "
                "SUMMARIZE or SHOW"
            )
        with ThreadPoolExecutor(1) as pool:  # DuckDB does not react to Ctrl-C
            answer = pool.submit(run)
            try:
                return answer.result()
            except KeyboardInterrupt:
                connection.interrupt()
                raise
    except duckdb.Error as error:
        raise ConfigError(f"sql: {_plain(error)}") from None
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"sql: the result cannot be shown; cast it: {error}") from None


def _union(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    table: str,
    sources: Sequence[tuple[int, str]],
) -> str:
    numbered = view == "lineage"
    if not sources:
        return empty(table, iteration="BIGINT", **({"number": "BIGINT"} if numbered else {}))
    parts = []
    for iteration, path in sources:
        rows = renamed(connection, table, path)
        if numbered:  # lineage already has the column iteration
            parts.append(f"SELECT * RENAME (file_row_number AS number) FROM ({rows})")
        else:
            columns = f"{iteration}::BIGINT AS iteration, * EXCLUDE (file_row_number)"
            parts.append(f"SELECT {columns} FROM ({rows})")
    return " UNION ALL BY NAME ".join(parts)


def renamed(connection: duckdb.DuckDBPyConnection, table: str, path: str) -> str:
    """Return a query for a table's rows under the names of today, and their `file_row_number`."""
    source = f"read_parquet({_quoted(path)}, file_row_number = true)"
    if table == "Lineage":
        today = " ".join(f"WHEN '{old}' THEN '{new}'" for old, new in RENAMED_EVENTS.items())
        return f"SELECT * REPLACE (CASE event {today} ELSE event END AS event) FROM {source}"
    if table not in ("Probe", "Verdicts"):
        return f"SELECT * FROM {source}"
    described = connection.execute(f"SELECT * FROM {source} LIMIT 0").description or ()
    columns = {column[0] for column in described}
    if table == "Verdicts" and "proposed" not in columns:
        return "SELECT *, NULL::VARCHAR AS new_label, NULL::VARCHAR AS proposed FROM " + source
    if table == "Probe":
        if "failure_type" in columns:
            source = f"(SELECT * RENAME (failure_type AS error_type) FROM {source})"
        if "text" not in columns:
            return f"SELECT *, {_SAID} AS text, '' AS thinking FROM {source}"
    return f"SELECT * FROM {source}"


def _loose(table: str, columns: Iterable[str], sources: Mapping[str, re.Match[str]]) -> str:
    """Return the query of a view of LOOSE, with the columns that its pattern names."""
    names = {source: match.groupdict() for source, match in sources.items()}
    parts = [
        "SELECT "
        + "".join(f"{_quoted(value)} AS {column}, " for column, value in named.items())
        + f"* FROM read_parquet({_quoted(source)})"
        for source, named in names.items()
    ]
    return " UNION ALL BY NAME ".join(parts) or empty(table, **dict.fromkeys(columns, "VARCHAR"))


def empty(table: str, **more: str) -> str:
    """Return a query with the columns of a model in `tables` and of `more`, and no rows."""
    from looptool.core import tables

    names = {"String": "VARCHAR", "Int64": "BIGINT", "Float64": "DOUBLE", "Boolean": "BOOLEAN"}
    schema = tables.polars_schema(getattr(tables, table))
    columns = {name: names[str(kind)] for name, kind in schema.items()} | more
    typed = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
    return f"SELECT {typed} WHERE false"


def _metrics(snapshot: Snapshot) -> str:
    rows = [
        f"({iteration}, {_quoted(stage)}, {_quoted(name)}, '{value!r}'::DOUBLE)"
        for iteration, stage, name, value in _measured(snapshot)
    ]
    values = ", ".join(rows) or "(NULL::BIGINT, NULL::VARCHAR, NULL::VARCHAR, NULL::DOUBLE)"
    where = "" if rows else " WHERE false"
    return f"SELECT * FROM (VALUES {values}) m (iteration, stage, name, value){where}"


def _measured(snapshot: Snapshot) -> Iterator[tuple[int, str, str, float]]:
    for name in sorted(snapshot.files):
        parts = name.split("/")
        if parts[:2] == ["metrics", "iterations"] and len(parts) == 4 and name.endswith(".json"):
            for key, value in _numbers(read_json(snapshot, name)):
                name_today = RENAMED_METRICS.get(key, key)
                yield int(parts[2]), parts[3].removesuffix(".json"), name_today, value
        elif name == "metrics/labels.json":
            for iteration, content in read_labels(snapshot).items():
                for key, value in _numbers(content):
                    yield int(iteration), "labels", key, value


def read_labels(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Return metrics/labels.json, the label metrics of each D_j by `summarize`, or {} if missing.

    Raises:
        LooptoolError: if it is not a JSON object of objects.
    """
    name = "metrics/labels.json"
    content = read_json(snapshot, name) if name in snapshot.files else {}
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise LooptoolError(f"{name}: not a JSON object of objects; run `dvc repro summarize`")
    return content


def read_json(snapshot: Snapshot, name: str) -> Any:
    """Return the content of a JSON file of the snapshot.

    Raises:
        LooptoolError: if it is missing or not valid JSON.
    """
    try:
        return json.loads(snapshot.path(name).read_text("utf-8"))
    except ValueError as error:
        raise LooptoolError(f"{name}: not valid JSON: {error}") from None


def _numbers(content: Any, before: str = "") -> Iterator[tuple[str, float]]:
    """Yield (dotted name, number) for the numbers in a JSON object. Lists are skipped."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, dict):
            yield from _numbers(value, f"{before}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{key}", float(value)


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _spoilt(files: Sequence[tuple[int, Path]]) -> str:
    """Return the first file that is not Parquet, or all files if none is found."""
    import polars as pl

    for _, path in files:
        try:
            pl.read_parquet_schema(path)
        except (pl.exceptions.PolarsError, OSError):
            return str(path)
    return ", ".join(str(path) for _, path in files)


def _plain(error: duckdb.Error) -> str:
    """Return DuckDB's message on one line, including its suggestion."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("LINE ", "^")))
