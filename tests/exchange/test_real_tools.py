"""Tools as FastAPI, the OpenAI SDK and the MCP SDK really describe them."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import openai
from fastapi import FastAPI, File, Form, Query, UploadFile
from mcp.types import ListToolsResult
from mcp.types import Tool as McpTool
from openai.types.chat import ChatCompletionFunctionToolParam
from pydantic import BaseModel, Field

from looptool.core.tools import check_arguments
from looptool.exchange import tool_sets


class Color(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Address(BaseModel):
    city: str
    id: Annotated[int, Field(json_schema_extra={"readOnly": True})]


class Order(BaseModel):
    address: Address
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    colors: list[Color] = []


def app() -> FastAPI:
    made = FastAPI()

    @made.post("/orders", operation_id="add_order")
    def add_order(order: Order) -> None:
        """Adds an order."""

    @made.get("/files/{path:path}", operation_id="get_file")
    def get_file(path: str, colors: Annotated[list[Color] | None, Query()] = None) -> None:
        """Reads a file."""

    @made.post("/form", operation_id="send_form")
    def send_form(name: Annotated[str, Form()], age: Annotated[int, Form(ge=0)] = 1) -> None:
        """Sends a form."""

    @made.post("/upload", operation_id="upload")
    def upload(file: Annotated[UploadFile, File()]) -> None:
        """Sends a file."""

    return made


def imported(folder: Path, document: Any) -> Any:
    file = folder / "tools.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return tool_sets.import_tools([str(file)])


def test_an_application_of_fastapi_can_be_called(tmp_path):
    found = imported(tmp_path, app().openapi())
    tools = {tool["name"]: tool["parameters"] for tool in found.tools}
    assert {*tools, *(note.what for note in found.skipped)} >= {"add_order", "get_file",
                                                                "send_form"}  # fmt: skip
    assert len(found.tools) + len(found.skipped) == 4

    order = {"address": {"city": "Oslo"}, "pet": {"kind": "cat", "lives": 9}, "colors": ["red"]}
    assert check_arguments(order, tools["add_order"]) is None
    assert check_arguments({**order, "colors": ["green"]}, tools["add_order"])
    assert check_arguments({**order, "pet": {"kind": "dog", "lives": 9}}, tools["add_order"])
    assert "id" not in json.dumps(tools["add_order"]["properties"]["address"])

    assert tools["get_file"]["required"] == ["path"]
    assert check_arguments({"path": "a/b", "colors": ["blue"]}, tools["get_file"]) is None
    assert check_arguments({"path": "a/b", "colors": ["green"]}, tools["get_file"])
    assert tools["send_form"]["required"] == ["name"]
    assert check_arguments({"name": "Ada", "age": -1}, tools["send_form"])


def test_tools_of_the_openai_sdk_are_read(tmp_path):
    made = openai.pydantic_function_tool(Order, name="add_order", description="Adds an order")
    own = ChatCompletionFunctionToolParam(
        type="function",
        function={"name": "pause", "strict": True, "parameters": {"type": "object"}},
    )
    found = imported(tmp_path, [made, own])
    assert [tool["name"] for tool in found.tools] == ["add_order", "pause"]
    order = {"address": {"city": "Oslo", "id": 1}, "pet": {"kind": "dog", "tricks": []},
             "colors": []}  # fmt: skip
    assert check_arguments(order, found.tools[0]["parameters"]) is None


def test_tools_of_the_mcp_sdk_are_read_with_and_without_nulls(tmp_path):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = McpTool.model_validate({"name": "weather", "inputSchema": schema})
    listed = ListToolsResult(tools=[tool])
    for bare in (True, False):
        found = imported(tmp_path, listed.model_dump_json(by_alias=True, exclude_none=bare))
        assert [(t["name"], t["parameters"]) for t in found.tools] == [("weather", schema)]
