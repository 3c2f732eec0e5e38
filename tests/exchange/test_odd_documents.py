"""Whatever stands in a document or a list, each operation and function ends as a tool or skipped.

Documents are drawn valid, odd and broken: wrong types anywhere, references that lead nowhere or in
circles, variants that contradict their parents, names that no model can emit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.core.errors import ConfigError
from looptool.core.tools import check_tool, read_tools
from looptool.exchange import tool_sets
from looptool.exchange.openapi import METHODS
from looptool.exchange.schemas import LARGEST
from looptool.exchange.tool_sets import import_tools

NAMES = st.sampled_from(["A", "B", "C", "D", "kind", "id"])
ODD_NAMES = st.sampled_from(
    ["a b", "x/y", "", "获取", "tool", "x" * 70, "\ud800", "$ref", "{", "-1", "get_x"]
)
SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | NAMES | ODD_NAMES
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)


def odd(
    usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any] = JUNK, share: int = 40
) -> st.SearchStrategy[Any]:
    """The usual nearly always, and now and then something else."""
    return st.integers(1, share).flatmap(lambda drawn: other if drawn == share else usual)


WORDS = odd(NAMES, ODD_NAMES, share=10)
REFERENCES = odd(
    st.sampled_from([f"#/components/schemas/{name}" for name in ("A", "B", "C", "D", "%41")]),
    st.sampled_from(
        ["#", "#/", "#A", "#/components", "#/paths/~1x", "other.yaml#/A", "A", "#/$defs/A", "",
         "#/components/schemas/x~1y", "#/components/schemas/A/properties/A"]
    ),
)  # fmt: skip


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = st.dictionaries(WORDS, inner, max_size=3)
    several = st.lists(inner, min_size=1, max_size=3)
    mapping = st.dictionaries(WORDS, REFERENCES | NAMES, max_size=3)
    discriminators = st.fixed_dictionaries(
        {"propertyName": odd(st.just("kind") | WORDS)}, optional={"mapping": odd(mapping)}
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "type": odd(st.sampled_from(["object", "object", "string", ["string", "null"]])),
            "properties": odd(fields),
            "required": odd(st.lists(WORDS, max_size=2)),
            "allOf": odd(several),
            "oneOf": odd(several),
            "anyOf": odd(several),
            "items": inner,
            "prefixItems": odd(several),
            "additionalProperties": inner | st.booleans(),
            "not": inner,
            "if": inner,
            "then": inner,
            "dependentRequired": odd(st.dictionaries(WORDS, st.lists(WORDS, max_size=2))),
            "discriminator": odd(discriminators),
            "readOnly": st.booleans(),
            "nullable": st.booleans(),
            "enum": odd(st.lists(SCALARS, max_size=3)),
            "const": SCALARS,
            "minimum": odd(st.integers(-5, 5)),
            "exclusiveMinimum": odd(st.booleans()),
            "pattern": odd(st.sampled_from(["a+", "(", "\\p{L}"])),
            "default": JUNK,
            "example": JUNK,
            "format": odd(st.just("binary")),
            "title": odd(WORDS),
            "description": odd(WORDS),
        },
    )  # fmt: skip


SCHEMAS = st.recursive(
    st.fixed_dictionaries({"$ref": REFERENCES}) | odd(st.just({"type": "string"}) | st.booleans()),
    lambda inner: odd(keywords(inner)),
    max_leaves=8,
)
WITH_SCHEMA = st.fixed_dictionaries({"schema": SCHEMAS})
MEDIA = st.sampled_from(
    ["application/json", "Application/JSON; charset=utf-8", "application/json-patch+json", "*/*",
     "application/vnd.x+json", "multipart/form-data", "text/plain", "application/xml", ""]
)  # fmt: skip
CONTENTS = odd(st.dictionaries(MEDIA, odd(WITH_SCHEMA), max_size=3))
PARAMETERS = st.lists(
    odd(
        st.fixed_dictionaries(
            {"name": WORDS, "in": odd(st.sampled_from(["path", "query", "header", "cookie"]))},
            optional={
                "schema": SCHEMAS,
                "required": st.booleans(),
                "content": CONTENTS,
                "description": odd(WORDS),
                "example": JUNK,
            },
        ),
        st.fixed_dictionaries({"$ref": REFERENCES}) | JUNK,
        share=10,
    ),
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {"content": CONTENTS | st.fixed_dictionaries({"application/json": WITH_SCHEMA})},
    optional={"required": st.booleans(), "description": odd(WORDS)},
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "operationId": odd(WORDS),
        "summary": odd(WORDS),
        "description": odd(WORDS),
        "parameters": odd(PARAMETERS),
        "requestBody": odd(BODIES, st.fixed_dictionaries({"$ref": REFERENCES})),
        "deprecated": odd(st.booleans()),
    },
)
ITEMS = st.fixed_dictionaries(
    {"post": odd(OPERATIONS)},
    optional={
        "get": odd(OPERATIONS),
        "parameters": odd(PARAMETERS),
        "x-more": JUNK,
    },
)
PATHS = odd(
    st.sampled_from(["/x", "/y", "/{id}", "/{A},{B}", "/{id:[0-9]{2}}", "/y{?A,B}", "/a/{B}.{C}"]),
    st.sampled_from(["/{", "/{}", "/}{", "/\ud800", "x-y", ""]),
    share=10,
)
HEIRS = st.builds(lambda base, own: {"allOf": [{"$ref": base}, own]}, REFERENCES, SCHEMAS)
DOCUMENTS = st.fixed_dictionaries(
    {
        "openapi": odd(
            st.sampled_from(["3.0.3", "3.1.0"]), st.sampled_from([3.1, "2.0", None, ["3.1"]])
        ),
        "paths": odd(st.dictionaries(PATHS, odd(ITEMS), min_size=1, max_size=3)),
        "components": odd(
            st.fixed_dictionaries(
                {"schemas": odd(st.fixed_dictionaries(dict.fromkeys("ABCD", SCHEMAS | HEIRS)))}
            )
        ),
    }
)
FUNCTIONS = st.lists(
    odd(
        st.fixed_dictionaries(
            {"name": odd(WORDS)},
            optional={
                "description": odd(WORDS),
                "parameters": SCHEMAS,
                "inputSchema": odd(keywords(SCHEMAS)),
                "type": odd(st.just("function")),
            },
        ).flatmap(lambda each: st.sampled_from([each, {"type": "function", "function": each}]))
    ),
    min_size=1,
    max_size=4,
)


def outcome(folder: Path, document: Any) -> tool_sets.ToolSet | None:
    """What an import makes of a document; it can be written and read again. None if it is none."""
    file = folder / "odd.json"
    file.write_text(json.dumps(document))
    try:
        found = import_tools([str(file)])
    except ConfigError as error:
        assert str(error).startswith(f"{file}: ") and "\n" not in str(error)
        return None
    names = [tool["name"] for tool in found.tools]
    assert len(set(names)) == len(names)
    assert [check_tool(tool) for tool in found.tools] == [None] * len(names)
    assert all(len(json.dumps(tool)) < 20 * LARGEST for tool in found.tools)
    tool_sets.write(found, folder / "odd-set.json")
    if names:
        assert read_tools(folder / "odd-set.json") == found.tools
    return found


def check_document(folder: Path, document: dict[str, Any]) -> None:
    if (found := outcome(folder, document)) is None:
        return
    skipped = [note.what for note in found.skipped]
    operations = []
    for path, item in document["paths"].items():
        path = path.encode("utf-8", "backslashreplace").decode()
        if path.startswith("x-"):
            continue
        if not isinstance(item, Mapping) or "$ref" in item:
            continue
        operations += [f"{method.upper()} {path}" for method in METHODS if method in item]
    told = [what for what in skipped if what in operations]
    assert len(told) == len(set(told)) and len(found.tools) + len(told) == len(operations)


def check_functions(folder: Path, items: list[Any]) -> None:
    found = outcome(folder, items)
    assert found is not None and len(found.tools) + len(found.skipped) == len(items)


@settings(max_examples=150)
@given(document=DOCUMENTS)
def test_each_operation_is_a_tool_or_skipped(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    check_document(tmp_path_factory.getbasetemp(), document)


@settings(max_examples=150)
@given(items=FUNCTIONS)
def test_each_function_is_a_tool_or_skipped(
    tmp_path_factory: pytest.TempPathFactory, items: list[Any]
) -> None:
    check_functions(tmp_path_factory.getbasetemp(), items)
