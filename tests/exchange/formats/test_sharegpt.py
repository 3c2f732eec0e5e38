"""ShareGPT's and Hermes' records, each held against what a reader would say it means."""

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
WRAPPED = {"type": "function", "function": ROAM}
OSLO = ("roam", {"place": "Oslo"})
CALL = '<tool_call>\n{"name": "roam", "arguments": {"place": "Oslo"}}\n</tool_call>'
ASK = ("human", "Walk to Oslo")
SYSTEM = (
    "You are a function calling AI model. You are provided with function signatures within "
    "<tools> </tools> XML tags.\n<tools>\n{}\n</tools>\nReturn calls within <tool_call> tags."
)


def record(*turns, tools=(WRAPPED,), **more):
    listed = {} if tools is None else {"tools": json.dumps(list(tools))}
    conversations = [{"from": who, "value": value} for who, value in turns]
    return {"conversations": conversations, **listed, **more}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (record(ASK, ("gpt", CALL)), [calls(OSLO)]),
        (record(("user", "Walk"), ("assistant", CALL)), [calls(OSLO)]),
        (record(ASK, ("gpt", f"{CALL}\n{CALL}")), [calls(OSLO, OSLO)]),
        (record(ASK, ("gpt", f"<think>Oslo it is</think>\n{CALL}")), [calls(OSLO)]),
        (record(ASK, ("gpt", f"I go.\n{CALL}")), [calls(OSLO)]),
        (record(ASK, ("gpt", "Which way?")), [text("Which way?")]),
        (record(ASK, ("gpt", "<think>Hm</think>Which way?")), [text("Which way?")]),
        (record(ASK, ("gpt", CALL), ("tool", "<tool_response>\n{}\n</tool_response>"),
                ("gpt", "Done.")), [calls(OSLO), text("Done.")]),
        (record(("system", SYSTEM.format(json.dumps([WRAPPED]))), ASK, ("gpt", CALL), tools=None),
         [calls(OSLO)]),
        (record(("system", SYSTEM.format(json.dumps(ROAM))), ASK, ("gpt", CALL), tools=None),
         [calls(OSLO)]),
        (record(("system", SYSTEM.format(json.dumps(ROAM) + "\n" + json.dumps(
            {**ROAM, "name": "go"}))), ASK, ("gpt", CALL), tools=None), [calls(OSLO)]),
        (record(ASK, ("gpt", CALL), tools=None, system=SYSTEM.format(json.dumps(ROAM))),
         [calls(OSLO)]),
        (record(("system", SYSTEM.format("[{")), ASK, ("gpt", CALL), tools=None),
         [refused("<tools>: not valid JSON")]),
        (record(ASK, ("function_call", '{"name": "roam", "arguments": {"place": "Oslo"}}')),
         [calls(OSLO)]),
        (record(ASK, ("function_call", '{"name": "roam", "arguments": {"place": "Oslo"}}'),
                ("observation", '{"km": 12}'), ("gpt", "12 km")), [calls(OSLO), text("12 km")]),
        (record(ASK, ("function_call", json.dumps([{"name": "roam", "arguments": {"place": "Oslo"}},
                {"name": "roam", "arguments": {"place": "Rome"}}]))),
         [calls(OSLO, ("roam", {"place": "Rome"}))]),
        (record(ASK, ("function_call", "roam Oslo")), [refused("conversations.1: the calls are")]),
        (record(ASK, ("gpt", CALL[:-12])), [refused("no </tool_call>")]),
        (record(ASK, ("gpt", CALL.replace("roam", "fly"))), [refused("no tool is called 'fly'")]),
        (record(ASK, ("gpt", CALL.replace('"Oslo"', "5"))), [refused("place: 5 is not of type")]),
        (record(ASK, ("gpt", CALL), tools=[]), [refused("tools: there are none")]),
        (record(ASK, ("function_call", "[]")), [refused("must be a list of at least one call")]),
        (record(("narrator", "x"), ("gpt", CALL)), [refused("conversations.0.from: must be one")]),
        (record(ASK, ("gpt", "")), [refused("says nothing")]),
        (record(ASK), [refused("the assistant never answers")]),
        ({"conversations": "none"}, [refused("conversations: must be a non-empty list")]),
        ({"conversations": [{"from": "human"}]}, [refused("conversations.0: value: is missing")]),
    ],
)  # fmt: skip
def test_a_record_is_read_as_a_person_would(given, expected):
    assert reads("sharegpt", given) == expected


