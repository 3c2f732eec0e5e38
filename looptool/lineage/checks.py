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
from looptool.errors import LooptoolError, TableError
from looptool.lineage.revisions import Snapshot
from looptool.lineage.views import empty, read_json
from looptool.samples import dataset_id, prediction_label, sample_id_of_json
from looptool.samples import label_id as label_id_of

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
    """Yield what does not add up, file by file, at most FIRST of a kind; nothing if all does.

    The event log does not hold categories: a changed one shows by the file's bytes alone.

    Raises:
        LooptoolError: if there is no data set yet.
    """
    if not snapshot.iterations:
        raise LooptoolError(f"{snapshot.where} has no data set yet; `dvc repro` makes them")
    yield from _files(snapshot)
    connection = duckdb.connect()
    for name in ("data/warmup.parquet", "data/heldout.parquet"):
        if name in snapshot.files and (
            yield from _view(connection, snapshot, "d", "Samples", name)
        ):
            yield from _ids(connection, name, "d")
    connection.execute(f"CREATE TABLE before AS {empty('Samples')}")
    whole = True  # whether the iteration before could be read
    for iteration in snapshot.iterations:
        opened = yield from _open(connection, snapshot, iteration)
        if opened:
            questions = [q for q in _BIRTHS if whole or "before" not in q[1]]
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
    if connection.execute(sizes).fetchall()[0][0]:  # nothing at all where nothing was probed
        yield from _ids(connection, f"{folder}/carried.parquet", "carried")
        yield from _ask(connection, _OUTCOMES, iteration)
        yield from _predictions(connection, f"{folder}/verdicts.parquet")
        yield from _widened(connection, f"{folder}/carried.parquet")


def _files(snapshot: Snapshot) -> Iterator[Problem]:
    """Compare each file's bytes with what DVC recorded of them."""
    for name, path in sorted(snapshot.files.items()):
        recorded = snapshot.hashes.get(name)
        if recorded is None:
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
    """Make views of an iteration's tables, empty ones for those that the last one does not have.

    Returns:
        whether all could be read.
    """
    handed_on = iteration < max(snapshot.iterations)
    whole = True
    for view, (table, own) in _TABLES.items():
        name = f"data/iterations/{iteration}/{own}"
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
    """Make the view of one table; yields why it cannot be read, and returns whether it can."""
    if name not in snapshot.files:
        yield Problem(name, None, None, "is missing; `dvc checkout` restores it")
        return False
    path = snapshot.files[name]
    try:
        tables.check_columns(path, getattr(tables, table))
    except TableError as error:
        yield Problem(name, None, None, str(error).removeprefix(f"{path}: "))
        return False
    source = str(path.resolve()).replace("'", "''")
    connection.execute(
        f"CREATE OR REPLACE VIEW {view} AS SELECT * EXCLUDE (file_row_number), "
        f"file_row_number AS row FROM read_parquet('{source}', file_row_number = true)"
    )
    return True


def _ids(connection: duckdb.DuckDBPyConnection, file: str, view: str) -> Iterator[Problem]:
    """Compare ids with the hashes of what they name."""
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
                    yield Problem(file, row, sample_id, "its alternatives are no list of labels")

    yield from islice(wrong(), FIRST)


def _data_set(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, iteration: int
) -> Iterator[Problem]:
    """Compare dataset_id with what generate and expand recorded of it."""
    import polars as pl

    folder = f"data/iterations/{iteration}"
    columns = ["sample_id", "label_id", "alternatives"]
    try:
        found = dataset_id(
            pl.read_parquet(snapshot.files[f"{folder}/train.parquet"], columns=columns)
        )
    except (ValueError, TypeError):
        return  # told by `_ids`
    metrics = f"metrics/iterations/{iteration}/generate.json"
    if metrics in snapshot.files:
        content = read_json(snapshot, metrics)
        recorded = content.get("dataset_id") if isinstance(content, dict) else None
        if found != recorded:
            what = f"its dataset_id is {found}, but generate recorded {recorded}"
            yield Problem(f"{folder}/train.parquet", None, None, what)
    others = connection.execute(
        "SELECT row, sample_id, inputs FROM log WHERE inputs IS NOT NULL AND inputs <> $1 "
        f"ORDER BY row LIMIT {FIRST}",
        [found],
    ).fetchall()
    for row, sample_id, inputs in others:
        what = f"was made from the data set {inputs}, but D_{iteration} is {found}"
        yield Problem(f"{folder}/lineage/expand.parquet", row, sample_id, what)


