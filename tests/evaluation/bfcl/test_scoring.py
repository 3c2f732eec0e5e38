"""BFCL-v3: rows, tools as JSON Schema, and verdicts on single answers."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bfcl_parity
from looptool.core import tables
from looptool.core.calls import ToolCall, render
from looptool.core.errors import ConfigError
from looptool.core.tools import check_tool
from looptool.engines import Completion
from looptool.evaluation import sandbox
from looptool.evaluation.bfcl import prompts, scoring
from looptool.evaluation.bfcl import rows as bfcl
from tests.answers import said


def score(texts: Mapping[str, str]) -> pl.DataFrame:
    return scoring.score({row_id: said(text) for row_id, text in texts.items()})


def perfect_answers(category: str) -> dict[str, str]:
    return bfcl_parity.perfect([category])


@pytest.mark.parametrize(
    ("category", "valid", "rows"),
    [
        ("simple", 399, 400),
        ("multiple", 200, 200),
        ("parallel", 200, 200),
        ("parallel_multiple", 198, 200),
        ("javascript", 49, 50),
        ("live_parallel", 15, 16),
        ("live_parallel_multiple", 24, 24),
    ],
)
def test_perfect_answers_reach_the_ceiling(category: str, valid: int, rows: int) -> None:
    results = tables.check(score(perfect_answers(category)), tables.Eval)
    assert (results["valid"].sum(), len(results)) == (valid, rows)


def test_every_tool_is_a_tool_document() -> None:
    for row in bfcl.rows():
        assert [check_tool(tool) for tool in row.tools] == [None] * len(row.tools)


def test_function_documents_become_json_schema() -> None:
    function = {
        "name": "geo.find",
        "description": "Find.",
        "parameters": {
            "type": "dict",
            "properties": {
                "at": {"type": "tuple", "items": {"type": "float"}, "description": "Where"},
                "kind": {"type": "string", "enum": ["a", "b"], "default": "a", "optional": True},
                "more": {"type": "dict", "properties": {"any": {"type": "any"}}},
                "type": {"type": "array", "items": {"type": "dict", "properties": {}}},
                "optional": {"type": "boolean"},
            },
            "required": ["at"],
        },
    }
    assert bfcl.tool_from(function) == {
        "name": "geo.find",
        "description": "Find.",
        "parameters": {
            "type": "object",
            "properties": {
                "at": {"type": "array", "items": {"type": "number"}, "description": "Where"},
                "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
                "more": {"type": "object", "properties": {"any": {}}},
                "type": {"type": "array", "items": {"type": "object", "properties": {}}},
                "optional": {"type": "boolean"},
            },
            "required": ["at"],
        },
    }


def test_converting_leaves_the_checkers_document_alone() -> None:
    function = {"name": "f", "description": "", "parameters": {"type": "dict", "properties": {}}}
    before = json.dumps(function)
    bfcl.tool_from(function)["parameters"]["properties"]["new"] = {}
    assert json.dumps(function) == before


def test_a_fifth_of_the_rows_is_for_development() -> None:
    rows = bfcl.rows()
    development = bfcl.rows(split="development")
    assert len(rows) == 1240
    assert 0.17 <= len(development) / len(rows) <= 0.23
    assert {row.id for row in development} == {r.id for r in rows if r.split == "development"}


def test_a_smaller_limit_gives_a_part_of_a_larger_one_with_both_splits() -> None:
    small = bfcl.rows(["simple", "parallel"], limit=25)
    large = bfcl.rows(["simple", "parallel"], limit=60)
    assert len(small) == 50
    assert {row.id for row in small} <= {row.id for row in large}
    for category in ("simple", "parallel"):
        assert {r.split for r in small if r.category == category} == {"development", "test"}


def test_the_limit_counts_the_rows_of_the_split_asked_for() -> None:
    rows = bfcl.rows(["multiple"], limit=10, split="development")
    assert [row.split for row in rows] == ["development"] * 10


def test_a_row_has_one_user_message_and_its_tools() -> None:
    row = bfcl.rows(["multiple"], limit=1, split="development")[0]
    assert [message["role"] for message in row.messages] == ["user"]
    assert len(row.tools) > 1


def dotted_answer() -> tuple[str, str]:
    answers = perfect_answers("simple")
    development = bfcl.rows(["simple"], split="development")
    row = next(row for row in development if "." in row.tools[0]["name"])
    return row.id, answers[row.id]


def test_a_dotted_name_is_right_as_it_stands_and_wrong_with_underscores() -> None:
    row_id, answer = dotted_answer()
    name = json.loads(answer.splitlines()[1])["name"]
    assert score({row_id: answer})["valid"].to_list() == [True]
    wrong = score({row_id: answer.replace(name, name.replace(".", "_"))})
    assert wrong["error_type"].to_list() == ["simple_function_checker:wrong_func_name"]


def test_any_parse_error_is_unparsable_even_beside_the_right_call() -> None:
    row_id, answer = dotted_answer()
    results = score({row_id: answer + "\n<tool_call>\n{"})
    assert results.select("valid", "error_type").rows() == [(False, "unparsable")]
    assert "cut off" in results["error"][0]


def test_text_in_place_of_a_call_is_a_wrong_count() -> None:
    row_id, _ = dotted_answer()
    results = score({row_id: "I cannot do that."})
    assert results["error_type"].to_list() == ["simple_function_checker:wrong_count"]


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("None of the tools fits.", True),
        ("", True),
        ("<tool_call>\n{cut off", True),
        ('<tool_call>{"name":"f","arguments":{}}</tool_call>', False),
        ('<tool_call>{"name":"f","arguments":{}}</tool_call><tool_call>{', True),
    ],
)
def test_irrelevance_is_valid_exactly_if_no_call_decodes(text: str, valid: bool) -> None:
    for row_id in ("irrelevance_0", "live_irrelevance_0-0-0"):
        results = tables.check(score({row_id: text}), tables.Eval)
    assert results["valid"].to_list() == [valid]
    assert (results["error_type"][0] is None) == valid


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()
    ).filter(lambda value: not isinstance(value, float) or abs(value) < 1e300),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


def test_arguments_of_any_shape_never_stop_the_checker() -> None:
    predictions: dict[str, str] = {}
    rows = {row.id: row for row in bfcl.rows(["simple", "parallel_multiple"], split="development")}

    @given(row_id=st.sampled_from(sorted(rows)), values=st.lists(json_values, min_size=1))
    def collect(row_id: str, values: list[Any]) -> None:
        tool = rows[row_id].tools[0]
        names = list(tool["parameters"]["properties"])
        arguments = {name: values[i % len(values)] for i, name in enumerate(names)}
        predictions[row_id] = render([ToolCall(tool["name"], arguments)])

    collect()
    results = tables.check(score(predictions), tables.Eval)
    assert len(results) == len(predictions) > 10
    assert results.filter("valid").is_empty()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [({sandbox.RAISED: "KeyError('items')"}, "checker_raised"),
     ({sandbox.LIMITS: "more than 5 s"}, "checker_limits")],
)  # fmt: skip
def test_an_item_that_the_checker_cannot_take_is_invalid(
    answer: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "run", lambda worker, items, **_: [answer for _ in items])
    results = score(dict([dotted_answer()]))
    assert results.select("valid", "strict", "error_type").rows() == [(False, False, kind)]


def test_no_predictions_give_an_empty_table() -> None:
    assert tables.check(score({}), tables.Eval).is_empty()


@pytest.mark.parametrize("row_id", ["simple_9999", "chatable_0", "nonsense"])
def test_an_unknown_id_is_refused(row_id: str) -> None:
    with pytest.raises(ConfigError, match=row_id):
        score({row_id: ""})


def test_a_prompt_that_the_model_refused_is_wrong_everywhere() -> None:
    refusal = Completion("", 0, None, "refused", "the prompt has 9000 tokens")
    ids = [dotted_answer()[0], "irrelevance_0"]
    for form in prompts.FORMS.values():
        results = scoring.score_calls(dict.fromkeys(ids, refusal), form)
        assert results.select("valid", "strict", "error_type", "error").rows() == [
            (False, False, "refused", "the prompt has 9000 tokens")
        ] * len(ids)


def test_an_unknown_category_is_refused_with_those_known() -> None:
    with pytest.raises(ConfigError, match=r"'simpel'.*non_live.*simple, multiple"):
        bfcl.rows(["simpel"])


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="looptool setup"):
        bfcl.data_folder()


def test_scoring_leaves_no_folders_beside_the_package() -> None:
    score(dict([dotted_answer()]))
    beside = bfcl.data_folder().parents[1]
    assert not (beside / "score").exists()
