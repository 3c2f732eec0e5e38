"""People as judges: whose decision counts, what it does, and when it no longer fits."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core import canonical, tables
from looptool.core.samples import DECISIONS, VERDICT_OF_DECISION, VERDICTS, label_id
from looptool.judging.human import merged, misfits, of_iteration, overrule, read_reviews

LABEL = {"calls": [{"name": "f", "arguments": {"a": 1}}]}
PREDICTION = {"calls": [{"name": "f", "arguments": {"a": 2}}]}
WRITTEN = {"calls": [{"name": "f", "arguments": {"a": 3}}]}
SAMPLE = "a" * 32
NEW = {"take": PREDICTION, "both": PREDICTION, "edit": WRITTEN}


def decisions(*made: dict[str, Any]) -> pl.DataFrame:
    rows = []
    for number, each in enumerate(made):
        new = each.get("new", NEW.get(each["decision"]))
        row = {
            "number": number, "reviewer": "ada", "source": "1", "sample_id": SAMPLE,
            "label_id": label_id(LABEL), "prediction_id": label_id(PREDICTION),
            "verdict": "PRED_WRONG", "note": "", "seconds": 1.0, "weight": None,
            "new_label": new and canonical.dumps(new), "new_label_id": new and label_id(new),
        }  # fmt: skip
        rows.append(row | {k: v for k, v in each.items() if k != "new"})
    return tables.frame(tables.Reviews, rows)


def judged(verdict: str = "PRED_WRONG") -> pl.DataFrame:
    new = label_id(PREDICTION) if verdict in ("LABEL_WRONG", "BOTH_CORRECT") else None
    return tables.frame(tables.Verdicts, [{
        "sample_id": SAMPLE, "verdict": verdict, "rationale": "Because.", "judge": "rules",
        "votes": canonical.dumps({"rules": {"verdict": verdict, "confidence": 0.9}}),
        "consensus": 1.0, "old_label_id": label_id(LABEL), "new_label_id": new, "new_label": None,
        "proposed": verdict,
    }])  # fmt: skip


def probed(label: Any = PREDICTION) -> pl.DataFrame:
    return tables.frame(tables.Probe, [{
        "sample_id": SAMPLE, "prediction": "…", "calls": canonical.dumps(label["calls"]),
        "text": "", "thinking": "", "parse_error": None, "matched": False, "ppl": 1.0,
        "high_ppl": False, "tokens": 1, "error_type": "wrong_argument",
    }])  # fmt: skip


def samples(label: Any = LABEL) -> pl.DataFrame:
    return tables.frame(tables.Samples, [{
        "sample_id": SAMPLE, "tools": "[]", "messages": "[]", "label": canonical.dumps(label),
        "label_id": label_id(label), "alternatives": "[]", "category": "single", "origin": "seed",
        "parent_id": None, "born_iteration": 1, "label_iteration": 1, "label_source": "grammar",
    }])  # fmt: skip


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_person_overrules_every_verdict(verdict: str, decision: str) -> None:
    made = decisions({"decision": decision, "note": "see there"})
    row = overrule(judged(verdict), probed(), made, "off").row(0, named=True)
    assert row["verdict"] == VERDICT_OF_DECISION[decision]  # type: ignore[index]
    assert row["judge"] == "human:ada" and row["proposed"] == verdict
    assert canonical.loads(row["votes"])["rules"]["verdict"] == verdict
    assert row["rationale"] == f"Because. | human:ada: {decision}. see there"
    new = NEW.get(decision)
    assert row["new_label_id"] == (new and label_id(new))
    assert row["new_label"] == (canonical.dumps(WRITTEN) if decision == "edit" else None)


@pytest.mark.parametrize(
    ("waits", "verdict", "then"),
    [
        ("off", "LABEL_WRONG", "LABEL_WRONG"),
        ("corrected", "LABEL_WRONG", "NO_CONSENSUS"),
        ("corrected", "BOTH_WRONG", "BOTH_WRONG"),
        ("all", "PRED_WRONG", "NO_CONSENSUS"),
    ],
)
def test_what_waits_for_a_person_is_undecided_and_keeps_its_proposal(
    waits: Any, verdict: str, then: str
) -> None:
    row = overrule(judged(verdict), probed(), decisions(), waits).row(0, named=True)
    assert (row["verdict"], row["proposed"], row["judge"]) == (then, verdict, "rules")
    assert then == verdict or (row["new_label_id"] is None and "Waits for" in row["rationale"])


def test_of_one_reviewer_the_last_decision_counts() -> None:
    made = decisions({"decision": "take"}, {"decision": "keep"})
    assert merged(made)[SAMPLE, label_id(LABEL)].decision == "keep"


@pytest.mark.parametrize(
    ("said", "together", "agreement"),
    [
        ({"ada": "take", "bo": "take"}, "take", 1.0),
        ({"ada": "take", "bo": "keep"}, "unsure", 0.5),
        ({"ada": "take", "bo": "keep", "cy": "take"}, "take", 2 / 3),
        ({"ada": "unsure", "bo": "keep"}, "keep", 1.0),
        ({"ada": "unsure", "bo": "unsure"}, "unsure", 1.0),
    ],
)
def test_more_than_half_of_those_who_are_sure_must_agree(
    said: dict[str, str], together: str, agreement: float
) -> None:
    made = decisions(*({"reviewer": who, "decision": what} for who, what in said.items()))
    found = merged(made)[SAMPLE, label_id(LABEL)]
    assert found.decision == together and found.agreement == pytest.approx(agreement)
    assert set(found.reviewers) <= set(said)


def test_two_people_who_write_different_labels_do_not_agree() -> None:
    made = decisions(
        {"reviewer": "ada", "decision": "edit"},
        {"reviewer": "bo", "decision": "edit", "new": {"text": "No."}},
    )
    assert merged(made)[SAMPLE, label_id(LABEL)].decision == "unsure"


@given(st.permutations(["ada", "bo", "cy"]), st.lists(st.sampled_from(DECISIONS), min_size=3))
def test_the_result_does_not_depend_on_the_order_of_the_reviewers(
    names: list[str], said: list[str]
) -> None:
    made = [{"reviewer": who, "decision": what} for who, what in zip(names, said, strict=False)]
    one, other = (merged(decisions(*rows)) for rows in (made, made[::-1]))
    key = SAMPLE, label_id(LABEL)
    assert (one[key].decision, one[key].reviewers) == (other[key].decision, other[key].reviewers)


def test_a_taken_label_stays_right_beside_another_prediction() -> None:
    made = decisions({"decision": "take"})
    row = overrule(judged(), probed(WRITTEN), made, "off").row(0, named=True)
    assert row["verdict"] == "LABEL_WRONG" and row["new_label_id"] == label_id(PREDICTION)
    assert row["new_label"] == canonical.dumps(PREDICTION)


@pytest.mark.parametrize(
    ("decision", "probe", "data", "reason"),
    [
        ("both", probed(WRITTEN), samples(), "was about another prediction"),
        ("unsure", probed(WRITTEN), samples(), "was about another prediction"),
        ("drop", probed(WRITTEN), samples(), "was about another prediction"),
        ("take", probed(), samples(WRITTEN), f"but D_1 has {label_id(WRITTEN)}"),
        ("take", probed(), samples().clear(), "D_1 no longer has the sample"),
    ],
)
def test_decisions_that_no_longer_fit_are_listed(
    decision: str, probe: pl.DataFrame, data: pl.DataFrame, reason: str
) -> None:
    made = decisions({"decision": decision})
    before = judged().join(data.select("sample_id", old_label_id="label_id"), on="sample_id")
    verdicts = before.drop("old_label_id").rename({"old_label_id_right": "old_label_id"})
    verdicts = verdicts.select(judged().columns)
    after = overrule(verdicts, probe, made, "off")
    assert after.equals(verdicts)
    listed = misfits(after, data, probe, made, 1)
    assert listed["reason"].to_list()[0].endswith(reason) and len(listed) == 1
    assert tables.check(listed, tables.Rejected)["check"].to_list() == ["review"]
    assert misfits(after, data, probe, made, 2).is_empty()  # it was about iteration 1


def test_a_decision_that_fits_is_not_listed() -> None:
    made = decisions({"decision": "take"})
    after = overrule(judged(), probed(), made, "off")
    assert misfits(after, samples(), probed(), made, 1).is_empty()


def test_reviews_of_all_reviewers_are_read(tmp_path: Any) -> None:
    assert read_reviews(tmp_path / "none").is_empty()
    for name in ("ada", "bo"):
        made = decisions({"reviewer": name, "decision": "keep"})
        tables.write(made, tables.Reviews, tmp_path / f"{name}.parquet")
    assert read_reviews(tmp_path)["reviewer"].to_list() == ["ada", "bo"]


def test_a_kept_label_is_right_but_says_nothing_of_a_prediction_that_nobody_saw() -> None:
    made = decisions({"decision": "keep"})
    for verdict, then in (
        ("LABEL_WRONG", "NO_CONSENSUS"), ("BOTH_WRONG", "NO_CONSENSUS"),
        ("BOTH_CORRECT", "BOTH_CORRECT"), ("PRED_WRONG", "PRED_WRONG"),
    ):  # fmt: skip
        row = overrule(judged(verdict), probed(WRITTEN), made, "off").row(0, named=True)
        assert row["verdict"] == then and (row["new_label_id"] is None) == (then != "BOTH_CORRECT")
        assert row["judge"] == ("human:ada" if then == "NO_CONSENSUS" else "rules")
        waiting = overrule(judged(verdict), probed(WRITTEN), made, "all").row(0, named=True)
        assert waiting["verdict"] == "NO_CONSENSUS"


def test_a_decision_that_no_longer_fits_has_no_vote() -> None:
    made = decisions(
        {"reviewer": "ada", "decision": "both"},
        {"reviewer": "bo", "decision": "both"},
        {"reviewer": "cy", "decision": "keep", "prediction_id": label_id(WRITTEN)},
    )
    row = overrule(judged("LABEL_WRONG"), probed(WRITTEN), made, "off").row(0, named=True)
    assert (row["verdict"], row["judge"]) == ("PRED_WRONG", "human:cy")


def test_the_same_label_written_and_taken_is_one_decision() -> None:
    made = decisions(
        {"reviewer": "ada", "decision": "take"},
        {"reviewer": "bo", "decision": "edit", "new": PREDICTION},
    )
    found = merged(made)[SAMPLE, label_id(LABEL)]
    assert found.agreement == 1.0 and found.reviewers == ("ada", "bo")


def test_an_iteration_counts_decisions_on_itself_and_on_earlier_ones() -> None:
    made = decisions(
        {"decision": "keep", "source": "1"}, {"decision": "drop", "source": "audit:set"},
        {"decision": "take", "source": "2"}, {"decision": "unsure", "source": "10"},
    )  # fmt: skip
    for iteration, decision in ((1, "keep"), (2, "take"), (9, "take"), (10, "unsure")):
        counting = of_iteration(made, iteration)
        assert merged(counting)[SAMPLE, label_id(LABEL)].decision == decision
    assert of_iteration(made, 0).is_empty()


@pytest.mark.parametrize("then", ["unsure", "drop", "both"])
def test_a_decision_that_was_taken_back_stays_so_beside_another_prediction(then: str) -> None:
    made = decisions({"decision": "take"}, {"decision": then})
    row = overrule(judged(), probed(WRITTEN), made, "off").row(0, named=True)
    assert (row["verdict"], row["judge"]) == ("PRED_WRONG", "rules")
