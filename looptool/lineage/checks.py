"""Whether tables and event log add up: `looptool verify-lineage`.

From every row of every D_j the walk back ends at a seed, from every relabelled row it ends at a
verdict, ids are the hashes of what they name, files are those that DVC recorded. A table that was
edited by hand, a lost event or a label changed without one breaks one of these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import duckdb

from looptool import canonical, tables
from looptool.errors import TableError
from looptool.lineage.revisions import Snapshot
from looptool.lineage.views import read_json
from looptool.samples import dataset_id, sample_id_of_json

FIRST = 20  # problems of one kind in one file that are told
_BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not add up.

    Attributes:
        file: the table, by its path in the project.
        row: its row, from 0; None where the whole file is meant.
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
    """Yield what does not add up, file by file, at most FIRST of a kind; nothing if all does."""
    yield from _files(snapshot)
    connection = duckdb.connect()
    for iteration in snapshot.iterations:
        folder = f"data/iterations/{iteration}"
        if not (yield from _open(connection, snapshot, iteration)):
            continue
        yield from _ids(connection, f"{folder}/train.parquet", "d")
        yield from _data_set(snapshot, iteration)
        yield from _ask(connection, _BIRTHS, iteration)
        if connection.execute("SELECT count(*) FROM probe").fetchall()[0][0]:
            yield from _ids(connection, f"{folder}/carried.parquet", "carried")
            yield from _ask(connection, _OUTCOMES, iteration)
            yield from _widened(connection, f"{folder}/carried.parquet")
        connection.execute(
            "CREATE OR REPLACE TABLE before AS SELECT * EXCLUDE (tools, messages) FROM carried"
        )


def _files(snapshot: Snapshot) -> Iterator[Problem]:
    """Compare each table's bytes with what DVC recorded of them."""
    for name, path in sorted(snapshot.files.items()):
        recorded = snapshot.hashes.get(name)
        if recorded is None or not name.startswith("data/"):
            continue
        if not path.exists():
            yield Problem(name, None, None, "is not in DVC's cache")
        elif (found := _md5(path)) != recorded:
            what = f"has the md5 {found}, but dvc.lock says {recorded}: it was changed since"
            yield Problem(name, None, None, what)
    for name in sorted(snapshot.hashes):
        if name.startswith("data/") and name.endswith(".parquet") and name not in snapshot.files:
            yield Problem(name, None, None, "is in dvc.lock, but missing; `dvc checkout` restores")


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


# The tables of an iteration by the names that the questions below give them.
_TABLES: dict[str, tuple[type[tables.Table], str]] = {
    "d": (tables.Samples, "train.parquet"),
    "made": (tables.Lineage, "lineage/generate.parquet"),
    "carried": (tables.Samples, "carried.parquet"),
    "probe": (tables.Probe, "probe.parquet"),
    "verdicts": (tables.Verdicts, "verdicts.parquet"),
    "log": (tables.Lineage, "lineage/expand.parquet"),
    "rejected": (tables.Rejected, "rejected/expand.parquet"),
}


