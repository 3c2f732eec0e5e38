"""What one iteration hands to the next, and the lineage of it (docs/design.md, section 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.samples import CARRIED_ORIGINS, CarriedOrigin, label_id, sample_id, share_of
from looptool.expansion import Candidate


@dataclass(frozen=True, slots=True)
class Carry:
    """What `compose` returns.

    Attributes:
        carried: `tables.Samples`: the rows of the next iteration.
        lineage: one event for each row of D_j and each accepted expansion, and a second one,
            `capped`, for each row that exceeded a cap; `events.stamped` completes it.
        rejected: `tables.Rejected`: the accepted expansions that exceeded a cap. No other table
            would hold their text.
        metrics: counts: `size`, `carried` and `capped` by origin, `events` by event.
    """

    carried: pl.DataFrame
    lineage: pl.DataFrame
    rejected: pl.DataFrame
    metrics: dict[str, Any]


def expanded_rows(accepted: Sequence[Candidate], iteration: int, expander: str) -> pl.DataFrame:
    """Return accepted expansions as `tables.Samples`; `expander` is its name, for label_source."""
    return tables.frame(
        tables.Samples,
        [
            {
                "sample_id": sample_id(candidate.tools, candidate.messages),
                "tools": canonical.dumps(candidate.tools),
                "messages": canonical.dumps(candidate.messages),
                "label": canonical.dumps(candidate.label),
                "label_id": label_id(candidate.label),
                "alternatives": "[]",
                "category": candidate.category,
                "origin": "expanded",
                "parent_id": candidate.parent_id,
                "born_iteration": iteration,
                "label_iteration": iteration,
                "label_source": f"expander:{expander}",
            }
            for candidate in accepted
        ],
    )


def compose(
    outcomes: pl.DataFrame,
    expanded: pl.DataFrame,
    *,
    total: int,
    share: float = 1.0,
    caps: Mapping[CarriedOrigin, float] | None = None,
    seed: str,
) -> Carry:
    """Compose what iteration j hands to j+1.

    Args:
        outcomes: the rows of D_j with their events; see `label_correction.outcomes`.
        expanded: the expansions that passed `accept` (`expanded_rows`); their parents are error
            seeds of D_j.
        total: the planned size of D_{j+1}.
        share: the largest share of `total` for all carried rows together.
        caps: the largest share of `total` for an origin; one without an entry has no cap of its
            own. Within an origin, a hash of `seed` and sample_id decides which rows stay; between
            origins, the order of `samples.ORIGINS`.

    Raises:
        ValueError: if an expansion has no error seed of D_j as parent, or has the sample_id of
            another row.
    """
    _check_expanded(expanded, outcomes)
    columns = list(tables.polars_schema(tables.Samples))
    staying = outcomes.filter(pl.col("event").is_in(CARRIED_ORIGINS)).with_columns(origin="event")
    ranked = _rank(
        pl.concat([staying.select(columns), expanded]),
        {origin: share_of(total, (caps or {}).get(origin, 1.0)) for origin in CARRIED_ORIGINS},
        share_of(total, share),
        seed,
    )
    carried = ranked.filter("fits").select(columns).sort("sample_id")
    capped = ranked.filter(~pl.col("fits"))
    lineage = _lineage(outcomes, expanded, capped)
    return Carry(
        carried,
        lineage,
        _capped_expansions(capped),
        {
            "size": len(carried),
            "carried": _counts(carried["origin"], CARRIED_ORIGINS),
            "capped": _counts(capped["origin"], CARRIED_ORIGINS),
            "events": _counts(lineage["event"], tables.HANDOFF_EVENTS),
        },
    )


def _rank(
    rows: pl.DataFrame, room: Mapping[CarriedOrigin, int], room_for_all: int, seed: str
) -> pl.DataFrame:
    """Order rows by origin and hash; `fits` marks those for which there is room."""
    ranks = {origin: rank for rank, origin in enumerate(CARRIED_ORIGINS)}
    ordered = rows.with_columns(
        rank=pl.col("origin").replace_strict(ranks, return_dtype=pl.Int64),
        order=pl.Series(
            [canonical.digest(seed, identity) for identity in rows["sample_id"]], dtype=pl.String
        ),
        room=pl.col("origin").replace_strict(room, return_dtype=pl.Int64),
    ).sort("rank", "order", "sample_id")
    ordered = ordered.with_columns(fits=pl.int_range(pl.len()).over("origin") < pl.col("room"))
    return ordered.with_columns(fits=pl.col("fits") & (pl.col("fits").cum_sum() <= room_for_all))


def _lineage(outcomes: pl.DataFrame, expanded: pl.DataFrame, capped: pl.DataFrame) -> pl.DataFrame:
    shared = ["sample_id", "event", "parent_id", "old_label_id", "new_label_id", "judge"]
    existing = outcomes.select(
        "sample_id",
        "event",
        "parent_id",
        old_label_id="previous_label_id",
        new_label_id="event_label_id",
        judge="judge",
    )
    born = expanded.select(
        "sample_id",
        pl.lit("expanded").alias("event"),
        "parent_id",
        pl.lit(None, pl.String).alias("old_label_id"),
        pl.col("label_id").alias("new_label_id"),
        pl.lit(None, pl.String).alias("judge"),
    )
    refused = capped.select(
        "sample_id",
        pl.lit("capped").alias("event"),
        "parent_id",
        pl.col("label_id").alias("old_label_id"),
        pl.lit(None, pl.String).alias("new_label_id"),
        pl.lit(None, pl.String).alias("judge"),
    )
    return pl.concat([part.select(shared) for part in (existing, born, refused)]).sort(
        tables.Lineage.key()
    )


def _capped_expansions(capped: pl.DataFrame) -> pl.DataFrame:
    return capped.filter(pl.col("origin") == "expanded").select(
        "sample_id",
        pl.lit("cap").alias("check"),
        pl.lit("accepted, but the caps left no room").alias("reason"),
        pl.lit("expand").alias("stage"),
        "parent_id",
        "tools",
        "messages",
        "label",
    )


def _counts(values: pl.Series, names: Sequence[str]) -> dict[str, int]:
    counts = dict(values.value_counts().iter_rows())
    return {name: counts.get(name, 0) for name in names}


def _check_expanded(expanded: pl.DataFrame, outcomes: pl.DataFrame) -> None:
    doubled = expanded.filter(
        pl.col("sample_id").is_duplicated()
        | pl.col("sample_id").is_in(outcomes["sample_id"].implode())
    )
    if len(doubled):
        raise ValueError(f"expansion {doubled['sample_id'][0]} already exists; run accept first")
    parents = outcomes.filter(pl.col("event").is_in(["error_seed", "corrected"]))["sample_id"]
    orphans = expanded.filter(~pl.col("parent_id").is_in(parents.implode()))
    if len(orphans):
        raise ValueError(f"expansion {orphans['sample_id'][0]}: its parent is not an error seed")
