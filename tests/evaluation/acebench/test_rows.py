"""ACEBench's rows: tools and messages for our templates, categories, limits, and broken files."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from looptool.core.errors import ConfigError
from looptool.core.tools import check_tool
from looptool.evaluation.acebench.rows import (
    CATEGORIES,
    GROUPS,
    Row,
    dialogue_of,
    expand_categories,
    rows,
    tool_from,
    turns,
)

HERE = [
    "normal_atom_bool",
    "normal_single_turn_parallel_function",
    "normal_preference",
    "normal_multi_turn_user_adjust",
    "special",
    "agent",
]


def by_id(checkout: Path) -> dict[str, Row]:
    return {row.id: row for row in rows(checkout, "en", HERE)}


def test_a_question_is_cut_into_turns_where_a_line_starts_with_a_speaker(checkout: Path) -> None:
    row = by_id(checkout)["en/normal_atom_bool_0"]
    assert row.messages == [
        {"role": "system", "content": "It is noon."},
        {"role": "user", "content": "Weather in New York?"},
        {"role": "assistant", "content": "Which system: user: days?"},
        {"role": "user", "content": "3"},
    ]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Rome", [("user", "Rome")]),
        ("user: a\nb: c\n\nuser: d", [("user", "a\nb: c"), ("user", "d")]),
        ("user：你好\nsystem：是", [("user", "你好"), ("assistant", "是")]),
        ("user: \n", [("user", "")]),
        ("before\nuser: a", [("user", "before"), ("user", "a")]),
    ],
)
def test_speakers_are_found(question: str, said: list[tuple[str, str]]) -> None:
    assert turns(question) == said


def test_calls_in_a_history_become_calls_with_empty_results(checkout: Path) -> None:
    messages = by_id(checkout)["en/normal_multi_turn_user_adjust_0_1"].messages
    assert [message["role"] for message in messages] == [
        *("user", "assistant", "tool", "assistant", "user")
    ]
    called = messages[1]["tool_calls"][0]["function"]
    assert called == {"name": "weather_get", "arguments": {"city": "A", "rain": True}}
    assert messages[2] == {"role": "tool", "name": "weather_get", "content": ""}


def test_a_profile_stands_in_the_system_message(checkout: Path) -> None:
    row = by_id(checkout)["en/normal_preference_0"]
    assert row.messages[0] == {"role": "system", "content": "{'home': 'Bonn'}"}


def test_what_a_simulated_user_wants_is_no_message(checkout: Path) -> None:
    found = by_id(checkout)
    assert found["en/agent_multi_turn_0"].messages == []
    assert found["en/agent_multi_step_0"].messages == [{"role": "user", "content": "Send hi."}]


def test_tools_are_json_schema(checkout: Path) -> None:
    for row in by_id(checkout).values():
        assert [check_tool(tool) for tool in row.tools] == [None] * len(row.tools)
    other, weather = by_id(checkout)["en/normal_atom_bool_0"].tools
    assert other["parameters"] == {"type": "object", "properties": {}}
    properties = weather["parameters"]["properties"]
    assert properties["factor"] == {"type": "number"}
    assert properties["rain"] == {"type": "boolean"}


@pytest.mark.parametrize(
    ("stated", "schema"),
    [
        ("dict", {"type": "object"}),
        ("int", {"type": "integer"}),
        ("any", {}),
        ("enum", {}),
        ("no such type", {}),
        ("list(string)", {"type": "array", "items": {"type": "string"}}),
        ("objectArray", {"type": "array", "items": {"type": "object"}}),
    ],
)
def test_types_of_its_own_are_turned_into_those_of_json_schema(
    stated: str, schema: dict[str, object]
) -> None:
    document = {"name": "f", "arguments": {"properties": {"a": {"type": stated}}}}
    tool = tool_from(document)
    assert tool["parameters"] == {"type": "object", "properties": {"a": schema}}
    assert check_tool(tool) is None


@pytest.mark.parametrize("parameters", [None, [], "x", {"properties": 3, "required": "a"}])
def test_a_broken_document_still_is_a_tool(parameters: object) -> None:
    assert check_tool(tool_from({"name": "f", "parameters": parameters})) is None


def test_categories_are_named_by_group_or_one_by_one() -> None:
    assert expand_categories(["all"]) == list(CATEGORIES)
    assert expand_categories(["agent", "special"]) == [*GROUPS["special"], *GROUPS["agent"]]
    assert expand_categories(["normal_atom_list", "normal_atom_list"]) == ["normal_atom_list"]
    with pytest.raises(ConfigError, match=r"'atom'.*known are all, normal, special, agent"):
        expand_categories(["atom"])


def test_a_limit_takes_whole_dialogues_and_a_smaller_one_a_part(checkout: Path) -> None:
    taken = [
        [row.id for row in rows(checkout, "en", ["normal_multi_turn_user_adjust"], limit)]
        for limit in (1, 2, 3, None)
    ]
    assert [len(ids) for ids in taken] == [3, 6, 9, 12]
    for smaller, larger in pairwise(taken):
        assert larger[: len(smaller)] == smaller
    assert [row_id.rpartition("_")[2] for row_id in taken[0]] == ["0", "1", "2"]
    assert dialogue_of(taken[0][0]) == taken[0][0][:-2]
    assert len(rows(checkout, "en", ["normal_atom_bool"], 2)) == 2


def test_a_missing_or_wrong_checkout_says_what_to_do(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"eval.acebench.path: .*git clone https://github.com"):
        rows(tmp_path / "none", "en", ["all"])
    with pytest.raises(ConfigError, match="is not a checkout of ACEBench"):
        rows(tmp_path, "en", ["all"])
    with pytest.raises(ConfigError, match="data_zh"):
        rows(checkout, "zh", ["all"])
    with pytest.raises(ConfigError, match=r"data_normal_atom_enum\.json: does not exist"):
        rows(checkout, "en", ["normal_atom_enum"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "x", "question": "', "line 2: not valid JSON"),
        ("[]", "line 2: is not an object"),
        ('{"id": "x"}', "line 2: has no 'question'"),
        ('{"id": "x", "question": "", "function": []}', "has no answer to 'x'"),
        ('{"id": "normal_preference_0", "question": "", "function": []}', "occurs twice"),
    ],
)
def test_a_broken_data_file_is_named_with_its_line(
    checkout: Path, tmp_path: Path, line: str, message: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkout, copy)
    path = copy / "data_all/data_en/data_normal_preference.json"
    path.write_text(path.read_text() + line)
    with pytest.raises(ConfigError, match=message):
        rows(copy, "en", ["normal_preference"])
    path.write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        rows(copy, "en", ["normal_preference"])


def test_the_benchmarks_own_rows_are_read(sample: Path) -> None:
    found = rows(sample, "en", ["all"])
    assert len(found) == 6 * len(CATEGORIES)
    for row in found:
        assert [check_tool(tool) for tool in row.tools] == [None] * len(row.tools)
        assert row.category == "agent_multi_turn" or row.messages[-1]["role"] == "user"