def _predictions(connection: duckdb.DuckDBPyConnection, file: str) -> Iterator[Problem]:
    """Check that a label that a verdict gave is what the model had answered."""
    rows = connection.execute(
        "SELECT v.row, sample_id, new_label_id, prediction, calls, parse_error "
        "FROM verdicts v JOIN probe USING (sample_id) WHERE new_label_id IS NOT NULL ORDER BY v.row"
    ).fetchall()

    def wrong() -> Iterator[Problem]:
        for row, sample_id, new, *answer in rows:
            try:
                label = prediction_label(*answer)
            except ValueError:
                label = None
            if label is None or label_id_of(label) != new:
                yield Problem(file, row, sample_id, f"gives the label {new}, which is not what "
                              "probe.parquet says that the model answered")  # fmt: skip

    yield from islice(wrong(), FIRST)


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
    ("lineage/generate", """
        SELECT made.row, sample_id, event || ' by ' || stage || ' in iteration ' || iteration ||
            ', in the log of generate@{j}'
        FROM made WHERE stage <> 'generate' OR iteration <> {j} OR event NOT IN ('born', 'kept')
    """),
    ("lineage/generate", """
        SELECT made.row, sample_id, 'was born of another random seed than the rest, ' ||
            coalesce(seed::VARCHAR, 'none')
        FROM made WHERE event = 'born' AND seed IS DISTINCT FROM
            (SELECT mode(seed) FROM made WHERE event = 'born')
    """),
    ("lineage/generate", """
        SELECT made.row, sample_id, 'has the parent ' || coalesce(made.parent_id, 'none') ||
            ', but D_{j} says ' || coalesce(d.parent_id, 'none')
        FROM made JOIN d USING (sample_id) WHERE made.parent_id IS DISTINCT FROM d.parent_id
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
    ("lineage/expand", """
        SELECT log.row, sample_id, event || ' by ' || stage || ' in iteration ' || iteration ||
            ', in the log of expand@{j}'
        FROM log WHERE stage <> 'expand' OR iteration <> {j} OR event IN ('born', 'kept')
    """),
    ("lineage/expand", """
        SELECT log.row, sample_id, event || ' by another model or random seed than the rest'
        FROM log WHERE (model, seed) IS DISTINCT FROM (SELECT (mode(model), mode(seed)) FROM log)
    """),
    ("lineage/expand", """
        SELECT max(row), sample_id, event || ' ' || count(*) || ' times'
        FROM log GROUP BY sample_id, event HAVING count(*) > 1
    """),
    ("lineage/expand", """
        SELECT log.row, sample_id, 'capped, but carried over'
        FROM log JOIN carried USING (sample_id) WHERE event = 'capped'
    """),
    ("verdicts", """
        SELECT verdicts.row, sample_id, 'judges a sample that D_{j} does not have'
        FROM verdicts ANTI JOIN d USING (sample_id)
    """),
    ("verdicts", """
        SELECT verdicts.row, sample_id, 'judges a sample whose prediction matched'
        FROM verdicts JOIN probe USING (sample_id) WHERE matched
    """),
    ("verdicts", """
        SELECT verdicts.row, sample_id, 'is by ' || verdicts.judge || ', but its event says ' ||
            coalesce(outcome.judge, 'none')
        FROM verdicts JOIN outcome USING (sample_id)
        WHERE verdicts.judge IS DISTINCT FROM outcome.judge
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
            OR (event = 'failed' AND coalesce(verdict, 'PRED_WRONG') <> 'PRED_WRONG')
            OR (event = 'failed' AND verdict IS NULL AND (SELECT count(*) > 0 FROM verdicts))
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
        SELECT carried.row, sample_id, 'has the label ' || label_id || ', but was expanded with ' ||
            coalesce(new_label_id, 'none')
        FROM carried JOIN expanded USING (sample_id) WHERE label_id IS DISTINCT FROM new_label_id
    """),
    ("carried", """
        SELECT carried.row, sample_id, 'has the origin ' || origin || ', but was ' || event
        FROM carried JOIN log USING (sample_id) WHERE origin <> CASE event
            WHEN 'failed' THEN 'error_seed' WHEN 'corrected' THEN 'corrected'
            WHEN 'widened' THEN 'alternative' WHEN 'hard' THEN 'high_ppl'
            WHEN 'expanded' THEN 'expanded' ELSE origin END
    """),
    ("carried", """
        SELECT c.row, sample_id, 'differs from D_{j} in its parent or the iteration of its birth'
        FROM carried c JOIN d USING (sample_id) WHERE c.parent_id IS DISTINCT FROM d.parent_id
            OR c.born_iteration <> d.born_iteration
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
        if label_id not in (_label_ids(alternatives) or ())
    )
    yield from islice(found, FIRST)


def _label_ids(alternatives: str | None) -> list[str] | None:
    """Return the ids of the labels in a list, or None if it is no list of them."""
    try:
        return [label_id_of(label) for label in canonical.loads(alternatives or "")]
    except (ValueError, TypeError):
        return None


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
