"""Variants that only a parent's discriminator names can be given (OpenAPI 3.1.1, 4.8.25)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from looptool.core.tools import check_arguments
from tests.exchange.test_openapi import body, imported, only, reference, warned

TAG: dict[str, Any] = {"propertyName": "kind"}
TEXT = {"type": "string"}


def variant(parent: str, **fields: Any) -> dict[str, Any]:
    return {"allOf": [reference(parent), {"type": "object", "properties": fields}]}


def parent(**more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": TEXT, "name": TEXT},
        "discriminator": TAG,
        **more,
    }


def mapping(**names: str) -> dict[str, Any]:
    return {**TAG, "mapping": names}


def shape(tag: Any, **fields: Any) -> dict[str, Any]:
    """What a variant becomes."""
    return {
        "type": "object",
        "properties": {"kind": {"type": "string", **tag}, "name": TEXT, **fields},
        "required": ["kind"],
    }


CIRCLE, SQUARE = variant("Shape", radius={"type": "number"}), variant("Shape", side=TEXT)
BOTH = {
    "oneOf": [
        shape({"const": "Circle"}, radius={"type": "number"}),
        shape({"const": "Square"}, side=TEXT),
    ]
}


def imported_body(folder: Path, schema: Any, schemas: dict[str, Any], **more: Any) -> Any:
    """Import one operation whose body this is, in both dialects; return the body's parameter."""
    bodies = []
    for version in ("3.0.3", "3.1.0"):
        found = imported(
            folder,
            {"/x": {"post": body(schema, required=True)}},
            openapi=version,
            components={"schemas": schemas},
        )
        bodies.append(only(found)["parameters"]["properties"])
    assert bodies[0] == bodies[1]
    return bodies[0].get("body", bodies[0])


def test_components_built_on_the_parent_are_its_variants_by_their_names(tmp_path: Path) -> None:
    schemas = {"Shape": parent(), "Circle": CIRCLE, "Square": SQUARE, "Other": {"type": "object"}}
    assert imported_body(tmp_path, reference("Shape"), schemas) == BOTH


@pytest.mark.parametrize(
    "named",
    [
        {"c": "Circle", "s": "Square"},
        {"c": "#/components/schemas/Circle", "s": "#/components/schemas/Square"},
        {"c": "Alias", "s": "#/components/schemas/%53quare"},
    ],
)
def test_a_mapping_gives_the_values_by_names_or_references(
    tmp_path: Path, named: dict[str, str]
) -> None:
    schemas = {
        "Shape": parent(discriminator=mapping(**named)),
        "Circle": CIRCLE, "Square": SQUARE, "Alias": reference("Circle"),
    }  # fmt: skip
    made = imported_body(tmp_path, reference("Shape"), schemas)
    assert [part["properties"]["kind"]["const"] for part in made["oneOf"]] == ["c", "s"]
    assert check_arguments({"kind": "c", "radius": 1}, made) is None
    assert check_arguments({"kind": "s", "side": "a"}, made) is None
    assert check_arguments({"kind": "other"}, made) is not None


def test_a_variant_with_several_values_takes_each_of_them(tmp_path: Path) -> None:
    named = mapping(circle="Circle", ring="Circle", square="Square")
    schemas = {"Shape": parent(discriminator=named), "Circle": CIRCLE, "Square": SQUARE}
    made = imported_body(tmp_path, reference("Shape"), schemas)
    assert made["oneOf"][0]["properties"]["kind"] == {"type": "string", "enum": ["circle", "ring"]}