def _open(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, iteration: int
) -> Generator[Problem, None, bool]:
    """Make views of an iteration's tables, empty ones for those that it does not have.

    Returns:
        whether all could be opened.
    """
    last = iteration == max(snapshot.iterations)
    opened = True
    if iteration == 1:
        connection.execute(
            "CREATE OR REPLACE TABLE before (sample_id VARCHAR, label_id VARCHAR, alternatives "
            "VARCHAR, origin VARCHAR, parent_id VARCHAR, label_source VARCHAR, "
            "label_iteration BIGINT)"
        )
    for view, (table, own) in _TABLES.items():
        name = f"data/iterations/{iteration}/{own}"
        if name not in snapshot.files:
            if view in ("d", "made") or not last:
                yield Problem(
                    name, None, None, "is missing; `dvc repro` or `dvc checkout` makes it"
                )
                opened = opened and view not in ("d", "made")
            columns = ", ".join(f'NULL::VARCHAR AS "{c}"' for c in tables.polars_schema(table))
            connection.execute(
                f"CREATE OR REPLACE VIEW {view} AS SELECT {columns}, 0 AS row WHERE false"
            )
            continue
        try:
            tables.check_columns(snapshot.path(name), table)
        except TableError as error:
            yield Problem(name, None, None, str(error).removeprefix(f"{snapshot.files[name]}: "))
            opened = False
            continue
        source = str(snapshot.path(name).resolve()).replace("'", "''")
        connection.execute(
            f"CREATE OR REPLACE VIEW {view} AS SELECT * EXCLUDE (file_row_number), "
            f"file_row_number AS row FROM read_parquet('{source}', file_row_number = true)"
        )
    connection.execute(
        "CREATE OR REPLACE VIEW expanded AS SELECT * FROM log WHERE event = 'expanded'"
    )
    connection.execute(
        "CREATE OR REPLACE VIEW outcome AS SELECT * FROM log WHERE event NOT IN "
        "('born', 'kept', 'expanded', 'capped')"
    )
    return opened


def _ids(connection: duckdb.DuckDBPyConnection, file: str, view: str) -> Iterator[Problem]:
    """Compare ids with the hashes of what they name."""
    rows = connection.cursor().execute(
        f"SELECT row, sample_id, tools, messages, label_id, label FROM {view} ORDER BY row"
    )

    def wrong() -> Iterator[Problem]:
        while batch := rows.fetchmany(_BATCH):
            for row, sample_id, sample_tools, messages, label_id, label in batch:
                if sample_id_of_json(sample_tools, messages) != sample_id:
                    yield Problem(file, row, sample_id, "the id is not the hash of its tools and "
                                  "messages: they were changed")  # fmt: skip
                if canonical.digest(label) != label_id:
                    what = f"label_id {label_id} is not the hash of its label: it was changed"
                    yield Problem(file, row, sample_id, what)

    yield from islice(wrong(), FIRST)


def _data_set(snapshot: Snapshot, iteration: int) -> Iterator[Problem]:
    name, metrics = (
        f"data/iterations/{iteration}/train.parquet",
        f"metrics/iterations/{iteration}/generate.json",
    )
    if metrics not in snapshot.files:
        return
    import polars as pl

    columns = ["sample_id", "label_id", "alternatives"]
    found = dataset_id(pl.read_parquet(snapshot.path(name), columns=columns))
    recorded = read_json(snapshot, metrics).get("dataset_id")
    if found != recorded:
        what = f"its dataset_id is {found}, but generate recorded {recorded}"
        yield Problem(name, None, None, what)


# How D_j came about: (table, question); an answer is (row, sample_id, what does not add up).
_BIRTHS = [
    ("train", """
        SELECT d.row, sample_id, 'has no event born or kept in lineage/generate.parquet'
        FROM d ANTI JOIN made USING (sample_id)
    """),
    ("lineage/generate", """
        SELECT made.row, sample_id, event || ', but D_{j} has no such sample'
        FROM made ANTI JOIN d USING (sample_id)
    """),
    ("lineage/generate", """
        SELECT max(row), sample_id, 'entered D_{j} ' || count(*) || ' times'
        FROM made GROUP BY sample_id HAVING count(*) > 1
    """),
    ("train", """
        SELECT d.row, sample_id, 'has the label ' || label_id || ', but the event ' || event ||
            ' says ' || coalesce(new_label_id, 'none') || ': changed without an event'
        FROM d JOIN made USING (sample_id) WHERE label_id IS DISTINCT FROM new_label_id
    """),
    ("train", """
        SELECT d.row, sample_id, 'was born as a seed, but has the origin ' || origin ||
            ' and the parent ' || coalesce(d.parent_id, 'none')
        FROM d JOIN made USING (sample_id)
        WHERE event = 'born' AND (origin <> 'seed' OR d.parent_id IS NOT NULL)
    """),
    ("train", """
        SELECT d.row, sample_id, 'was kept, but the iteration before carried no such sample'
        FROM d JOIN made USING (sample_id) ANTI JOIN before USING (sample_id)
        WHERE event = 'kept'
    """),
    ("train", """
        SELECT d.row, sample_id, 'differs from what was carried over in its ' || CASE
            WHEN d.label_id <> before.label_id THEN 'label'
            WHEN d.alternatives <> before.alternatives THEN 'alternatives'
            WHEN d.origin <> before.origin THEN 'origin'
            WHEN d.parent_id IS DISTINCT FROM before.parent_id THEN 'parent'
            ELSE 'source or iteration of its label' END
        FROM d JOIN before USING (sample_id)
        WHERE d.label_id <> before.label_id OR d.alternatives <> before.alternatives
            OR d.origin <> before.origin OR d.parent_id IS DISTINCT FROM before.parent_id
            OR d.label_source <> before.label_source
            OR d.label_iteration <> before.label_iteration
    """),
]  # fmt: skip

