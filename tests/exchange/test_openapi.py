"""OpenAPI: every operation becomes a tool or is skipped with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from looptool.core.errors import ConfigError
from looptool.core.tools import check_tool
from looptool.exchange.tool_sets import ToolSet, import_tools

SCHEMAS: dict[str, Any] = {
    "Pet": {
        "type": "object",
        "required": ["name", "id", "kind"],
        "properties": {
            "id": {"type": "integer", "readOnly": True},
            "name": {"type": "string", "example": "Rex", "xml": {"wrapped": True}},
            "kind": {"$ref": "#/components/schemas/Kind"},
            "age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "nullable": True},
        },
    },
    "Kind": {"type": "string", "enum": ["cat", "dog"], "description": "What it is"},
    "Tagged": {"properties": {"tags": {"type": "array", "items": {"type": "string"}}}},
    "TaggedPet": {
        "allOf": [{"$ref": "#/components/schemas/Pet"}, {"$ref": "#/components/schemas/Tagged"}]
    },
    "Node": {
        "type": "object",
        "properties": {
            "value": {"type": "string"},
            "next": {"$ref": "#/components/schemas/Node"},
        },
    },
}


def imported(tmp_path: Path, paths: dict[str, Any], **more: Any) -> ToolSet:
    file = tmp_path / "api.json"
    document = {"openapi": "3.0.3", "components": {"schemas": SCHEMAS}, "paths": paths, **more}
    file.write_text(json.dumps(document))
    return import_tools([str(file)])


def body(schema: Any, kind: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {kind: {"schema": schema}}, **more}}


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def query(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema or {"type": "string"}}


def only(found: ToolSet) -> dict[str, Any]:
    assert not found.skipped
    (tool,) = found.tools
    assert check_tool(tool) is None
    return tool


def warned(found: ToolSet) -> str:
    return "\n".join(note.why for note in found.warnings)


def test_path_query_and_body_become_flat_parameters(tmp_path: Path) -> None:
    operation = {
        "operationId": "updatePet",
        "summary": "Change a pet",
        "description": "Change a pet. Slowly.\n\nMuch more.",
        "parameters": [
            {**query("notify", type="boolean", default=False), "description": "Tell it"}
        ],
        **body(reference("Pet"), required=True),
    }
    shared = [{"name": "petId", "in": "path", "required": True, "schema": {"type": "integer"}}]
    found = imported(tmp_path, {"/pets/{petId}": {"parameters": shared, "put": operation}})
    tool = only(found)
    assert tool["name"] == "updatePet"
    assert tool["description"] == "Change a pet. Slowly."
    assert tool["parameters"] == {
        "type": "object",
        "properties": {
            "petId": {"type": "integer"},
            "notify": {"type": "boolean", "default": False, "description": "Tell it"},
            "name": {"type": "string", "examples": ["Rex"]},
            "kind": {"type": "string", "enum": ["cat", "dog"], "description": "What it is"},
            "age": {"type": ["integer", "null"], "exclusiveMinimum": 0},
        },
        "required": ["petId", "name", "kind"],
    }


def test_an_operation_overrides_what_its_path_says_of_a_parameter(tmp_path: Path) -> None:
    item = {
        "parameters": [query("size", type="integer")],
        "get": {"parameters": [query("size", type="string", enum=["s", "l"])]},
    }
    tool = only(imported(tmp_path, {"/x": item}))
    assert tool["parameters"]["properties"] == {"size": {"type": "string", "enum": ["s", "l"]}}


def test_a_name_that_stands_in_several_places_gets_its_place_as_a_prefix(tmp_path: Path) -> None:
    operation = {
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
            query("id"),
        ],
        **body({"type": "object", "properties": {"id": {"type": "boolean"}}}),
    }
    found = imported(tmp_path, {"/x/{id}": {"post": operation}})
    properties = only(found)["parameters"]["properties"]
    assert {name: schema["type"] for name, schema in properties.items()} == {
        "id": "integer", "query_id": "string", "body_id": "boolean"
    }  # fmt: skip
    assert "id occurs in several places; in body it is called body_id" in warned(found)


def test_the_parts_of_allof_are_merged(tmp_path: Path) -> None:
    tool = only(imported(tmp_path, {"/x": {"post": body(reference("TaggedPet"), required=True)}}))
    parameters = tool["parameters"]
    assert list(parameters["properties"]) == ["name", "kind", "age", "tags"]
    assert parameters["required"] == ["name", "kind"]


def test_a_body_that_may_be_left_out_requires_nothing(tmp_path: Path) -> None:
    assert only(imported(tmp_path, {"/x": {"post": body(reference("Pet"))}}))["parameters"][
        "required"
    ] == []  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"oneOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "null"}]},
        {"type": "object", "additionalProperties": {"type": "number"}},
    ],
)
def test_a_body_that_is_no_plain_object_is_one_parameter(tmp_path: Path, schema: Any) -> None:
    tool = only(imported(tmp_path, {"/x": {"post": body(schema, required=True)}}))
    assert tool["parameters"] == {
        "type": "object", "properties": {"body": schema}, "required": ["body"]
    }  # fmt: skip


def test_json_is_chosen_before_forms(tmp_path: Path) -> None:
    field = {"type": "object", "properties": {"form": {"type": "string"}}}
    content = {
        "multipart/form-data": {"schema": field},
        "application/vnd.api+json": {"schema": {"properties": {"json": {"type": "string"}}}},
    }
    tool = only(imported(tmp_path, {"/x": {"post": {"requestBody": {"content": content}}}}))
    assert list(tool["parameters"]["properties"]) == ["json"]
    tool = only(imported(tmp_path, {"/x": {"post": body(field, "multipart/form-data")}}))
    assert list(tool["parameters"]["properties"]) == ["form"]


def test_a_schema_that_holds_itself_is_cut_and_warned_of(tmp_path: Path) -> None:
    found = imported(tmp_path, {"/x": {"post": body(reference("Node"))}})
    properties = only(found)["parameters"]["properties"]
    assert properties == {"value": {"type": "string"}, "next": {"type": "object"}}
    assert "#/components/schemas/Node contains itself; it is cut there" in warned(found)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "https://example.com/pet.json"}, "refers to https://example.com/pet.json, which"),
        ({"$ref": "other.yaml#/Pet"}, "refers to other.yaml#/Pet, which is not in the file"),
        (
            {"$ref": "#/components/schemas/None"},
            "refers to #/components/schemas/None, which does not exist",
        ),
        ({"type": "cat"}, "is not valid under any of the given schemas"),
        ({"properties": [1]}, "properties: must be an object"),
        (3, "3 is not a schema"),
    ],
)
def test_what_cannot_be_used_is_skipped_and_the_rest_is_not(
    tmp_path: Path, schema: Any, reason: str
) -> None:
    paths = {"/bad": {"post": body(schema)}, "/good": {"get": {"summary": "Good"}}}
    found = imported(tmp_path, paths)
    assert [tool["name"] for tool in found.tools] == ["get_good"]
    (note,) = found.skipped
    assert note.what == "POST /bad" and reason in note.why


def test_a_schema_that_grows_without_end_is_skipped(tmp_path: Path) -> None:
    schemas = {
        f"S{n}": {
            "type": "object",
            "properties": {side: {"$ref": f"#/components/schemas/S{n + 1}"} for side in "ab"},
        }
        for n in range(40)
    }
    schemas["S40"] = {"type": "string"}
    paths = {"/x": {"post": body(reference("S0"))}}
    found = imported(tmp_path, paths, components={"schemas": schemas})
    assert not found.tools and "once references are inlined; at most" in found.skipped[0].why


def test_names_are_kept_where_they_are_legal_and_made_so_where_not(tmp_path: Path) -> None:
    paths = {
        "/a": {
            "get": {"operationId": "list things/all"},
            "post": {"operationId": "list_things_all"},
        },
        "/b": {"get": {"operationId": "twice"}, "post": {"operationId": "twice"}},
        "/c/{id}.json": {"get": {}},
        "/d": {"get": {"operationId": "x" * 80}, "put": {"operationId": "a.b-c"}},
    }
    found = imported(tmp_path, paths)
    names = [tool["name"] for tool in found.tools]
    assert names[:4] == ["list_things_all_2", "list_things_all", "twice", "post_b"]
    assert names[4] == "get_c_id_.json" and names[6] == "a.b-c"
    assert len(names[5]) == 64 and names[5].startswith("x" * 55)
    assert len(set(names)) == len(names)
    told = warned(found)
    assert "GET /a: 'list things/all' is not a name that a model can emit" in told
    assert "POST /b: another operation is called 'twice' already" in told


def test_what_a_model_need_not_know_is_left_out_and_told(tmp_path: Path) -> None:
    operation = {
        "deprecated": True,
        "parameters": [
            {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
            query("q", type="string", pattern="(?<year>\\d{4})", **{"x-internal": 1}),
        ],
    }
    found = imported(tmp_path, {"/x": {"get": operation}})
    assert only(found)["parameters"]["properties"] == {"q": {"type": "string"}}
    told = warned(found)
    assert "header X-Trace is left out" in told and "Python cannot compile it" in told
    assert "is deprecated" in told and "has no description; a model sees method and path" in told
    assert found.tools[0]["description"] == "GET /x"


def test_the_dialect_of_3_1_keeps_what_stands_beside_a_reference(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"k": {**reference("Kind"), "default": "cat"}}}
    tool = only(imported(tmp_path, {"/x": {"post": body(schema)}}, openapi="3.1.0"))
    assert tool["parameters"]["properties"]["k"]["default"] == "cat"
    tool = only(imported(tmp_path, {"/x": {"post": body(schema)}}))
    assert "default" not in tool["parameters"]["properties"]["k"]


def test_a_path_that_is_a_reference_is_followed(tmp_path: Path) -> None:
    paths = {"/x": {"$ref": "#/components/pathItems/X"}, "/y": {"$ref": "y.yaml"}}
    items = {"schemas": {}, "pathItems": {"X": {"get": {"operationId": "getX", "summary": "X"}}}}
    found = imported(tmp_path, paths, components=items)
    assert [tool["name"] for tool in found.tools] == ["getX"]
    assert [(note.what, note.why) for note in found.skipped] == [
        ("/y", "refers to y.yaml, which is not in the file")
    ]


def test_swagger_2_says_how_to_convert(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps({"swagger": "2.0", "paths": {"/x": {"get": {}}}}))
    with pytest.raises(ConfigError, match=r"old\.json: swagger: 2\.0 is not supp.*npx swagger2op"):
        import_tools([str(file)])
    file.write_text(json.dumps({"openapi": "4.0", "paths": {}}))
    with pytest.raises(ConfigError, match=r"openapi: '4\.0' is unknown \(allowed: 3\.0, 3\.1\)"):
        import_tools([str(file)])


YAML = """\
openapi: 3.0.0
paths:
  /country/{code}:
    get:
      summary: A country
      parameters:
        - name: code
          in: path
          required: true
          schema: {type: string, enum: [NO, SE, on, 2020-01-01]}
        - name: since
          in: query
          schema: {type: string, format: date, default: 2020-01-01}
      responses:
        200: {description: ok}
