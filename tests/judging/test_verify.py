from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from looptool.core import canonical, samples, tables
from looptool.core.calls import parse, render
from looptool.core.samples import Label, label_calls, prediction_label
from looptool.judging import Case, Opinion, Verdict
from looptool.judging.verify import verify

TOOL = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}


class Fixed:
    """A judge that always says the same."""

    def __init__(self, name: str, verdict: Verdict) -> None:
        self.name = name
        self.verdict = verdict
        self.seen: list[Case] = []

    def compare(self, cases: Sequence[Case]) -> list[Opinion]:
        self.seen += cases
        return [Opinion(self.verdict, f"{self.name} says so", 0.8) for _ in cases]

    def admit(self, samples: Sequence[Any]) -> list[str | None]:
        return [None for _ in samples]


def data(count: int) -> pl.DataFrame:
    rows = []
    for index in range(count):
        tools, messages = [TOOL], [{"role": "user", "content": f"call f, {index}"}]
        label = samples.call_label(label_calls({"calls": [{"name": "f", "arguments": {}}]}))
        rows.append(
            {
                "sample_id": samples.sample_id(tools, messages),
                "tools": canonical.dumps(tools),
                "messages": canonical.dumps(messages),
                "label": canonical.dumps(label),
                "label_id": samples.label_id(label),
                "alternatives": "[]",
                "category": "single",
                "origin": "seed",
                "parent_id": None,
                "born_iteration": 1,
                "label_iteration": 1,
                "label_source": "grammar",
            }
        )
    return tables.check(tables.frame(tables.Samples, rows), tables.Samples)


def probe(frame: pl.DataFrame, texts: list[str], matched: list[bool]) -> pl.DataFrame:
    rows = []
    for sample, text, hit in zip(frame["sample_id"], texts, matched, strict=True):
        parsed = parse(text)
        rows.append(
            {
                "sample_id": sample,
                "prediction": text,
                "calls": canonical.dumps([call.to_json() for call in parsed.calls]),
                "text": parsed.text,
                "thinking": parsed.thinking,
                "parse_error": parsed.error,
                "matched": hit,
                "ppl": 1.5,
                "high_ppl": False,
                "tokens": 3,
                "error_type": None if hit else "wrong_tool",
            }
        )
    return tables.check(tables.frame(tables.Probe, rows), tables.Probe)


def called(name: str) -> Label:
    return {"calls": [{"name": name, "arguments": {}}]}


def rendered(name: str) -> str:
    return render(label_calls(called(name)))


def verdicts(texts: list[str], judges: list[Fixed]) -> pl.DataFrame:
    frame = data(len(texts))
    found = verify(frame, probe(frame, texts, [False] * len(texts)), judges)
    return tables.check(found, tables.Verdicts)


def test_only_mismatches_are_judged() -> None:
    frame, judge = data(3), Fixed("one", "PRED_WRONG")
    texts = [rendered("f"), rendered("g"), "no"]
    found = verify(frame, probe(frame, texts, [True, False, False]), [judge])
    assert set(found["sample_id"]) == set(frame["sample_id"][1:])
    assert len(judge.seen) == 2


@pytest.mark.parametrize("verdict", ["LABEL_WRONG", "BOTH_CORRECT"])
def test_a_prediction_that_is_taken_over_is_named(verdict: Verdict) -> None:
    found = verdicts([rendered("g")], [Fixed("one", verdict)])
    assert found["new_label_id"][0] == samples.label_id(called("g"))
    assert found["old_label_id"][0] == samples.label_id(called("f"))


@pytest.mark.parametrize("verdict", ["PRED_WRONG", "BOTH_WRONG"])
def test_a_prediction_that_is_not_taken_over_is_not_named(verdict: Verdict) -> None:
    assert verdicts([rendered("g")], [Fixed("one", verdict)])["new_label_id"][0] is None


def test_a_text_is_taken_over_without_its_thinking() -> None:
    found = verdicts(["<think>hm</think> Which one? "], [Fixed("one", "LABEL_WRONG")])
    assert found["new_label_id"][0] == samples.label_id({"text": "Which one?"})


@pytest.mark.parametrize("text", ["<tool_call>{", "", "<think>and so on"])
def test_what_cannot_be_read_is_never_taken_over(text: str) -> None:
    judge = Fixed("one", "LABEL_WRONG")
    found = verdicts([text], [judge])
    assert judge.seen[0].prediction is None
    assert found["verdict"][0] == "BOTH_WRONG"
    assert found["new_label_id"][0] is None


def test_the_majority_decides_and_dissent_is_told() -> None:
    judges = [Fixed("a", "LABEL_WRONG"), Fixed("b", "PRED_WRONG"), Fixed("c", "LABEL_WRONG")]
    row = verdicts([rendered("g")], judges).row(0, named=True)
    assert row["verdict"] == "LABEL_WRONG"
    assert row["judge"] == "a+b+c"
    assert row["consensus"] == pytest.approx(2 / 3)
    assert canonical.loads(row["votes"])["b"]["verdict"] == "PRED_WRONG"
    assert "b (PRED_WRONG): b says so" in row["rationale"]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        (["LABEL_WRONG", "PRED_WRONG"], "NO_CONSENSUS"),
        (["LABEL_WRONG", "PRED_WRONG", "BOTH_WRONG"], "NO_CONSENSUS"),
        (["LABEL_WRONG", "NO_CONSENSUS", "LABEL_WRONG", "BOTH_WRONG"], "NO_CONSENSUS"),
        (["LABEL_WRONG", "NO_CONSENSUS", "LABEL_WRONG"], "LABEL_WRONG"),
    ],
)
def test_without_more_than_half_there_is_no_consensus(
    votes: list[Verdict], expected: Verdict
) -> None:
    judges = [Fixed(str(index), vote) for index, vote in enumerate(votes)]
    found = verdicts([rendered("g")], judges)
    assert found["verdict"][0] == expected
    assert (found["new_label_id"][0] is None) == (expected == "NO_CONSENSUS")


def test_nothing_to_judge_gives_an_empty_table() -> None:
    frame = data(1)
    found = verify(frame, probe(frame, [rendered("f")], [True]), [Fixed("one", "PRED_WRONG")])
    assert tables.check(found, tables.Verdicts).is_empty()


def test_without_a_judge_there_is_no_verdict() -> None:
    frame = data(1)
    with pytest.raises(ValueError, match="at least one judge"):
        verify(frame, probe(frame, ["no"], [False]), [])


def test_a_prediction_of_calls_is_its_calls() -> None:
    text = f"Sure. {rendered('g')}"
    calls = canonical.dumps([call.to_json() for call in parse(text).calls])
    assert prediction_label(text, calls, None) == called("g")
