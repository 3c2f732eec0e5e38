"""The whole history of a sample, from its original seed: `looptool trace`.

Time is given as an iteration and the number of an event in its stage's file, never by a clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from looptool.core import canonical
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.samples import prediction_label
from looptool.lineage.revisions import Snapshot
from looptool.lineage.views import connect, read_json, rows

SHORTEST = 6
_HEX = re.compile(r"[0-9a-f]{1,32}")
_STAGES = ("warmup", "generate", "expand")  # in the order of their events within an iteration


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the log; see `tables.Lineage`. `number` is its row in the file of its stage."""

    event: str
    stage: str
    number: int
    old_label_id: str | None
    new_label_id: str | None
    model: str | None
    judge: str | None
    seed: int | None
    inputs: str | None


@dataclass(frozen=True, slots=True)
class LabelVersion:
    """A label of a sample, with the iteration and the source that it comes from."""

    label_id: str
    label: Any
    iteration: int
    source: str


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to a sample in one iteration.

    Attributes:
        dataset_id: the id of D_j; None if the sample was not in it.
        model: name (`models/<j>`) and DVC hash of the model trained on D_j, its `base` (the
            `model.base` of the run), and its `prompt`: chat template, template options and syntax
            of calls. None if there is none, or it was trained on another version of D_j.
        left_out: why the model was not trained on the sample; None if it was.
        rollouts: the number of `answers` that training drew to it, and its `pass_rate`, the share
            of them with the full reward; None if there were none.
        sample: category, origin, label_id, label_source, … in D_j; None if it was not in D_j.
        probe: prediction, matched, ppl, error_type; None if the sample was not probed.
        verdict: verdict, judge, votes, consensus, rationale; None if it was not judged.
        events: the events in chronological order.
    """

    iteration: int
    dataset_id: str | None
    model: Mapping[str, Any] | None
    left_out: str | None
    rollouts: Mapping[str, Any] | None
    sample: Mapping[str, Any] | None
    probe: Mapping[str, Any] | None
    verdict: Mapping[str, Any] | None
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Life:
    """A sample with everything that happened to it.

    Attributes:
        kind: `sample`, `warmup`, `heldout`, `rejected` if it was never admitted, or `audited` if it
            is only in an audit.
        steps: one for each iteration in which something happened to it.
        labels: its labels, the oldest first.
        answers: for held-out samples, the answer of each model: iteration, prediction, valid,
            error_type.
        rejected: the checks that refused it, with their reasons.
        audits: what audits said of its label: audit, verdict, confidence, rationale, prediction.
        reviews: what people decided: reviewer, source, label_id, decision, new_label, note.
    """

    sample_id: str
    kind: str
    parent_id: str | None
    tools: Any
    messages: Any
    steps: Sequence[Step]
    labels: Sequence[LabelVersion]
    answers: Sequence[Mapping[str, Any]]
    rejected: Sequence[Mapping[str, Any]]
    audits: Sequence[Mapping[str, Any]] = ()
    reviews: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class History:
    """The result of `trace`.

    Attributes:
        lives: the chain of ancestors, from the original seed to the sample itself.
        children: sample_id, iteration and `capped` of each sample expanded from it.
    """

    sample_id: str
    lives: Sequence[Life]
    children: Sequence[Mapping[str, Any]]


def trace(snapshot: Snapshot, identity: str) -> History:
    """Return the history of a sample.

    Args:
        identity: a sample_id or label_id, or an unambiguous prefix of at least six characters.

    Raises:
        ConfigError: if `identity` does not have the form of an id.
        LooptoolError: if it does not match exactly one sample, or the chain of parents is broken.
    """
    connection = connect(snapshot)
    sample_id = resolve(connection, identity)
    line = lives(connection, snapshot, [sample_id])
    while (parent := line[0].parent_id) is not None:
        if parent in {life.sample_id for life in line}:
            raise LooptoolError(f"{parent}: is its own ancestor; run `looptool verify-lineage`")
        line = lives(connection, snapshot, [parent]) + line
    children = rows(
        connection,
        "SELECT sample_id, iteration, bool_or(event = 'capped') AS capped FROM lineage "
        "WHERE parent_id = $1 AND event IN ('expanded', 'capped') GROUP BY sample_id, iteration "
        "HAVING bool_or(event = 'expanded') ORDER BY ALL",
        sample_id,
    )
    return History(sample_id, line, children)


def resolve(connection: duckdb.DuckDBPyConnection, identity: str) -> str:
    """Return the sample_id that matches a sample_id, a label_id, or a prefix of one.

    Raises:
        ConfigError: if `identity` does not have the form of an id.
        LooptoolError: if it does not match exactly one sample.
    """
    identity = identity.strip().lower()
    if not _HEX.fullmatch(identity) or len(identity) < SHORTEST:
        raise ConfigError(
            f"{identity}: an id has {SHORTEST} to 32 of the characters 0-9 and a-f; "
            "`looptool sql` can list the ids"
        )
    matching = _samples_from(connection, identity)
    if len(matching) != 1 or len(identity) < 32:  # a prefix may also match a label_id
        matching = sorted({*matching, *_samples_of_label(connection, identity)})
    if len(matching) == 1:
        return matching[0]
    if matching:
        ids = ", ".join(matching[:5]) + (", …" if len(matching) > 5 else "")
        raise LooptoolError(f"{identity}: matches {len(matching)} samples: {ids}")
    raise LooptoolError(f"{identity}: no such sample or label{_nearest(connection, identity)}")


# The views that only some projects have, with the columns of `Life.audits` and `Life.reviews`.
_LOOSE = {
    "audits": "audit, label_id, verdict, confidence, judge, rationale, prediction",
    "reviews": "reviewer, source, label_id, verdict, decision, new_label, new_label_id, note",
    "audited": "* EXCLUDE (sample_id), 0::BIGINT AS iteration",
}
_EVERY_ID = (
    "SELECT sample_id FROM samples WHERE {0} UNION SELECT sample_id FROM warmup WHERE {0} "
    "UNION SELECT sample_id FROM heldout WHERE {0} UNION SELECT sample_id FROM rejected WHERE {0} "
    "UNION SELECT sample_id FROM lineage WHERE {0}"
)


def _samples_from(connection: duckdb.DuckDBPyConnection, prefix: str) -> list[str]:
    """Return the sample_ids with a prefix. A range comparison lets DuckDB skip sorted files."""
    in_range = "sample_id >= $1 AND sample_id < $2"
    every = _EVERY_ID
    if "audited" in {row[0] for row in connection.execute("SHOW TABLES").fetchall()}:
        every += " UNION SELECT sample_id FROM audited WHERE {0}"
    rows = connection.execute(every.format(in_range) + " ORDER BY 1", [prefix, prefix + "g"])
    return [row[0] for row in rows.fetchall()]


def _samples_of_label(connection: duckdb.DuckDBPyConnection, prefix: str) -> list[str]:
    rows = connection.execute(
        "SELECT sample_id FROM samples WHERE label_id >= $1 AND label_id < $2 UNION "
        "SELECT sample_id FROM heldout WHERE label_id >= $1 AND label_id < $2 UNION "
        "SELECT sample_id FROM lineage WHERE new_label_id >= $1 AND new_label_id < $2 UNION "
        "SELECT sample_id FROM lineage WHERE old_label_id >= $1 AND old_label_id < $2 ORDER BY 1",
        [prefix, prefix + "g"],
    )
    return [row[0] for row in rows.fetchall()]


def _nearest(connection: duckdb.DuckDBPyConnection, identity: str) -> str:
    near: list[str] = []
    for side, order in ((">", "min"), ("<", "max")):
        queries = [
            f"SELECT {order}(sample_id) FROM {view} WHERE sample_id {side} $1"
            for view in ("samples", "warmup", "heldout", "rejected")
        ]
        rows = connection.execute(" UNION ALL ".join(queries), [identity]).fetchall()
        ids = [row[0] for row in rows if row[0] is not None]
        near += [min(ids) if order == "min" else max(ids)] if ids else []
    return f"; the nearest are {' and '.join(near)}" if near else "; there are no samples yet"


def lives(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, ids: Sequence[str]
) -> list[Life]:
    """Return the lives of samples, in the order of `ids`, with one query per table.

    Raises:
        LooptoolError: if a sample is in no table.
    """
    tables = {
        view: _by_sample(connection, f"SELECT * FROM {view} WHERE sample_id IN $1", ids)
        for view in (
            "samples",
            "left_out",
            "probes",
            "verdicts",
            "lineage",
            "rejected",
            "warmup",
            "heldout",
        )
    }
    tables["rollouts"] = _by_sample(
        connection,
        "SELECT sample_id, iteration, count(*) AS answers, avg((reward >= 1)::INTEGER) AS "
        "pass_rate FROM rollouts WHERE NOT anchored AND sample_id IN $1 GROUP BY ALL",
        ids,
    )
    views = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
    for view, columns in _LOOSE.items():
        sql = f"SELECT sample_id, {columns} FROM {view} WHERE sample_id IN $1"
        loose = rows(connection, sql, list(ids)) if view in views else []
        tables[view] = {
            identity: [row for row in loose if row["sample_id"] == identity] for identity in ids
        }
    answers = _by_sample(
        connection,
        "SELECT id AS sample_id, iteration, prediction, valid, error_type FROM evals "
        "WHERE benchmark = 'heldout' AND id IN $1",
        list(tables["heldout"]),
    )
    return [
        _life(snapshot, identity, {view: rows.get(identity, []) for view, rows in tables.items()},
              answers.get(identity, []))
        for identity in ids
    ]  # fmt: skip


def _life(
    snapshot: Snapshot,
    sample_id: str,
    tables: Mapping[str, list[dict[str, Any]]],
    answers: Sequence[dict[str, Any]],
) -> Life:
    kinds = {"sample": "samples", "warmup": "warmup", "heldout": "heldout", "audited": "audited",
             "rejected": "rejected"}  # fmt: skip
    kind = next((kind for kind, view in kinds.items() if tables[view]), None)
    if kind is None:
        known = "is in the event log" if tables["lineage"] else "is named as a parent"
        raise LooptoolError(
            f"{sample_id}: {known}, but is in no table; run `looptool verify-lineage`"
        )
    rows = tables[kinds[kind]]
    return Life(
        sample_id,
        kind,
        rows[0]["parent_id"],
        canonical.loads(rows[0]["tools"]),
        canonical.loads(rows[0]["messages"]),
        [] if kind in ("heldout", "audited") else list(_steps(snapshot, tables, kind, rows)),
        list(_labels(rows, tables)),
        [_without(row, "sample_id") for row in answers],
        [{name: row[name] for name in ("iteration", "check", "reason")}
         for row in tables["rejected"]],
        [_without(row, "sample_id") for row in tables["audits"]],
        [_without(row, "sample_id") for row in tables["reviews"]],
    )  # fmt: skip


def _steps(
    snapshot: Snapshot,
    tables: Mapping[str, list[dict[str, Any]]],
    kind: str,
    rows: Sequence[dict[str, Any]],
) -> Iterator[Step]:
    in_data = {row["iteration"]: row for row in rows} if kind != "rejected" else {}
    left_out = {row["iteration"]: row["reason"] for row in tables["left_out"]}
    rollouts = {row["iteration"]: row for row in tables["rollouts"]}
    probes = {row["iteration"]: row for row in tables["probes"]}
    verdicts = {row["iteration"]: row for row in tables["verdicts"]}
    events = sorted(
        tables["lineage"],
        key=lambda row: (
            row["iteration"],
            _STAGES.index(row["stage"]),
            row["event"] == "capped",
            row["number"],
        ),
    )
    for iteration in sorted({*in_data, *probes, *(row["iteration"] for row in events)}):
        sample = in_data.get(iteration)
        yield Step(
            iteration,
            recorded_dataset_id(snapshot, iteration) if sample else None,
            _model(snapshot, iteration) if sample else None,
            left_out.get(iteration),
            _without(rollouts.get(iteration), "iteration", "sample_id"),
            sample and {
                name: sample[name]
                for name in ("category", "origin", "label_id", "label_iteration", "label_source")
            } | {"alternatives": canonical.loads(sample["alternatives"])},
            _without(probes.get(iteration), "iteration", "sample_id"),
            _without(verdicts.get(iteration), "iteration", "sample_id"),
            [
                Event(**{name: row[name] for name in Event.__slots__})
                for row in events
                if row["iteration"] == iteration
            ],
        )  # fmt: skip


def _labels(
    rows: Sequence[dict[str, Any]], tables: Mapping[str, list[dict[str, Any]]]
) -> Iterator[LabelVersion]:
    """Yield each label once: from D_j, from a refused row, or from a prediction that became one."""
    known: set[str] = set()
    for row in rows:
        identity = row.get("label_id") or canonical.digest(row["label"])
        if identity not in known:
            known.add(identity)
            source = row.get("label_source") or f"what {row.get('stage')} refused"
            since = row.get("label_iteration", row["iteration"])
            yield LabelVersion(identity, canonical.loads(row["label"]), since, source)
    probes = {row["iteration"]: row for row in tables["probes"]}
    for row in tables["verdicts"]:
        probe = probes.get(row["iteration"])
        if row["verdict"] == "LABEL_WRONG" and row["new_label_id"] not in known and probe:
            label = prediction_label(probe["text"], probe["calls"], probe["parse_error"])
            if row["new_label"] is not None:
                label = canonical.loads(row["new_label"])
            source = f"judge:{row['judge']}"
            yield LabelVersion(row["new_label_id"], label, row["iteration"], source)
    for row in tables["reviews"] if tables["audits"] else ():
        if row["decision"] in ("take", "edit") and row["new_label_id"] not in known:
            known.add(row["new_label_id"])
            label, source = canonical.loads(row["new_label"]), f"human:{row['reviewer']}"
            yield LabelVersion(row["new_label_id"], label, 0, source)


def recorded_dataset_id(snapshot: Snapshot, iteration: int) -> str | None:
    """Return the dataset_id of D_j that generate recorded, or None."""
    name = f"metrics/iterations/{iteration}/generate.json"
    return read_json(snapshot, name)["dataset_id"] if name in snapshot.files else None


def _model(snapshot: Snapshot, iteration: int) -> dict[str, Any] | None:
    name = f"models/{iteration}"
    if snapshot.hashes and iteration not in snapshot.trained:
        return None
    metrics = f"metrics/iterations/{iteration}/{'train' if iteration else 'warmup'}.json"
    measured, first = (
        read_json(snapshot, each) if each in snapshot.files else {}
        for each in (metrics, "metrics/iterations/0/warmup.json")
    )
    return {"name": name, "md5": snapshot.hashes.get(name), "prompt": measured.get("prompt"),
            "base": first.get("base")}  # fmt: skip


def _without(row: dict[str, Any] | None, *names: str) -> Any:
    return row and {name: value for name, value in row.items() if name not in names}


def _by_sample(
    connection: duckdb.DuckDBPyConnection, sql: str, ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a query grouped by sample_id, each group sorted by iteration."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows(connection, sql, list(ids)), key=_iteration):
        groups.setdefault(row["sample_id"], []).append(row)
    return groups


def _iteration(row: dict[str, Any]) -> int:
    return int(row["iteration"])