@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        ({"type": "array", "items": reference("Shape")}, ["items"]),
        ({"type": "object", "properties": {"it": reference("Shape")}}, ["it"]),
        ({"type": "object", "additionalProperties": reference("Alias")}, ["additionalProperties"]),
        ({"type": "object", "properties": {"it": {"allOf": [reference("Shape")]}}}, ["it"]),
        ({"type": "array", "items": {"type": "array", "items": reference("Alias")}}, ["items"] * 2),
        (reference("Alias"), []),
    ],
)
def test_a_parent_is_found_wherever_it_stands(tmp_path: Path, wrap: Any, path: list[str]) -> None:
    schemas = {
        "Shape": parent(), "Circle": CIRCLE, "Square": SQUARE,
        "Alias": reference("Further"), "Further": reference("Shape"),
    }  # fmt: skip
    made = imported_body(tmp_path, wrap, schemas)
    for key in path:
        made = made[key]
    assert made == BOTH


def test_variants_that_hold_their_parent_are_cut_there(tmp_path: Path) -> None:
    group = variant("Shape", parts={"type": "array", "items": reference("Shape")})
    schemas = {"Shape": parent(), "Circle": CIRCLE, "Group": group}
    found = imported(
        tmp_path, {"/x": {"post": body(reference("Shape"))}}, components={"schemas": schemas}
    )
    made = only(found)["parameters"]["properties"]["body"]
    parts = {"type": "array", "items": {"type": "object"}}
    assert made["oneOf"][1] == shape({"const": "Group"}, parts=parts)
    assert "#/components/schemas/Shape contains itself; it is cut there" in warned(found)


def test_variants_of_variants_count_and_a_middle_one_has_its_own(tmp_path: Path) -> None:
    schemas = {
        "Shape": parent(discriminator=mapping(c="Circle", s="Square")),
        "Round": variant("Shape", smooth={"type": "boolean"}),
        "Circle": variant("Round", radius=TEXT),
        "Square": SQUARE,
    }
    made = imported_body(tmp_path, reference("Shape"), schemas)
    assert [list(part["properties"]) for part in made["oneOf"]] == [
        ["kind", "name", "smooth", "radius"], ["kind", "name", "side"]
    ]  # fmt: skip
    made = imported_body(tmp_path, reference("Round"), schemas)
    assert list(made) == ["kind", "name", "smooth", "radius"] and made["kind"]["const"] == "c"


def test_a_mapped_variant_as_a_body_has_its_value_and_no_other_variant(tmp_path: Path) -> None:
    schemas = {
        "Shape": parent(discriminator=mapping(c="Circle", s="Square")),
        "Circle": CIRCLE, "Square": SQUARE,
    }  # fmt: skip
    made = imported_body(tmp_path, reference("Circle"), schemas)
    assert made == {"kind": {**TEXT, "const": "c"}, "name": TEXT, "radius": {"type": "number"}}


def test_variants_that_are_not_built_on_the_parent_have_its_fields_too(tmp_path: Path) -> None:
    schemas = {
        "Shape": parent(discriminator=mapping(c="Circle", s="Square")),
        "Circle": {"type": "object", "properties": {"radius": TEXT}},
        "Square": {"type": "object", "properties": {"side": TEXT}},
    }
    made = imported_body(tmp_path, reference("Shape"), schemas)
    assert [set(part["properties"]) for part in made["oneOf"]] == [
        {"kind", "name", "radius"}, {"kind", "name", "side"}
    ]  # fmt: skip
    inline = imported_body(tmp_path, schemas["Shape"], schemas)
    assert inline == made


def test_a_parent_goes_by_any_name(tmp_path: Path) -> None:
    schemas = {
        "Shape": parent(discriminator=mapping(c="Circle", s="Square")),
        "Alias": reference("Shape"),
        "Circle": {"type": "object", "properties": {"radius": TEXT}},
        "Square": variant("Alias", side=TEXT),
    }
    made = imported_body(tmp_path, reference("Alias"), schemas)
    assert made == imported_body(tmp_path, reference("Shape"), schemas)
    assert [set(part) for part in made["oneOf"]] == [{"type", "properties", "required"}] * 2


def test_a_parent_that_the_mapping_names_is_a_variant_itself(tmp_path: Path) -> None:
    schemas = {"Shape": parent(discriminator=mapping(any="Shape", c="Circle")), "Circle": CIRCLE}
    made = imported_body(tmp_path, reference("Shape"), schemas)
    assert made["oneOf"] == [
        shape({"const": "any"}),
        shape({"const": "c"}, radius={"type": "number"}),
    ]


