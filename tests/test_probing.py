from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core import canonical, samples, tables
from looptool.engines import Completion
from looptool.probing import perplexity, probe, probe_metrics

TOOL = {
    "name": "get_time",
    "description": "Local time",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def said_with(text: str, tokens: int = 10, logprob: float | None = 0.0) -> Completion:
    return Completion(text, tokens, logprob, "stop")


def call(city: str) -> str:
    arguments = canonical.dumps({"name": "get_time", "arguments": {"city": city}})
    return f"<tool_call>\n{arguments}\n</tool_call>"


def rows(labels, alternatives=None):
    made = []
    for number, label in enumerate(labels):
        messages = [{"role": "user", "content": f"Request {number}"}]
        made.append(
            {
                "sample_id": samples.sample_id([TOOL], messages),
                "tools": canonical.dumps([TOOL]),
                "messages": canonical.dumps(messages),
                "label": canonical.dumps(label),
                "label_id": samples.label_id(label),
                "alternatives": canonical.dumps(alternatives or []),
                "category": "single",
                "origin": "seed",
                "parent_id": None,
                "born_iteration": 1,
                "label_iteration": 1,
                "label_source": "author:grammar",
            }
        )
    return tables.frame(tables.Samples, made)


def label(city: str):
    return {"calls": [{"name": "get_time", "arguments": {"city": city}}]}


def test_each_prediction_is_held_against_its_own_sample():
    data = rows([label("Oslo")] * 4)
    said = [call("Oslo"), call("Rome"), "It is noon.", "<tool_call>{"]
    result = tables.check(probe(data, [said_with(text) for text in said], 0.0), tables.Probe)
    assert result["sample_id"].to_list() == data["sample_id"].to_list()
    assert result["matched"].to_list() == [True, False, False, False]
    assert result["error_type"].to_list() == [
        None,
        "wrong_argument",
        "missing_call",
        "unparsable",
    ]
    assert result["parse_error"].is_null().to_list() == [True, True, True, False]
    assert result["calls"].to_list()[1] == canonical.dumps(label("Rome")["calls"])


def test_an_alternative_counts_as_correct():
    data = rows([label("Oslo")], alternatives=[label("Rome")])
    assert probe(data, [said_with(call("Rome"))], 0.0)["matched"].to_list() == [True]


def test_high_ppl_marks_the_top_share_of_matched_rows_only():
    data = rows([label("Oslo")] * 5)
    said = [said_with(call("Oslo"), 10, -float(number)) for number in range(4)]
    result = probe(data, [*said, said_with(call("Rome"), 10, -100.0)], 0.5)
    assert result["high_ppl"].to_list() == [False, False, True, True, False]


def test_ties_of_ppl_are_broken_by_sample_id_whatever_the_order_of_rows():
    data = rows([label("Oslo")] * 6)
    said = [said_with(call("Oslo"))] * 6
    first = probe(data, said, 0.5).filter("high_ppl")["sample_id"].sort().to_list()
    second = probe(data.reverse(), said, 0.5).filter("high_ppl")["sample_id"].sort().to_list()
    assert first == second == sorted(data["sample_id"].to_list())[:3]


@given(st.floats(max_value=0.0, allow_nan=False), st.integers(0, 4096))
def test_ppl_is_finite_and_at_least_one(logprob, tokens):
    assert 1.0 <= perplexity(logprob, tokens) < math.inf


def test_ppl_is_the_exponential_of_the_mean_surprise():
    assert perplexity(10 * math.log(0.5), 10) == pytest.approx(2.0)
    assert perplexity(0.0, 0) == 1.0


def test_what_is_no_number_or_does_not_fit_is_refused():
    data = rows([label("Oslo")])
    with pytest.raises(ValueError, match="NaN"):
        probe(data, [said_with(call("Oslo"), 3, math.nan)], 0.0)
    with pytest.raises(ValueError, match="high_ppl_share"):
        probe(data, [said_with(call("Oslo"))], 1.5)
    with pytest.raises(ValueError):
        probe(data, [], 0.0)


@given(st.text(st.characters(codec="utf-16", exclude_categories=())))
def test_any_text_makes_a_row_that_keeps_the_rules(text):
    result = probe(rows([label("Oslo")]), [said_with(text)], 1.0)
    tables.check(result, tables.Probe)


def test_strict_matching_takes_a_default_that_is_left_out_for_a_mistake():
    tool = canonical.loads(canonical.dumps(TOOL))
    tool["parameters"]["properties"]["zone"] = {"type": "string", "default": "local"}
    said = {"calls": [{"name": "get_time", "arguments": {"city": "Oslo", "zone": "local"}}]}
    data = rows([said]).with_columns(tools=pl.lit(canonical.dumps([tool])))
    predictions = [said_with(call("Oslo"))]
    assert probe(data, predictions, 0.0)["matched"].to_list() == [True]
    assert probe(data, predictions, 0.0, "strict")["matched"].to_list() == [False]


def test_metrics_sum_the_probe_up():
    data = rows([label("Oslo")] * 4)
    said = [
        said_with(call("Oslo")),
        said_with(call("Oslo")),
        said_with(call("Rome")),
        said_with("Noon."),
    ]
    metrics = probe_metrics(data, probe(data, said, 0.5))
    assert (metrics["samples"], metrics["matched"], metrics["high_ppl"]) == (4, 0.5, 1)
    assert metrics["matched_by_category"] == {"single": 0.5}
    assert metrics["failures"] == {"missing_call": 1, "wrong_argument": 1}
    assert metrics["tokens"] == 40


def test_an_empty_probe_has_metrics_too():
    data = rows([])
    metrics = probe_metrics(data, probe(data, [], 0.5))
    assert (metrics["samples"], metrics["matched"], metrics["failures"]) == (0, None, {})


def test_a_prompt_that_the_model_refused_is_told_with_its_reason():
    data = rows([label("Oslo")])
    refusal = Completion("", 0, None, "refused", "the prompt has 9000 tokens")
    found = probe(data, [refusal], 0.5)
    row = tables.check(found, tables.Probe).row(0, named=True)
    assert row["parse_error"] == "no answer: the prompt has 9000 tokens"
    assert (row["matched"], row["error_type"], row["ppl"]) == (False, "refused", None)


def test_rows_without_a_perplexity_are_never_marked_high():
    data = rows([label("Oslo")] * 4)
    right = [said_with(call("Oslo"), 10, logprob) for logprob in (None, -9.0, None, -1.0)]
    found = probe(data, right, 0.5)
    assert found["matched"].all()
    assert found.filter("high_ppl")["ppl"].to_list() == sorted(found["ppl"].drop_nulls())[::-1]
