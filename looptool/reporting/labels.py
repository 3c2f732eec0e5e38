"""Label quality, measured against the planted truth. The only module that reads truth tables.

A label is *right* if it asks for the same calls as the true label (ToolMatch), or both ask for a
text. An expansion has no truth of its own: it is as right as the label that it was made from, and
once relabelled its state is unknown and counts nowhere.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from looptool import canonical, tables
from looptool.calls import MatchMode, parse
from looptool.calls import match as same_calls
from looptool.judging.verify import prediction_label
from looptool.samples import is_correct, label_calls

RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"


def measure(root: Path, iterations: int, match: MatchMode) -> list[dict[str, Any]]:
    """Return one row of label metrics for each iteration 1..N, nulls where nothing was probed.

    Args:
        root: the folder that holds `<j>/train.parquet` and the other tables of each iteration.
    """
    truth: dict[str, dict[str, Any]] = {}
    expansions: dict[str, tuple[str, str]] = {}  # sample_id → (label_id at birth, state)
    result = []
    for iteration in range(1, iterations + 1):
        folder = root / str(iteration)
        table = tables.read(folder / "truth.parquet", tables.Truth)
        truth.update({row["sample_id"]: row for row in table.iter_rows(named=True)})
        samples = tables.read(folder / "train.parquet", tables.Samples)
        states = _states(samples, truth, expansions, match)
        row: dict[str, Any] = {
            "iteration": iteration,
            "samples": len(samples),
            "label_error": error_share(states.values()),
            "unknown": sum(state == UNKNOWN for state in states.values()),
        }
        if iteration < iterations:
            carried = tables.read(folder / "carried.parquet", tables.Samples)
            probe = tables.read(folder / "probe.parquet", tables.Probe)
            verdicts = tables.read(folder / "verdicts.parquet", tables.Verdicts)
            _inherit(carried, samples, probe, verdicts, truth, expansions, match)
            after = _states(carried, truth, expansions, match)
            row["label_error_carried"] = error_share(after.values())
            if len(probe):
                row |= handoff(samples, states, probe, verdicts, truth, match)
        result.append(row)
    return result


def handoff(
    samples: pl.DataFrame,
    states: dict[str, str],
    probe: pl.DataFrame,
    verdicts: pl.DataFrame,
    truth: dict[str, dict[str, Any]],
    match: MatchMode,
) -> dict[str, Any]:
    """Say what became of the wrong labels at one handoff.

    Returns:
        `wrong` labels split into `memorised` (the prediction matched them, so nobody judged),
        `corrected` (replaced by a right one), `replaced_wrongly`, `dropped`, `missed`;
        `precision`: of the replaced labels with known truth, how many were wrong;
        `recall`: of the wrong labels where the prediction was right, how many were replaced;
        `by_noise`: wrong, predicted right, replaced for each kind of planted noise.
    """
    tools = {row["sample_id"]: row["tools"] for row in samples.iter_rows(named=True)}
    verdict_of = dict(verdicts.select("sample_id", "verdict").iter_rows())
    counted: Counter[str] = Counter()
    by_noise: dict[str, Counter[str]] = {}
    for row in probe.iter_rows(named=True):
        sample_id, state = row["sample_id"], states[row["sample_id"]]
        verdict = verdict_of.get(sample_id)
        counted["replaced"] += verdict == "LABEL_WRONG" and state != UNKNOWN
        if state != WRONG:
            counted["right_replaced"] += verdict == "LABEL_WRONG" and state == RIGHT
            continue
        fate, known = "missed", truth.get(sample_id)
        predicted = known is not None and is_correct(
            parse(row["prediction"]),
            canonical.loads(known["label"]),
            (),
            canonical.loads(tools[sample_id]),
            match,
        )
        if row["matched"]:
            fate = "memorised"
        elif verdict == "LABEL_WRONG":
            fate = "corrected" if predicted else "replaced_wrongly"
        elif verdict == "BOTH_WRONG":
            fate = "dropped"
        counted[fate] += 1
        kind = by_noise.setdefault((known and known["noise"]) or "expansion", Counter())
        kind["wrong"] += 1
        if predicted:
            kind["predicted_right"] += 1
            kind["replaced"] += verdict == "LABEL_WRONG"
    predicted_right = sum(kind["predicted_right"] for kind in by_noise.values())
    found = sum(kind["replaced"] for kind in by_noise.values())
    fates = ("memorised", "corrected", "replaced_wrongly", "dropped", "missed")
    return {
        **{fate: counted[fate] for fate in fates},
        "replaced": counted["replaced"],
        "precision": _share(counted["replaced"] - counted["right_replaced"], counted["replaced"]),
        "recall": _share(found, predicted_right),
        "wrong_predicted_right": predicted_right,
        "by_noise": {
            name: {key: kind[key] for key in ("wrong", "predicted_right", "replaced")}
            for name, kind in sorted(by_noise.items())
        },
    }


def error_share(states: Any) -> float | None:
    """Return the share of wrong labels among those whose state is known, or None."""
    counted = Counter(states)
    return _share(counted[WRONG], counted[WRONG] + counted[RIGHT])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _states(
    rows: pl.DataFrame,
    truth: dict[str, dict[str, Any]],
    expansions: dict[str, tuple[str, str]],
    match: MatchMode,
) -> dict[str, str]:
    return {
        row["sample_id"]: _state(row, truth, expansions, match)
        for row in rows.iter_rows(named=True)
    }


def _state(
    row: dict[str, Any],
    truth: dict[str, dict[str, Any]],
    expansions: dict[str, tuple[str, str]],
    match: MatchMode,
) -> str:
    known = truth.get(row["sample_id"])
    if known is None:
        label_id, state = expansions.get(row["sample_id"], ("", UNKNOWN))
        return state if label_id == row["label_id"] else UNKNOWN
    if known["label_id"] == row["label_id"]:
        return RIGHT
    label, true = canonical.loads(row["label"]), canonical.loads(known["label"])
    if "text" in label or "text" in true:
        return RIGHT if "text" in label and "text" in true else WRONG
    same = same_calls(label_calls(label), label_calls(true), canonical.loads(row["tools"]), match)
    return RIGHT if same else WRONG


def _inherit(
    carried: pl.DataFrame,
    samples: pl.DataFrame,
    probe: pl.DataFrame,
    verdicts: pl.DataFrame,
    truth: dict[str, dict[str, Any]],
    expansions: dict[str, tuple[str, str]],
    match: MatchMode,
) -> None:
    """Give new expansions the state of the label that they were made from: their parent's, after
    its correction if it was judged LABEL_WRONG."""
    parents = {row["sample_id"]: row for row in samples.iter_rows(named=True)}
    replaced = verdicts.filter(verdict="LABEL_WRONG").join(probe, on="sample_id")
    for row in replaced.iter_rows(named=True):
        label = prediction_label(row["prediction"], row["calls"], row["parse_error"])
        parents[row["sample_id"]] |= {
            "label": canonical.dumps(label),
            "label_id": row["new_label_id"],
        }
    for row in carried.filter(origin="expanded").iter_rows(named=True):
        if row["sample_id"] not in expansions and row["parent_id"] in parents:
            state = _state(parents[row["parent_id"]], truth, expansions, match)
            expansions[row["sample_id"]] = (row["label_id"], state)
