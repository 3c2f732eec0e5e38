"""Sets that other people's libraries really wrote, read to the same samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import polars as pl
import pytest
from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionMessage,
    ChatCompletionToolMessageParam,
    ChatCompletionToolParam,
    ChatCompletionUserMessageParam,
)
from openai.types.chat.chat_completion_message_function_tool_call import (
    ChatCompletionMessageFunctionToolCall,
    Function,
)

from looptool.core import canonical, tables
from looptool.exchange import sample_sets


def tool(name: str, required: list[str], **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {"name": name, "description": f"The {name}", "parameters": parameters}
    return {"type": "function", "function": function}


def assistant(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    listed = [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for place, (name, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": listed}


CITY = {"type": "string", "description": "Which city", "enum": ["Oslo", "Rome"]}
WEATHER = tool("weather", ["city"], city=CITY, days={"type": "integer", "default": 1})
ORDER = tool(
    "order", ["items"],
    items={"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    ship={"type": "object", "properties": {"zip": {"type": "string"}}},
)  # fmt: skip
RECORDS = [
    {
        "messages": [
            {"role": "user", "content": "Weather in Oslo and Rome?"},
            assistant(("weather", {"city": "Oslo"}), ("weather", {"city": "Rome", "days": 2})),
            {"role": "tool", "tool_call_id": "c1", "content": "sun"},
            {"role": "tool", "tool_call_id": "c0", "content": "rain"},
            {"role": "assistant", "content": "Rain in Oslo, sun in Rome."},
        ],
        "tools": [WEATHER],
    },
    {
        "messages": [
            {"role": "user", "content": "Order A1 to 0150"},
            assistant(("order", {"items": [{"sku": "A1"}], "ship": {"zip": "0150"}})),
        ],
        "tools": [WEATHER, ORDER],
    },
]
Rows = list[tuple[str, str, str]]


def imported(path: Path, folder: Path) -> Rows:
    found = sample_sets.import_samples(path, folder)
    assert not found.rejected, found.examples
    data = tables.read(folder / "samples.parquet", tables.Imported)
    return [
        tuple(map(canonical.loads, row)) for row in data.select("tools", "messages", "label").rows()
    ]


@pytest.fixture
def expected(tmp_path: Path) -> Rows:
    """What the records say where nothing has written them but `json`."""
    file = tmp_path / "plain.jsonl"
    file.write_text("\n".join(map(json.dumps, RECORDS)))
    rows = imported(file, tmp_path / "plain")
    assert [label for *_, label in rows] == [
        {"calls": [{"name": "weather", "arguments": {"city": "Oslo"}},
                   {"name": "weather", "arguments": {"city": "Rome", "days": 2}}]},
        {"text": "Rain in Oslo, sun in Rome."},
        {"calls": [{"name": "order",
                    "arguments": {"items": [{"sku": "A1"}], "ship": {"zip": "0150"}}}]},
    ]  # fmt: skip
    return rows


def as_text(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records with arguments and tools as JSON text, as many sets have them."""
    made = json.loads(json.dumps(records))
    for record in made:
        record["tools"] = json.dumps(record["tools"])
        for message in record["messages"]:
            for call in message.get("tool_calls", ()):
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    return list(made)


WRITERS = {
    "datasets JSON": lambda rows, path: datasets.Dataset.from_list(rows).to_json(path),
    "datasets Parquet": lambda rows, path: datasets.Dataset.from_list(rows).to_parquet(path),
    "datasets on disk": lambda rows, path: datasets.Dataset.from_list(rows).save_to_disk(path),
    "pandas JSON": lambda rows, path: pd.DataFrame(rows).to_json(
        path, orient="records", lines=True
    ),
    "pandas array": lambda rows, path: pd.DataFrame(rows).to_json(path, orient="records"),
    "pandas gzip": lambda rows, path: pd.DataFrame(rows).to_json(
        f"{path}.gz", orient="records", lines=True
    ),
    "pandas Parquet": lambda rows, path: pd.DataFrame(rows).to_parquet(path),
    "polars JSON": lambda rows, path: pl.DataFrame(rows).write_ndjson(path),
    "polars Parquet": lambda rows, path: pl.DataFrame(rows).write_parquet(path),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("form", [lambda rows: rows, as_text], ids=["objects", "texts"])
def test_a_set_reads_the_same_whoever_wrote_it(tmp_path, expected, writer, form):
    path = tmp_path / "set"
    WRITERS[writer](form(RECORDS), str(path))
    written = path if path.exists() else path.with_name("set.gz")
    assert imported(written, tmp_path / "out") == expected


def test_messages_of_the_openai_sdk_read_the_same(tmp_path, expected):
    records = []
    for record in as_text(RECORDS):
        messages: list[Any] = []
        for message in record["messages"]:
            if message["role"] == "user":
                messages.append(ChatCompletionUserMessageParam(**message))
            elif message["role"] == "tool":
                messages.append(ChatCompletionToolMessageParam(**message))
            elif "tool_calls" in message:
                calls = [
                    ChatCompletionMessageFunctionToolCall(
                        id=call["id"], type="function", function=Function(**call["function"])
                    )
                    for call in message["tool_calls"]
                ]
                said = ChatCompletionMessage(role="assistant", content=None, tool_calls=calls)
                messages.append(said.model_dump())  # with null for all that was not said
            else:
                messages.append(ChatCompletionAssistantMessageParam(**message))
        listed = [ChatCompletionToolParam(**each) for each in json.loads(record["tools"])]
        records.append({"messages": messages, "tools": listed})
    file = tmp_path / "sdk.jsonl"
    file.write_text("\n".join(map(json.dumps, records)))
    assert imported(file, tmp_path / "out") == expected
