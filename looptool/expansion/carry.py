"""What one iteration hands to the next, and the lineage of it (docs/design.md, section 1)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.errors import TableError
from looptool.core.samples import ORIGINS, category_of, label_id, prediction_label, sample_id
from looptool.expansion import Candidate, ErrorSeed

EVENT_OF_VERDICT = {
    "PRED_WRONG": "failed",
    "LABEL_WRONG": "corrected",
    "BOTH_CORRECT": "widened",
    "BOTH_WRONG": "dropped",
    "NO_CONSENSUS": "undecided",
}
ORIGIN_OF_EVENT = {
    "failed": "error_seed",
    "corrected": "corrected",
    "widened": "alternative",
    "undecided": "undecided",
    "hard": "high_ppl",
    "expanded": "expanded",
}


@dataclass(frozen=True, slots=True)
class Carry:
    """What `compose` returns.

    Attributes:
        carried: `tables.Samples`: the rows of the next iteration.
        lineage: `tables.Lineage`, stage `expand`: one event for each row of D_j and each accepted
            expansion, and a second one, `capped`, for each row that exceeded a cap.
        rejected: `tables.Rejected`: the accepted expansions that exceeded a cap. No other table
            would hold their text.
        metrics: counts: `size`, `carried` and `capped` by origin, `ways` by the accepted
            expansions' method, `events` by event.
    """

    carried: pl.DataFrame
    lineage: pl.DataFrame
    rejected: pl.DataFrame
    metrics: dict[str, Any]


def error_seeds(
    samples: pl.DataFrame, probe: pl.DataFrame, verdicts: pl.DataFrame
) -> list[ErrorSeed]:
    """Return the samples to expand: PRED_WRONG ones, and LABEL_WRONG ones with their new label.

    If `verdicts` is empty, nothing was verified and every mismatch is an error seed.

    Raises:
        TableError: if the tables do not match.
    """
    rows = _outcomes(samples, probe, verdicts, keep_high_ppl=False)
    chosen = rows.filter(pl.col("event").is_in(["failed", "corrected"])).sort("sample_id")
    return [
        ErrorSeed(
            row["sample_id"],
            canonical.loads(row["tools"]),
            canonical.loads(row["messages"]),
            canonical.loads(row["label"]),
            row["category"],
            row["failure_type"],
            row["prediction"],
            row["former"] if row["event"] == "corrected" else row["prediction"],
            row["rationale"] or "",
        )
        for row in chosen.iter_rows(named=True)
    ]


def compose(
    samples: pl.DataFrame,
    probe: pl.DataFrame,
    verdicts: pl.DataFrame,
    accepted: Sequence[Candidate],
    *,
    iteration: int,
    total: int,
    caps: Mapping[str, float],
    keep_high_ppl: bool,
    seed: str,
    expander: str,
    seed_number: int | None = None,
    model: str | None = None,
    inputs: str | None = None,
) -> Carry:
    """Compose what iteration j hands to j+1.

    Args:
        samples, probe, verdicts: D_j, its probe and the verdicts on all its mismatches. The table
            of verdicts is empty if nothing was verified.
        accepted: expansions that passed `accept`; their parents are error seeds of D_j.
        total: the planned size of D_{j+1}.
        caps: the largest share of `total` for an origin, or for all origins together (`carried`).
            An origin without an entry has no cap of its own. Within an origin, a hash of `seed`
            and sample_id decides which rows stay; between origins, the order of `samples.ORIGINS`.
        keep_high_ppl: whether rows matched at high perplexity stay; otherwise they count as
            mastered.
        expander: the expander's name, for label_source.
        seed_number, model, inputs: recorded in the lineage: the random seed, the probed model and
            the hash of the inputs.

    Raises:
        TableError: if the tables do not match.
        ValueError: if an expansion has no error seed of D_j as parent, or has the sample_id of
            another row.
    """
    rows = _outcomes(samples, probe, verdicts, keep_high_ppl).with_columns(
        label_iteration=pl.when(pl.col("event") == "corrected")
        .then(pl.lit(iteration, pl.Int64))
        .otherwise("label_iteration"),
        label_source=pl.when(pl.col("event") == "corrected")
        .then(pl.concat_str(pl.lit("judge:"), "judge"))
        .otherwise("label_source"),
    )
    expanded = _expanded_rows(accepted, iteration, expander)
    _check_expanded(expanded, rows)
    columns = list(tables.polars_schema(tables.Samples))
    staying = rows.filter(pl.col("event").is_in(list(ORIGIN_OF_EVENT))).with_columns(
        origin=pl.col("event").replace_strict(ORIGIN_OF_EVENT, return_dtype=pl.String)
    )
    ranked = _rank(pl.concat([staying.select(columns), expanded]), total, caps, seed)
    carried = ranked.filter("fits").select(columns).sort("sample_id")
    capped = ranked.filter(~pl.col("fits"))
    lineage = _lineage(rows, expanded, capped).with_columns(
        iteration=pl.lit(iteration, pl.Int64),
        stage=pl.lit("expand"),
        model=pl.lit(model, pl.String),
        seed=pl.lit(seed_number, pl.Int64),
        inputs=pl.lit(inputs, pl.String),
    )
    return Carry(
        carried,
        lineage.select(*tables.polars_schema(tables.Lineage)),
        _capped_expansions(capped),
        {
            "size": len(carried),
            "carried": _counts(carried["origin"], ORIGINS[:-1]),
            "capped": _counts(capped["origin"], ORIGINS[:-1]),
            "ways": dict(sorted(Counter(candidate.how for candidate in accepted).items())),
            "events": _counts(lineage["event"], tables.EVENTS[2:]),
        },
    )


def _outcomes(
    samples: pl.DataFrame, probe: pl.DataFrame, verdicts: pl.DataFrame, keep_high_ppl: bool
) -> pl.DataFrame:
    """Join D_j with its probe and verdicts, add each row's event, and apply the new labels."""
    _check_tables(samples, probe, verdicts)
    joined = samples.join(probe, on="sample_id", validate="1:1").join(
        verdicts.select(
            "sample_id", "verdict", "rationale", "judge", "old_label_id", "new_label_id"
        ),
        on="sample_id",
        how="left",
        validate="1:1",
    )
    stays_hard = pl.col("high_ppl") if keep_high_ppl else pl.lit(False)
    joined = joined.with_columns(
        event=pl.when(pl.col("matched"))
        .then(pl.when(stays_hard).then(pl.lit("hard")).otherwise(pl.lit("mastered")))
        .otherwise(
            pl.col("verdict")
            .fill_null("PRED_WRONG")
            .replace_strict(EVENT_OF_VERDICT, return_dtype=pl.String)
        )
    )
    return _relabelled(joined)


