"""What only a server sets is no parameter, however deep it stands (OpenAPI 3.1.1, 4.8.24.2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from looptool.core.tools import check_arguments
from tests.exchange.test_openapi import body, imported, only, reference, warned

TEXT = {"type": "string"}
HIDDEN = {"type": "integer", "readOnly": True}
LINE = {"type": "object", "required": ["id", "item"], "properties": {"id": HIDDEN, "item": TEXT}}
KEPT = {"type": "object", "required": ["item"], "properties": {"item": TEXT}}
SCHEMAS = {
    "Line": LINE,
    "Alias": reference("Line"),
    "Stamp": {"type": "string", "readOnly": True},
    "StampAlias": reference("Stamp"),
}


def body_of(folder: Path, schema: Any, version: str = "3.1.0") -> Any:
    """Import one operation whose body is a field `it` of this schema; return what it became."""
    whole = {"type": "object", "properties": {"it": schema}}
    found = imported(
        folder, {"/x": {"post": body(whole)}}, openapi=version, components={"schemas": SCHEMAS}
    )
    return only(found)["parameters"]["properties"].get("it")


@pytest.mark.parametrize("line", [LINE, reference("Line"), reference("Alias")])
@pytest.mark.parametrize(
    "around",
    [
        lambda part: part,
        lambda part: {"type": "array", "items": part},
        lambda part: {"type": "array", "items": {"type": "array", "items": part}},
        lambda part: {"type": "array", "prefixItems": [part, TEXT]},
        lambda part: {"type": "object", "properties": {"a": {"properties": {"b": part}}}},
        lambda part: {"type": "object", "additionalProperties": part},
        lambda part: {"type": "object", "patternProperties": {"^x": part}},
        lambda part: {"anyOf": [part, {"type": "null"}]},
        lambda part: {"oneOf": [TEXT, part]},
    ],
)
def test_read_only_fields_are_left_out_at_any_depth(
    tmp_path: Path, line: dict[str, Any], around: Any
) -> None:
    assert body_of(tmp_path, around(line)) == around(KEPT)


@pytest.mark.parametrize(
    "hidden",
    [
        HIDDEN,
        reference("Stamp"),
        reference("StampAlias"),
        {"allOf": [reference("StampAlias")]},
        {"allOf": [TEXT], "readOnly": True},
        {"anyOf": [reference("Stamp"), {"type": "null"}]},
        {"$ref": "#/components/schemas/Line", "readOnly": True},
    ],
)
@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_a_field_is_read_only_by_what_it_refers_to(
    tmp_path: Path, hidden: dict[str, Any], version: str
) -> None:
    schema = {"type": "object", "required": ["id"], "properties": {"id": hidden, "item": TEXT}}
    made = body_of(tmp_path, schema, version)
    assert made == {"type": "object", "required": [], "properties": {"item": TEXT}}


def test_a_field_that_may_be_given_by_one_alternative_stays(tmp_path: Path) -> None:
    schema = {"properties": {"it": {"anyOf": [reference("Stamp"), {"type": "integer"}]}}}
    assert body_of(tmp_path, schema)["properties"] == {"it": {"anyOf": [TEXT, {"type": "integer"}]}}


def test_what_one_part_of_allof_marks_another_part_cannot_require(tmp_path: Path) -> None:
    schema = {
        "allOf": [
            {"required": ["id", "item"], "properties": {"id": {"type": "integer"}}},
            reference("Line"),
        ]
    }
    assert body_of(tmp_path, schema) == {**KEPT, "required": ["item"]}


def test_alternatives_do_not_require_what_the_object_around_them_marks(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"id": HIDDEN, "name": TEXT, "item": TEXT},
        "anyOf": [{"required": ["id"]}, {"required": ["name", "id"]}, {"required": ["item"]}],
        "dependentRequired": {"name": ["id", "item"]},
    }
    made = body_of(tmp_path, schema)
    assert made["anyOf"] == [{"required": ["name"]}, {"required": ["item"]}]
    assert made["dependentRequired"] == {"name": ["item"]}
    assert check_arguments({"name": "a", "item": "b"}, made) is None


def test_a_body_that_is_a_list_loses_them_too(tmp_path: Path) -> None:
    schema = {"type": "array", "items": reference("Line")}
    found = imported(
        tmp_path, {"/x": {"post": body(schema)}}, components={"schemas": SCHEMAS}
    )  # fmt: skip
    assert only(found)["parameters"]["properties"]["body"] == {"type": "array", "items": KEPT}
    assert "read-only fields are left out: id" in warned(found)


def test_a_read_only_field_may_refer_to_what_cannot_be_read(tmp_path: Path) -> None:
    gone = {"allOf": [{"$ref": "gone.yaml#/X"}], "readOnly": True}
    schema = {"type": "object", "properties": {"a": gone, "b": TEXT}}
    assert body_of(tmp_path, schema)["properties"] == {"b": TEXT}


def test_a_list_of_functions_keeps_them(tmp_path: Path) -> None:
    from looptool.exchange.tool_sets import import_tools

    file = tmp_path / "tools.json"
    file.write_text(json.dumps([{"name": "f", "parameters": LINE}]))
    (tool,) = import_tools([str(file)]).tools
    assert list(tool["parameters"]["properties"]) == ["id", "item"]
