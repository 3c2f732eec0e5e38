"""ToolACE's records, each held against what a reader would say it means."""

import contextlib
import json

import pytest
from hypothesis import given as cases
from hypothesis import strategies as st

from looptool.core import canonical
from looptool.core.calls import ToolCall, render_python
from looptool.exchange.formats import Refused
from looptool.exchange.formats.toolace import read_calls
from tests.exchange.formats.reading import calls, reads, refused, samples, text

ROAM = {
    "name": "roam",
    "description": "Walks",
    "parameters": {
        "type": "dict",
        "properties": {
            "place": {"type": "string", "description": "Where"},
            "hours": {"type": "float"},
            "days": {"type": "list", "items": {"type": "int"}},
            "by_night": {"type": "bool"},
            "extra": {"type": "dict"},
        },
        "required": ["place"],
    },
    "required": None,
}
TREND = {**ROAM, "name": "Market Trends / API"}
DATA = {**ROAM, "name": "User's data [v2]"}
ODD = {
    "name": "odd",
    "description": "",
    "parameters": {"type": "dict", "properties": {"user-id": {"type": "any"}}},
}
SYSTEM = (
    "You are an expert in composing functions.{}\nHere is a list of functions in JSON format that "
    "you can invoke:\n{}. \nShould you decide to return the function call(s), put them in the "
    "format of [func1(params_name=params_value), func2(params)]\nNO other text MUST be included."
)


def record(*turns, tools=(ROAM, TREND, DATA, ODD), said=""):
    return {
        "system": SYSTEM.format(said, json.dumps(list(tools))),
        "conversations": [{"from": who, "value": value} for who, value in turns],
    }


def asked(answer):
    return record(("user", "Walk to Oslo"), ("assistant", answer))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('[roam(place="Oslo")]', calls(("roam", {"place": "Oslo"}))),
        ("[roam(place='Oslo')]", calls(("roam", {"place": "Oslo"}))),
        ('[roam(place="Oslo", hours=2.5)]', calls(("roam", {"place": "Oslo", "hours": 2.5}))),
        ('[roam(place="Oslo", days=[1, 2])]', calls(("roam", {"place": "Oslo", "days": [1, 2]}))),
        ('[roam(place="a", by_night=True)]', calls(("roam", {"place": "a", "by_night": True}))),
        ('[roam(place="a", by_night=false)]', calls(("roam", {"place": "a", "by_night": False}))),
        ('[roam(place="a"), roam(place="b")]',
         calls(("roam", {"place": "a"}), ("roam", {"place": "b"}))),
        ('[Market Trends / API(place="US")]', calls(("Market_Trends_API", {"place": "US"}))),
        ('[roam(place="a, (b) = [c]")]', calls(("roam", {"place": "a, (b) = [c]"}))),
        ('[roam(place="it\\"s")]', calls(("roam", {"place": 'it"s'}))),
        ("[roam(place=\"it's\")]", calls(("roam", {"place": "it's"}))),
        ('[roam(place="a", extra={"k": [1, {"x": None}]})]',
         calls(("roam", {"place": "a", "extra": {"k": [1, {"x": None}]}}))),
        ("[odd(user-id=5)]", calls(("odd", {"user-id": 5}))),
        ("[odd()]", calls(("odd", {}))),
        ("[odd(user-id=(1, 2))]", calls(("odd", {"user-id": [1, 2]}))),
        ("[User's data [v2](place='x')]", calls(("User_s_data_v2", {"place": "x"}))),
        ("[odd(user-id='\\d')]", calls(("odd", {"user-id": "\\d"}))),
        ("[roam(place='x')] Done.", refused("calls must stand alone")),
        ("roam(place='x')", refused("calls must stand alone")),
        ("[roam(place='x')", refused("calls must stand alone")),
        ("[roam(place='x', place='y')]", refused("occurs twice")),
        ("[odd(user-id={1: 2})]", refused("is not a value")),
        ("I cannot do that.", text("I cannot do that.")),
        ("[1] is what I would say (perhaps)", text("[1] is what I would say (perhaps)")),
        ('[fly(place="Oslo")]', refused("no tool is called 'fly'")),
        ("[roam(place=Oslo)]", refused("'Oslo' is not a value")),
        ("[roam(place=__import__('os'))]", refused("is not a value")),
        ('[roam("Oslo")]', refused("an argument without a name")),
        ("[roam(hours=2.5)]", refused("'place' is a required property")),
        ('[roam(place="Oslo)]', refused("a bracket stays open")),
        ('[roam(place="a", hours="two")]', refused("hours: 'two' is not of type")),
    ],
)  # fmt: skip
def test_an_answer_is_read_as_a_person_would(answer, expected):
    assert reads("toolace", asked(answer)) == [expected]


def test_a_dialogue_has_its_tools_answers_by_name():
    results = json.dumps([{"name": "Market Trends / API", "results": {"up": 3}}])
    given = record(
        ("user", "US?"),
        ("assistant", '[Market Trends / API(place="US")]'),
        ("tool", results),
        ("assistant", "Up by 3."),
        said=" Today is 2024-05-01, Wednesday.",
    )
    messages = canonical.loads(samples("toolace", given)[1].messages)
    assert messages[0] == {"role": "system", "content": "Today is 2024-05-01, Wednesday."}
    assert messages[3] == {"role": "tool", "name": "Market_Trends_API", "content": '{"up":3}'}
    assert reads("toolace", given)[1] == text("Up by 3.")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"conversations": [{"from": "user", "value": "x"}]}, "system: is missing"),
        ({"system": "Hello", "conversations": [{}]}, "system: lists no functions"),
        (
            {"system": SYSTEM.format("", "[{]"), "conversations": [{}]},
            "the functions are not valid JSON",
        ),
        (record(("who", "x")), "conversations.0.from: must be one of"),
        (record(("user", "x")), "the assistant never answers"),
    ],
)
def test_a_broken_record_is_refused(given, reason):
    assert reads("toolace", given) == [refused(reason)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@cases(st.lists(st.builds(ToolCall, NAMES, st.dictionaries(NAMES, VALUES, max_size=3)), min_size=1))
def test_calls_are_read_as_they_were_written(made):
    assert read_calls(render_python(made), [call.name for call in made]) == made


@cases(st.text())
def test_any_text_in_brackets_is_read_or_refused(said):
    with contextlib.suppress(Refused):
        read_calls(f"[{said}]", ["f"])


def test_an_argument_that_is_nested_too_deep_is_refused():
    deep = "[" * 50_000 + "]" * 50_000
    (found,) = reads("toolace", asked(f"[roam(place={deep})]"))
    assert found == refused("is not a value")