def _relabelled(rows: pl.DataFrame) -> pl.DataFrame:
    """Make the prediction the label of corrected rows, and an alternative of widened rows."""
    changing = rows.filter(pl.col("event").is_in(["corrected", "widened"]))
    changes = []
    for row in changing.iter_rows(named=True):
        new = prediction_label(row["prediction"], row["calls"], row["parse_error"])
        if new is None:
            raise TableError(
                f"verdicts: {row['verdict']} for {row['sample_id']}, which has no valid prediction"
            )
        identity = label_id(new)
        if row["new_label_id"] not in (None, identity):
            raise TableError(
                f"verdicts: new_label_id of {row['sample_id']} is not the probe's prediction"
            )
        if row["event"] == "corrected":
            # The alternatives were accepted next to the wrong label, so they are dropped with it.
            tools, messages = (canonical.loads(row[name]) for name in ("tools", "messages"))
            category = category_of(tools, messages, new, row["category"])
            change = (canonical.dumps(new), identity, "[]", category, identity)
        else:
            others = canonical.dumps([*canonical.loads(row["alternatives"]), new])
            change = (row["label"], row["label_id"], others, row["category"], identity)
        changes.append((row["sample_id"], row["event"], *change))
    columns = ["event", "label", "label_id", "alternatives", "category", "event_label_id"]
    update = pl.DataFrame(
        changes, schema=dict.fromkeys(["sample_id", *columns], pl.String), orient="row"
    )
    return rows.with_columns(
        before=pl.col("label_id"), former=pl.col("label"), event_label_id=pl.lit(None, pl.String)
    ).update(update, on="sample_id", how="left")


def _expanded_rows(accepted: Sequence[Candidate], iteration: int, expander: str) -> pl.DataFrame:
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


def _lineage(rows: pl.DataFrame, expanded: pl.DataFrame, capped: pl.DataFrame) -> pl.DataFrame:
    shared = ["sample_id", "event", "parent_id", "old_label_id", "new_label_id", "judge"]
    existing = rows.select(
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


def _check_tables(samples: pl.DataFrame, probe: pl.DataFrame, verdicts: pl.DataFrame) -> None:
    ids = samples["sample_id"].sort()
    if not ids.equals(probe["sample_id"].sort(), check_names=False):
        raise TableError("probe: its sample_ids are not those of D_j; run probe again")
    if verdicts.is_empty():
        return
    missed = probe.filter(~pl.col("matched")).select("sample_id").sort("sample_id")
    if not missed["sample_id"].equals(verdicts["sample_id"].sort()):
        raise TableError("verdicts: sample_ids are not the probe's mismatches; run verify again")
    labels = verdicts.join(samples, on="sample_id").filter(
        pl.col("old_label_id") != pl.col("label_id")
    )
    if len(labels):
        raise TableError(
            f"verdicts: {labels['sample_id'][0]} was judged with another label; run verify again"
        )


def _check_expanded(expanded: pl.DataFrame, rows: pl.DataFrame) -> None:
    doubled = expanded.filter(
        pl.col("sample_id").is_duplicated() | pl.col("sample_id").is_in(rows["sample_id"].implode())
    )
    if len(doubled):
        raise ValueError(f"expansion {doubled['sample_id'][0]} already exists; run accept first")
    parents = rows.filter(pl.col("event").is_in(["failed", "corrected"]))["sample_id"]
    orphans = expanded.filter(~pl.col("parent_id").is_in(parents.implode()))
    if len(orphans):
        raise ValueError(f"expansion {orphans['sample_id'][0]}: its parent is not an error seed")
