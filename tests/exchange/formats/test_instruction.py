"""The records of LoopTool's own data, each held against what a reader would say it means."""

import json

import pytest

from looptool.core import canonical
from tests.exchange.formats.reading import calls, reads, refused, samples, text

ROAM = {
    "name": "roam",
    "description": "Walks",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
    },
}
OSLO = ("roam", {"place": "Oslo"})
CALL = '<tool_call>\n{"name": "roam", "arguments": {"place": "Oslo"}}\n</tool_call>'
INSTRUCTION = (
    "You are an expert in composing functions.\n\nThe current time is 2024-05-01 10:00.\n# Tools\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n{}\n"
    "</tools>\n\nFor each function call, return a json object within <tool_call></tool_call>."
)
NEXT = "<|im_end|>\n<|im_start|>"


def record(said, output, tools=(ROAM,)):
    listed = "\n".join(json.dumps(tool) for tool in tools)
    return {"instruction": INSTRUCTION.format(listed), "input": said, "output": output}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (record("Walk to Oslo", CALL), calls(OSLO)),
        (record("Walk", f"{CALL}\n{CALL}"), calls(OSLO, OSLO)),
        (record("Walk", "Which way?"), text("Which way?")),
        (record("Walk", f"<think>So</think>\n{CALL}"), calls(OSLO)),
        (record(f"Hi{NEXT}assistant\nHello{NEXT}user\nWalk to Oslo", CALL), calls(OSLO)),
        (record(f"Walk{NEXT}assistant\n{CALL}{NEXT}user\n<tool_response>\n1\n</tool_response>",
                "Done."), text("Done.")),
        (record(f"Walk{NEXT}assistant\n{CALL}{NEXT}tool\n1", "Done."), text("Done.")),
        (record("<|im_start|>user\nWalk<|im_end|>\n", CALL), calls(OSLO)),
        (record("Walk", CALL, [{"type": "function", "function": ROAM}]), calls(OSLO)),
        (record("Walk", CALL, [ROAM, {**ROAM, "name": "go"}]), calls(OSLO)),
        (record("Walk", CALL, [{**ROAM, "name": "go"}]), refused("no tool is called 'roam'")),
        (record("Walk", CALL[:-3]), refused("tool call 1")),
        (record("Walk", ""), refused("says nothing")),
        (record("Walk", CALL.replace('"Oslo"', "5")), refused("place: 5 is not of type")),
        (record("Walk", CALL.replace("place", "town")), refused("'town' was unexpected")),
        (record("Walk", "<tool_call>\n[]\n</tool_call>"), refused("not a JSON object")),
        ({**record("Walk", CALL), "instruction": "Be kind"}, refused("lists no tools")),
        ({**record("Walk", CALL), "instruction": 5}, refused("instruction: must be a string")),
        ({**record("Walk", CALL), "input": None}, refused("input: must be a string")),
        ({"instruction": "a", "input": "b"}, refused("output: is missing")),
        (record(f"Walk{NEXT}assistant\n<tool_call>", CALL), refused("tool call 1")),
        (record(f"Walk{NEXT}assistant\nA{NEXT}assistant\nB", CALL),
         refused("follows a message of the assistant")),
    ],
)  # fmt: skip
def test_a_record_is_read_as_a_person_would(given, expected):
    assert reads("looptool", given) == [expected]


def test_the_conversation_keeps_its_turns_and_the_day():
    said = (
        f"Walk{NEXT}assistant\n{CALL}\n{CALL}{NEXT}user\n<tool_response>\n1\n</tool_response>\n"
        "<tool_response>\n2\n</tool_response>"
    )
    (found,) = samples("looptool", record(said, "Done."))
    messages = canonical.loads(found.messages)
    assert [message["role"] for message in messages] == [
        "system", "user", "assistant", "tool", "tool",
    ]  # fmt: skip
    assert messages[0]["content"] == "The current time is 2024-05-01 10:00."
    assert [message["content"] for message in messages[3:]] == ["1", "2"]
    assert messages[3]["name"] == "roam"
