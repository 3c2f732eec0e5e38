"""Examples of an OpenAPI document become examples of the tool's parameters, few and short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from looptool.exchange.tool_sets import import_tools

FIELDS = {
    "title": {"type": "string", "examples": ["Own"]},
    "count": {"type": "integer", "maximum": 5},
    "marks": {"type": "array", "items": {"type": "string"}},
}
SHARED = {
    "Letter": {"value": {"title": "By reference", "count": 4}},
    "Loop": {"$ref": "#/components/examples/Loop"},
}


def properties(tmp_path: Path, operation: dict[str, Any]) -> dict[str, Any]:
    file = tmp_path / "api.json"
    document = {
        "openapi": "3.1.0",
        "components": {"examples": SHARED},
        "paths": {"/letters": {"post": operation}},
    }
    file.write_text(json.dumps(document))
    found = import_tools([str(file)])
    assert not found.skipped
    made: dict[str, Any] = found.tools[0]["parameters"]["properties"]
    return made


def body(**media: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": FIELDS}
    return {"requestBody": {"content": {"application/json": {"schema": schema, **media}}}}


def test_a_bodys_examples_are_taken_apart(tmp_path: Path) -> None:
    named = {
        "one": {"value": {"title": "First", "count": 1, "other": True}},
        "two": {"$ref": "#/components/examples/Letter"},
    }
    made = properties(tmp_path, body(examples=named))
    assert made["title"]["examples"] == ["First", "By reference", "Own"]
    assert made["count"]["examples"] == [1, 4]
    assert "examples" not in made["marks"] and "other" not in made


def test_a_single_example_of_a_body_counts_too(tmp_path: Path) -> None:
    made = properties(tmp_path, body(example={"marks": ["a", "b"]}))
    assert made["marks"]["examples"] == [["a", "b"]]


def test_a_parameters_examples_are_kept(tmp_path: Path) -> None:
    parameter = {
        "name": "zone",
        "in": "query",
        "schema": {"type": "string", "example": "C"},
        "examples": {"a": {"value": "A"}, "b": {"value": "B"}},
    }
    made = properties(tmp_path, {"parameters": [parameter]})
    assert made["zone"]["examples"] == ["A", "B", "C"]


def test_only_few_short_and_valid_examples_are_kept(tmp_path: Path) -> None:
    titles = ["x" * 80, "a", "a", "b", "c", "d"]
    counts = [9, "many", 3]
    values = [{"title": title} for title in titles] + [{"count": count} for count in counts]
    named = {str(number): {"value": value} for number, value in enumerate(values)}
    made = properties(tmp_path, body(examples=named))
    assert made["title"]["examples"] == ["a", "b", "c"]
    assert made["count"]["examples"] == [3]


def test_examples_inside_a_field_are_few_and_valid_too(tmp_path: Path) -> None:
    inner = {"type": "object", "properties": {"size": {"type": "integer", "examples": ["x", 2]}}}
    schema = {"type": "object", "properties": {"box": inner}}
    operation = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
    made = properties(tmp_path, operation)
    assert made["box"]["properties"]["size"]["examples"] == [2]


def test_examples_that_cannot_be_found_are_left_out(tmp_path: Path) -> None:
    named = {
        "gone": {"$ref": "#/components/examples/Gone"},
        "loop": {"$ref": "#/components/examples/Loop"},
        "far": {"externalValue": "https://example.com/letter.json"},
        "odd": 3,
    }
    made = properties(tmp_path, body(examples=named))
    assert made["title"] == {"type": "string", "examples": ["Own"]}
