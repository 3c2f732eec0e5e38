"""Check that tables and event log are consistent: `looptool verify-lineage`.

Every row of every D_j must lead back to a seed, every relabelled row to a verdict. Ids must be the
hashes of their content, and files must have the hashes that DVC recorded. A table edited by hand, a
lost event, or a label changed without an event violates one of these rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import duckdb

from looptool.core import canonical, tables
from looptool.core.errors import LooptoolError, TableError
from looptool.core.samples import dataset_id, prediction_label, sample_id_of_json
from looptool.core.samples import label_id as label_id_of
from looptool.lineage.questions import BIRTHS, OUTCOMES
from looptool.lineage.revisions import Snapshot
from looptool.lineage.views import OLDER_COLUMNS, empty, read_json, renamed

FIRST = 20  # maximum problems to report of one kind in one file
_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Problem:
    """An inconsistency.

    Attributes:
        file: the table, as a path in the project.
        row: the row, counted from 0; None for the whole file.
        sample_id: the sample in that row, or None.
        what: the problem, as text.
    """

    file: str
    row: int | None
    sample_id: str | None
    what: str

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        sample = f" (sample {self.sample_id})" if self.sample_id else ""
        return f"{self.file}{row}{sample}: {self.what}"


def verify_lineage(snapshot: Snapshot) -> Iterator[Problem]:
    """Yield the problems, file by file, at most FIRST of one kind in one file.

    The event log has no categories, so a changed category is only detected by the file's hash.

    Raises:
        LooptoolError: if there is no data set yet.
    """
    if not snapshot.iterations:
        raise LooptoolError(f"{snapshot.where} has no data set yet; run `dvc repro` first")
    yield from _files(snapshot)
    connection = duckdb.connect()
    for name in ("data/warmup.parquet", "data/heldout.parquet"):
        if name in snapshot.files and (
            yield from _view(connection, snapshot, "d", "Samples", name)
        ):
            yield from _ids(connection, name, "d")
    connection.execute(f"CREATE TABLE before AS {empty('Samples')}")
    whole = True  # whether the previous iteration could be read
    for iteration in snapshot.iterations:
        opened = yield from _open(connection, snapshot, iteration)
        if opened:
            questions = [q for q in BIRTHS if whole or "before" not in q[1]]
            yield from _iteration(connection, snapshot, iteration, questions)
            connection.execute(
                "CREATE OR REPLACE TABLE before AS SELECT * EXCLUDE (tools, messages) FROM carried"
            )
        whole = opened


def _iteration(
    connection: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    iteration: int,
    births: Sequence[tuple[str, str]],
) -> Iterator[Problem]:
    folder = f"data/iterations/{iteration}"
    yield from _ids(connection, f"{folder}/train.parquet", "d")
    yield from _data_set(connection, snapshot, iteration)
    yield from _ask(connection, births, iteration)
    sizes = "SELECT " + " + ".join(
        f"(SELECT count(*) FROM {view})" for view in ("probe", "verdicts", "log", "carried")
    )
    if connection.execute(sizes).fetchall()[0][0]:  # all are empty if D_j was not probed
        yield from _ids(connection, f"{folder}/carried.parquet", "carried")
        yield from _ask(connection, OUTCOMES, iteration)
        yield from _predictions(connection, f"{folder}/verdicts.parquet")
        yield from _alternatives(connection, f"{folder}/carried.parquet")


def _files(snapshot: Snapshot) -> Iterator[Problem]:
    """Compare the hash of each file with the one that DVC recorded."""
    for name, path in sorted(snapshot.files.items()):
        recorded = snapshot.hashes.get(name)
        if recorded is None:
            continue
        if not path.exists():
            yield Problem(name, None, None, "is not in DVC's cache")
        elif (actual := _md5(path)) != recorded:
            what = f"has the md5 {actual}, but dvc.lock says {recorded}: it was changed since"
            yield Problem(name, None, None, what)
    for name in sorted(snapshot.hashes):
        if name.startswith("data/") and name.endswith(".parquet") and name not in snapshot.files:
            what = "is in dvc.lock, but missing; `dvc checkout` restores it"
            yield Problem(name, None, None, what)


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


# The tables of an iteration, by the names that the queries in `questions` use.
_TABLES = {
    "d": ("Samples", "train.parquet"),
    "made": ("Lineage", "lineage/generate.parquet"),
    "carried": ("Samples", "carried.parquet"),
    "probe": ("Probe", "probe.parquet"),
    "verdicts": ("Verdicts", "verdicts.parquet"),
    "log": ("Lineage", "lineage/expand.parquet"),
    "rejected": ("Rejected", "rejected/expand.parquet"),
}


def _open(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, iteration: int
) -> Generator[Problem, None, bool]:
    """Create views of the tables of an iteration. The last one has no handoff: empty views.

    Returns:
        Whether all tables could be read.
    """
    handed_on = iteration < max(snapshot.iterations)
    whole = True
    for view, (table, file) in _TABLES.items():
        name = f"data/iterations/{iteration}/{file}"
        if name in snapshot.files or handed_on or view in ("d", "made"):
            read = yield from _view(connection, snapshot, view, table, name)
            whole = whole and read
        else:
            connection.execute(f"CREATE OR REPLACE VIEW {view} AS {empty(table, row='BIGINT')}")
    if whole:
        connection.execute(
            "CREATE OR REPLACE VIEW expanded AS SELECT * FROM log WHERE event = 'expanded'; "
            "CREATE OR REPLACE VIEW outcome AS SELECT * FROM log WHERE event NOT IN "
            "('born', 'kept', 'expanded', 'capped')"
        )
    return whole


def _view(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, view: str, table: str, name: str
) -> Generator[Problem, None, bool]:
    """Create the view of one table. Yield why it cannot be read; return whether it can."""
    if name not in snapshot.files:
        yield Problem(name, None, None, "is missing; `dvc checkout` restores it")
        return False
    path = snapshot.files[name]
    try:
        tables.check_columns(path, getattr(tables, table), OLDER_COLUMNS)
    except TableError as error:
        yield Problem(name, None, None, str(error).removeprefix(f"{path}: "))
        return False
    rows = renamed(connection, table, str(path.resolve()))
    connection.execute(
        f"CREATE OR REPLACE VIEW {view} AS SELECT * RENAME (file_row_number AS row) FROM ({rows})"
    )
    return True


def _ids(connection: duckdb.DuckDBPyConnection, file: str, view: str) -> Iterator[Problem]:
    """Compare ids with the hashes of their content."""
    rows = connection.cursor().execute(
        f"SELECT row, sample_id, tools, messages, label_id, label, alternatives FROM {view} "
        "ORDER BY row"
    )

    def wrong() -> Iterator[Problem]:
        while batch := rows.fetchmany(_BATCH):
            for row, sample_id, sample_tools, messages, label_id, label, alternatives in batch:
                if None in (sample_id, sample_tools, messages, label_id, label, alternatives):
                    yield Problem(file, row, sample_id, "a column has no value")
                    continue
                if sample_id_of_json(sample_tools, messages) != sample_id:
                    yield Problem(file, row, sample_id, "the id is not the hash of its tools and "
                                  "messages: they were changed")  # fmt: skip
                if canonical.digest(label) != label_id:
                    what = f"label_id {label_id} is not the hash of its label: it was changed"
                    yield Problem(file, row, sample_id, what)
                if alternatives != "[]" and _label_ids(alternatives) is None:
                    what = "its alternatives are not a list of labels"
                    yield Problem(file, row, sample_id, what)

    yield from islice(wrong(), FIRST)


def _data_set(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, iteration: int
) -> Iterator[Problem]:
    """Compare the dataset_id with the ones that generate and expand recorded."""
    import polars as pl

    folder = f"data/iterations/{iteration}"
    columns = ["sample_id", "label_id", "alternatives"]
    try:
        actual = dataset_id(
            pl.read_parquet(snapshot.files[f"{folder}/train.parquet"], columns=columns)
        )
    except (ValueError, TypeError):
        return  # `_ids` reports it
    metrics = f"metrics/iterations/{iteration}/generate.json"
    if metrics in snapshot.files:
        content = read_json(snapshot, metrics)
        recorded = content.get("dataset_id") if isinstance(content, dict) else None
        if actual != recorded:
            what = f"its dataset_id is {actual}, but generate recorded {recorded}"
            yield Problem(f"{folder}/train.parquet", None, None, what)
    others = connection.execute(
        "SELECT row, sample_id, inputs FROM log WHERE inputs IS NOT NULL AND inputs <> $1 "
        f"ORDER BY row LIMIT {FIRST}",
        [actual],
    ).fetchall()
    for row, sample_id, inputs in others:
        what = f"was made from the data set {inputs}, but D_{iteration} is {actual}"
        yield Problem(f"{folder}/lineage/expand.parquet", row, sample_id, what)


def _predictions(connection: duckdb.DuckDBPyConnection, file: str) -> Iterator[Problem]:
    """Check that the new label of a verdict is what a person wrote, or the model's answer."""
    rows = connection.execute(
        "SELECT v.row, sample_id, new_label_id, new_label, text, calls, parse_error "
        "FROM verdicts v JOIN probe USING (sample_id) WHERE new_label_id IS NOT NULL ORDER BY v.row"
    ).fetchall()

    def wrong() -> Iterator[Problem]:
        for row, sample_id, new, written, *answer in rows:
            try:
                label = canonical.loads(written) if written else prediction_label(*answer)
            except ValueError:
                label = None
            if label is None or label_id_of(label) != new:
                whose = "its new_label" if written else "the model's answer in probe.parquet"
                yield Problem(file, row, sample_id, f"gives the label {new}, which is not {whose}")

    yield from islice(wrong(), FIRST)


