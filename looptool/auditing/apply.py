"""A corrected set: the samples of an audit with the labels that people accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from looptool.auditing import AUDIT, SAMPLES, SOURCE, name_in_review
from looptool.auditing.sets import AuditedSet, read_description
from looptool.core import canonical, tables
from looptool.core.errors import ConfigError
from looptool.core.samples import category_of, dataset_id
from looptool.judging.human import FOLDER as REVIEWS
from looptool.judging.human import Merged, merged


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
    """Write the set with the decisions of people on its audit applied, as `tables.Samples`.

    Dropped samples go to `<target>.rejected.parquet`.

    Raises:
        ConfigError: if the set was not audited or changed since, the target is not a Parquet file
            of its own, or nothing was decided.
    """
    check_target(opened, place, target)
    described = read_description(place)
    if not described or not (place / AUDIT).is_file():
        raise ConfigError(f"{place}: no audit of {opened.source}; run `looptool data audit` first")
    now = dataset_id(pl.concat(
        part.select("sample_id", "label_id", "alternatives") for part in opened.parts()
    ))  # fmt: skip
    if described.get("dataset_id") != now:
        raise ConfigError(
            f"{opened.source}: changed since its audit; run `looptool data audit` again (decisions "
            "on labels that stayed are kept)"
        )
    samples = tables.read(place / SAMPLES, tables.Samples)
    audit = tables.read(place / AUDIT, tables.Audit)
    labels = dict(samples.select("sample_id", "label_id").iter_rows())
    about = reviews.filter(source=SOURCE + place.resolve().name)
    fitting = merged(about, dict(audit.select("sample_id", "prediction_id").iter_rows()))
    decided = {
        sample: found for (sample, label), found in fitting.items() if labels.get(sample) == label
    }
    if not decided:
        command = f"looptool review {name_in_review(place)}"
        raise ConfigError(f"{place}: nobody has decided anything yet; run `{command}`")
    chosen = samples.filter(pl.col("sample_id").is_in(list(decided)))
    changed = [_changed(row, decided[row["sample_id"]]) for row in chosen.iter_rows(named=True)]
    dropped = [sample for sample, found in decided.items() if found.decision == "drop"]
    rest = samples.join(chosen, on="sample_id", how="anti")
    result = pl.concat([rest, tables.frame(tables.Samples, changed)]).filter(
        ~pl.col("sample_id").is_in(dropped)
    )
    tables.write(result, tables.Samples, target)
    _write_rejected(chosen.filter(pl.col("sample_id").is_in(dropped)), decided, target)
    return Applied(
        len(result),
        len(dropped),
        Counter(found.decision for found in decided.values()),
        len(merged(about)) - len(decided),
    )


def check_target(opened: AuditedSet, place: Path, target: Path) -> None:
    """Raise ConfigError unless a corrected set may be written to `target`."""
    if target.suffix != ".parquet":
        raise ConfigError(f"--apply: {target}: must end in .parquet")
    audited = [opened.path.resolve(), *([opened.given.resolve()] if opened.given else [])]
    rejected = _rejected(target)
    for path in (target, rejected):
        full = path.resolve()
        if any(full == one or full.is_relative_to(one) for one in audited):
            raise ConfigError(f"--apply: {path}: is the audited set; name another file")
        for folder in (place, REVIEWS):
            if full.is_relative_to(folder.resolve()):
                raise ConfigError(f"--apply: {path}: is in {folder}; name another file")
    if rejected.exists():
        tables.check_columns(rejected, tables.Rejected)  # it would be overwritten


def _rejected(target: Path) -> Path:
    return target.with_name(f"{target.stem}.rejected.parquet")


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


def _write_rejected(dropped: pl.DataFrame, decided: Mapping[str, Merged], target: Path) -> None:
    rows = [
        {
            "sample_id": row["sample_id"], "check": "review", "stage": "audit", "parent_id": None,
            "reason": f"{found.judge} dropped it"
            + (f": {found.row['note']}" if found.row["note"] else ""),
            "tools": row["tools"], "messages": row["messages"], "label": row["label"],
        }
        for row in dropped.iter_rows(named=True)
        for found in [decided[row["sample_id"]]]
    ]  # fmt: skip
    if rows:
        tables.write(tables.frame(tables.Rejected, rows), tables.Rejected, _rejected(target))
    else:
        _rejected(target).unlink(missing_ok=True)
