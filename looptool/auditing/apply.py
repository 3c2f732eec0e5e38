"""A corrected set: the samples of an audit with the labels that people accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from looptool.auditing import AUDIT, SAMPLES
from looptool.auditing.sets import AuditedSet, read_description
from looptool.core import canonical, events, tables
from looptool.core.errors import ConfigError
from looptool.core.samples import category_of, dataset_id
from looptool.judging.human import Merged, fits, merged

LINEAGE = "lineage.parquet"
_EVENTS = {"take": "corrected", "edit": "corrected", "both": "alternative", "drop": "dropped",
           "keep": "kept", "unsure": "undecided"}  # fmt: skip


@dataclass(frozen=True)
class Applied:
    """The numbers of samples written and dropped, of decisions by kind, and of those that no longer
    fit the set.
    """

    written: int
    dropped: int
    decisions: Mapping[str, int]
    misfits: int


def apply(opened: AuditedSet, place: Path, target: Path, reviews: pl.DataFrame) -> Applied:
    """Write the set with the decisions of people applied, as `tables.Samples`.

    Dropped samples go to `<target>.rejected.parquet`. The events go to `lineage.parquet` in the
    folder of the audit, for `looptool trace`.

    Raises:
        ConfigError: if the set was not audited or changed since, the target is no Parquet file, or
            nothing was decided.
    """
    if target.suffix != ".parquet":
        raise ConfigError(f"--apply: {target}: must end in .parquet")
    described = read_description(place)
    if not described or not (place / SAMPLES).is_file():
        raise ConfigError(f"{place}: no audit of {opened.source}; run `looptool data audit` first")
    now = dataset_id(pl.concat(
        part.select("sample_id", "label_id", "alternatives") for part in opened.parts()
    ))  # fmt: skip
    if described.get("dataset_id") != now:
        raise ConfigError(
            f"{opened.source}: changed since its audit; run `looptool data audit` again (decisions "
            "on labels that stayed are kept)"
        )
    if target.resolve() == opened.path.resolve():
        raise ConfigError(f"--apply: {target}: is the audited set; name another file")
    samples = tables.read(place / SAMPLES, tables.Samples)
    audit = tables.read(place / AUDIT, tables.Audit)
    predictions = dict(audit.select("sample_id", "prediction_id").iter_rows())
    labels = dict(samples.select("sample_id", "label_id").iter_rows())

    def holds(sample: str, label: str, found: Merged) -> bool:
        return labels.get(sample) == label and fits(found, predictions[sample])

    decided = merged(reviews)
    of_set = {key[0]: found for key, found in decided.items() if holds(*key, found)}
    about = merged(reviews.filter(source=place.name))
    misfits = sum(not holds(*key, found) for key, found in about.items())
    if not of_set:
        raise ConfigError(
            f"{place}: nobody has decided anything yet; run `looptool review {place.name}`"
        )
    changed = [
        _changed(row, of_set[row["sample_id"]])
        for row in samples.filter(pl.col("sample_id").is_in(list(of_set))).iter_rows(named=True)
    ]
    update = tables.frame(tables.Samples, changed)
    dropped = [sample for sample, found in of_set.items() if found.decision == "drop"]
    rest = samples.join(update, on="sample_id", how="anti")
    result = pl.concat([rest, update]).filter(~pl.col("sample_id").is_in(dropped))
    tables.write(result, tables.Samples, target)
    _write_rejected(samples, of_set, target)
    tables.write(_log(samples, update, of_set, now), tables.Lineage, place / LINEAGE)
    return Applied(
        len(result), len(dropped), Counter(found.decision for found in of_set.values()), misfits
    )


def _changed(row: Mapping[str, Any], found: Merged) -> dict[str, Any]:
    """Return a sample with a decision applied."""
    new = found.row["new_label"]
    if found.decision in ("take", "edit"):
        tools, messages, label = (
            canonical.loads(text) for text in (row["tools"], row["messages"], new)
        )
        return {
            **row,
            "label": new,
            "label_id": found.row["new_label_id"],
            "alternatives": "[]",  # they were accepted beside the wrong label
            "category": category_of(tools, messages, label, row["category"]),
            "origin": "corrected",
            "label_source": f"judge:{found.judge}",
        }
    if found.decision == "both":
        others = [*canonical.loads(row["alternatives"]), canonical.loads(new)]
        return {**row, "alternatives": canonical.dumps(others), "origin": "alternative"}
    return dict(row)


def _write_rejected(samples: pl.DataFrame, of_set: Mapping[str, Merged], target: Path) -> None:
    path = target.with_name(f"{target.stem}.rejected.parquet")
    rows = [
        {
            "sample_id": row["sample_id"], "check": "review", "stage": "audit", "parent_id": None,
            "reason": f"{found.judge} dropped it" + (f": {note}" if note else ""),
            "tools": row["tools"], "messages": row["messages"], "label": row["label"],
        }
        for row in samples.filter(pl.col("sample_id").is_in(list(of_set))).iter_rows(named=True)
        if (found := of_set[row["sample_id"]]).decision == "drop"
        for note in [found.row["note"]]
    ]  # fmt: skip
    if rows:
        tables.write(tables.frame(tables.Rejected, rows), tables.Rejected, path)
    else:
        path.unlink(missing_ok=True)


def _log(
    samples: pl.DataFrame, update: pl.DataFrame, of_set: Mapping[str, Merged], identity: str
) -> pl.DataFrame:
    """Return the events of the decisions, as `tables.Lineage`."""
    before = dict(samples.select("sample_id", "label_id").iter_rows())
    rows = [
        {
            "sample_id": sample,
            "event": _EVENTS[found.decision],
            "parent_id": None,
            "old_label_id": before[sample],
            "new_label_id": found.row["new_label_id"],
            "judge": found.judge,
        }
        for sample, found in sorted(of_set.items())
    ]
    log = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    return events.stamped(log, "audit", 0, None, None, identity)
