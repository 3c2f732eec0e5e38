"""xLAM's records, each held against what a reader would say it means."""

import json

import pytest

from looptool.exchange.formats.xlam import NO_TOOL
from tests.exchange.formats.reading import calls, reads, refused, text

ROAM = {
    "name": "roam",
    "description": "Walks",
    "parameters": {"place": {"type": "str", "description": "Where"}},
}


def tool(name="f", **parameters):
    return {"name": name, "description": "Does it", "parameters": parameters}


def record(answers, *tools, query="Do it"):
    listed = json.dumps(list(tools))
    said = answers if isinstance(answers, str) else json.dumps(answers)
    return {"query": query, "tools": listed, "answers": said}


def call(name="f", **arguments):
    return {"name": name, "arguments": arguments}


NUMBER = {"n": {"type": "int", "description": "How many"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (record([call("roam", place="Oslo")], ROAM), calls(("roam", {"place": "Oslo"}))),
        (record([call(n=3)], tool(**NUMBER)), calls(("f", {"n": 3}))),
        (record([call(n=3), call(n=4)], tool(**NUMBER)), calls(("f", {"n": 3}), ("f", {"n": 4}))),
        (
            record([call("roam", place="Oslo"), call(n=1)], ROAM, tool(**NUMBER)),
            calls(("roam", {"place": "Oslo"}), ("f", {"n": 1})),
        ),
        (record([], ROAM), text(NO_TOOL)),
        (record("", ROAM), text(NO_TOOL)),
        (record([call(n="3")], tool(**NUMBER)), refused("n: '3' is not of type 'integer'")),
        (record([call("g")], ROAM), refused("no tool is called 'g'")),
        (record([call("roam")], ROAM), refused("'place' is a required property")),
        (record([call("roam", place="Oslo", speed=2)], ROAM), refused("'speed' was unexpected")),
        (record([call(x=True)], tool(x={"type": "bool"})), calls(("f", {"x": True}))),
        (record([call(x=2.5)], tool(x={"type": "float"})), calls(("f", {"x": 2.5}))),
        (record([call(x=[1, 2])], tool(x={"type": "List[int]"})), calls(("f", {"x": [1, 2]}))),
        (record([call(x=["a"])], tool(x={"type": "List[int]"})), refused("x.0: 'a'")),
        (record([call()], tool(x={"type": "str, optional"})), calls(("f", {}))),
        (record([call()], tool(x={"type": "Optional[str]", "default": "a"})), calls(("f", {}))),
        (record([call(x=1)], tool(x={"type": "Union[int, float]"})), calls(("f", {"x": 1}))),
        (record([call(x={"a": 1})], tool(x={"type": "Dict[str, int]"})),
         calls(("f", {"x": {"a": 1}}))),
        (record([call(x=[[1, 2]])], tool(x={"type": "List[Tuple[int, int]]"})),
         calls(("f", {"x": [[1, 2]]}))),
        (record([call(x=1)], tool(x={"type": "int", "default": ""})), calls(("f", {"x": 1}))),
        (record([call(x=[1])], tool(x={"type": "List[int] | None"})), calls(("f", {"x": [1]}))),
        (record([call(x="a")], tool(x={"type": "List[str]|str"})), calls(("f", {"x": "a"}))),
        (record([call(x=[1, "a"])], tool(x={"type": "Tuple[int, str]"})),
         calls(("f", {"x": [1, "a"]}))),
        (record([call(x=[1])], tool(x={"type": "Tuple[int, ...]"})), calls(("f", {"x": [1]}))),
        (record([call(x=1)], tool(x={"type": "list[" * 1200})), refused("is not a type")),
        (record([call(x=1)], tool(x={"type": "list[" * 1200 + "]" * 1200})),
         refused("is nested too deeply")),
        (record([call(x=1)], {"name": "f", "parameters": {"type": "object", "allOf": 1}}),
         refused("is not a JSON Schema")),
        (record([call(type="a")], tool(type={"type": "str"})), calls(("f", {"type": "a"}))),
        (record([call("get user/id", n=1)], tool("get user/id", **NUMBER)),
         calls(("get_user_id", {"n": 1}))),
        (record([call(n=1)], tool(n={"type": "wibble"})), refused("'wibble' is not a type")),
        (record("[{", ROAM), refused("answers: the calls are not valid JSON")),
        (record([["f"]], ROAM), refused("a call must be")),
        (record([call(n=1)], tool(**NUMBER), query=" "), refused("query: is empty")),
        ({"query": "a", "tools": "[]"}, refused("answers: is missing")),
        ({"query": "a", "tools": "[]", "answers": None}, refused("answers: is null")),
        ({"query": 5, "tools": "[]", "answers": "[]"}, refused("query: must be a string")),
        ({"query": "a", "tools": "{", "answers": "[]"}, refused("tools: not valid JSON")),
        (record([call(n=1)], tool(**NUMBER), tool(n={"type": "str"})), refused("another tool")),
        (record([call(n=1)], tool(**NUMBER), tool(**NUMBER)), calls(("f", {"n": 1}))),
    ],
)  # fmt: skip
def test_a_record_is_read_as_a_person_would(given, expected):
    assert reads("xlam", given) == [expected]


@pytest.mark.parametrize(
    ("names", "legal"),
    [
        (["天气", "查询"], ["tool", "tool_2"]),
        (["get weather", "get_weather"], ["get_weather_2", "get_weather"]),
        (["get weather", "get/weather", "get weather"], ["get_weather", "get_weather_2"]),
    ],
)
def test_names_that_are_one_when_made_legal_stay_apart(names, legal):
    given = record([call(name) for name in dict.fromkeys(names)], *map(tool, names))
    assert reads("xlam", given) == [calls(*((name, {}) for name in legal))]


def test_a_flat_parameter_keeps_what_it_says():
    from looptool.exchange.formats.documents import read_documents

    (found,) = read_documents(
        [tool(city={"type": "str", "description": "Where", "default": "Oslo"}, n={"type": "int"})]
    ).documents
    assert found["parameters"] == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where", "default": "Oslo"},
            "n": {"type": "integer"},
        },
        "required": ["n"],
    }
