import pytest
from hypothesis import given

from looptool.core.calls import ToolCall
from looptool.core.tools import check_call, check_tool
from tests.strategies import CALL, JSON


def tool(parameters=None, **properties):
    schema = {"type": "object", "properties": properties, **(parameters or {})}
    return {"name": "f", "description": "does it", "parameters": schema}


CITY = tool({"required": ["city"]}, city={"type": "string"}, days={"type": "integer"})


def test_a_plain_tool_document_is_one():
    assert check_tool(CITY) is None
    assert check_tool({"name": "f", "parameters": {"type": "object"}}) is None


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"description": 1}, "description"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"type": "dict"}}, "parameters.type"),
        ({"parameters": {"type": "object", "required": "city"}}, "parameters.required"),
        (
            {"parameters": {"type": "object", "properties": {"a": {"type": "float"}}}},
            "parameters.properties.a.type",
        ),
        (
            {"parameters": {"type": "object", "properties": {"a": {"pattern": "("}}}},
            "parameters.properties.a.pattern",
        ),
        ({"parameters": {"type": "object", "default": float("nan")}}, "parameters"),
        ({"parameters": {"type": "object", "default": {1}}}, "parameters"),
        ({"arguments": {}}, "'arguments'"),
    ],
)
def test_what_is_no_tool_document_is_told_with_its_field(change, names):
    assert names in check_tool({**CITY, **change})


@given(JSON)
def test_no_value_makes_check_tool_raise(value):
    check_tool(value)
    check_tool({**CITY, "parameters": value})
    check_tool(tool({"properties": value}))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"city": "Rome"}, None),
        ({"city": "Rome", "days": 2}, None),
        ({}, "'city' is a required property"),
        ({"city": 1}, "city: 1 is not of type 'string'"),
        ({"city": "Rome", "days": True}, "days: True is not of type 'integer'"),
        ({"city": "Rome", "day": 2}, "'day' was unexpected"),
    ],
)
def test_a_call_is_held_against_the_schema(arguments, reason):
    found = check_call(ToolCall("f", arguments), [CITY])
    assert found is None if reason is None else reason in found


def test_a_call_of_another_tool_is_refused():
    assert "'g'" in check_call(ToolCall("g", {}), [CITY])


def test_arguments_without_a_schema_pass_only_where_the_tool_says_so():
    free = tool({"additionalProperties": True})
    assert check_call(ToolCall("f", {"any": 1}), [free]) is None
    assert check_call(ToolCall("f", {"any": 1}), [tool()])


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#/nowhere"}, 1),
        ({"$ref": "http://127.0.0.1:9/schema"}, 1),
        ({"pattern": "("}, "x"),
        ({"multipleOf": 0.1}, 10**400),
    ],
)
def test_a_schema_that_cannot_be_applied_is_a_reason_and_no_exception(schema, value):
    assert "cannot be applied" in check_call(ToolCall("f", {"a": value}), [tool(a=schema)])


@given(CALL)
def test_no_call_makes_check_call_raise(call):
    check_call(call, [tool(a={"type": "number", "multipleOf": 0.5}, b={"format": "date"})])