def _alternatives(connection: duckdb.DuckDBPyConnection, file: str) -> Iterator[Problem]:
    """Check that a sample accepts the alternative that its event added."""
    rows = connection.execute(
        "SELECT carried.row, carried.sample_id, alternatives, new_label_id FROM carried "
        "JOIN log USING (sample_id) WHERE event = 'alternative' ORDER BY carried.row"
    ).fetchall()
    problems = (
        Problem(
            file,
            row,
            sample_id,
            f"does not accept {label_id}, the alternative that its event added",
        )
        for row, sample_id, alternatives, label_id in rows
        if label_id not in (_label_ids(alternatives) or ())
    )
    yield from islice(problems, FIRST)


def _label_ids(alternatives: str | None) -> list[str] | None:
    """Return the label_ids of a JSON list of labels, or None if it is not one."""
    try:
        return [label_id_of(label) for label in canonical.loads(alternatives or "")]
    except (ValueError, TypeError):
        return None


def _ask(
    connection: duckdb.DuckDBPyConnection, questions: Sequence[tuple[str, str]], iteration: int
) -> Iterator[Problem]:
    for table, sql in questions:
        query = sql.replace("{j}", str(iteration))
        problems: Sequence[tuple[int, str, str]] = connection.execute(
            f"SELECT * FROM ({query}) ORDER BY 1 LIMIT {FIRST}"
        ).fetchall()
        for row, sample_id, what in problems:
            yield Problem(f"data/iterations/{iteration}/{table}.parquet", row, sample_id, what)
