"""Results of several calls, in whatever order they came."""

import json

import pytest

from looptool import canonical
from tests.importing.formats.reading import reads, refused, samples

TOOLS = [{"name": name, "parameters": {"type": "object", "properties": {"a": {}}}} for name in "fg"]
USER = {"role": "user", "content": "Go"}
DONE = {"role": "assistant", "content": "Done."}


def called(*each):
    calls = [
        {"id": identity, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for identity, name in each
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(content, identity=None, **more):
    return {"role": "tool", "tool_call_id": identity, "content": content, **more}


def record(calls, *results):
    return {"messages": [USER, called(*calls), *results, DONE], "tools": TOOLS}


def read(given, form="openai"):
    """(name, content) of the results before the last turn."""
    messages = canonical.loads(samples(form, given)[-1].messages)
    return [(each.get("name"), each["content"]) for each in messages if each["role"] == "tool"]


def test_results_follow_the_order_of_their_calls_by_id():
    given = record([("x", "f"), ("y", "f"), ("z", "g")], result("3", "z"), result("1", "x"),
                   result("2", "y"))  # fmt: skip
    assert read(given) == [("f", "1"), ("f", "2"), ("g", "3")]


def test_ids_may_be_numbers():
    given = record([(0, "f"), (1, "g")], result("2", 1), result("1", 0))
    assert read(given) == [("f", "1"), ("g", "2")]


def test_one_call_without_id_has_the_one_result():
    given = record([(None, "f")], result("1", "x"))
    assert read(given) == [("f", "1")]


def test_results_without_ids_are_told_by_name_and_else_by_place():
    calls = [("x", "f"), ("y", "g")]
    named = record(calls, result("2", name="g"), result("1", name="f"))
    assert read(named) == [("f", "1"), ("g", "2")]
    assert read(record(calls, result("1"), result("2"))) == [("f", "1"), ("g", "2")]
    unknown = record(calls, result("1", name="q"), result("2"))
    assert read(unknown) == [("q", "1"), ("g", "2")]


def test_hermes_results_name_their_tool_inside():
    texts = [json.dumps({"name": name, "content": name * 2}) for name in "gf"]
    said = "\n".join(f'<tool_call>{{"name": "{n}", "arguments": {{}}}}</tool_call>' for n in "fg")
    answers = "\n".join(f"<tool_response>{text}</tool_response>" for text in texts)
    turns = [("human", "Go"), ("gpt", said), ("tool", answers), ("gpt", "Done.")]
    given = {"conversations": [{"from": who, "value": text} for who, text in turns],
             "tools": json.dumps(TOOLS)}  # fmt: skip
    assert read(given, "sharegpt") == [("f", texts[1]), ("g", texts[0])]


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([result("1", "q")], "'q' answers no call"),
        ([result("1", "x"), result("2", "x")], "two results answer the same call"),
        ([result("2", "y")], "call 1 has no result, and a later one has"),
        ([result("1", "x"), result("2")], "is missing beside results that have one"),
        ([result("1", "x", name="g"), result("2", "y")], "'g' answers a call of 'f'"),
    ],
)
def test_a_result_whose_call_is_not_certain_is_refused(results, reason):
    first, last = reads("openai", record([("x", "f"), ("y", "g")], *results))
    assert "calls" in first
    assert last == refused(reason)


def test_one_id_for_several_calls_is_refused():
    given = record([("x", "f"), ("x", "g")], result("1", "x"), result("2", "x"))
    assert reads("openai", given)[-1] == refused("answers several calls")


def test_a_result_that_follows_no_call_must_have_no_id():
    given = {"messages": [USER, result("1", "x"), DONE], "tools": TOOLS}
    assert reads("openai", given) == [refused("'x' answers no call")]


def test_a_last_call_without_result_is_left_as_it_is():
    assert read(record([("x", "f"), ("y", "g")], result("1", "x"))) == [("f", "1")]
