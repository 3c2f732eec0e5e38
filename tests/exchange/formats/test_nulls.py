"""Nulls that a writer put where nothing was given, and nulls that mean something."""

import json

import pytest

from looptool.core import canonical
from tests.exchange.formats.reading import calls, reads, refused, samples

USER = {"role": "user", "content": "Go", "tool_calls": None, "name": None}


def record(arguments, parameters, name="go"):
    function = {"name": name, "arguments": arguments}
    call = {"id": "1", "type": "function", "function": function}
    said = {"role": "assistant", "content": None, "tool_calls": [call], "tool_call_id": None}
    tool = {"name": "go", "description": None, "strict": None, "parameters": parameters}
    return {"messages": [USER, said], "tools": [{"type": "function", "function": tool}]}


def schema(required=("place",), **properties):
    return {"type": "object", "properties": properties, "required": list(required)}


def document(given):
    (sample,) = samples("openai", given)
    return canonical.loads(sample.tools)[0]["parameters"]


TEXT = {"type": "string", "enum": None, "default": None, "items": None, "properties": None}
MAYBE = {"type": ["integer", "null"]}
MAP = {"additionalProperties": {"type": "integer"}}


def test_calls_of_which_everything_is_null_were_never_made():
    nothing = {"name": None, "arguments": None}
    given = record({}, schema([], place=TEXT))
    given["messages"][1] |= {"content": "Hi", "function_call": nothing,
                             "tool_calls": [{"id": None, "function": nothing}]}  # fmt: skip
    assert reads("openai", given) == [{"text": "Hi"}]


def test_a_parameter_that_is_null_does_not_exist():
    for nothing in (None, {"type": None, "description": None, "items": {"type": None}}):
        given = record({"place": "Oslo"}, schema(place=TEXT, days=nothing))
        assert document(given)["properties"] == {"place": {"type": "string"}}


def test_a_parameter_that_is_null_inside_an_object_does_not_exist():
    inner = {"type": "object", "properties": {"a": TEXT, "b": None}, "required": None}
    given = record({"place": {"a": "x", "b": None}}, schema(place=inner))
    assert document(given)["properties"]["place"]["properties"] == {"a": {"type": "string"}}
    assert reads("openai", given) == [calls(("go", {"place": {"a": "x"}}))]


@pytest.mark.parametrize(
    ("arguments", "parameters", "left"),
    [
        ({"place": "a", "days": None}, schema(place=TEXT), {"place": "a"}),
        ({"place": "a", "days": None}, schema(place=TEXT, days=None), {"place": "a"}),
        ({"place": "a", "days": None}, schema(place=TEXT, days={"type": "integer"}),
         {"place": "a"}),
        ({"place": "a", "days": None}, schema(place=TEXT, days=MAYBE),
         {"place": "a", "days": None}),
        ({"place": "a", "days": None}, schema(place=TEXT, days={"enum": [1, None]}),
         {"place": "a", "days": None}),
        ({"place": "a", "days": None},
         {**schema(place=TEXT, days=None), "additionalProperties": True}, {"place": "a"}),
        ({"place": "a", "x": None}, {**schema(place=TEXT), "additionalProperties": True},
         {"place": "a", "x": None}),
        ({"place": [{"a": "x", "b": None}]},
         schema(place={"type": "array", "items": {"type": "object", "properties": {"a": TEXT}}}),
         {"place": [{"a": "x"}]}),
        ({"place": {"a": 1, "b": None}}, schema(place={"type": "object", **MAP}),
         {"place": {"a": 1}}),
        ({"place": {"a": 1, "b": None}},
         schema(place={"type": "object", "patternProperties": {"^[ab]$": {"type": "integer"}}}),
         {"place": {"a": 1}}),
        ({"place": {"a": {"c": None}}},
         schema(place={"type": "object", "additionalProperties": {"type": "object", **MAP}}),
         {"place": {"a": {}}}),
        ({"place": {"a": 1, "b": None}},
         schema(place={"type": "object", "additionalProperties": MAYBE}),
         {"place": {"a": 1, "b": None}}),
        ({"place": {"a": None}}, schema(place={"type": "object", "additionalProperties": False}),
         {"place": {}}),
        ({"place": {"a": 1, "b": None}}, schema(place={"type": "object"}),
         {"place": {"a": 1, "b": None}}),
        ({"place": {"a": 1, "b": None}, "days": None}, schema(place={"type": "object"}),
         {"place": {"a": 1}}),
        ({"place": ["x", None]}, schema(place={"type": "array", "items": MAYBE}),
         "is not of type"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("written", [lambda value: value, json.dumps])
def test_a_null_argument_that_the_schema_does_not_allow_was_never_given(
    arguments, parameters, left, written
):
    expected = refused(left) if isinstance(left, str) else calls(("go", left))
    assert reads("openai", record(written(arguments), parameters)) == [expected]


def test_a_required_argument_that_is_null_is_missing():
    given = record({"place": None}, schema(place=TEXT))
    assert reads("openai", given) == [refused("'place' is a required property")]


def test_a_required_parameter_that_is_null_is_refused():
    given = record({"place": "a"}, schema(["place", "days"], place=TEXT, days=None))
    assert reads("openai", given) == [refused("names 'days', whose schema is null")]


def test_a_default_of_null_stays_where_null_is_a_value():
    given = record({"place": "a"}, schema(place=TEXT, days={**MAYBE, "default": None}))
    assert document(given)["properties"]["days"] == {**MAYBE, "default": None}
