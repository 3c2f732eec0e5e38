"""Records with something odd at any one place: read or refused, never an exception."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from looptool.exchange.formats import Changes, formats
from looptool.exchange.records import Raw
from looptool.exchange.sample_sets import convert

TOOL = {
    "name": "roam",
    "description": "Walks",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string", "default": "Oslo"}},
        "required": ["place"],
    },
}
FLAT = {"name": "f", "description": "d", "parameters": {"p": {"type": "List[int]", "default": 1}}}
CALL = '<tool_call>\n{"name": "roam", "arguments": {"place": "Oslo"}}\n</tool_call>'
TEXTS = json.dumps([TOOL])
CALLED = {
    "id": "c",
    "type": "function",
    "function": {"name": "roam", "arguments": '{"place": "Oslo"}'},
}
RECORDS: dict[str, Any] = {
    "openai": {
        "messages": [
            {"role": "system", "content": "Be kind"},
            {"role": "user", "content": [{"type": "text", "text": "Walk"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALLED]},
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
            {"role": "assistant", "content": "Done", "weight": 0},
        ],
        "tools": [{"type": "function", "function": TOOL}],
    },
    "sharegpt": {
        "conversations": [
            {"from": "system", "value": f"<tools>{json.dumps(TOOL)}</tools>"},
            {"from": "human", "value": "Walk"},
            {"from": "gpt", "value": CALL},
            {"from": "tool", "value": "<tool_response>1</tool_response>"},
            {"from": "function_call", "value": '{"name": "roam", "arguments": {"place": "a"}}'},
        ],
        "tools": TEXTS,
        "system": "Be kind",
    },
    "sft": {
        "prompt": [
            {"role": "user", "content": "Walk"},
            {"role": "assistant", "content": "Where?"},
            {"role": "user", "content": "Oslo"},
        ],
        "completion": [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "type": "function",
                        "function": {"name": "roam", "arguments": {"place": "Oslo"}},
                    }
                ],
            }
        ],
        "tools": [TOOL],
    },
    "xlam": {
        "query": "Do it",
        "tools": json.dumps([FLAT]),
        "answers": json.dumps([{"name": "f", "arguments": {"p": [1]}}]),
    },
    "toolace": {
        "system": f"Here is a list of functions in JSON format that you can invoke:\n{TEXTS}. Be",
        "conversations": [
            {"from": "user", "value": "Walk"},
            {"from": "assistant", "value": '[roam(place="Oslo")]'},
            {"from": "tool", "value": '[{"name": "roam", "results": 1}]'},
            {"from": "assistant", "value": "Done"},
        ],
    },
    "looptool": {
        "instruction": f"<tools>\n{json.dumps(TOOL)}\n</tools>",
        "input": f"Walk<|im_end|>\n<|im_start|>assistant\n{CALL}<|im_end|>\n<|im_start|>user\nGo",
        "output": CALL,
    },
}
GONE = object()
ODD: list[Any] = [
    *(GONE, None, True, 0, 1.5, 10**30, "", "x", "[]", "{}", "[1]", "null", "\0", "Union[]"),
    *("Optional[", "Tuple[int", [], {}, [1], [None], [[]], {"a": 1}, {"type": 5}),
    *({"type": ["string", 7]}, {"type": "object", "properties": []}, {"properties": {"a": 5}}),
    *([{"name": ["f"]}], {"name": {}}, {"function": 5}, {"$ref": "#/x"}, {"required": 5}),
    *({"type": "object", "required": [[1]]}, {"enum": 5}, {"type": "List[", "items": 5}),
]


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*path, key))


def changed(value: Any, path: tuple, odd: Any) -> Any:
    value = copy.deepcopy(value)
    part = value
    for key in path[:-1]:
        part = part[key]
    if odd is GONE:
        del part[path[-1]]
    else:
        part[path[-1]] = odd
    return value


def variants(record: Any) -> Iterator[Any]:
    """The record with each place, also those in JSON texts, changed in each way."""
    for path in places(record):
        yield from (changed(record, path, odd) for odd in ODD)
        part = record
        for key in path:
            part = part[key]
        if isinstance(part, str) and part[:1] in "[{":
            try:
                inner = json.loads(part)
            except ValueError:
                continue
            for deep in places(inner):
                for odd in ODD:
                    yield changed(record, path, json.dumps(changed(inner, deep, odd)))


@pytest.mark.parametrize("form", RECORDS)
def test_nothing_odd_raises_and_everything_is_accounted_for(form: str) -> None:
    assert list(formats()[form].read(RECORDS[form], Changes()).messages)
    lines = [Raw(n, json.dumps(each)) for n, each in enumerate(variants(RECORDS[form]), start=1)]
    assert len(lines) > 100
    good, bad, _ = convert(lines, form)
    assert set(good["line"]) | set(bad["line"]) == {raw.line for raw in lines}
    assert good["line"] and bad["line"]
    assert all(bad["reason"])
