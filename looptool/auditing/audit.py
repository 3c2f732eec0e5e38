"""The audit itself: judges compare each label with another answer, or inspect it alone."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl

from looptool.auditing import AUDIT, DESCRIPTION, SAMPLES
from looptool.auditing.predictions import Answer, Answers, voted
from looptool.auditing.sets import AuditedSet
from looptool.core import canonical, tables
from looptool.core.files import replacing
from looptool.core.machine import cores
from looptool.core.samples import (
    VERDICTS,
    Label,
    Verdict,
    dataset_id,
    is_correct,
    label_calls,
    label_id,
)
from looptool.core.tool_match import MatchMode
from looptool.judging import Case, Impression, Judge, impressions, likely_wrong
from looptool.judging.verify import majority

_ROWS = 500  # judged at a time in one process
_LEAST_SPREAD = 2_000  # samples from which several processes are worth their start
_COLUMNS = ("sample_id", "tools", "messages", "label", "label_id", "alternatives", "category",
            "line", "turn")  # fmt: skip
_VERDICT_ORDER: dict[Verdict | None, int] = {
    "LABEL_WRONG": 0, "BOTH_WRONG": 1, "NO_CONSENSUS": 2, "BOTH_CORRECT": 3, "PRED_WRONG": 4,
    None: 5,
}  # fmt: skip
SUSPECT = ("LABEL_WRONG", "BOTH_WRONG", "NO_CONSENSUS")
"""The verdicts after which a person should look at a label."""


def audit(
    opened: AuditedSet,
    place: Path,
    judges: Sequence[Judge],
    answers: Answers,
    match: MatchMode,
    on_progress: Callable[[int], Any] = lambda _: None,
) -> dict[str, Any]:
    """Judge all labels of a set, write the audit into a folder and return its description.

    The folder gets the samples (`tables.Samples`), what is said about each (`tables.Audit`), and
    the description. The set itself is not changed.

    Args:
        answers: if there are any, labels that no answer contradicts are not judged; if not, every
            judge inspects each label alone.
    """
    place.mkdir(parents=True, exist_ok=True)
    for name in (DESCRIPTION, AUDIT):  # so that no part of an earlier audit is taken for this one
        (place / name).unlink(missing_ok=True)
    rows: list[dict[str, Any]] = []
    ids: list[pl.DataFrame] = []
    columns = list(tables.polars_schema(tables.Samples))
    with (
        replacing(place / SAMPLES) as partial,
        tables.Writer(partial, tables.Samples, place / SAMPLES) as samples,
    ):

        def parts() -> Iterator[pl.DataFrame]:
            for part in opened.parts():
                samples.add(part.select(columns).to_dict(as_series=False))
                ids.append(part.select("sample_id", "label_id", "alternatives"))
                yield part

        for judged in _judged(parts(), judges, answers, match, opened.rows):
            rows += judged
            on_progress(len(rows))
    table = _sorted(tables.frame(tables.Audit, rows))
    tables.write(table, tables.Audit, place / AUDIT, sort=False)
    described = describe(opened, dataset_id(pl.concat(ids)), table, judges, answers)
    with replacing(place / DESCRIPTION) as partial:
        partial.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return described


def _sorted(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with the most suspicious labels first.

    Of equally suspicious ones, that comes first which a model finds less likely than its answer.
    """
    order = pl.col("verdict").replace_strict(_VERDICT_ORDER, return_dtype=pl.Int64, default=5)
    surprise = (pl.col("label_ppl") / pl.col("ppl")).fill_null(0.0)
    return table.sort(
        [-pl.col("suspicion"), order, -surprise, -pl.col("agreement").fill_null(0), "sample_id"]
    )


def describe(
    opened: AuditedSet,
    identity: str,
    table: pl.DataFrame,
    judges: Sequence[Judge],
    answers: Answers,
) -> dict[str, Any]:
    """Return totals and counts of an audit."""
    suspects = table.filter(pl.col("verdict").is_in(SUSPECT))
    unread = tables.counts(table.drop_nulls("unread"), "unread")
    undecided = int((table["verdict"] == "NO_CONSENSUS").sum() or 0)
    judged, failed = len(table), sum(unread.values())
    if answers.by_model:  # only the labels that an answer contradicts are judged
        judged, failed = len(table.drop_nulls("verdict")), 0
    arguments = Counter(
        name for text in suspects["arguments"] for name in canonical.loads(text)
    ).most_common(20)
    return {
        "source": opened.source,
        "reference": opened.reference,
        "dataset_id": identity,
        "samples": len(table),
        "refused": sum(opened.refused.values()),
        "refused_by_check": dict(opened.refused),
        "judges": [judge.name for judge in judges],
        "answers_of": list(answers.by_model),
        "answered": sum(text != "{}" for text in table["answers"]),
        "judged": judged,
        "could_judge": 1 - (failed + undecided) / judged if judged else None,
        "unread": unread,
        "verdicts": {
            name: count
            for name in VERDICTS
            if (count := int((table["verdict"] == name).sum() or 0))
        },
        "suspects": len(suspects),
        "by_category": _counted(suspects, "category"),
        "by_tool": _counted(suspects.filter(pl.col("tool") != ""), "tool"),
        "by_argument": dict(arguments),
    }


