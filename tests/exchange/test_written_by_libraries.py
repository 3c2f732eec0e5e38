"""What FastAPI, the MCP SDK and OpenAI's SDK write comes out as the tools that it means."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import mcp.types
import openai
import pytest
from fastapi import Body, Cookie, FastAPI, Form, Header, Query, UploadFile
from fastapi import Path as InPath
from openai.types import FunctionDefinition
from openai.types.chat import ChatCompletionToolParam
from openai.types.responses import FunctionTool, FunctionToolParam
from pydantic import BaseModel, Field, computed_field

from looptool.core.tools import Tool, check_arguments
from looptool.exchange.tool_sets import ToolSet, import_tools


class Color(StrEnum):
    red = "red"
    blue = "blue"


class Owner(BaseModel):
    id: int = Field(json_schema_extra={"readOnly": True})
    name: str = Field(min_length=1, description="Its name")


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


Animal = Annotated[Cat | Dog, Field(discriminator="kind")]


class Pet(BaseModel):
    name: str
    owner: Owner
    former: list[Owner] = []
    animal: Animal
    colors: list[Color] = []
    parent: Pet | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def label(self) -> str:
        return self.name


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/pets")
    def add_pet(pet: Pet) -> Pet: ...

    @app.get("/files/{name:path}")
    def read_file(name: str, lines: Annotated[int, Query(ge=1, le=9)] = 3) -> str: ...

    @app.get("/grid/{x},{y}.{color}")
    def cell(
        x: Annotated[int, InPath(ge=1)],
        y: float,
        color: Color,
        tags: Annotated[list[str] | None, Query()] = None,
        colors: Annotated[list[Color], Query(min_length=1)] = [Color.red],  # noqa: B006
        trace: Annotated[str | None, Header()] = None,
        session: Annotated[str | None, Cookie()] = None,
    ) -> str: ...

    @app.post("/upload")
    def upload(file: UploadFile, note: Annotated[str, Form()]) -> str: ...

    @app.post("/form")
    def form(count: Annotated[int, Form()], color: Annotated[Color, Form()] = Color.red) -> str: ...

    @app.put("/animals/{id}")
    def change(id: int, animal: Animal, weight: Annotated[float, Body(gt=0)]) -> str: ...

    @app.post("/animals")
    def add_animal(animal: Annotated[Cat | Dog, Body(discriminator="kind")]) -> str: ...

    @app.post("/many")
    def add_many(animals: list[Animal]) -> str: ...

    return app


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> ToolSet:
    file = tmp_path_factory.mktemp("fastapi") / "openapi.json"
    file.write_text(json.dumps(application().openapi()))
    return import_tools([str(file)])


def parameters(found: ToolSet, start: str) -> dict[str, Any]:
    (tool,) = [tool for tool in found.tools if tool["name"].startswith(start)]
    return tool["parameters"]


def fits(found: ToolSet, start: str, **arguments: Any) -> bool:
    return check_arguments(arguments, parameters(found, start)) is None


def test_every_operation_of_fastapi_is_a_tool(found: ToolSet) -> None:
    assert len(found.tools) == 8 and not found.skipped


def test_nested_models_keep_their_fields_without_the_read_only_ones(found: ToolSet) -> None:
    made = parameters(found, "add_pet")
    assert made["required"] == ["name", "owner", "animal"]
    assert list(made["properties"]) == ["name", "owner", "former", "animal", "colors", "parent"]
    owner = {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1, "description": "Its name"}},
        "required": ["name"],
    }
    assert made["properties"]["owner"] == owner
    assert made["properties"]["former"]["items"] == {**owner, "description": "Owner"}
    assert made["properties"]["colors"]["items"]["enum"] == ["red", "blue"]
    assert made["properties"]["parent"] == {"anyOf": [{"type": "object"}, {"type": "null"}]}
    told = [note.why for note in found.warnings if note.what.startswith("add_pet")]
    assert "read-only fields are left out: id" in told
    assert any("contains itself; it is cut there" in why for why in told)


def test_discriminated_unions_take_each_variant_alone(found: ToolSet) -> None:
    whole = {"name": "Rex", "owner": {"name": "Ann"}}
    assert fits(found, "add_pet", **whole, animal={"kind": "dog", "tricks": []})
    assert not fits(found, "add_pet", **whole, animal={"kind": "dog"})
    assert not fits(found, "add_pet", **whole, animal={"kind": "cow"})
    assert fits(found, "change", id=1, animal={"kind": "cat"}, weight=0.5)
    assert not fits(found, "change", id=1, animal={"kind": "cat"}, weight=0)
    assert fits(found, "add_animal", body={"kind": "cat"})
    assert fits(found, "add_many", body=[{"kind": "cat"}, {"kind": "dog", "tricks": ["sit"]}])


def test_path_query_header_and_cookie_parameters(found: ToolSet) -> None:
    assert parameters(found, "read_file") == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "lines": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3},
        },
        "required": ["name"],
    }
    made = parameters(found, "cell")
    assert made["required"] == ["x", "y", "color"]
    assert list(made["properties"]) == ["x", "y", "color", "tags", "colors"]
    assert made["properties"]["x"] == {"type": "integer", "minimum": 1}
    assert made["properties"]["color"]["enum"] == ["red", "blue"]
    assert made["properties"]["tags"] == {
        "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]
    }
    assert made["properties"]["colors"]["items"]["enum"] == ["red", "blue"]
    told = [note.why for note in found.warnings]
    assert "header trace is left out" in told and "cookie session is left out" in told


def test_forms_and_files(found: ToolSet) -> None:
    made = parameters(found, "form")
    assert made["required"] == ["count"] and made["properties"]["color"]["default"] == "red"
    made = parameters(found, "upload")
    assert made["required"] == ["file", "note"] and made["properties"]["file"]["type"] == "string"
    assert any("takes a file's content" in note.why for note in found.warnings)


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
}
WEATHER: Tool = {"name": "weather", "description": "Tell the weather", "parameters": SCHEMA}


def listed(folder: Path, text: str) -> list[Tool]:
    file = folder / "tools.json"
    file.write_text(text)
    found = import_tools([str(file)])
    assert not found.skipped
    return found.tools


@pytest.mark.parametrize("by_alias", [True, False])
@pytest.mark.parametrize("exclude_none", [True, False])
def test_tools_that_the_mcp_sdk_writes(tmp_path: Path, by_alias: bool, exclude_none: bool) -> None:
    full = mcp.types.Tool(
        name="weather",
        title="Weather",
        description="Tell the weather",
        input_schema=SCHEMA,
        output_schema={"type": "object", "properties": {"degrees": {"type": "number"}}},
        annotations=mcp.types.ToolAnnotations(read_only_hint=True),
    )
    bare = mcp.types.Tool(name="now", title="The time", input_schema={"type": "object"})
    result = mcp.types.ListToolsResult(tools=[full, bare], next_cursor="2")
    text = result.model_dump_json(by_alias=by_alias, exclude_none=exclude_none)
    now = {"name": "now", "description": "The time",
           "parameters": {"type": "object", "properties": {}}}  # fmt: skip
    assert listed(tmp_path, text) == [WEATHER, now]
    text = full.model_dump_json(by_alias=by_alias, exclude_none=exclude_none)
    assert listed(tmp_path, text) == listed(tmp_path, f"[{text}]") == [WEATHER]


def test_tools_that_openais_sdk_writes(tmp_path: Path) -> None:
    definition = FunctionDefinition(**WEATHER, strict=True)
    chat = ChatCompletionToolParam(type="function", function={**WEATHER, "strict": True})
    response = FunctionToolParam(type="function", strict=True, **WEATHER)
    model = FunctionTool(type="function", strict=None, **WEATHER)
    for tool in (definition.model_dump(), chat, response, model.model_dump()):
        assert listed(tmp_path, json.dumps([tool])) == [WEATHER]
        assert listed(tmp_path, json.dumps({"model": "m", "tools": [tool]})) == [WEATHER]


def test_a_pydantic_model_as_a_tool_of_openai(tmp_path: Path) -> None:
    class Find(BaseModel):
        """Find pets."""

        color: Color | None = Field(default=None, description="Which one")
        animals: list[Cat | Dog]

    (tool,) = listed(tmp_path, json.dumps([openai.pydantic_function_tool(Find)]))
    assert tool["name"] == "Find" and tool["description"] == "Find pets."
    made = tool["parameters"]
    assert made["required"] == ["color", "animals"] and made["additionalProperties"] is False
    assert made["properties"]["color"]["description"] == "Which one"
    good = {"color": None, "animals": [{"kind": "cat", "lives": 1}]}
    assert check_arguments(good, made) is None
    assert check_arguments({**good, "animals": [{"kind": "cat"}]}, made) is not None
    assert check_arguments({**good, "more": 1}, made) is not None
