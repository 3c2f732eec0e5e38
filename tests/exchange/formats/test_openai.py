"""OpenAI's records, each held against what a reader would say it means."""

import json

import pytest

from looptool.core import canonical
from tests.exchange.formats.reading import calls, reads, refused, samples, text

ROAM = {
    "name": "roam",
    "description": "Walks",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}, "hours": {"type": "number"}},
        "required": ["place"],
    },
}
USER = {"role": "user", "content": "Walk to Oslo"}
OSLO = ("roam", {"place": "Oslo"})


def record(*messages, tools=({"type": "function", "function": ROAM},), **more):
    return {"messages": list(messages), "tools": list(tools), **more}


def assistant(*made, content=None, **more):
    listed = [
        {"id": f"c{place}", "type": "function",
         "function": {"name": name, "arguments": json.dumps(arguments)}}
        for place, (name, arguments) in enumerate(made)
    ]  # fmt: skip
    return {"role": "assistant", "content": content, **({"tool_calls": listed} if made else {}),
            **more}  # fmt: skip


def tool(content, number=0, **more):
    return {"role": "tool", "tool_call_id": f"c{number}", "content": content, **more}


HERMES = '<tool_call>\n{"name": "roam", "arguments": {"place": "Oslo"}}\n</tool_call>'
BROKEN = assistant(OSLO)
BROKEN["tool_calls"][0]["function"]["arguments"] = "{place: Oslo}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (record(USER, assistant(OSLO)), [calls(OSLO)]),
        (record({"role": "system", "content": "Be kind"}, USER, assistant(OSLO)), [calls(OSLO)]),
        (record({"role": "developer", "content": "Be"}, USER, assistant(OSLO)), [calls(OSLO)]),
        (record(USER, assistant(OSLO, ("roam", {"place": "Rome", "hours": 2.5}))),
         [calls(OSLO, ("roam", {"place": "Rome", "hours": 2.5}))]),
        (record(USER, assistant(content="Which way?")), [text("Which way?")]),
        (record(USER, assistant(OSLO), tool("done"), assistant(content="I went.")),
         [calls(OSLO), text("I went.")]),
        (record(USER, assistant(OSLO, content="I go.")), [calls(OSLO)]),
        (record(USER, assistant(OSLO, weight=0), tool("ok"), assistant(content="Done.")),
         [text("Done.")]),
        (record(USER, assistant(OSLO, weight=1)), [calls(OSLO)]),
        (record(USER, assistant(("fly", {}))), [refused("no tool is called 'fly'")]),
        (record(USER, assistant(("fly", {})), tool("ok"), assistant(content="Done.")),
         [refused("'fly'"), refused("message 2 of the same dialogue was refused")]),
        (record(USER, BROKEN), [refused("messages.1: roam: the arguments are not a JSON object")]),
        (record(USER, assistant(("roam", {"place": 5}))), [refused("place: 5 is not of type")]),
        (record(USER, assistant(content="  ")), [refused("says nothing")]),
        (record(USER), [refused("the assistant never answers")]),
        (record(assistant(content="Hello!")), [refused("no user speaks")]),
        (record(USER, assistant(content="A"), assistant(content="B")),
         [text("A"), refused("follows a message of the assistant")]),
        (record({"role": "narrator", "content": "x"}), [refused("'narrator' is not system")]),
        (record({"role": "user", "content": [{"type": "text", "text": "Walk"}]}, assistant(OSLO)),
         [calls(OSLO)]),
        (record({"role": "user", "content": [{"type": "image_url", "image_url": {}}]},
                assistant(OSLO)), [refused("content.0: parts of type 'image_url' are not read")]),
        ({"messages": [USER, {"role": "assistant", "content": None, "function_call":
          {"name": "roam", "arguments": '{"place": "Oslo"}'}}], "functions": [ROAM]},
         [calls(OSLO)]),
        (record(USER, assistant(OSLO), tools=[]), [refused("tools: there are none")]),
        (record(USER, assistant(content="Hi"), tools=[]), [refused("tools: there are none")]),
        (record(USER, assistant(content=HERMES)), [calls(OSLO)]),
        (record(USER, assistant(content=f"<think>So</think>{HERMES}")), [calls(OSLO)]),
        (record(USER, assistant(content="<think>So</think>Which way?")), [text("Which way?")]),
        (record({"role": "system", "content": f"Tools: <tools>{json.dumps(ROAM)}</tools>"}, USER,
                assistant(content=HERMES), tools=[]), [calls(OSLO)]),
        (record(USER, {**assistant(), "tool_calls": "[]"}),
         [refused("label.calls: must be a list of at least one call")]),
        (record(USER, {**assistant(), "tool_calls": [{"name": "roam", "parameters": {"a": 1}}]}),
         [refused("Additional properties")]),
        ({"messages": []}, [refused("messages: must be a non-empty list")]),
        ({"messages": [USER, assistant(OSLO)], "tools": "nonsense"}, [refused("not valid JSON")]),
        (record(USER, assistant(("roam", {"place": "Oslo", "hours": 1}))),
         [calls(("roam", {"place": "Oslo", "hours": 1}))]),
    ],
)  # fmt: skip
def test_a_record_is_read_as_a_person_would(given, expected):
    assert reads("openai", given) == expected


