"""A loop on scripted answers: right, wrong and unparsable, so that all that can happen does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from looptool.core import canonical, tables
from looptool.core.answers import write_label
from looptool.core.samples import ORIGINS, VERDICTS
from looptool.lineage.checks import verify_lineage
from looptool.lineage.revisions import open_workspace
from tests.test_loop import dvc, project, table


@pytest.mark.slow
def test_scripted_answers_make_every_verdict_origin_and_event(tmp_path: Path) -> None:
    """Right, wrong and unparsable answers, each to a known number of samples of D_1."""
    folder = project(
        tmp_path / "replay",
        **{
            "generate.samples": 120,
            "generate.label_noise": 0.3,
            "probe.engine": "replay",
            "eval.engine": "replay",
            "expand.carry.caps": {"error_seed": 0.1, "expanded": 0.2},
        },
    )
    dvc(folder, "repro", "generate@1")
    samples = table(folder, "iterations/1/train.parquet", tables.Samples)
    truth = table(folder, "iterations/1/truth.parquet", tables.Truth)
    script = write_script(folder, samples, truth)
    dvc(folder, "repro")

    probe = table(folder, "iterations/1/probe.parquet", tables.Probe)
    assert probe["matched"].sum() == script["right"]
    assert probe["parse_error"].is_not_null().sum() == script["unparsable"]
    verdicts = table(folder, "iterations/1/verdicts.parquet", tables.Verdicts)
    assert len(verdicts) == 120 - script["right"]
    assert set(verdicts["verdict"]) >= {*VERDICTS} - {"NO_CONSENSUS"}

    carried = table(folder, "iterations/1/carried.parquet", tables.Samples)
    events = Counter(table(folder, "iterations/1/lineage/expand.parquet", tables.Lineage)["event"])
    found = Counter(verdicts["verdict"])
    assert events["error_seed"] == found["PRED_WRONG"]
    assert events["corrected"] == found["LABEL_WRONG"]
    assert events["alternative"] == found["BOTH_CORRECT"]
    assert events["dropped"] == found["BOTH_WRONG"]
    assert events["undecided"] == found["NO_CONSENSUS"]
    assert events["mastered"] + events["high_ppl"] == script["right"]
    assert events["high_ppl"] == script["right"] * 2 // 10
    origins = Counter(carried["origin"])
    assert set(origins) - {"undecided"} == {*ORIGINS} - {"seed", "undecided"}
    assert origins["error_seed"] == 12 and origins["expanded"] <= 24
    assert events["capped"] == sum(
        events[event]
        for event in ("error_seed", "corrected", "alternative", "undecided", "high_ppl", "expanded")
    ) - len(carried)

    assert list(verify_lineage(open_workspace(folder))) == []
    second = table(folder, "iterations/2/train.parquet", tables.Samples)
    assert len(second) == 120
    assert set(carried["sample_id"]) <= set(second["sample_id"])
    quality = json.loads((folder / "metrics/labels.json").read_text("utf-8"))["1"]
    assert quality["corrected"] > 0 and quality["memorised"] == script["memorised"]


def write_script(folder: Path, samples: pl.DataFrame, truth: pl.DataFrame) -> Counter[str]:
    """Script an answer for every sample; returns how many of each sort.

    Of wrong labels, a third is repeated (memorised), a third answered truly, a third botched. Of
    right ones, three in six are repeated, one is unparsable, one wrong, one is right in another
    letter case where the label has a text value.
    """
    true = {row["sample_id"]: row["label"] for row in truth.iter_rows(named=True)}
    counted: Counter[str] = Counter()
    lines = []
    for place, row in enumerate(samples.sort("sample_id").iter_rows(named=True)):
        sort = ("right", "right", "right", "unparsable", "wrong", "recased")[place % 6]
        label = canonical.loads(row["label"])
        if row["label"] != true[row["sample_id"]]:
            sort = ("right", "truth", "unparsable")[counted["noised"] % 3]
            counted["noised"] += 1
            counted["memorised"] += sort == "right"
        text = write_label(label)
        if sort == "truth":
            text = write_label(canonical.loads(true[row["sample_id"]]))
        elif sort == "unparsable":
            text = '<tool_call>\n{"name": "f", "arguments": {"a": '
        elif sort == "wrong" or (sort == "recased" and not recased(label)):
            sort, text = (
                "wrong",
                '<tool_call>\n{"name": "no_such_tool", "arguments": {}}\n</tool_call>',
            )
        elif sort == "recased":
            text = write_label(recased(label))
        counted[sort] += 1
        lines.append(
            {"sample_id": row["sample_id"], "text": text, "tokens": 10, "logprob": -0.01 * place}
        )
    path = folder / "data/replay.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return counted


def recased(label: Any) -> Any:
    """The label with one free text value in capitals, or None if it has no such value."""
    copy = json.loads(json.dumps(label))
    for call in copy.get("calls", []):
        for name, value in call["arguments"].items():
            if isinstance(value, str) and " " in value and value != value.upper():
                call["arguments"][name] = value.upper()
                return copy
    return None
