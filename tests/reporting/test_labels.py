"""Label quality against a count by hand, on histories drawn by lot."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from looptool.reporting import labels
from tests.lineage.conftest import make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("labels"), 600, 3, seed=4)


def tables(project: Path, name: str) -> dict[int, list[dict]]:
    """Rows of a table by iteration."""
    folder = project / "data/iterations"
    return {
        int(path.parent.name): pl.read_parquet(path).to_dicts() for path in folder.glob(f"*/{name}")
    }


def by_hand(project: Path) -> tuple[dict[str, str], dict[tuple[int, str], str]]:
    """True label_ids of seeds; and of each sample in each iteration whether its label is right."""
    true = {r["sample_id"]: r["label_id"] for rows in tables(project, "truth.parquet").values()
            for r in rows}  # fmt: skip
    states: dict[tuple[int, str], str] = {}
    born: dict[str, tuple[str, str]] = {}
    verdicts = tables(project, "verdicts.parquet")
    for iteration, rows in sorted(tables(project, "train.parquet").items()):
        own = {row["sample_id"]: row for row in rows}
        for row in rows:
            identity = row["sample_id"]
            if identity in true:
                state = "right" if true[identity] == row["label_id"] else "wrong"
            else:
                label, state = born[identity]
                state = state if label == row["label_id"] else "unknown"
            states[iteration, identity] = state
        changed = {v["sample_id"]: v["new_label_id"] for v in verdicts.get(iteration, [])
                   if v["verdict"] == "LABEL_WRONG"}  # fmt: skip
        for row in tables(project, "carried.parquet").get(iteration, []):
            parent = own.get(row["parent_id"])
            if row["origin"] != "expanded" or row["sample_id"] in born or parent is None:
                continue
            state = states[iteration, parent["sample_id"]]
            if parent["sample_id"] in changed:
                known = true.get(parent["sample_id"])
                state = "unknown" if known is None else (
                    "right" if changed[parent["sample_id"]] == known else "wrong")  # fmt: skip
            born[row["sample_id"]] = (row["label_id"], state)
    return true, states


def test_shares_of_wrong_labels_are_those_of_a_count_by_hand(project: Path) -> None:
    _, states = by_hand(project)
    for row in labels.measure(project / "data/iterations", 3, "schema"):
        own = Counter(state for (j, _), state in states.items() if j == row["iteration"])
        assert row["label_error"] == own["wrong"] / (own["wrong"] + own["right"])
        assert row["unknown"] == own["unknown"]
        assert row["samples"] == 600 == own.total()


def test_what_became_of_wrong_labels_is_what_a_count_by_hand_finds(project: Path) -> None:
    true, states = by_hand(project)
    measured = labels.measure(project / "data/iterations", 3, "schema")
    met: set[str] = set()
    for iteration, probes in tables(project, "probe.parquet").items():
        verdicts = {v["sample_id"]: v for v in tables(project, "verdicts.parquet")[iteration]}
        fates: Counter[str] = Counter()
        replaced: Counter[str] = Counter()
        for probe in probes:
            identity = probe["sample_id"]
            state, verdict = states[iteration, identity], verdicts.get(identity, {})
            kind = verdict.get("verdict")
            if kind == "LABEL_WRONG":
                replaced[state] += 1
            if state == "wrong":
                right = verdict.get("new_label_id") == true.get(identity)
                fates[
                    "memorised" if probe["matched"]
                    else ("corrected" if right else "replaced_wrongly") if kind == "LABEL_WRONG"
                    else "dropped" if kind == "BOTH_WRONG" else "missed"
                ] += 1  # fmt: skip
        row = measured[iteration - 1]
        names = ("memorised", "corrected", "replaced_wrongly", "dropped", "missed")
        assert {name: row[name] for name in names} == {name: fates[name] for name in names}
        assert row["precision"] == replaced["wrong"] / (replaced["wrong"] + replaced["right"])
        met |= {name for name in names if fates[name]}
    assert met == set(names)


def test_the_last_iteration_and_one_that_was_not_probed_have_no_fates(project: Path) -> None:
    last = labels.measure(project / "data/iterations", 3, "schema")[-1]
    assert "label_error_carried" not in last and "corrected" not in last
