"""Whatever fits a tool's schema is taken for a right call, and tools come back as they were.

Schemas are drawn together with the values that fit them: hypothesis-jsonschema 0.23.1, the last
release, draws no objects with hypothesis 6.170, whose internals it used.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core.calls import ToolCall, parse, render
from looptool.core.tools import check_call, check_tool
from looptool.exchange.tool_sets import export, import_tools
from tests.strategies import TEXT

Fitting = tuple[dict[str, Any], st.SearchStrategy[Any]]  # a schema, and the values that fit it
NAMES = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True)


def leaves() -> st.SearchStrategy[Fitting]:
    texts = st.integers(0, 3).map(
        lambda least: (
            {"type": "string", "minLength": least},
            st.text(st.characters(exclude_categories=["Cs"]), min_size=least, max_size=8),
        )
    )
    numbers = st.integers(-9, 9).map(
        lambda least: ({"type": "integer", "minimum": least}, st.integers(least, least + 99))
    )
    floats = st.just(({"type": "number"}, st.integers() | st.floats(-1e9, 1e9)))
    plain = st.sampled_from(
        [({"type": "boolean"}, st.booleans()), ({"type": "null"}, st.none()), ({}, TEXT)]
    )
    choices = st.lists(TEXT | st.integers(-9, 9), min_size=1, max_size=4, unique_by=repr).map(
        lambda values: ({"enum": values}, st.sampled_from(values))
    )
    return texts | numbers | floats | plain | choices


def arrays(inner: st.SearchStrategy[Fitting]) -> st.SearchStrategy[Fitting]:
    return inner.map(lambda it: ({"type": "array", "items": it[0]}, st.lists(it[1], max_size=3)))


def objects(inner: st.SearchStrategy[Fitting]) -> st.SearchStrategy[Fitting]:
    def made(parts: dict[str, Fitting]) -> Fitting:
        required = sorted(parts)[::2]
        schema = {
            "type": "object",
            "properties": {name: schema for name, (schema, _) in parts.items()},
            "required": required,
        }
        needed = {name: values for name, (_, values) in parts.items() if name in required}
        other = {name: values for name, (_, values) in parts.items() if name not in required}
        return schema, st.fixed_dictionaries(needed, optional=other)

    return st.dictionaries(NAMES, inner, max_size=4).map(made)


PARAMETERS = objects(
    st.recursive(leaves(), lambda inner: arrays(inner) | objects(inner), max_leaves=4)
)


def tool(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"name": "act", "description": "Acts.", "parameters": parameters}


@given(data=st.data(), fitting=PARAMETERS)
def test_a_call_that_fits_its_schema_is_admitted_and_reads_back(
    data: st.DataObject, fitting: Fitting
) -> None:
    parameters, values = fitting
    arguments = data.draw(values)
    call = ToolCall("act", arguments)
    assert check_call(call, [tool(parameters)]) is None
    assert parse(render([call])).calls == (call,)
    for name in parameters["required"]:
        less = {key: value for key, value in arguments.items() if key != name}
        assert check_call(ToolCall("act", less), [tool(parameters)]) is not None
    assert check_call(ToolCall("act", {**arguments, "Unheard": 1}), [tool(parameters)]) is not None


@pytest.mark.parametrize("form", ["openai", "mcp"])
@given(fitting=PARAMETERS)
def test_tools_with_any_schema_come_back_from_every_format(
    form: str, fitting: Fitting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tools = [tool(fitting[0])]
    assert check_tool(tools[0]) is None
    file = tmp_path_factory.getbasetemp() / f"schemas-{form}.json"
    file.write_text(json.dumps(export(tools, form)))
    found = import_tools([str(file)])
    assert found.tools == tools and not found.skipped