# What became of D_j, from the probe to what is carried over. `outcome` is the log's one event for
# each row of D_j, `expanded` its events for new samples.
_OUTCOMES = [
    ("probe", """
        SELECT probe.row, sample_id, 'was probed, but is not in D_{j}'
        FROM probe ANTI JOIN d USING (sample_id)
    """),
    ("train", """
        SELECT d.row, sample_id, 'was not probed' FROM d ANTI JOIN probe USING (sample_id)
    """),
    ("train", """
        SELECT any_value(d.row), sample_id,
            'has ' || count(event) || ' outcomes in lineage/expand.parquet, not one'
        FROM d LEFT JOIN outcome USING (sample_id) GROUP BY sample_id HAVING count(event) <> 1
    """),
    ("lineage/expand", """
        SELECT outcome.row, sample_id, event || ', but D_{j} has no such sample'
        FROM outcome ANTI JOIN d USING (sample_id)
    """),
    ("lineage/expand", """
        SELECT outcome.row, sample_id, event || ', but the probe ' ||
            CASE WHEN matched THEN 'matched' ELSE 'did not match' END
        FROM outcome JOIN probe USING (sample_id)
        WHERE (event IN ('mastered', 'hard')) <> matched
    """),
    ("verdicts", """
        SELECT verdicts.row, sample_id,
            'judges the label ' || old_label_id || ', but D_{j} has ' || label_id
        FROM verdicts JOIN d USING (sample_id) WHERE old_label_id <> label_id
    """),
    ("lineage/expand", """
        SELECT outcome.row, sample_id,
            event || ', but its verdict is ' || coalesce(verdict, 'missing')
        FROM outcome LEFT JOIN verdicts USING (sample_id)
        WHERE (event = 'corrected' AND verdict IS DISTINCT FROM 'LABEL_WRONG')
            OR (event = 'widened' AND verdict IS DISTINCT FROM 'BOTH_CORRECT')
            OR (event = 'dropped' AND verdict IS DISTINCT FROM 'BOTH_WRONG')
            OR (event = 'failed' AND verdict <> 'PRED_WRONG')
    """),
    ("lineage/expand", """
        SELECT o.row, sample_id, 'corrected from ' || coalesce(o.old_label_id, 'none') ||
            ' to ' || coalesce(o.new_label_id, 'none') || ', but the verdict says ' ||
            v.old_label_id || ' to ' || coalesce(v.new_label_id, 'none')
        FROM outcome o JOIN verdicts v USING (sample_id)
        WHERE event = 'corrected' AND (o.old_label_id IS DISTINCT FROM v.old_label_id
            OR o.new_label_id IS DISTINCT FROM v.new_label_id)
    """),
    ("carried", """
        SELECT carried.row, sample_id, 'is carried over, but neither of D_{j} nor expanded'
        FROM carried ANTI JOIN d USING (sample_id) ANTI JOIN expanded USING (sample_id)
    """),
    ("carried", """
        SELECT c.row, sample_id, 'is carried over with the label ' || c.label_id ||
            ', but its event says ' ||
            CASE event WHEN 'corrected' THEN coalesce(new_label_id, 'none') ELSE d.label_id END
        FROM carried c JOIN d USING (sample_id) LEFT JOIN outcome USING (sample_id)
        WHERE c.label_id IS DISTINCT FROM
            CASE event WHEN 'corrected' THEN new_label_id ELSE d.label_id END
    """),
    ("carried", """
        SELECT c.row, sample_id, 'says that its label is by ' || c.label_source ||
            ' in iteration ' || c.label_iteration || ', but its event is ' || event
        FROM carried c JOIN d USING (sample_id) JOIN outcome USING (sample_id)
        WHERE c.label_source IS DISTINCT FROM
                CASE event WHEN 'corrected' THEN 'judge:' || judge ELSE d.label_source END
            OR c.label_iteration <>
                CASE event WHEN 'corrected' THEN {j} ELSE d.label_iteration END
    """),
    ("carried", """
        SELECT carried.row, sample_id, 'is carried over, but was ' || event
        FROM carried JOIN outcome USING (sample_id) WHERE event IN ('mastered', 'dropped')
    """),
    ("carried", """
        SELECT c.row, sample_id, 'was expanded from ' || coalesce(e.parent_id, 'none') ||
            ', but its parent is ' || coalesce(c.parent_id, 'none')
        FROM carried c JOIN expanded e USING (sample_id)
        WHERE c.parent_id IS DISTINCT FROM e.parent_id
    """),
    ("lineage/expand", """
        SELECT expanded.row, sample_id, 'expanded from ' || coalesce(parent_id, 'none') ||
            ', which is no error seed of D_{j}'
        FROM expanded ANTI JOIN (
            SELECT sample_id AS parent_id FROM outcome WHERE event IN ('failed', 'corrected')
        ) parents USING (parent_id)
    """),
    ("lineage/expand", """
        SELECT expanded.row, sample_id, 'expanded, but neither carried over nor refused'
        FROM expanded ANTI JOIN carried USING (sample_id) ANTI JOIN rejected USING (sample_id)
    """),
    ("lineage/expand", """
        SELECT log.row, sample_id, event || ', but neither carried over nor capped'
        FROM log ANTI JOIN carried USING (sample_id)
        ANTI JOIN (SELECT sample_id FROM log WHERE event = 'capped') c USING (sample_id)
        WHERE event IN ('failed', 'corrected', 'widened', 'hard', 'expanded')
    """),
]  # fmt: skip