def _counted(table: pl.DataFrame, column: str) -> dict[str, int]:
    counts = table[column].value_counts().sort(["count", column], descending=[True, False])
    return dict(counts.head(20).iter_rows())


def _judged(
    parts: Iterator[pl.DataFrame],
    judges: Sequence[Judge],
    answers: Answers,
    match: MatchMode,
    rows: int,
) -> Iterator[list[dict[str, Any]]]:
    """Yield rows of `tables.Audit`, part by part, in several processes if the judges allow it."""
    if rows < _LEAST_SPREAD or not all(getattr(judge, "portable", False) for judge in judges):
        for part in parts:
            yield examine(part, _answers_to(part, answers), judges, match)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores(), mp_context=context) as pool:
        for part in parts:
            pieces = list(part.iter_slices(_ROWS))
            made = [
                pool.submit(examine, piece, _answers_to(piece, answers), judges, match)
                for piece in pieces
            ]
            for future in made:
                yield future.result()


def _answers_to(part: pl.DataFrame, answers: Answers) -> list[dict[str, Answer]]:
    return [answers.of(identity) for identity in part["sample_id"]] if answers.by_model else []


def examine(
    part: pl.DataFrame,
    answers: Sequence[Mapping[str, Answer]],
    judges: Sequence[Judge],
    match: MatchMode,
) -> list[dict[str, Any]]:
    """Return a row of `tables.Audit` for each sample, in their order.

    Args:
        part: `tables.Samples`, and line and turn.
        answers: for each sample its answers by model; empty if the labels are inspected alone.
    """
    rows = [
        row | {name: canonical.loads(row[name]) for name in ("tools", "messages", "label")}
        for row in part.select(_COLUMNS).iter_rows(named=True)
    ]
    if not answers:
        samples = [(row["tools"], row["messages"], row["label"]) for row in rows]
        views = zip(*(impressions(judge, samples) for judge in judges), strict=True)
        return [_alone(row, judges, view) for row, view in zip(rows, views, strict=True)]
    return _compared(rows, answers, judges, match)


def _alone(
    row: Mapping[str, Any], judges: Sequence[Judge], views: Sequence[Impression]
) -> dict[str, Any]:
    """Return the row of a label that judges inspected without another answer."""
    against = [view for view in views if view.wrong >= 0.5]
    instead = next((view.instead for view in against if view.instead), None)
    verdict: Verdict | None = None
    if 2 * len(against) > len(views):
        verdict = "LABEL_WRONG" if instead else "BOTH_WRONG"
    elif against:
        verdict = "NO_CONSENSUS"
    suspicion = sum(view.wrong for view in views) / len(views)
    votes = {
        judge.name: {
            "verdict": ("LABEL_WRONG" if instead else "BOTH_WRONG") if view in against else None,
            "confidence": round(view.wrong if view in against else 1 - view.wrong, 4),
        }
        for judge, view in zip(judges, views, strict=True)
    }
    faulty = [view.argument for view in against if view.argument]
    return _row(
        row,
        verdict=verdict,
        suspicion=suspicion,
        confidence=suspicion if verdict else None,
        judge="+".join(judge.name for judge in judges),
        votes=votes,
        rationale=_joined(judges, [view.rationale for view in views]),
        unread=next((view.unread for view in views), None)
        if all(v.unread for v in views)
        else None,
        prediction=instead,
        faulty=faulty,
    )