def test_a_system_message_with_the_tools_leaves_what_it_says_of_the_day():
    system = SYSTEM.format(json.dumps([WRAPPED])) + "\nThe current date is 2024-05-01."
    (found,) = samples("sharegpt", record(("system", system), ASK, ("gpt", CALL), tools=None))
    first = canonical.loads(found.messages)[0]
    assert first == {"role": "system", "content": "The current date is 2024-05-01."}


def test_a_turn_is_counted_as_the_record_counts_it():
    system = SYSTEM.format(json.dumps([WRAPPED]))  # no message of it stays
    two = "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>"
    turns = [("system", system), ASK, ("gpt", f"{CALL}\n{CALL}"), ("tool", two), ("gpt", "Done.")]
    assert [each.turn for each in samples("sharegpt", record(*turns, tools=None))] == [3, 5]


def test_a_response_with_something_around_it_stays_whole():
    said = "note <tool_response>1</tool_response> end"
    given = record(ASK, ("gpt", CALL), ("tool", said), ("gpt", "Done."))
    assert canonical.loads(samples("sharegpt", given)[1].messages)[2]["content"] == said


def test_several_responses_in_a_turn_become_a_message_for_each_call():
    two = "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>"
    given = record(ASK, ("gpt", f"{CALL}\n{CALL}"), ("tool", two), ("gpt", "Done."))
    messages = canonical.loads(samples("sharegpt", given)[1].messages)
    assert messages[2:] == [
        {"role": "tool", "name": "roam", "content": "1"},
        {"role": "tool", "name": "roam", "content": "2"},
    ]


ROME = ("roam", {"place": "Rome"})
ONE, TWO = ({"name": name, "arguments": arguments} for name, arguments in (OSLO, ROME))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"name": "roam", "parameters": {"place": "Oslo"}}', calls(OSLO)),
        (json.dumps({**ONE, "id": "1", "type": "function"}), calls(OSLO)),
        (json.dumps({**ONE, "arguments": json.dumps(ONE["arguments"])}), calls(OSLO)),
        (json.dumps({"type": "function", "function": ONE}), calls(OSLO)),
        (json.dumps([ONE, TWO]), calls(OSLO, ROME)),
        (f"{json.dumps(ONE)}\n{json.dumps(TWO)}", calls(OSLO, ROME)),
        (f"{ONE}\n{TWO}", calls(OSLO, ROME)),
        ("[]", refused("not a JSON object")),
        ("[5]", refused("not a JSON object")),
        (json.dumps({**ONE, "result": 5}), refused("needs exactly the keys")),
        (json.dumps({**ONE, "parameters": {}}), refused("needs exactly the keys")),
    ],
)
def test_a_block_may_hold_its_calls_in_another_shape(body, expected):
    given = record(ASK, ("gpt", f"I go. <tool_call>\n{body}\n</tool_call>"))
    assert reads("sharegpt", given) == [expected]


GO = {**ROAM, "name": "go"}
PRETTY = json.dumps(ROAM, indent=2), json.dumps(GO, indent=2)


@pytest.mark.parametrize(
    "listed",
    [
        "\n".join(PRETTY),
        ",\n".join(PRETTY),
        f"{json.dumps(ROAM)},\n{json.dumps(GO)},",
        f"{ROAM}\n{GO}",
        f"{ROAM},\n{GO},",
        f"{json.dumps([ROAM])}</tools> and <tools>{json.dumps([GO, ROAM])}",
    ],
)
@pytest.mark.parametrize("tools", [None, ()])
def test_tools_in_the_system_are_all_read_however_they_are_written(listed, tools):
    given = record(("system", SYSTEM.format(listed)), ASK, ("gpt", CALL), tools=tools)
    (found,) = samples("sharegpt", given)
    assert [each["name"] for each in canonical.loads(found.tools)] == ["roam", "go"]


def test_two_lists_of_tools_that_differ_are_refused():
    other = {**ROAM, "description": "Runs"}
    listed = f"{json.dumps(ROAM)}</tools><tools>{json.dumps(other)}"
    given = record(("system", SYSTEM.format(listed)), ASK, ("gpt", CALL), tools=None)
    assert reads("sharegpt", given) == [refused("another tool has this name")]


def test_a_greeting_is_context_and_no_label():
    system = ("system", "Be kind")
    assert reads("sharegpt", record(system, ("gpt", "Hello!"), ASK, ("gpt", CALL))) == [calls(OSLO)]
    assert reads("sharegpt", record(system, ("gpt", "Hello!"))) == [refused("no user speaks")]