def _widened(connection: duckdb.DuckDBPyConnection, file: str) -> Iterator[Problem]:
    """Check that a widened sample accepts what its event says."""
    rows = connection.execute(
        "SELECT carried.row, carried.sample_id, alternatives, new_label_id FROM carried "
        "JOIN log USING (sample_id) WHERE event = 'widened' ORDER BY carried.row"
    ).fetchall()
    found = (
        Problem(file, row, sample_id, f"was widened by {label_id}, which it does not accept")
        for row, sample_id, alternatives, label_id in rows
        if label_id not in _label_ids(alternatives)
    )
    yield from islice(found, FIRST)


def _label_ids(alternatives: str) -> list[str]:
    return [canonical.digest(canonical.dumps(label)) for label in canonical.loads(alternatives)]


def _ask(
    connection: duckdb.DuckDBPyConnection, questions: Sequence[tuple[str, str]], iteration: int
) -> Iterator[Problem]:
    for table, sql in questions:
        question = sql.replace("{j}", str(iteration))
        found: Sequence[tuple[int, str, str]] = connection.execute(
            f"SELECT * FROM ({question}) ORDER BY 1 LIMIT {FIRST}"
        ).fetchall()
        for row, sample_id, what in found:
            yield Problem(f"data/iterations/{iteration}/{table}.parquet", row, sample_id, what)