def _compared(
    rows: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Answer]],
    judges: Sequence[Judge],
    match: MatchMode,
) -> list[dict[str, Any]]:
    """Return the rows of labels beside the most frequent answer of the models."""
    chosen = [voted(each) for each in answers]
    missed, cases = [], []
    for place, (row, each, (model, _)) in enumerate(zip(rows, answers, chosen, strict=True)):
        if model is None:
            continue
        alternatives = canonical.loads(row["alternatives"])
        if not is_correct(each[model].parsed, row["label"], alternatives, row["tools"], match):
            missed.append(place)
            cases.append(Case(row["tools"], row["messages"], row["label"], each[model].label))
    opinions = zip(*(judge.compare(cases) for judge in judges), strict=True)
    judged = dict(zip(missed, opinions, strict=True))
    result = []
    for place, (row, each, (model, agreement)) in enumerate(
        zip(rows, answers, chosen, strict=True)
    ):
        said = judged.get(place, ())
        prediction = each[model].label if model is not None else None
        shared: dict[str, Any] = {
            "judge": "+".join(judge.name for judge in judges),
            "prediction": prediction,
            "answers": {name: _shown(answer) for name, answer in each.items()},
            "agreement": agreement if model is not None else None,
            "ppl": each[model].ppl if model is not None else None,
            "label_ppl": each[model].label_ppl if model is not None else None,
        }
        if not said:
            result.append(_row(row, verdict=None, suspicion=0.0, **shared))
            continue
        verdict, _ = majority(said, prediction)
        sure = [opinion.confidence for opinion in said if opinion.verdict == verdict]
        result.append(
            _row(
                row,
                verdict=verdict,
                suspicion=sum(likely_wrong(o.verdict, o.confidence) for o in said) / len(said),
                confidence=sum(sure) / len(sure) if sure else 0.5,
                votes={
                    judge.name: {
                        "verdict": opinion.verdict, "confidence": round(opinion.confidence, 4)
                    }
                    for judge, opinion in zip(judges, said, strict=True)
                },
                rationale=_joined(judges, [opinion.rationale for opinion in said]),
                faulty=differing(row["label"], prediction) if prediction else [],
                **shared,
            )
        )  # fmt: skip
    return result


def _shown(answer: Answer) -> Any:
    return answer.label if answer.label is not None else {"problem": answer.problem}


def _joined(judges: Sequence[Judge], rationales: Sequence[str]) -> str:
    if len(judges) == 1:
        return rationales[0]
    return " | ".join(
        f"{judge.name}: {text}" for judge, text in zip(judges, rationales, strict=True) if text
    )


def differing(label: Label, prediction: Label) -> list[str]:
    """Return the arguments, as `tool.argument`, in which the calls of two answers differ.

    Calls of one tool are compared in their order. A call that only one answer makes counts as
    `tool`.
    """
    left, right = label_calls(label), label_calls(prediction)
    found: dict[str, None] = {}
    for name in dict.fromkeys(call.name for call in (*left, *right)):
        ones, twos = ([c for c in calls if c.name == name] for calls in (left, right))
        if len(ones) != len(twos):
            found[name] = None
        for one, two in zip(ones, twos, strict=False):
            for key in dict.fromkeys([*one.arguments, *two.arguments]):
                missing = object()
                a, b = one.arguments.get(key, missing), two.arguments.get(key, missing)
                if a is missing or b is missing or canonical.dumps(a) != canonical.dumps(b):
                    found[f"{name}.{key}"] = None
    return list(found)


def _row(
    row: Mapping[str, Any],
    *,
    verdict: Verdict | None,
    suspicion: float,
    judge: str,
    confidence: float | None = None,
    votes: Mapping[str, Any] | None = None,
    rationale: str = "",
    unread: str | None = None,
    prediction: Label | None = None,
    faulty: Sequence[str] = (),
    answers: Mapping[str, Any] | None = None,
    agreement: float | None = None,
    ppl: float | None = None,
    label_ppl: float | None = None,
) -> dict[str, Any]:
    calls = label_calls(row["label"])
    if not faulty and prediction is not None and verdict is not None:
        faulty = differing(row["label"], prediction)
    return {
        **{name: row[name] for name in ("sample_id", "label_id", "category", "line", "turn")},
        "tool": calls[0].name if calls else "",
        "arguments": canonical.dumps(list(faulty)),
        "verdict": verdict,
        "suspicion": round(suspicion, 4),
        "confidence": None if confidence is None else round(confidence, 4),
        "judge": judge,
        "votes": canonical.dumps(dict(votes or {})),
        "rationale": rationale,
        "unread": unread,
        "prediction": None if prediction is None else canonical.dumps(prediction),
        "prediction_id": None if prediction is None else label_id(prediction),
        "answers": canonical.dumps(dict(answers or {})),
        "agreement": agreement,
        "ppl": ppl,
        "label_ppl": label_ppl,
    }
