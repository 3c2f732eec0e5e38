"""Label correction (JGLV): what becomes of each sample of D_j after probe and verify."""

from __future__ import annotations

import polars as pl

from looptool.core import canonical
from looptool.core.errors import TableError
from looptool.core.samples import category_of, label_id, prediction_label
from looptool.judging.verify import mismatches_of

EVENT_OF_VERDICT = {
    "PRED_WRONG": "error_seed",
    "LABEL_WRONG": "corrected",
    "BOTH_CORRECT": "alternative",
    "BOTH_WRONG": "dropped",
    "NO_CONSENSUS": "undecided",
}


def outcomes(
    samples: pl.DataFrame,
    probe: pl.DataFrame,
    verdicts: pl.DataFrame,
    *,
    iteration: int,
    keep_high_ppl: bool,
) -> pl.DataFrame:
    """Join D_j with its probe and verdicts, add each row's event, and apply the new labels.

    Args:
        samples, probe, verdicts: D_j, its probe and the verdicts on all its mismatches. The table
            of verdicts is empty if nothing was verified; then every mismatch is an error seed. A
            sample that the model refused has no verdict and is undecided.
        iteration: j, the iteration of the new labels.
        keep_high_ppl: whether rows matched at high perplexity stay; otherwise they count as
            mastered.

    Returns:
        The columns of `tables.Samples`, `tables.Probe` and `tables.Verdicts`, and `event`,
        `event_label_id` (the label that the event added), `previous_label` and
        `previous_label_id`.

    Raises:
        TableError: if the tables do not match.
    """
    _check_tables(samples, probe, verdicts)
    joined = samples.join(probe, on="sample_id", validate="1:1").join(
        verdicts.select(
            "sample_id",
            "verdict",
            "rationale",
            "judge",
            "old_label_id",
            "new_label_id",
            "new_label",
        ),
        on="sample_id",
        how="left",
        validate="1:1",
    )
    kept = pl.col("high_ppl") if keep_high_ppl else pl.lit(False)
    joined = joined.with_columns(
        event=pl.when(pl.col("matched"))
        .then(pl.when(kept).then(pl.lit("high_ppl")).otherwise(pl.lit("mastered")))
        .otherwise(
            pl.col("verdict")
            .fill_null(
                pl.when(pl.col("error_type") == "refused")
                .then(pl.lit("NO_CONSENSUS"))
                .otherwise(pl.lit("PRED_WRONG"))
            )
            .replace_strict(EVENT_OF_VERDICT, return_dtype=pl.String)
        )
    )
    corrected = pl.col("event") == "corrected"
    return _relabelled(joined).with_columns(
        label_iteration=pl.when(corrected)
        .then(pl.lit(iteration, pl.Int64))
        .otherwise("label_iteration"),
        label_source=pl.when(corrected)
        .then(pl.concat_str(pl.lit("judge:"), "judge"))
        .otherwise("label_source"),
    )


def _relabelled(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the new label to rows that it changes: as the label, or as an alternative.

    It is the prediction, or what a person wrote.
    """
    changing = rows.filter(pl.col("event").is_in(["corrected", "alternative"]))
    changes = []
    for row in changing.iter_rows(named=True):
        if row["new_label"] is not None:
            new = canonical.loads(row["new_label"])
        else:
            new = prediction_label(row["text"], row["calls"], row["parse_error"])
        if new is None:
            raise TableError(
                f"verdicts: {row['verdict']} for {row['sample_id']}, which has no valid prediction"
            )
        identity = label_id(new)
        if row["new_label_id"] not in (None, identity):
            raise TableError(
                f"verdicts: new_label_id of {row['sample_id']} is not that of its new label"
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
        previous_label_id=pl.col("label_id"),
        previous_label=pl.col("label"),
        event_label_id=pl.lit(None, pl.String),
    ).update(update, on="sample_id", how="left")


def _check_tables(samples: pl.DataFrame, probe: pl.DataFrame, verdicts: pl.DataFrame) -> None:
    ids = samples["sample_id"].sort()
    if not ids.equals(probe["sample_id"].sort(), check_names=False):
        raise TableError("probe: its sample_ids are not those of D_j; run probe again")
    if verdicts.is_empty():
        return
    missed = mismatches_of(probe).select("sample_id").sort("sample_id")
    if not missed["sample_id"].equals(verdicts["sample_id"].sort()):
        raise TableError("verdicts: sample_ids are not the probe's mismatches; run verify again")
    labels = verdicts.join(samples, on="sample_id").filter(
        pl.col("old_label_id") != pl.col("label_id")
    )
    if len(labels):
        raise TableError(
            f"verdicts: {labels['sample_id'][0]} was judged with another label; run verify again"
        )