"""


@pytest.mark.parametrize("text", [YAML, "\ufeff" + YAML, YAML.replace("\n", "\r\n")])
def test_yaml_is_read_by_the_rules_of_json(tmp_path: Path, text: str) -> None:
    file = tmp_path / "api.yaml"
    file.write_bytes(text.encode("utf-8"))
    properties = only(import_tools([str(file)]))["parameters"]["properties"]
    assert properties["code"]["enum"] == ["NO", "SE", "on", "2020-01-01"]
    assert properties["since"]["default"] == "2020-01-01"


def test_yaml_takes_for_a_number_only_what_is_written_as_one(tmp_path: Path) -> None:
    file = tmp_path / "api.yaml"
    values = "08:30, 12:30, 10:20:30, 01234, 1_000, 0b11, +49170, =, <<, 7, -1.5, 0x1F, 0o17, 1e3"
    file.write_text(
        "openapi: 3.1.0\n"
        "paths: {/x: {get: {parameters: [{name: at, in: query, schema: {enum: ["
        f"{values}"
        "]}}]}}}\n"
    )
    texts = values.split(", ")[:9]
    (tool,) = import_tools([str(file)]).tools
    assert tool["parameters"]["properties"]["at"]["enum"] == [*texts, 7, -1.5, 31, 15, 1000.0]


def test_a_path_that_stands_twice_is_told(tmp_path: Path) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(YAML + "  /country/{code}:\n    get: {summary: Another}\n")
    found = import_tools([str(file)])
    assert [tool["description"] for tool in found.tools] == ["Another"]
    assert any(
        note.what == "/country/{code}" and "occurs twice" in note.why for note in found.warnings
    )


def in_path(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "integer"}}
            for name in names]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/grid/{x},{y}", ["x", "y"]),
        ("/{a}.{b}", ["a", "b"]),
        ("/{a}...{b}/c", ["a", "b"]),
        ("/x-{a}-{b}", ["a", "b"]),
        ("/{id}:cancel", ["id"]),
        ("/a({id})/b", ["id"]),
        ("/{p:path}", ["p"]),
        ("/{ id : [0-9]{2} }/{n:[a,b]}", ["id", "n"]),
        ("/{rest*}", ["rest"]),
        ("/{*rest}", ["rest"]),
        ("/{+rest}", ["rest"]),
        ("/{proxy+}", ["proxy"]),
        ("/{id?}", ["id"]),
        ("/{name=shelves/*}", ["name"]),
        ("/x{/a,b}", ["a", "b"]),
        ("/x{;a:3,b}", ["a", "b"]),
        ("/{x}/{x}", ["x"]),
        ("/x", []),
    ],
)
@pytest.mark.parametrize("described", [True, False])
def test_each_template_expression_of_a_path_is_one_parameter(
    tmp_path: Path, path: str, names: list[str], described: bool
) -> None:
    operation = {"summary": "X", "parameters": in_path(*names) if described else []}
    found = imported(tmp_path, {path: {"get": operation}})
    parameters = only(found)["parameters"]
    kind = "integer" if described else "string"
    assert parameters["properties"] == {name: {"type": kind} for name in names}
    assert parameters["required"] == names
    assert ("is not described; it is taken for a string" in warned(found)) == bool(
        names and not described
    )


def test_a_parameter_that_is_called_like_its_expression_is_that_one(tmp_path: Path) -> None:
    found = imported(tmp_path, {"/{a,b}": {"get": {"parameters": in_path("a,b")}}})
    assert list(only(found)["parameters"]["properties"]) == ["a,b"]


def test_an_expression_of_the_query_adds_no_required_parameter(tmp_path: Path) -> None:
    paths = {"/x{?page,size}": {"get": {"parameters": [query("page", type="integer")]}}}
    parameters = only(imported(tmp_path, paths))["parameters"]
    assert parameters["properties"] == {"page": {"type": "integer"}, "size": {"type": "string"}}
    assert parameters["required"] == []


def test_an_expression_behind_a_question_mark_is_the_querys(tmp_path: Path) -> None:
    paths = {"/{id}?q={q}&n={n}": {"get": {"parameters": [*in_path("id"), query("q")]}}}
    parameters = only(imported(tmp_path, paths))["parameters"]
    assert parameters["properties"] == {
        "id": {"type": "integer"}, "q": {"type": "string"}, "n": {"type": "string"}
    }  # fmt: skip
    assert parameters["required"] == ["id", "n"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/{}", "its path's {} has no name"),
        ("/{?}", "its path's {?} has no name"),
        ("/{a,}", "its path's {a,} has no name"),
        ("/{a", "its path has an unmatched brace"),
        ("/a}", "its path has an unmatched brace"),
        ("/}a{", "its path has an unmatched brace"),
        ("/{a{b}", "its path has an unmatched brace"),
    ],
)
def test_a_path_that_is_no_template_is_skipped(tmp_path: Path, path: str, reason: str) -> None:
    found = imported(tmp_path, {path: {"get": {"parameters": in_path("a")}}})
    assert [(note.what, note.why) for note in found.skipped] == [(f"GET {path}", reason)]


def test_a_path_parameter_that_the_path_does_not_hold_is_told(tmp_path: Path) -> None:
    found = imported(tmp_path, {"/x": {"get": {"parameters": in_path("id")}}})
    assert "id is one of the path's parameters, but the path does not contain it" in warned(found)


JSON_PATCH = {"type": "array", "items": {"type": "object"}}


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("application/json-patch+json", "application/json"),
        ("application/json-patch+json", "Application/JSON; charset=utf-8"),
        ("application/merge-patch+json", "application/json"),
        ("application/vnd.x+json", "application/json"),
        ("application/json-patch+json", "application/vnd.x.v2+json;v=2"),
        ("application/json-patch+json", "application/merge-patch+json"),
        ("application/json-patch+json", "application/x-www-form-urlencoded"),
        ("application/json-seq", "multipart/form-data; boundary=x"),
        ("application/x-ndjson", "*/*"),
        ("application/xml", "text/json"),
        ("text/plain", "multipart/form-data"),
        ("application/jsonp", "application/hal+json"),
        ("multipart/form-data", "application/x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_media_types_are_compared_whole(
    tmp_path: Path, worse: str, better: str, turned: bool
) -> None:
    fields = {"type": "object", "properties": {"status": {"type": "string"}}}
    content = {worse: {"schema": JSON_PATCH}, better: {"schema": fields}}
    if turned:
        content = dict(reversed(content.items()))
    found = imported(tmp_path, {"/x": {"patch": {"requestBody": {"content": content}}}})
    assert list(only(found)["parameters"]["properties"]) == ["status"]
    assert f"the body is taken as {better}; {worse} is left out" in warned(found)


def test_a_media_type_with_a_schema_comes_before_one_without(tmp_path: Path) -> None:
    fields = {"type": "object", "properties": {"a": {"type": "string"}}}
    content = {"application/json": {}, "multipart/form-data": {"schema": fields}}
    found = imported(tmp_path, {"/x": {"post": {"requestBody": {"content": content}}}})
    assert list(only(found)["parameters"]["properties"]) == ["a"]


def test_a_json_patch_alone_is_one_parameter(tmp_path: Path) -> None:
    found = imported(tmp_path, {"/x": {"patch": body(JSON_PATCH, "application/json-patch+json")}})
    assert only(found)["parameters"]["properties"] == {"body": JSON_PATCH}


def test_made_up_names_never_take_an_operations_own(tmp_path: Path) -> None:
    paths = {
        "/a": {"get": {"operationId": "a b"}, "post": {"operationId": "a b"}},
        "/b": {"get": {}, "post": {"operationId": "get_b"}, "put": {"operationId": "a_b"}},
    }
    found = imported(tmp_path, paths)
    names = {tool["description"]: tool["name"] for tool in found.tools}
    assert names == {
        "GET /a": "a_b_2", "POST /a": "post_a", "GET /b": "get_b_2", "POST /b": "get_b",
        "PUT /b": "a_b",
    }  # fmt: skip
    assert "POST /a: another operation is called 'a b' already" in warned(found)
    assert not found.skipped


def test_what_stands_beside_a_paths_reference_and_unknown_methods_are_not_lost(
    tmp_path: Path,
) -> None:
    shared = {"X": {"get": {"summary": "Got"}}}
    paths = {
        "/x": {"$ref": "#/components/pathItems/X", "put": {"summary": "Put"}},
        "/y": {"GET": {"summary": "Loud"}, "x-own": {}, "servers": []},
    }
    found = imported(tmp_path, paths, components={"pathItems": shared})
    assert [tool["description"] for tool in found.tools] == ["Got", "Put"]
    assert [(note.what, note.why[:15]) for note in found.skipped] == [("/y GET", "is not a method")]


def test_an_operation_with_more_parameters_than_a_model_can_read_is_skipped(
    tmp_path: Path,
) -> None:
    many = [query(f"parameter{number}", type="string") for number in range(3000)]
    found = imported(tmp_path, {"/x": {"get": {"parameters": many}}, "/y": {"get": {}}})
    assert [tool["name"] for tool in found.tools] == ["get_y"]
    assert "its parameters: " in found.skipped[0].why


def test_schemas_that_refer_to_one_another_all_over_are_skipped_in_no_time(tmp_path: Path) -> None:
    names = [f"S{number}" for number in range(14)]
    every = {name: reference(name) for name in names}
    for schema in (
        {"properties": every},
        {"allOf": [*every.values()]},
        {"anyOf": [*every.values()], "properties": every},
    ):
        schemas = dict.fromkeys(names, schema)
        paths = {"/x": {"post": body(reference("S0"))}}
        found = imported(tmp_path, paths, components={"schemas": schemas})
        assert "once references are inlined" in found.skipped[0].why


def test_a_warning_stands_with_every_operation_that_it_is_about(tmp_path: Path) -> None:
    paths = {f"/{name}": {"post": body(reference("Node"))} for name in "ab"}
    found = imported(tmp_path, paths)
    told = [note.what for note in found.warnings if "contains itself" in note.why]
    assert told == ["post_a", "post_b"]


def test_enums_of_allof_leave_what_is_in_both(tmp_path: Path) -> None:
    def both(*enums: list[Any]) -> tuple[Any, str]:
        schema = {"properties": {"k": {"allOf": [{"enum": values} for values in enums]}}}
        found = imported(tmp_path, {"/x": {"post": body(schema)}})
        return only(found)["parameters"]["properties"]["k"]["enum"], warned(found)

    assert both(["a", "b", 1, True], ["b", True])[0] == ["b", True]
    values, told = both(["a"], ["b"])
    assert values == ["a"] and "two enums have no value in common" in told


def test_a_body_of_free_fields_is_one_parameter(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}}
    found = imported(tmp_path, {"/x": {"post": body(schema)}})
    assert only(found)["parameters"]["properties"] == {"body": schema}


def test_rules_that_a_spread_out_body_cannot_keep_are_told(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "minProperties": 1,
        "not": {"required": ["a"]},
    }
    found = imported(tmp_path, {"/x": {"post": body(schema)}})
    assert "what minProperties, not says about the body is left out" in warned(found)


def test_what_stands_beside_a_reference_of_3_1_adds_to_it(tmp_path: Path) -> None:
    more = {"properties": {"size": {"type": "integer"}}, "required": ["tags"], "title": "More"}
    operation = body({**reference("Tagged"), **more}, required=True)
    found = imported(tmp_path, {"/x": {"post": operation}}, openapi="3.1.0")
    parameters = only(found)["parameters"]
    assert list(parameters["properties"]) == ["tags", "size"] and parameters["required"] == ["tags"]


def test_rules_of_allof_that_cannot_be_merged_are_told(tmp_path: Path) -> None:
    parts = [{"type": "string", "pattern": "a"}, {"pattern": "b", "description": "Text"}]
    found = imported(tmp_path, {"/x": {"post": body({"properties": {"k": {"allOf": parts}}})}})
    assert "allOf: several pattern; the first counts" in warned(found)