def test_a_parent_that_may_be_null_keeps_its_variants(tmp_path: Path) -> None:
    schemas = {"Shape": parent(), "Circle": CIRCLE, "Square": SQUARE}
    around = {"properties": {"it": {"allOf": [reference("Shape")], "nullable": True}}}
    made = imported_body(tmp_path, {"type": "object", **around}, schemas)
    assert made["it"] == {"oneOf": [*BOTH["oneOf"], {"type": "null"}]}


def test_a_schema_around_the_parent_keeps_the_variants(tmp_path: Path) -> None:
    schemas = {
        "Shape": parent(discriminator=mapping(c="Circle", s="Square")),
        "Circle": CIRCLE, "Square": SQUARE, "Order": variant("Shape", count={"type": "integer"}),
    }  # fmt: skip
    made = imported_body(tmp_path, reference("Order"), schemas)
    assert made["properties"] == {"count": {"type": "integer"}} and len(made["oneOf"]) == 2


def test_values_that_the_names_do_not_give_leave_every_variant_open(tmp_path: Path) -> None:
    kinds = {"type": "string", "enum": ["round", "square"]}
    schemas = {
        "Shape": parent(properties={"kind": kinds}), "Circle": CIRCLE, "Square": SQUARE
    }  # fmt: skip
    found = imported(
        tmp_path, {"/x": {"post": body(reference("Shape"))}}, components={"schemas": schemas}
    )
    made = only(found)["parameters"]["properties"]["body"]
    assert [list(part["properties"]) for part in made["anyOf"]] == [
        ["kind", "radius"], ["kind", "side"], ["kind"]
    ]  # fmt: skip
    assert all(part["properties"]["kind"] == kinds for part in made["anyOf"])
    assert "which value selects Circle, Square; any" in warned(found)


def test_a_variant_that_says_its_value_itself_keeps_it(tmp_path: Path) -> None:
    schemas = {
        "Shape": parent(),
        "Circle": variant("Shape", kind={"enum": ["circle"]}),
        "Square": variant("Shape", kind={"const": "square"}),
    }
    made = imported_body(tmp_path, reference("Shape"), schemas)
    assert [part["properties"]["kind"]["const"] for part in made["oneOf"]] == ["circle", "square"]


def either(field: str) -> dict[str, Any]:
    """A schema that is built on no parent."""
    return {"type": "object", "properties": {"kind": TEXT, "name": TEXT, field: TEXT}}


@pytest.mark.parametrize("key", ["oneOf", "anyOf"])
@pytest.mark.parametrize(
    ("discriminator", "values"),
    [
        (TAG, ["Circle", "Square"]),
        (mapping(c="Circle", s="#/components/schemas/Square"), ["c", "s"]),
        (mapping(c="Alias", s="Square"), ["c", "s"]),
    ],
)
def test_alternatives_beside_a_discriminator_have_its_values(
    tmp_path: Path, key: str, discriminator: Any, values: list[str]
) -> None:
    schemas = {
        "Shape": {key: [reference("Circle"), reference("Square")], "discriminator": discriminator},
        "Circle": either("radius"), "Square": either("side"), "Alias": reference("Circle"),
    }  # fmt: skip
    made = imported_body(tmp_path, reference("Shape"), schemas)
    assert [part["properties"]["kind"]["const"] for part in made[key]] == values
    assert check_arguments({"kind": values[0], "name": "x"}, made) is None
    assert check_arguments({"kind": "other", "name": "x"}, made) is not None