def test_a_tools_answer_says_whose_it_is():
    given = record(USER, assistant(OSLO), tool("12 km"), assistant(content="Far."))
    messages = canonical.loads(samples("openai", given)[1].messages)
    assert messages[2] == {"role": "tool", "name": "roam", "content": "12 km"}
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == {"place": "Oslo"}


def test_each_category_is_told_by_the_form_of_the_sample():
    other = {**ROAM, "name": "other"}
    dialogue = record(
        USER,
        assistant(OSLO),
        tool("ok"),
        assistant(OSLO),
        tool("ok"),
        assistant(content="Where to?"),
        {"role": "user", "content": "Rome"},
        assistant(OSLO),
        tools=[ROAM, other],
    )
    found = [each.category for each in samples("openai", dialogue)]
    assert found == ["multiple", "multi_step", "clarify", "multi_turn"]
    several = record(USER, assistant(OSLO, ("other", {"place": "a"})), tools=[ROAM, other])
    assert samples("openai", several)[0].category == "parallel_multiple"
    assert samples("openai", record(USER, assistant(OSLO, OSLO)))[0].category == "parallel"
    assert samples("openai", record(USER, assistant(content="No.")))[0].category == "irrelevant"


def test_what_the_field_of_the_system_says_is_its_first_message():
    rule = {"role": "system", "content": "Never book before 9am."}
    tools = f"Tools: <tools>{json.dumps(ROAM)}</tools>"
    for said in (rule["content"], [{"type": "text", "text": rule["content"]}]):
        (found,) = samples("openai", record(USER, assistant(OSLO), system=said))
        assert (canonical.loads(found.messages)[0], found.turn) == (rule, 2)
    assert reads("openai", record(USER, assistant(OSLO), system=tools, tools=[])) == [calls(OSLO)]
    assert reads("openai", record(USER, assistant(OSLO), system=5)) == [refused("must be a string")]


def test_a_greeting_is_context_and_no_label():
    hello = assistant(content="Hello! Where to?")
    (found,) = samples("openai", record(hello, USER, assistant(OSLO)))
    assert canonical.loads(found.messages)[0] == {
        "role": "assistant",
        "content": "Hello! Where to?",
    }
    assert found.turn == 3
    assert reads("openai", record(assistant(OSLO), USER, assistant(OSLO))) == [
        refused("no user speaks"), refused("message 1 of the same dialogue")
    ]  # fmt: skip


def use(place, number):
    return {"type": "tool_use", "id": f"u{number}", "name": "roam", "input": {"place": place}}


def answered(number, content, **more):
    return {"type": "tool_result", "tool_use_id": f"u{number}", "content": content, **more}


def anthropic(*results):
    said = [{"type": "text", "text": "I go."}, use("Oslo", 0), use("Rome", 1)]
    tools = [{"name": "roam", "input_schema": ROAM["parameters"]}]
    return record(USER, {"role": "assistant", "content": said},
                  {"role": "user", "content": list(results)}, assistant(content="Done."),
                  tools=tools)  # fmt: skip


def test_anthropics_calls_and_results_are_read():
    thanks = {"type": "text", "text": "And now?"}
    given = anthropic(answered(1, [{"type": "text", "text": "far"}]),
                      answered(0, "near", is_error=True), thanks)  # fmt: skip
    assert reads("openai", given) == [calls(OSLO, ("roam", {"place": "Rome"})), text("Done.")]
    last = samples("openai", given)[-1]
    assert canonical.loads(last.messages)[2:] == [
        {"role": "tool", "name": "roam", "content": "near"},
        {"role": "tool", "name": "roam", "content": "far"},
        {"role": "user", "content": "And now?"},
    ]
    assert last.turn == 4
    assert reads("openai", anthropic(answered(7, "x")))[-1] == refused("'u7' answers no call")
    assert reads("openai", anthropic(thanks, answered(0, "x"))) == [refused("'tool_result'")]


def test_ipython_is_a_tool():
    said = {"role": "ipython", "content": "12 km"}
    given = record(USER, assistant(OSLO), said, assistant(content="Far."))
    assert canonical.loads(samples("openai", given)[1].messages)[2]["role"] == "tool"
