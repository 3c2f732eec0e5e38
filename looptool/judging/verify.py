"""The verify stage: judges compare every mismatch and vote (docs/design.md, section 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl

from looptool.core import canonical, samples, tables
from looptool.core.samples import Label, Verdict
from looptool.judging import Case, Judge, Opinion


def verify(data: pl.DataFrame, probe: pl.DataFrame, judges: Sequence[Judge]) -> pl.DataFrame:
    """Judge every sample whose prediction does not match its label.

    Samples of the error type `refused` are not judged: the model cannot take their prompt, or was
    not trained on them.

    Args:
        data: the samples, `tables.Samples`.
        probe: the model's predictions for them, `tables.Probe`.
        judges: at least one; each has one vote.

    Returns:
        `tables.Verdicts`, one row per mismatch. For LABEL_WRONG and BOTH_CORRECT, `new_label_id`
        is the id of the label made from the prediction; otherwise it is null. `consensus` is the
        share of judges that voted for the verdict.

    Raises:
        ValueError: if there are no judges.
    """
    if not judges:
        raise ValueError("verify needs at least one judge")
    mismatches = (
        data.select("sample_id", "tools", "messages", "label", "label_id")
        .join(mismatches_of(probe), on="sample_id", how="inner")
        .sort("sample_id")
        .to_dicts()
    )
    cases = [
        Case(
            tools=canonical.loads(row["tools"]),
            messages=canonical.loads(row["messages"]),
            label=canonical.loads(row["label"]),
            prediction=samples.prediction_label(row["text"], row["calls"], row["parse_error"]),
        )
        for row in mismatches
    ]
    opinions = zip(*(judge.compare(cases) for judge in judges), strict=True)
    names = [judge.name for judge in judges]
    rows = [
        _verdict_row(row, case, names, votes)
        for row, case, votes in zip(mismatches, cases, opinions, strict=True)
    ]
    return tables.frame(tables.Verdicts, rows)


def mismatches_of(probe: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a probe that need a verdict."""
    return probe.filter(~pl.col("matched"), pl.col("error_type").ne_missing("refused"))


def majority(opinions: Sequence[Opinion], prediction: Label | None) -> tuple[Verdict, float]:
    """Return the verdict of more than half of the judges, and their share.

    If no verdict has a majority, return NO_CONSENSUS and the share of the most frequent verdict.
    An unparsable prediction is wrong: LABEL_WRONG then counts as BOTH_WRONG, and BOTH_CORRECT as
    PRED_WRONG.

    Args:
        prediction: None if the model's answer could not be parsed.
    """
    votes = Counter(_possible(opinion.verdict, prediction) for opinion in opinions)
    verdict, most = votes.most_common(1)[0]
    return (verdict if 2 * most > len(opinions) else "NO_CONSENSUS"), most / len(opinions)


def _possible(verdict: Verdict, prediction: Label | None) -> Verdict:
    if prediction is not None:
        return verdict
    unparsable: dict[Verdict, Verdict] = {"LABEL_WRONG": "BOTH_WRONG", "BOTH_CORRECT": "PRED_WRONG"}
    return unparsable.get(verdict, verdict)


def _verdict_row(
    row: dict[str, str], case: Case, names: Sequence[str], opinions: Sequence[Opinion]
) -> dict[str, object]:
    verdict, consensus = majority(opinions, case.prediction)
    takes_over = verdict in ("LABEL_WRONG", "BOTH_CORRECT")
    return {
        "sample_id": row["sample_id"],
        "verdict": verdict,
        "rationale": _rationale(verdict, names, opinions),
        "judge": "+".join(names),
        "votes": canonical.dumps(
            {
                name: {"verdict": opinion.verdict, "confidence": round(opinion.confidence, 4)}
                for name, opinion in zip(names, opinions, strict=True)
            }
        ),
        "consensus": consensus,
        "old_label_id": row["label_id"],
        "new_label_id": (
            samples.label_id(case.prediction)
            if takes_over and case.prediction is not None
            else None
        ),
        "new_label": None,
        "proposed": verdict,
    }


def _rationale(verdict: Verdict, names: Sequence[str], opinions: Sequence[Opinion]) -> str:
    if len(opinions) == 1:
        return opinions[0].rationale
    return " | ".join(
        f"{name}{'' if opinion.verdict == verdict else f' ({opinion.verdict})'}: "
        f"{opinion.rationale}"
        for name, opinion in zip(names, opinions, strict=True)
    )