@pytest.mark.parametrize(
    "unnamed",
    [either("side"), reference("Square"), {"oneOf": [reference("Square")]}],
)
def test_alternatives_whose_values_are_not_sure_may_overlap(tmp_path: Path, unnamed: Any) -> None:
    document = {
        "oneOf": [reference("Circle"), unnamed, {"type": "null"}],
        "discriminator": mapping(c="Circle"),
    }
    schemas = {"Circle": either("radius"), "Square": either("side")}
    found = imported(tmp_path, {"/x": {"post": body(document)}}, components={"schemas": schemas})
    made = only(found)["parameters"]["properties"]["body"]
    assert check_arguments({"kind": "c", "name": "x"}, made) is None
    assert "which value selects each; any of them may be given" in warned(found)


def test_alternatives_that_say_their_values_themselves_keep_them(tmp_path: Path) -> None:
    square = {"type": "object", "properties": {"kind": {"const": "square"}, "side": TEXT}}
    document = {"oneOf": [reference("Circle"), square], "discriminator": mapping(c="Circle")}
    made = imported_body(tmp_path, document, {"Circle": either("radius")})
    assert [part["properties"]["kind"]["const"] for part in made["oneOf"]] == ["c", "square"]


def test_alternatives_that_are_built_on_a_parent_with_a_mapping_are_listed_once(
    tmp_path: Path,
) -> None:
    listed = [reference("Circle"), reference("Square")]
    schemas = {
        "Shape": parent(oneOf=listed, discriminator=mapping(c="Circle", s="Square")),
        "Circle": CIRCLE, "Square": SQUARE,
    }  # fmt: skip
    found = imported(
        tmp_path, {"/x": {"post": body(reference("Shape"))}}, components={"schemas": schemas}
    )
    made = only(found)["parameters"]["properties"]["body"]
    assert made["oneOf"] == [
        shape({"const": "c"}, radius={"type": "number"}), shape({"const": "s"}, side=TEXT)
    ]  # fmt: skip
    assert "contains itself" not in warned(found)
    assert check_arguments({"kind": "c", "name": "x", "radius": 1}, made) is None


def test_alternatives_that_are_built_on_their_parent_have_its_fields(tmp_path: Path) -> None:
    schemas = {
        "Shape": parent(oneOf=[reference("Circle"), reference("Square")]),
        "Circle": CIRCLE, "Square": SQUARE,
    }  # fmt: skip
    made = imported_body(tmp_path, reference("Shape"), schemas)
    assert [list(part["properties"]) for part in made["oneOf"]] == [
        ["kind", "name", "radius"], ["kind", "name", "side"]
    ]  # fmt: skip
    made = imported_body(tmp_path, reference("Circle"), schemas)
    assert list(made) == ["kind", "name", "radius"]


@pytest.mark.parametrize(
    ("discriminator", "reason"),
    [
        (mapping(c="Gone"), "refers to Gone, which is not in the file"),
        (
            mapping(c="#/components/schemas/Gone"),
            "refers to #/components/schemas/Gone, which does not exist",
        ),
        (mapping(c="shapes.yaml#/Circle"), "refers to shapes.yaml#/Circle, which is not in the"),
        ({"mapping": {"c": "Circle"}}, "discriminator.propertyName: must be a string"),
        ([], "discriminator.propertyName: must be a string"),
    ],
)
def test_variants_that_cannot_be_found_are_a_reason_to_skip(
    tmp_path: Path, discriminator: Any, reason: str
) -> None:
    schemas = {"Shape": parent(discriminator=discriminator), "Circle": CIRCLE}
    found = imported(
        tmp_path, {"/x": {"post": body(reference("Shape"))}}, components={"schemas": schemas}
    )
    assert not found.tools and reason in found.skipped[0].why


def test_more_variants_than_a_tool_can_hold_are_a_reason_to_skip(tmp_path: Path) -> None:
    many = {f"S{n}": variant("Shape", note={"type": "string", "description": "x" * 90})
            for n in range(400)}  # fmt: skip
    found = imported(
        tmp_path,
        {"/x": {"post": body(reference("Shape"))}},
        components={"schemas": {"Shape": parent(), **many}},
    )
    assert "#/components/schemas/Shape: " in found.skipped[0].why
