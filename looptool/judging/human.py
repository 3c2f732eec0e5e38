"""People as judges: their decisions overrule the verdicts of the other judges (docs/audit.md).

Each reviewer's decisions are a file in `data/reviews`. Of one reviewer the last decision on a label
counts, if it fits the prediction. Of several, more than half must agree on the verdict and the new
label, not counting who is unsure; else there is no consensus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from looptool.core import canonical, tables
from looptool.core.samples import (
    VERDICT_OF_DECISION,
    Decision,
    Label,
    Verdict,
    label_id,
    prediction_label,
)

FOLDER = Path("data/reviews")
HUMAN = "human:"  # how the name of a judge begins that is people
Waits = Literal["off", "corrected", "all"]
Key = tuple[str, str]
"""A sample_id and the label_id that was decided on."""


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
        return HUMAN + "+".join(self.reviewers)


def read_reviews(folder: Path = FOLDER) -> pl.DataFrame:
    """Read the decisions of all reviewers; see `read_files`."""
    return read_files(sorted(folder.glob("*.parquet")) if folder.is_dir() else [])


def read_files(files: Iterable[Path]) -> pl.DataFrame:
    """Read files of decisions, as `tables.Reviews` but for `number`, each in its order.

    Raises:
        TableError: if a file is not such a table.
    """
    parts = [tables.read(file, tables.Reviews).sort("number") for file in files]
    return pl.concat([tables.frame(tables.Reviews, []), *parts])


def of_iteration(reviews: pl.DataFrame, iteration: int) -> pl.DataFrame:
    """Return the decisions that count in an iteration: those on it and on earlier ones.

    Later ones would change the data that the model under review was trained on. Decisions on
    audits are applied by `looptool data audit --apply`.
    """
    about = pl.col("source").cast(pl.Int64, strict=False)
    return reviews.filter(about <= iteration).sort(about, maintain_order=True)


def merged(
    reviews: pl.DataFrame, predictions: Mapping[str, str | None] | None = None
) -> dict[Key, Merged]:
    """Return what was decided on each (sample_id, label_id).

    Args:
        predictions: the label_id of the prediction for each sample_id. Decisions that compare the
            label with another one are left out. None: all decisions count.
    """
    last: dict[Key, dict[str, Mapping[str, Any]]] = {}
    for row in reviews.iter_rows(named=True):
        last.setdefault((row["sample_id"], row["label_id"]), {})[row["reviewer"]] = row
    result = {}
    for key, of_label in last.items():
        prediction = predictions.get(key[0]) if predictions is not None else None
        rows = [of_label[name] for name in sorted(of_label)]
        if predictions is not None:
            rows = [row for row in rows if fits(row, prediction)]
        if rows:
            result[key] = _merge(rows, prediction)
    return result


def fits(row: Mapping[str, Any], prediction_id: str | None) -> bool:
    """Whether a decision is still true, whatever prediction there is now.

    `keep`, `take` and `edit` say which label is right. The other decisions are about the label and
    the prediction that was shown.
    """
    return row["decision"] in ("keep", "take", "edit") or row["prediction_id"] == prediction_id


def outcome_of(row: Mapping[str, Any]) -> tuple[Verdict, str | None]:
    """Return what a decision comes to: the verdict and the new label's id. `take` and `edit` of one
    label come to the same.
    """
    return VERDICT_OF_DECISION[row["decision"]], row["new_label_id"]


def _merge(rows: Sequence[Mapping[str, Any]], prediction_id: str | None) -> Merged:
    sure = [row for row in rows if row["decision"] != "unsure"] or list(rows)
    outcome, most = Counter(map(outcome_of, sure)).most_common(1)[0]
    if 2 * most <= len(sure):
        return Merged("unsure", _names(sure), most / len(sure), sure[-1])
    agreed = [row for row in sure if outcome_of(row) == outcome]
    saw_it = [row for row in agreed if row["prediction_id"] == prediction_id]
    row = (saw_it or agreed)[-1]
    return Merged(row["decision"], _names(agreed), most / len(sure), row)


def _names(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({row["reviewer"] for row in rows}))


def predictions_of(probe: pl.DataFrame, ids: Iterable[str]) -> dict[str, Label | None]:
    """Return the predictions for some samples as labels; None if one cannot be read."""
    wanted = probe.filter(pl.col("sample_id").is_in(list(ids)))
    columns = wanted.select("sample_id", "text", "calls", "parse_error")
    return {sample: prediction_label(*answer) for sample, *answer in columns.iter_rows()}


def overrule(
    verdicts: pl.DataFrame, probe: pl.DataFrame, reviews: pl.DataFrame, waits: Waits
) -> pl.DataFrame:
    """Return verdicts in which people's decisions stand in place of the judges'.

    Args:
        verdicts: the judges' verdicts, `tables.Verdicts`.
        probe: the predictions that they judged, `tables.Probe`.
        reviews: the decisions that count, `of_iteration`.
        waits: which verdicts wait for a person, as NO_CONSENSUS: none, corrections, or all.
    """
    predictions = predictions_of(probe, reviews["sample_id"].unique())
    ids = {sample: label_id(label) if label else None for sample, label in predictions.items()}
    decided = merged(reviews, ids)
    rows = []
    for row in verdicts.iter_rows(named=True):
        prediction_id = ids.get(row["sample_id"])
        found = decided.get((row["sample_id"], row["old_label_id"]))
        if found and _speaks_to(found, row["verdict"], prediction_id):
            rows.append(_overruled(row, found, prediction_id))
        elif waits == "all" or (waits == "corrected" and row["verdict"] == "LABEL_WRONG"):
            reason = f"{row['rationale']} | Waits for a review (verify.review: {waits})."
            rows.append({**row, "verdict": "NO_CONSENSUS", "rationale": reason,
                         "new_label_id": None})  # fmt: skip
        else:
            rows.append(row)
    return tables.frame(tables.Verdicts, rows)


def _is_blind(found: Merged, prediction_id: str | None) -> bool:
    """Whether people kept a label, but beside another prediction than there is now."""
    return found.decision == "keep" and found.row["prediction_id"] != prediction_id


def _speaks_to(found: Merged, verdict: str, prediction_id: str | None) -> bool:
    """Whether a decision says anything about a verdict of the judges.

    Of a label that people kept beside another prediction, they only know that it is not wrong.
    """
    return not _is_blind(found, prediction_id) or verdict in ("LABEL_WRONG", "BOTH_WRONG")


def _overruled(row: Mapping[str, Any], found: Merged, prediction_id: str | None) -> dict[str, Any]:
    verdict: Verdict = VERDICT_OF_DECISION[found.decision]
    if _is_blind(found, prediction_id):
        verdict = "NO_CONSENSUS"
    new = found.row["new_label_id"] if verdict in ("LABEL_WRONG", "BOTH_CORRECT") else None
    votes = canonical.loads(row["votes"])
    votes[found.judge] = {"verdict": verdict, "confidence": 1.0}
    note = f" {found.row['note']}" if found.row["note"] else ""
    return {
        **row,
        "verdict": verdict,
        "rationale": f"{row['rationale']} | {found.judge}: {found.decision}.{note}",
        "judge": found.judge,
        "votes": canonical.dumps(votes),
        "consensus": found.agreement,
        "new_label_id": new,
        "new_label": found.row["new_label"] if new and new != prediction_id else None,
    }


def misfits(
    verdicts: pl.DataFrame,
    samples: pl.DataFrame,
    probe: pl.DataFrame,
    reviews: pl.DataFrame,
    iteration: int,
) -> pl.DataFrame:
    """Return the decisions on an iteration that no longer fit it, with the reason.

    Args:
        verdicts: what `overrule` returned.
        samples, probe: D_j and its probe.

    Returns:
        `tables.Rejected`, a row for each label and reviewer.
    """
    about = reviews.filter(source=str(iteration)).unique(
        ["sample_id", "label_id", "reviewer"], keep="last", maintain_order=True
    )
    known = {
        row["sample_id"]: row
        for row in samples.join(about.select("sample_id").unique(), on="sample_id", how="semi")
        .join(probe.select("sample_id", "matched", "error_type"), on="sample_id", how="left")
        .iter_rows(named=True)
    }
    predictions = predictions_of(probe, known)
    judged = set(verdicts["sample_id"])
    rows = []
    for row in about.iter_rows(named=True):
        sample = known.get(row["sample_id"])
        prediction = predictions.get(row["sample_id"])
        if sample is None:
            reason = f"D_{iteration} no longer has the sample"
        elif sample["label_id"] != row["label_id"]:
            reason = f"was about the label {row['label_id']}, but D_{iteration} has " \
                     f"{sample['label_id']}"  # fmt: skip
        elif row["sample_id"] not in judged:
            reason = "the model now answers as the label says"
            if sample["error_type"] == "refused":
                reason = "the model refused it"
        elif not fits(row, label_id(prediction) if prediction else None):
            reason = "was about another prediction"
        else:
            continue
        rows.append({
            "sample_id": row["sample_id"], "check": "review", "stage": "verify", "parent_id": None,
            "reason": f"{row['reviewer']} decided {row['decision']}: {reason}",
            "tools": sample["tools"] if sample else "[]",
            "messages": sample["messages"] if sample else "[]",
            "label": row["new_label"] or (sample["label"] if sample else "{}"),
        })  # fmt: skip
    return tables.frame(tables.Rejected, rows)
