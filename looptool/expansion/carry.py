"""What one iteration hands to the next, and the lineage of it (docs/design.md, section 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.samples import CARRIED_ORIGINS, ORIGINS, label_id, sample_id
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
    caps: Mapping[str, float],
    seed: str,
) -> Carry:
    """Compose what iteration j hands to j+1.

    Args:
        outcomes: the rows of D_j with their events; see `label_correction.outcomes`.
        expanded: the expansions that passed `accept` (`expanded_rows`); their parents are error
            seeds of D_j.
        total: the planned size of D_{j+1}.
        caps: the largest share of `total` for an origin, or for all origins together (`carried`).
            An origin without an entry has no cap of its own. Within an origin, a hash of `seed`
            and sample_id decides which rows stay; between origins, the order of `samples.ORIGINS`.

    Raises:
        ValueError: if an expansion has no error seed of D_j as parent, or has the sample_id of
            another row.
    """
    _check_expanded(expanded, outcomes)
    columns = list(tables.polars_schema(tables.Samples))
    staying = outcomes.filter(pl.col("event").is_in(CARRIED_ORIGINS)).with_columns(origin="event")
    ranked = _rank(pl.concat([staying.select(columns), expanded]), total, caps, seed)
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
            "events": _counts(lineage["event"], tables.EVENTS[2:]),
        },
    )


def _rank(rows: pl.DataFrame, total: int, caps: Mapping[str, float], seed: str) -> pl.DataFrame:
    """Order rows by origin and hash; `fits` marks those within the caps."""
    room = {origin: math.floor(caps.get(origin, 1.0) * total + 1e-9) for origin in ORIGINS}
    ranks = {origin: rank for rank, origin in enumerate(ORIGINS)}
    ordered = rows.with_columns(
        rank=pl.col("origin").replace_strict(ranks, return_dtype=pl.Int64),
        order=pl.Series(
            [canonical.digest(seed, identity) for identity in rows["sample_id"]], dtype=pl.String
        ),
        room=pl.col("origin").replace_strict(room, return_dtype=pl.Int64),
    ).sort("rank", "order", "sample_id")
    ordered = ordered.with_columns(fits=pl.int_range(pl.len()).over("origin") < pl.col("room"))
    room_for_all = math.floor(caps.get("carried", 1.0) * total + 1e-9)
    return ordered.with_columns(fits=pl.col("fits") & (pl.col("fits").cum_sum() <= room_for_all))


def _lineage(outcomes: pl.DataFrame, expanded: pl.DataFrame, capped: pl.DataFrame) -> pl.DataFrame:
    shared = ["sample_id", "event", "parent_id", "old_label_id", "new_label_id", "judge"]
    existing = outcomes.select(
        "sample_id",
        "event",
        "parent_id",
        old_label_id="before",
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
