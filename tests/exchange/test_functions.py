"""Lists of functions, Python modules, and sets of tools that are written, read and exported."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core.errors import ConfigError
from looptool.core.tools import check_tool, read_tools
from looptool.exchange import Note, tool_sets
from looptool.exchange.lint import lint
from looptool.exchange.naming import LONGEST, is_legal, legal_name
from looptool.exchange.tool_sets import export, import_tools

PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
TOOL = {"name": "f", "description": "Does f", "parameters": PARAMETERS}


def imported(folder: Path, content: Any, name: str = "tools.json") -> tool_sets.ToolSet:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return import_tools([str(file)])


@pytest.mark.parametrize(
    "document",
    [
        [TOOL],
        TOOL,
        [{"type": "function", "function": TOOL}],
        {"tools": [{"type": "function", "function": TOOL}]},
        {"functions": [TOOL]},
        {"tools": [{"name": "f", "description": "Does f", "inputSchema": PARAMETERS}]},
        {"jsonrpc": "2.0", "id": 1, "result": {"tools": [
            {"name": "f", "description": "Does f", "inputSchema": PARAMETERS, "annotations": {}}
        ]}},
        [{"name": "f", "description": "Does f", "input_schema": PARAMETERS}],
        f"{json.dumps(TOOL)}\n\n",
    ],
)  # fmt: skip
def test_every_usual_form_of_a_list_gives_the_same_tools(tmp_path: Path, document: Any) -> None:
    found = imported(tmp_path, document)
    assert found.tools == [TOOL] and not found.skipped


def test_lines_of_json_are_a_list(tmp_path: Path) -> None:
    text = "\r\n".join([json.dumps(TOOL), json.dumps({**TOOL, "name": "g"})])
    assert [tool["name"] for tool in imported(tmp_path, text, "x.jsonl").tools] == ["f", "g"]


def test_definitions_are_inlined_and_titles_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    schema = {
        "title": "fArguments",
        "type": "object",
        "$defs": {"Color": {"title": "Color", "enum": ["red", "blue"], "type": "string"}},
        "properties": {
            "the_color": {"$ref": "#/$defs/Color"},
            "max_size": {"title": "Max Size", "type": "integer"},
        },
    }
    (tool,) = imported(tmp_path, [{**TOOL, "parameters": schema}]).tools
    assert tool["parameters"] == {
        "type": "object",
        "properties": {
            "the_color": {"enum": ["red", "blue"], "type": "string", "description": "Color"},
            "max_size": {"type": "integer"},
        },
    }


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("number", "integer", "integer"),
        (["integer", "null"], ["null", "number"], ["integer", "null"]),
        ("number", ["integer", "string"], "integer"),
    ],
)
def test_what_must_be_a_number_and_an_integer_is_an_integer(
    tmp_path: Path, one: Any, other: Any, both: Any
) -> None:
    schema = {"properties": {"a": {"allOf": [{"type": one}, {"type": other}]}}}
    found = imported(tmp_path, [{**TOOL, "parameters": schema}])
    assert found.tools[0]["parameters"]["properties"] == {"a": {"type": both}}
    assert not any("contradict" in note.why for note in found.warnings)


@pytest.mark.parametrize(
    ("item", "what", "why"),
    [
        (3, "function 2", "must be an object"),
        ({"description": "x"}, "function 2", "name: must be a non-empty string"),
        (TOOL, "f", "another function has this name"),
        ({"name": "g", "parameters": 3}, "g", "parameters: must be a JSON Schema object"),
        ({"name": "g", "parameters": {"type": "array"}}, "g", "parameters.type: must be object"),
        (
            {"name": "g", "parameters": {"properties": {"a": {"type": "no"}}}},
            "g",
            "'no' is not a type",
        ),
        ({"name": "g", "parameters": {"properties": {"a": {"type": 3}}}}, "g", "'3' is not a type"),
        ({"name": "g", "parameters": {"a": {}, "b": 3}}, "g", "parameters.b: must be an object"),
        ({"name": "g", "parameters": {"a": {}, "required": ["a"]}}, "g", "required: must be an"),
        (
            {"name": "g", "parameters": {"properties": {"a": None}, "required": ["a"]}},
            "g",
            "parameters.required: names 'a', whose schema is null",
        ),
        ({"name": "g", "description": 3}, "g", "description: must be a string"),
        ({"name": "g", "parameters": {"$ref": "#/a"}}, "g", "refers to #/a, which does not exist"),
    ],
)
def test_what_is_no_function_is_skipped_by_name_with_the_reason(
    tmp_path: Path, item: Any, what: str, why: str
) -> None:
    found = imported(tmp_path, [TOOL, item])
    assert found.tools == [TOOL]
    (note,) = found.skipped
    assert note.what == what and why in note.why


TEXT, WHOLE = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "expected", "warning"),
    [
        (
            {"a": {"type": "str", "description": "q"}, "b": {"type": "int", "default": 3}},
            {"properties": {"a": {**TEXT, "description": "q"}, "b": {**WHOLE, "default": 3}},
             "required": ["a"]},
            "its parameters are flat, not a JSON Schema; those not marked otherwise are "
            "required: a",
        ),
        (
            {"items": {"type": "List[int], optional", "default": ""}},
            {"properties": {"items": {"type": "array", "items": WHOLE}}},
            "defaults that break their schemas are left out: items",
        ),
        (
            {"type": "dict", "properties": {"a": {"type": "dict", "properties": {}}}},
            {"properties": {"a": {"type": "object", "properties": {}}}},
            "types are converted to those of JSON Schema: dict",
        ),
        (
            {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
            {"properties": {"a": {"type": ["string", "null"]}}},
            "types are converted to those of JSON Schema: OBJECT, STRING",
        ),
        (
            {"type": "object", "properties": {"a": {**TEXT, "enum": None}, "b": None}},
            {"properties": {"a": TEXT}},
            "left out, as they are null: b",
        ),
        (
            {"properties": {"a": {**TEXT, "description": None, "default": None}}},
            {"properties": {"a": TEXT}},
            None,
        ),
        ({"anyOf": [PARAMETERS]}, {"properties": {}, "anyOf": [PARAMETERS]}, None),
        ({"additionalProperties": TEXT}, {"properties": {}, "additionalProperties": TEXT}, None),
    ],
)  # fmt: skip
def test_parameters_in_another_dialect_become_json_schema_and_are_told(
    tmp_path: Path, schema: Any, expected: Any, warning: str | None
) -> None:
    found = imported(tmp_path, [{**TOOL, "parameters": schema}])
    assert not found.skipped
    assert found.tools[0]["parameters"] == {"type": "object", **expected}
    told = [note.why for note in found.warnings if "without description" not in note.why]
    assert warning in told if warning else not told


@pytest.mark.parametrize("wrap", [lambda page: page, lambda page: {"id": 1, "result": page}])
def test_a_saved_page_that_names_a_next_one_is_told(tmp_path: Path, wrap: Any) -> None:
    tools = [{"name": "f", "inputSchema": PARAMETERS}]
    told = {}
    for cursor in ("abc", None, ""):
        found = imported(tmp_path, wrap({"tools": tools, "nextCursor": cursor}))
        assert len(found.tools) == 1
        told[cursor] = any("nextCursor" in note.why for note in found.warnings)
    assert told == {"abc": True, None: False, "": False}


def test_a_name_that_models_cannot_emit_is_made_legal_and_told(tmp_path: Path) -> None:
    found = imported(tmp_path, [{**TOOL, "name": "get the/weather"}])
    assert found.tools[0]["name"] == "get_the_weather"
    assert found.warnings[0].why == "'get the/weather' is not a name that a model can emit"


def test_a_name_made_legal_never_takes_that_of_another_function(tmp_path: Path) -> None:
    wishes = ["天気", "日本語", "a b", "a_b", "a/b", "tool", "a b", "tool", "x" * 70, "x" * 71]
    found = imported(tmp_path, [{**TOOL, "name": name} for name in wishes])
    names = [tool["name"] for tool in found.tools]
    assert names[:6] == ["tool_2", "tool_3", "a_b_2", "a_b", "a_b_3", "tool"]
    assert len(set(names)) == 8
    assert [(note.what, note.why) for note in found.skipped] == [
        ("a b", "another function has this name"), ("tool", "another function has this name")
    ]  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
def test_a_name_made_legal_never_takes_that_of_another_source(tmp_path: Path, turned: bool) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{**TOOL, "name": "a b"}]))
    (tmp_path / "b.json").write_text(json.dumps([{**TOOL, "name": "a_b"}]))
    sources = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    found = import_tools(sources[::-1] if turned else sources)
    names = ["a_b", "a_b_2"] if turned else ["a_b_2", "a_b"]
    assert [tool["name"] for tool in found.tools] == names and not found.skipped
    assert Note("a_b_2", "'a b' is not a name that a model can emit") in found.warnings


def test_a_source_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([TOOL]))
    found = import_tools([str(tmp_path / "a.json")] * 2)
    assert found.tools == [TOOL] and len(found.skipped) == 1


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
        {"type": "custom", "name": "code", "format": {"type": "text"}},
        {"type": "custom", "custom": {"name": "code"}},
        {"type": "file_search", "vector_store_ids": ["a"]},
    ],
)
def test_a_tool_that_its_vendor_runs_is_no_function(tmp_path: Path, item: Any) -> None:
    found = imported(tmp_path, [TOOL, item])
    assert found.tools == [TOOL]
    assert found.skipped[0].why == f"type: {item['type']!r} is not a function with parameters"


def test_what_utf_8_cannot_hold_is_refused_or_escaped(tmp_path: Path) -> None:
    odd = [{**TOOL, "name": "\ud800x"}, {**TOOL, "name": "g", "description": "\ud800"}]
    found = imported(tmp_path, odd)
    tool_sets.write(found, tmp_path / "set.json")
    assert [tool["name"] for tool in found.tools] == ["x"]
    assert found.skipped == [Note("g", "description: contains half of a surrogate pair")]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#A"}, "refers to #A, but only paths are followed"),
        ({"properties": {"a": {"$dynamicRef": "#node"}}}, "$dynamicRef is not followed"),
        ({"properties": {"a": {"required": [1]}}}, "required: must be a list of names"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_a_reason_to_skip(
    tmp_path: Path, schema: Any, reason: str
) -> None:
    found = imported(tmp_path, [{"name": "g", "parameters": schema}])
    assert not found.tools and found.skipped[0].why == reason


def test_deep_nesting_is_a_reason_to_skip(tmp_path: Path) -> None:
    for depth in (150, 300, 800):
        schema: Any = {"type": "string"}
        for _ in range(depth):
            schema = {"type": "array", "items": schema}
        parameters = {"type": "object", "properties": {"a": schema}}
        found = imported(tmp_path, [TOOL, {"name": "g", "parameters": parameters}])
        told = [note.why for note in found.skipped]
        assert told == ["is nested too deeply"] or (depth == 150 and not told)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"[" + b"1" * 5000 + b"]", "Exceeds the limit"),
        (b"\xff\xfe", "line 1: not valid UTF-8"),
        (b'[\n{"a": ]', "line 2: not valid JSON"),
        (b'{"a": 1}\n{"b": \n', "line 2: not valid JSON"),
        (b'{"x": 1}', "is neither OpenAPI (openapi: …) nor a list of functions"),
        (b"[]", "contains no tools"),
        (b"a: [\n", "not valid JSON or YAML"),
        (b"a: \x00", "not valid JSON or YAML: unacceptable character #x0000"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_file_that_is_none_of_these_is_told_by_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "x.txt"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        import_tools([str(file)])
    assert str(caught.value).startswith(f"{file}: ") and message in str(caught.value)


def test_several_sources_are_one_set(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([TOOL]))
    (tmp_path / "b.json").write_text(json.dumps([TOOL, {**TOOL, "name": "g"}]))
    sources = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    found = import_tools(sources)
    assert [tool["name"] for tool in found.tools] == ["f", "g"]
    assert [note.why for note in found.skipped] == [f"{sources[0]} has a tool of this name"]
    assert found.to_json()["source"] == sources


def test_a_set_is_written_and_read_again(tmp_path: Path) -> None:
    found = imported(tmp_path, [TOOL])
    tool_sets.write(found, tmp_path / "data/tools/x.json")
    assert read_tools(tmp_path / "data/tools/x.json") == [TOOL]
    written = json.loads((tmp_path / "data/tools/x.json").read_text())
    assert set(written) == {"source", "sha256", "tools", "skipped", "warnings"}
    assert written["source"] == str(tmp_path / "tools.json") and len(written["sha256"]) == 64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("{}", "tools: must be a non-empty list"),
        (json.dumps({"tools": [TOOL, TOOL]}), "tools.1.name: 'f' occurs twice"),
        (json.dumps({"tools": [{"name": "f"}]}), "tools.0: parameters: must be a JSON Schema"),
        (None, "No such file or directory; `looptool tools import` creates it"),
    ],
)
def test_a_broken_set_is_told_by_file_and_place(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(ConfigError, match=r"x\.json: ") as caught:
        read_tools(tmp_path / "x.json")
    assert message in str(caught.value)


SCHEMA = st.recursive(
    st.sampled_from(["string", "integer", "number", "boolean"]).map(lambda kind: {"type": kind})
    | st.lists(st.text(max_size=5), min_size=1, max_size=3, unique=True).map(
        lambda values: {"type": "string", "enum": values}
    ),
    lambda inner: (
        inner.map(lambda items: {"type": "array", "items": items})
        | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties}
        )
    ),
    max_leaves=5,
)
TOOLS = st.lists(
    st.builds(
        lambda name, description, properties: {
            "name": name,
            "description": description.strip(),
            "parameters": {
                "type": "object", "properties": properties, "required": sorted(properties)[:1]
            },
        },
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
        st.text(max_size=30),
        st.dictionaries(st.text(min_size=1, max_size=8), SCHEMA, max_size=4),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda tool: tool["name"],
)  # fmt: skip


@given(tools=TOOLS, form=st.sampled_from(["openai", "mcp"]))
def test_tools_come_back_from_every_format_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, tools: list[dict[str, Any]], form: str
) -> None:
    assert [check_tool(tool) for tool in tools] == [None] * len(tools)
    file = tmp_path_factory.getbasetemp() / "round.json"
    file.write_text(json.dumps(export(tools, form)))
    found = import_tools([str(file)])
    assert found.tools == tools and not found.skipped


@given(name=st.text(max_size=100), taken=st.sets(st.text(max_size=10), max_size=3))
def test_a_legal_name_is_found_for_anything(name: str, taken: set[str]) -> None:
    made = legal_name(name, taken)
    assert is_legal(made) and made not in taken and len(made) <= LONGEST
    if is_legal(name) and name not in taken:
        assert made == name
    assert legal_name(made, {made}) != made


def test_lint_tells_what_a_model_stumbles_over() -> None:
    vague = {"name": "g", "description": "Does f.", "parameters": PARAMETERS}
    broken = {"type": "object", "properties": {"n": {"type": "integer", "default": "x"}}}
    long = {"type": "object", "properties": {"q": {"type": "string", "description": "y" * 5000}}}
    tools = [
        TOOL,
        vague,
        {"name": "h", "description": "", "parameters": broken},
        {"name": "i", "description": "Long", "parameters": long},
    ]
    told = {(note.what, note.why) for note in lint(tools)}
    assert ("f", "parameters without description: a") in told
    assert ("g", "is hard to tell from f") in told
    assert ("h", "has no description") in told
    assert ("h", "the default breaks the schema: n: 'x' is not of type 'integer'") in told
    assert any(what == "i" and "about 12" in why for what, why in told)
    assert not any(what == "f" and "hard to tell" in why for what, why in told)


MODULE = '''
from typing import Literal, Optional
from json import dumps

def weather(city: str, unit: Literal["C", "F"] = "C", days: Optional[int] = None) -> str:
    """
    Tell the weather.

    Args:
        city: Where.
        unit: Degrees.
        days: How many days ahead.
    """

def bare(x):
    return x

def _hidden(x: int) -> int:
    """Hidden."""
'''


def test_public_functions_of_a_module_become_tools(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    found = import_tools([str(tmp_path / "mine.py")])
    (tool,) = found.tools
    assert tool["name"] == "weather" and tool["description"] == "Tell the weather."
    properties = tool["parameters"]["properties"]
    assert tool["parameters"]["required"] == ["city"]
    assert (
        properties["unit"]["enum"] == ["C", "F"] and properties["city"]["description"] == "Where."
    )
    (note,) = found.skipped
    assert note.what == "bare" and "docstring" in note.why


def test_functions_of_a_module_go_by_the_names_that_it_gives_them(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "__all__ = ['one', 'two', 'Three', 'four']\n"
        "def make():\n"
        "    def inner(x: int) -> int:\n"
        "        'Do it.\\n\\n        Args:\\n            x: What.\\n        '\n"
        "    return inner\n"
        "one, two = make(), make()\n"
        "class Three: pass\n"
    )
    found = import_tools([str(tmp_path / "mine.py")])
    assert [tool["name"] for tool in found.tools] == ["one", "two"]
    assert found.skipped == [
        Note(name, "__all__ names it, but it is not a function") for name in ("Three", "four")
    ]


def test_a_modules_dataclasses_may_have_their_hints_as_texts(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(
        "from __future__ import annotations\n"
        "import json\n"
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Point:\n    x: int\n"
        "def f(x: int) -> str:\n    'F.\\n\\n    Args:\\n        x: What.\\n    '\n"
        "    return json.dumps(x)\n"
    )
    found = import_tools([str(tmp_path / "json.py")])
    assert [tool["name"] for tool in found.tools] == ["f"]
    assert sys.modules["json"] is json and "json_" not in sys.modules


def test_types_in_a_docstring_are_left_to_the_hints(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def f(a: int, b: str = '', *more: int, **words: str):\n"
        '    """F.\n\n'
        "    Args:\n"
        "        a (int, optional): What (of b): all.\n"
        "        b (Optional[tuple(str)]): Which.\n"
        "        *more (int): More.\n"
        "        **words: Words.\n"
        '    """\n'
    )
    found = import_tools([str(tmp_path / "mine.py")])
    assert found.tools[0]["parameters"] == {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "What (of b): all."},
            "b": {"type": "string", "description": "Which."},
        },
        "required": ["a"],
    }
    assert found.warnings == [Note("f", "left out, as calls name each parameter: *more, **words")]


@pytest.mark.parametrize(
    "text", ["F.\n\n    :param a: What.\n", "F.\n\n    Parameters\n    ----------\n    a : int\n"]
)
def test_a_docstring_of_another_style_is_skipped_with_the_name_of_the_right_one(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "mine.py").write_text(f'def f(a: int):\n    """{text}"""\n')
    (note,) = import_tools([str(tmp_path / "mine.py")]).skipped
    assert "argument 'a' in a Google-style `Args:` section" in note.why


def test_a_module_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise RuntimeError('no\\nway')")
    with pytest.raises(ConfigError, match=r"mine\.py: cannot be imported: RuntimeError: no way"):
        import_tools([str(tmp_path / "mine.py")])
    with pytest.raises(ConfigError, match=r"gone\.py: there is no such file"):
        import_tools([str(tmp_path / "gone.py")])
    with pytest.raises(ConfigError, match="no_such_module: cannot be imported: ModuleNotFound"):
        import_tools(["no_such_module"])
