"""People as judges: their decisions overrule the verdicts of the other judges (docs/audit.md).

Each reviewer's decisions are a file in `data/reviews`. Of one reviewer the last decision on a label
counts. Of several, more than half must agree on the decision and the new label, not counting who
is unsure; else there is no consensus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from looptool.core import canonical, tables
from looptool.core.samples import VERDICT_OF_DECISION, Decision, label_id, prediction_label

FOLDER = Path("data/reviews")
Waits = Literal["off", "corrected", "all"]


@dataclass(frozen=True)
class Merged:
    """What the reviewers of one label decided together.

    Attributes:
        agreement: the share of the reviewers who decided so, not counting who is unsure.
        row: the last decision of this kind, a row of `tables.Reviews`.
    """

    decision: Decision
    reviewers: tuple[str, ...]
    agreement: float
    row: Mapping[str, Any]

    @property
    def judge(self) -> str:
        """Return the judge's name: `human:` and the reviewers."""
        return "human:" + "+".join(self.reviewers)


def read_reviews(folder: Path = FOLDER) -> pl.DataFrame:
    """Read the decisions of all reviewers, as `tables.Reviews` but for `number`, in its order.

    Raises:
        TableError: if a file is not such a table.
    """
    files = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
    parts = [tables.read(file, tables.Reviews).sort("number") for file in files]
    return pl.concat([tables.frame(tables.Reviews, []), *parts])


def merged(reviews: pl.DataFrame) -> dict[tuple[str, str], Merged]:
    """Return what was decided on each (sample_id, label_id)."""
    last = reviews.unique(
        ["sample_id", "label_id", "reviewer"], keep="last", maintain_order=True
    ).sort("reviewer", maintain_order=True)
    by_label: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in last.iter_rows(named=True):
        by_label.setdefault((row["sample_id"], row["label_id"]), []).append(row)
    return {key: _merge(rows) for key, rows in by_label.items()}


def _merge(rows: Sequence[Mapping[str, Any]]) -> Merged:
    sure = [row for row in rows if row["decision"] != "unsure"] or list(rows)
    counts = Counter((row["decision"], row["new_label_id"]) for row in sure)
    (decision, new), most = counts.most_common(1)[0]
    if 2 * most <= len(sure):
        return Merged("unsure", _names(sure), most / len(sure), sure[-1])
    agreed = [row for row in sure if (row["decision"], row["new_label_id"]) == (decision, new)]
    return Merged(decision, _names(agreed), most / len(sure), agreed[-1])


def _names(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({row["reviewer"] for row in rows}))


def overrule(
    verdicts: pl.DataFrame, probe: pl.DataFrame, reviews: pl.DataFrame, waits: Waits
) -> pl.DataFrame:
    """Return verdicts in which people's decisions stand in place of the judges'.

    Args:
        verdicts: the judges' verdicts, `tables.Verdicts`.
        probe: the predictions that they judged, `tables.Probe`.
        reviews: all decisions, as `read_reviews` returns them.
        waits: which verdicts wait for a person, as NO_CONSENSUS: none, corrections, or all.
    """
    decided = merged(reviews)
    predictions = {
        row["sample_id"]: prediction_label(row["text"], row["calls"], row["parse_error"])
        for row in probe.filter(pl.col("sample_id").is_in({key for key, _ in decided})).iter_rows(
            named=True
        )
    }
    rows = []
    for row in verdicts.iter_rows(named=True):
        found = decided.get((row["sample_id"], row["old_label_id"]))
        prediction = predictions.get(row["sample_id"])
        if found and fits(found, label_id(prediction) if prediction else None):
            rows.append(_overruled(row, found, prediction))
        elif waits == "all" or (waits == "corrected" and row["verdict"] == "LABEL_WRONG"):
            reason = f"{row['rationale']} | Waits for a review (verify.review: {waits})."
            rows.append({**row, "verdict": "NO_CONSENSUS", "rationale": reason,
                         "new_label_id": None})  # fmt: skip
        else:
            rows.append(row)
    return tables.frame(tables.Verdicts, rows)


def fits(found: Merged, prediction_id: str | None) -> bool:
    """Whether a decision holds beside this prediction.

    What a person says about the label alone holds beside any. `both` and `unsure` compare it with
    one prediction.
    """
    return found.decision not in ("both", "unsure") or found.row["prediction_id"] == prediction_id


def _overruled(row: Mapping[str, Any], found: Merged, prediction: Any) -> dict[str, Any]:
    votes = canonical.loads(row["votes"])
    verdict = VERDICT_OF_DECISION[found.decision]
    votes[found.judge] = {"verdict": verdict, "confidence": 1.0}
    new = found.row["new_label_id"] if found.decision in ("take", "both", "edit") else None
    own = new is not None and (prediction is None or label_id(prediction) != new)
    note = f" {found.row['note']}" if found.row["note"] else ""
    return {
        **row,
        "verdict": verdict,
        "rationale": f"{row['rationale']} | {found.judge}: {found.decision}.{note}",
        "judge": found.judge,
        "votes": canonical.dumps(votes),
        "consensus": found.agreement,
        "new_label_id": new,
        "new_label": found.row["new_label"] if own else None,
    }


def misfits(
    verdicts: pl.DataFrame, samples: pl.DataFrame, reviews: pl.DataFrame, iteration: int
) -> pl.DataFrame:
    """Return the decisions on an iteration that no longer fit it, with the reason.

    Args:
        verdicts: what `overrule` returned.
        samples: D_j, `tables.Samples`.

    Returns:
        `tables.Rejected`.
    """
    used = set(verdicts.filter(pl.col("judge").str.starts_with("human:"))["sample_id"])
    labels = dict(samples.select("sample_id", "label_id").iter_rows())
    mismatched = set(verdicts["sample_id"])
    rows = []
    known = {row["sample_id"]: row for row in samples.iter_rows(named=True)}
    of_iteration = reviews.filter(source=str(iteration))
    for (sample, label), found in merged(of_iteration).items():
        if sample in used and labels.get(sample) == label:
            continue
        if sample not in labels:
            reason = f"D_{iteration} no longer has the sample"
        elif labels[sample] != label:
            reason = f"was about the label {label}, but D_{iteration} has {labels[sample]}"
        elif sample not in mismatched:
            reason = "the model now answers as the label says"
        else:
            reason = "was about another prediction"
        row = known.get(sample, {})
        rows.append({
            "sample_id": sample, "check": "review", "stage": "verify", "parent_id": None,
            "reason": f"{found.judge} decided {found.decision}: {reason}",
            "tools": row.get("tools", ""), "messages": row.get("messages", ""),
            "label": found.row["new_label"] or row.get("label", ""),
        })  # fmt: skip
    return tables.frame(tables.Rejected, rows)
