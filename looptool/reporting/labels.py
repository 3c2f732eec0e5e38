"""Label quality, measured against the true labels. The only module that reads truth tables.

A label is *right* if it expects the same calls as the true label (ToolMatch), or both expect a
text. An expansion has no true label: it has the state of the label that it was made from. Once it
is relabelled, its state is unknown and it is not counted.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.answers import from_columns
from looptool.core.samples import is_correct, label_calls, prediction_label
from looptool.core.tool_match import MatchMode
from looptool.core.tool_match import match as same_calls

RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"
# The first label_id of an expansion, and the state of the label that it was made from.
_EXPANSIONS = {"sample_id": pl.String, "label_id": pl.String, "state": pl.String}


def measure(root: Path, iterations: int, match: MatchMode) -> list[dict[str, Any]]:
    """Return one row of label metrics for each iteration 1..N.

    The last row has no metrics of a handoff, nor has a row whose data set was not probed.

    Args:
        root: the folder that holds `<j>/train.parquet` and the other tables of each iteration.
    """
    truth = tables.frame(tables.Truth, [])
    expansions = pl.DataFrame(schema=_EXPANSIONS)
    result = []
    for iteration in range(1, iterations + 1):
        folder = root / str(iteration)
        added = tables.read(folder / "truth.parquet", tables.Truth)
        truth = pl.concat([truth, added]).unique("sample_id", keep="last", maintain_order=True)
        samples = tables.read(folder / "train.parquet", tables.Samples)
        states = _states(samples, truth, expansions, match)
        row: dict[str, Any] = {
            "iteration": iteration,
            "samples": len(samples),
            "label_error": _error_share(states),
            "unknown": int((states["state"] == UNKNOWN).sum()),
        }
        if iteration < iterations:
            carried = tables.read(folder / "carried.parquet", tables.Samples)
            probe = tables.read(folder / "probe.parquet", tables.Probe)
            verdicts = tables.read(folder / "verdicts.parquet", tables.Verdicts)
            parents = _states(_relabelled(samples, probe, verdicts), truth, expansions, match)
            born = carried.filter(origin="expanded").join(expansions, on="sample_id", how="anti")
            born = born.select("sample_id", "label_id", "parent_id").join(
                parents, left_on="parent_id", right_on="sample_id"
            )
            expansions = pl.concat([expansions, born.select(*_EXPANSIONS)])
            row["label_error_carried"] = _error_share(_states(carried, truth, expansions, match))
            if len(probe):
                row |= _handoff(samples, states, probe, verdicts, truth, match)
        result.append(row)
    return result


def _handoff(
    samples: pl.DataFrame,
    states: pl.DataFrame,
    probe: pl.DataFrame,
    verdicts: pl.DataFrame,
    truth: pl.DataFrame,
    match: MatchMode,
) -> dict[str, Any]:
    """Measure how verification treated the wrong labels at one handoff.

    Returns:
        Counts of wrong labels by fate: `memorised` (the prediction matched, so it was not judged),
        `corrected` (replaced by a right label), `replaced_wrongly`, `dropped`, `missed`;
        `replaced`: the number of replaced labels whose state was known;
        `precision`: the share of wrong labels among these;
        `wrong_predicted_right`: the number of wrong labels with a right prediction;
        `recall`: the share of replaced labels among these;
        `by_noise`: wrong, predicted_right and replaced for each kind of planted noise.
    """
    rows = probe.join(states, on="sample_id").join(
        verdicts.select("sample_id", "verdict", "new_label"), on="sample_id", how="left"
    )
    replaced = rows.filter(pl.col("verdict") == "LABEL_WRONG", pl.col("state") != UNKNOWN)
    wrong = (
        rows.filter(state=WRONG)
        .join(samples.select("sample_id", "tools"), on="sample_id")
        .join(truth.select("sample_id", "noise", true="label"), on="sample_id", how="left")
    )
    counted: Counter[str] = Counter()
    by_noise: dict[str, Counter[str]] = {}
    for row in wrong.iter_rows(named=True):
        predicted = row["true"] is not None and is_correct(
            from_columns(row),
            canonical.loads(row["true"]),
            (),
            canonical.loads(row["tools"]),
            match,
        )
        fate = "missed"
        if row["matched"]:
            fate = "memorised"
        elif row["verdict"] == "LABEL_WRONG":
            right = predicted
            if row["new_label"] is not None and row["true"] is not None:
                right = _same(row["new_label"], row["true"], row["tools"], match)
            fate = "corrected" if right else "replaced_wrongly"
        elif row["verdict"] == "BOTH_WRONG":
            fate = "dropped"
        counted[fate] += 1
        kind = by_noise.setdefault(row["noise"] or "expansion", Counter())
        kind["wrong"] += 1
        if predicted:
            kind["predicted_right"] += 1
            kind["replaced"] += row["verdict"] == "LABEL_WRONG"
    predicted_right = sum(kind["predicted_right"] for kind in by_noise.values())
    right_replaced = sum(kind["replaced"] for kind in by_noise.values())
    fates = ("memorised", "corrected", "replaced_wrongly", "dropped", "missed")
    return {
        **{fate: counted[fate] for fate in fates},
        "replaced": len(replaced),
        "precision": _share(int((replaced["state"] == WRONG).sum()), len(replaced)),
        "recall": _share(right_replaced, predicted_right),
        "wrong_predicted_right": predicted_right,
        "by_noise": {
            name: {key: kind[key] for key in ("wrong", "predicted_right", "replaced")}
            for name, kind in sorted(by_noise.items())
        },
    }


def _error_share(states: pl.DataFrame) -> float | None:
    """Return the share of wrong labels among those with a known state, or None."""
    known = states.filter(pl.col("state") != UNKNOWN)["state"]
    return _share(int((known == WRONG).sum()), len(known))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _states(
    rows: pl.DataFrame, truth: pl.DataFrame, expansions: pl.DataFrame, match: MatchMode
) -> pl.DataFrame:
    """Return the sample_id and the state of the label of each row.

    ToolMatch is needed only where the label_id differs from that of the true label.
    """
    joined = (
        rows.select("sample_id", "tools", "label", "label_id")
        .join(
            truth.select("sample_id", true="label", true_id="label_id"), on="sample_id", how="left"
        )
        .join(expansions.rename({"label_id": "born_as"}), on="sample_id", how="left")
        .with_columns(
            state=pl.when(pl.col("true_id") == pl.col("label_id"))
            .then(pl.lit(RIGHT))
            .when(pl.col("true_id").is_null())
            .then(pl.when(pl.col("born_as") == pl.col("label_id")).then("state"))
        )
        .with_columns(
            state=pl.when(pl.col("true_id").is_null())
            .then(pl.col("state").fill_null(UNKNOWN))
            .otherwise("state")
        )
    )
    other = joined.filter(pl.col("state").is_null())
    compared = [
        RIGHT if _same(label, true, tools, match) else WRONG
        for label, true, tools in other.select("label", "true", "tools").iter_rows()
    ]
    states = other.select("sample_id", state=pl.Series(compared, dtype=pl.String))
    return pl.concat([joined.drop_nulls("state").select("sample_id", "state"), states])


def _same(label_text: str, true_text: str, tools: str, match: MatchMode) -> bool:
    label, true = canonical.loads(label_text), canonical.loads(true_text)
    if "text" in label or "text" in true:
        return "text" in label and "text" in true
    return same_calls(label_calls(label), label_calls(true), canonical.loads(tools), match)


def _relabelled(samples: pl.DataFrame, probe: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return D_j with the labels corrected by judges, from which its expansions were made."""
    replaced = verdicts.filter(verdict="LABEL_WRONG").join(probe, on="sample_id")
    new = [
        row["new_label"]
        or canonical.dumps(prediction_label(row["text"], row["calls"], row["parse_error"]))
        for row in replaced.iter_rows(named=True)
    ]
    labels = replaced.select(
        "sample_id", label=pl.Series(new, dtype=pl.String), label_id="new_label_id"
    )
    return samples.update(labels, on="sample_id", how="left")
