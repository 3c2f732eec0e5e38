"""Verdicts on ACEBench: as loose as the official runner's, and strict ones beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core import tables
from looptool.core.calls import ToolCall, render, render_python
from looptool.evaluation.acebench.overall import overall
from looptool.evaluation.acebench.rows import CATEGORIES, Row, rows
from looptool.evaluation.acebench.scoring import (
    alternatives,
    answer_calls,
    calls_of,
    is_strictly_right,
    official_fault,
    official_text,
    score,
)
from tests.answers import said
from tests.strategies import TAGGED_TEXT, TEXT

NEW_YORK = "city='New York', days=3, rain=True, tags=['a', 'b']"
BERN = "city='Bern', factor=2, place={'name': 'Old Town'}"
ROME = "city='Rome', stops=[{'name': 'Gate'}]"


@pytest.fixture(scope="session")
def found(checkout: Path) -> dict[str, Row]:
    names = ["normal_atom_bool", "normal_single_turn_parallel_function", "special"]
    return {row.id.removeprefix("en/"): row for row in rows(checkout, "en", names)}


def verdicts(row: Row, text: str) -> tuple[bool, bool]:
    return official_fault(row, said(text)) is None, is_strictly_right(row, said(text))


@pytest.mark.parametrize(
    ("number", "arguments", "valid", "strict"),
    [
        # right, however it is written
        (0, NEW_YORK, True, True),
        (0, NEW_YORK.replace("True", "true"), True, True),
        (0, NEW_YORK.replace(", ", ",\n  "), True, True),
        (0, NEW_YORK.replace("'New York'", "' New York\\n'"), True, True),
        (1, BERN, True, True),
        (1, BERN.replace("2", "2.0"), True, True),
        (2, ROME, True, True),
        # what the official checker forgives
        (0, NEW_YORK.replace("'New York'", "'new-york or anything else'"), True, False),
        (0, NEW_YORK.replace("New York", "NewYork"), True, False),
        (0, NEW_YORK.replace("days=3", "days=99"), True, False),
        (0, NEW_YORK.replace("rain=True", "rain=False"), True, False),
        (0, NEW_YORK.replace("rain=True", "rain='false'"), True, False),
        (0, "city='New York'", True, False),
        (0, NEW_YORK.replace("'a'", "'A.'"), True, False),
        (1, BERN.replace("2", "7"), True, False),
        (1, BERN.replace("Old Town", "the old town"), True, False),
        (2, ROME.replace("Gate", "gateway"), True, False),
        # what it does not
        (0, NEW_YORK.replace("New York", "York"), False, False),
        (0, NEW_YORK.replace("days=3", "days='3'"), False, False),
        (0, NEW_YORK.replace("rain=True", "rain=1"), True, False),
        (0, NEW_YORK.replace("['a', 'b']", "['b', 'a']"), False, False),
        (0, NEW_YORK.replace("['a', 'b']", "[]"), False, False),
        (0, NEW_YORK.replace("['a', 'b']", "('a', 'b')"), False, True),
        (0, "days=3", False, False),
        (0, "", False, False),
        (0, f"{NEW_YORK}, more=1", False, False),
        (0, f"{NEW_YORK}, factor=1", False, False),
        (1, BERN.replace("'name'", "'title'"), False, False),
        (1, BERN.replace("{'name': 'Old Town'}", "'Old Town'"), False, False),
        (2, ROME.replace("[{'name': 'Gate'}]", "[{'name': 'Gate'}] * 2"), False, False),
        (2, ROME.replace("[{'name': 'Gate'}]", "[]"), False, False),
        (2, ROME.replace("{'name': 'Gate'}", "'Gate'"), False, False),
    ],
)
def test_arguments(
    found: dict[str, Row], number: int, arguments: str, valid: bool, strict: bool
) -> None:
    row = found[f"normal_atom_bool_{number}"]
    assert verdicts(row, f"[weather_get({arguments})]") == (valid, strict)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("It rains.", "wrong_output_format"),
        ("", "wrong_output_format"),
        (f"weather_get({NEW_YORK})", "wrong_output_format"),
        (f"See [1]. [weather_get({NEW_YORK})]", "wrong_output_format"),
        (f"[[weather_get({NEW_YORK})]]", "wrong_output_format"),
        (f"] [weather_get({NEW_YORK})]", "wrong_output_format"),
        (f"[weather_get(city=']', {NEW_YORK[17:]})]", "wrong_output_format"),
        (f"[weather_get({NEW_YORK})", "wrong_output_format"),
        ('<tool_call>{"name": "weather_get"', "wrong_output_format"),
        ("[]", "wrong functions number"),
        ("[weather_get(city='A'), weather_get(city='A')]", "wrong functions number"),
        (f"[other({NEW_YORK})]", "function_mismatch"),
        (f"[Weather_get({NEW_YORK})]", "function_mismatch"),
        ("[weather_get()]", "wrong_param"),
        ("[weather_get(days=3)]", "lack_args"),
        ("[weather_get(city='New York', more=1)]", "addition_args"),
        ("[weather_get(city=3)]", "type_error"),
        ("[weather_get(city='Bern')]", "value_error:string"),
        ("[weather_get(city='New York', tags=['a'])]", "value_error:list/tuple"),
    ],
)
def test_a_wrong_answer_is_named_as_the_official_runner_does(
    found: dict[str, Row], text: str, kind: str
) -> None:
    row = found["normal_atom_bool_0"]
    fault = official_fault(row, said(text))
    assert fault is not None and fault.kind == kind
    assert not is_strictly_right(row, said(text))


@pytest.mark.parametrize(
    "wrapped",
    ["Sure: {} Done.", "```python\n{}\n```", "{} or [other()]", "{} ]", "{}\n[", "[weather_get]{}"],
)
def test_words_around_the_first_list_are_forgiven_officially(
    found: dict[str, Row], wrapped: str
) -> None:
    text = wrapped.format(f"[weather_get({NEW_YORK})]")
    right = not wrapped.startswith("[")
    assert verdicts(found["normal_atom_bool_0"], text) == (right, False)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("[weather_get( city = 'B' )]\n", True),
        ("weather_get(city='B'),", True),
        ("So: [weather_get(city='B')]", False),
        ("[weather_get(city='B')] [1]", False),
    ],
)
def test_in_dialogues_the_list_stands_alone(checkout: Path, text: str, valid: bool) -> None:
    row = rows(checkout, "en", ["normal_multi_turn_user_adjust"])[0]
    assert (official_fault(row, said(text)) is None) == valid


def test_only_dialogues_lose_the_white_space_in_values(
    checkout: Path, found: dict[str, Row]
) -> None:
    dialogue = rows(checkout, "en", ["normal_multi_turn_user_adjust"])[0]
    # a string is compared without blanks anyway, a list in an object is not
    answer = {"weather_get": {"city": "B", "place": {"name": ["old town"]}}}
    text = render([ToolCall("weather_get", answer["weather_get"])])
    assert verdicts(replace(dialogue, answer=answer), text) == (False, True)
    assert verdicts(replace(found["normal_atom_bool_0"], answer=answer), text) == (True, True)


def test_our_own_form_gets_the_same_verdicts(found: dict[str, Row]) -> None:
    for row in found.values():
        if row.group == "normal":
            for answer in alternatives(row):
                calls = answer_calls(row, answer)
                assert verdicts(row, f"Let me see.\n{render(calls)}") == (True, True)
                assert verdicts(row, f"<think>[f()]</think>{render_python(calls)}") == (
                    *(True, True),
                )
                assert official_text(said(render(calls))) == render_python(calls)


def test_repeated_functions_and_alternatives(found: dict[str, Row]) -> None:
    row = found["normal_single_turn_parallel_function_0"]
    a, b = "weather_get(city='A')", "weather_get(city='B')"
    assert verdicts(row, f"[{a}, {b}]") == (True, True)
    assert verdicts(row, f"[{b}, {a}]") == (True, True)
    assert verdicts(row, "[weather_get(city='A and B')]") == (True, True)
    assert verdicts(row, f"[{a}, {a}]") == (False, False)
    assert verdicts(row, f"[{a}, {b}, {b}]") == (False, False)
    assert verdicts(row, "[weather_get_1(city='A'), weather_get_2(city='B')]") == (False, False)


def test_a_document_that_the_official_checker_cannot_read_makes_answers_wrong(
    found: dict[str, Row],
) -> None:
    row = found["normal_atom_bool_0"]
    entry = {**row.entry, "function": [{"name": "bad", "arguments": {}}]}
    fault = official_fault(replace(row, entry=entry, answer={"bad": {"a": 1}}), said("[bad(a=1)]"))
    assert fault is not None and fault.kind == "checker_error"


@pytest.mark.parametrize(
    ("category", "text", "valid", "strict"),
    [
        ("incomplete", "Missing necessary parameters (cityName, days) for weather_get", True, True),
        ("incomplete", "Which city name, and how many days?", False, True),
        ("incomplete", "Please tell me the city_name and the Days.", False, True),
        ("incomplete", "Missing necessary parameters (cityName) for weather_get", False, False),
        ("incomplete", "Missing necessary parameters (cityName, days)", False, True),
        ("incomplete", "Which city name? Today's?", False, False),
        ("incomplete", "[weather_get(cityName='A', days=1)]", False, False),
        ("incomplete", "cityName, days: [weather_get(a=1)] Missing", False, False),
        ("error_param", "There is incorrect value (X1) for the parameters (city)", True, True),
        ("error_param", "There is incorrect value (X12)", True, False),
        ("error_param", "I know no place called X1.", False, True),
        ("error_param", "没有叫X1的城市。", False, True),
        ("error_param", "I know no such place.", False, False),
        ("irrelevant", '["Due to the limitations of the function, I cannot."]', True, True),
        ("irrelevant", "I have no tool that sings.", False, True),
        ("irrelevant", "", False, False),
        ("irrelevant", "<think>the limitations of the function</think>", False, False),
        (
            "irrelevant",
            'Due to the limitations of the function <tool_call>{"name": "f", "arguments": {}}'
            "</tool_call>",
            False,
            False,
        ),
    ],
)
def test_special_rows(
    found: dict[str, Row], category: str, text: str, valid: bool, strict: bool
) -> None:
    assert verdicts(found[f"special_{category}_0"], text) == (valid, strict)


@given(
    st.one_of(
        TEXT,
        TAGGED_TEXT,
        st.text("[](){},=.'\"1-:_ ", max_size=30).map(lambda tail: f"[weather_get(city{tail}"),
    )
)
def test_any_text_gets_a_verdict(found: dict[str, Row], text: str) -> None:
    ids = {row.id: said(text) for row in found.values()}
    scored = score(list(found.values()), ids)
    tables.check(scored, tables.Eval)
    assert scored.filter("valid")["error_type"].null_count() == scored["valid"].sum()
    calls_of(said(text))


def test_a_row_without_an_answer_is_wrong(found: dict[str, Row]) -> None:
    scored = score(list(found.values()), {})
    assert not scored["valid"].any() and not scored["strict"].any()
    assert set(scored["error_type"]) == {"no_answer"}


def test_huge_numbers_are_only_wrong(found: dict[str, Row]) -> None:
    row = found["normal_atom_bool_1"]
    text = f"[weather_get(city='Bern', factor=0x{'f' * 9000})]"
    assert verdicts(row, text) == (False, False)


def table(verdicts: dict[str, list[tuple[str, bool]]], language: str = "en") -> list[Any]:
    return [
        {
            "benchmark": "acebench",
            "category": category,
            "id": f"{language}/{name}",
            "split": "test",
            "prediction": "",
            "answer": None,
            "valid": valid,
            "strict": False,
            "error_type": None,
            "error": None,
        }
        for category, ids in verdicts.items()
        for name, valid in ids
    ]


def test_the_overall_score_is_the_official_formula_over_all_categories() -> None:
    answers = {category: [(f"{category}_{n}", n > 0) for n in range(3)] for category in CATEGORIES}
    adjust = "normal_multi_turn_user_adjust"
    answers[adjust] = [(f"{adjust}_{d}_{t}", (d, t) != (0, 1)) for d in range(2) for t in range(3)]
    ours = table(answers) + table({adjust: [(f"{adjust}_5_0", False)]}, "zh")
    figures = overall(tables.frame(tables.Eval, ours), "en")
    assert figures.categories[adjust] == 0.5
    assert figures.categories["normal_atom_bool"] == 0.667
    assert figures.categories["special_incomplete"] == 2 / 3
    normal = round((11 * 0.667 + 0.5) / 12, 3)
    assert figures.groups == {"normal": normal, "special": 0.667, "agent": 0.667}
    assert figures.overall == round(0.578 * normal + 0.2676 * 0.667 + 0.1545 * 0.667, 3)
    assert figures.missing == ()
    assert overall(tables.frame(tables.Eval, ours), "en", "strict").overall == 0


def test_without_a_category_there_is_no_overall_score() -> None:
    answers = {category: [(f"{category}_0", True)] for category in CATEGORIES[:-1]}
    figures = overall(tables.frame(tables.Eval, table(answers)), "en")
    assert figures.overall is None
    assert figures.missing == ("agent_multi_turn",)
    assert figures.groups == {"normal": 1.0, "special": 1.0}


def test_perfect_answers_to_the_benchmarks_own_rows_are_strictly_right(sample: Path) -> None:
    found = rows(sample, "en", ["normal"])
    texts = {row.id: said(render(answer_calls(row, alternatives(row)[0]))) for row in found}
    scored = score(found, texts)
    assert scored["strict"].all()
    # two of dialogues, whose white space is stripped also inside the lists in objects, and one
    # whose document does not say what its list holds
    assert scored["valid"].sum() == 69
