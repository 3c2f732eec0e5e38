"""Compare two versions of a data set sample by sample: `looptool diff`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from looptool.core import canonical
from looptool.core.errors import ConfigError, LooptoolError, TableError
from looptool.lineage.revisions import Snapshot, open_revision, open_workspace
from looptool.lineage.views import read_labels

CLASSES = ("added", "removed", "relabelled", "moved", "unchanged")
_REFERENCE = re.compile(r"(?:(?P<rev>.+):)?(?P<iteration>\d+)")


@dataclass(frozen=True, slots=True)
class DataSet:
    """A version of a data set.

    Attributes:
        name: the reference that the user gave.
        path: its Parquet file, which may be in DVC's cache.
        label_error: the share of wrong labels measured by `summarize`, or None.
    """

    name: str
    path: Path
    label_error: float | None


@dataclass(frozen=True, slots=True)
class Diff:
    """The result of `compare`.

    Attributes:
        counts: for each class in CLASSES, the number of rows by (category, origin) in the later
            version; for removed rows, in the earlier version.
        rows: examples of all classes except `unchanged`: change, sample_id, category, origins,
            labels, alternatives and the last user message.
    """

    before: DataSet
    after: DataSet
    counts: dict[str, dict[tuple[str, str], int]]
    rows: Sequence[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return totals and counts by category and by origin for each class."""
        result: dict[str, Any] = {
            "before": {"name": self.before.name, "label_error": self.before.label_error},
            "after": {"name": self.after.name, "label_error": self.after.label_error},
        }
        for name in CLASSES:
            cells = self.counts[name]
            by: dict[str, dict[str, int]] = {"category": {}, "origin": {}}
            for (category, origin), count in sorted(cells.items()):
                for key, value in (("category", category), ("origin", origin)):
                    by[key][value] = by[key].get(value, 0) + count
            result[name] = {"total": sum(cells.values()), "by": by}
        return result | ({"rows": list(self.rows)} if self.rows else {})


def open_data_set(reference: str, root: Path | str = ".") -> DataSet:
    """Return the data set named by a reference: `2`, `main:2`, `exp-name:2`, or a .parquet file.

    Raises:
        ConfigError: if the reference has none of these forms.
        LooptoolError: if there is no such revision, iteration or file.
    """
    if reference.endswith(".parquet"):
        from looptool.core import tables

        if set(reference) & set("*?["):
            raise ConfigError(f"{reference}: must name a single file; *, ? and [ are not allowed")
        path = Path(root, reference)
        tables.check_columns(path, tables.Samples)
        return DataSet(reference, path, None)
    snapshot, iteration = open_iteration(reference, root)
    path = snapshot.path(f"data/iterations/{iteration}/train.parquet")
    return DataSet(reference, path, _label_error(snapshot, iteration))


def open_iteration(reference: str, root: Path | str = ".") -> tuple[Snapshot, int]:
    """Return the revision and the iteration that a reference names: `2`, `main:2`, `exp-name:2`.

    Raises:
        ConfigError: if the reference has none of these forms.
        LooptoolError: if there is no such revision or iteration.
    """
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise ConfigError(
            f"{reference}: not a data set; give an iteration (2), an iteration of a git revision "
            "or DVC experiment (main:2, exp-name:2), or a .parquet file"
        )
    snapshot = open_revision(match["rev"], root) if match["rev"] else open_workspace(root)
    iteration = int(match["iteration"])
    if iteration not in snapshot.iterations:
        known = ", ".join(map(str, snapshot.iterations)) or "none"
        raise LooptoolError(
            f"{reference}: {snapshot.where} has no data set {iteration}; it has {known}"
        )
    return snapshot, iteration


def compare(before: DataSet, after: DataSet, examples: int = 0) -> Diff:
    """Assign each row of two versions to exactly one class.

    `relabelled` rows have another label_id or, with the same origin, other accepted alternatives.
    `moved` rows have the same label_id and another origin.

    Args:
        examples: the number of rows to return of each class except `unchanged`.

    Raises:
        TableError: if a sample_id is null or occurs twice in a version.
    """
    connection = duckdb.connect()
    for name, data in (("a", before), ("b", after)):
        source = str(data.path).replace("'", "''")
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{source}')")
        rows, ids = connection.execute(
            f"SELECT count(*), count(DISTINCT sample_id) FROM {name}"
        ).fetchall()[0]
        if rows != ids:
            raise TableError(f"{data.path}: {rows} rows have only {ids} different sample_ids")
    connection.execute(
        """
        CREATE TEMP TABLE changes AS
        SELECT
            CASE
                WHEN a.sample_id IS NULL THEN 'added'
                WHEN b.sample_id IS NULL THEN 'removed'
                WHEN a.label_id IS DISTINCT FROM b.label_id THEN 'relabelled'
                WHEN a.origin IS DISTINCT FROM b.origin THEN 'moved'
                WHEN a.alternatives IS DISTINCT FROM b.alternatives THEN 'relabelled'
                ELSE 'unchanged'
            END AS change,
            coalesce(b.sample_id, a.sample_id) AS sample_id,
            coalesce(b.category, a.category) AS category,
            coalesce(b.origin, a.origin) AS origin
        FROM a FULL OUTER JOIN b ON a.sample_id = b.sample_id
        """
    )
    counts: dict[str, dict[tuple[str, str], int]] = {name: {} for name in CLASSES}
    for change, category, origin, count in connection.execute(
        "SELECT change, category, origin, count(*) FROM changes GROUP BY ALL"
    ).fetchall():
        counts[change][category, origin] = count
    return Diff(before, after, counts, _examples(connection, examples) if examples else [])


def _examples(connection: duckdb.DuckDBPyConnection, count: int) -> list[dict[str, Any]]:
    result = connection.execute(
        """
        WITH chosen AS (
            SELECT * FROM changes WHERE change <> 'unchanged'
            QUALIFY row_number() OVER (PARTITION BY change ORDER BY sample_id) <= $1
        )
        SELECT chosen.change, chosen.sample_id, chosen.category,
            a.origin AS origin_before, b.origin AS origin_after,
            a.label AS label_before, b.label AS label_after,
            a.alternatives AS alternatives_before, b.alternatives AS alternatives_after,
            b.label_source AS label_source, coalesce(b.messages, a.messages) AS messages
        FROM chosen
        LEFT JOIN a ON a.sample_id = chosen.sample_id
        LEFT JOIN b ON b.sample_id = chosen.sample_id
        ORDER BY chosen.change, chosen.sample_id
        """,
        [count],
    )
    names = [column[0] for column in result.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    for row in rows:
        for name in ("label", "alternatives"):
            for side in ("before", "after"):
                text = row[f"{name}_{side}"]
                row[f"{name}_{side}"] = None if text is None else canonical.loads(text)
        said = [m for m in canonical.loads(row.pop("messages")) if m["role"] == "user"]
        row["user"] = said[-1].get("content") if said else None
    return rows


def _label_error(snapshot: Snapshot, iteration: int) -> float | None:
    return read_labels(snapshot).get(str(iteration), {}).get("label_error")
