"""Results of several calls, in whatever order they came."""

import json

import pytest

from looptool.core import canonical
from tests.exchange.formats.reading import reads, refused, samples

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


def hermes(*turns):
    """A dialogue with calls of f and g, and these turns of the tool."""
    said = "\n".join(f'<tool_call>{{"name": "{n}", "arguments": {{}}}}</tool_call>' for n in "fg")
    turns = [("human", "Go"), ("gpt", said), *(("tool", text) for text in turns), ("gpt", "Done.")]
    return {"conversations": [{"from": who, "value": text} for who, text in turns],
            "tools": json.dumps(TOOLS)}  # fmt: skip


@pytest.mark.parametrize("write", [json.dumps, repr])
@pytest.mark.parametrize("more", [{}, {"tool_call_id": "a"}])
@pytest.mark.parametrize("key", ["content", "results", "result", "output"])
def test_hermes_results_name_their_tool_inside(write, more, key):
    texts = [write({"name": name, key: None, **more}) for name in "gf"]
    answers = "\n".join(f"<tool_response>{text}</tool_response>" for text in texts)
    assert read(hermes(answers), "sharegpt") == [("f", texts[1]), ("g", texts[0])]


def test_one_message_with_the_results_of_several_calls_is_taken_apart():
    items = [{"name": name, "results": name * 2} for name in "gf"]
    first, second = map(canonical.dumps, items)
    assert read(hermes(json.dumps(items)), "sharegpt") == [("f", second), ("g", first)]
    (last,) = reads("sharegpt", hermes(json.dumps([*items, items[0]])))[1:]
    assert last == refused("'g' answers no open call of the previous turn")


def test_a_content_that_has_a_name_by_chance_is_content():
    people = {"name": "Anna", "age": 3}, {"name": "g", "age": 4}
    files = {"name": "a.txt", "content": "x"}, {"name": "b.txt", "content": "y"}
    for pair in (people, files):
        texts = [json.dumps(each) for each in pair]
        assert read(hermes(*texts), "sharegpt") == list(zip("fg", texts, strict=True))


def test_a_namespace_is_no_part_of_a_name():
    calls = [(None, "f"), (None, "g")]
    given = record(calls, result("2", name="functions.g"), result("1", name="functions.f"))
    assert read(given) == [("f", "1"), ("g", "2")]
    assert read(record([("x", "f")], result("1", "x", name="functions.f"))) == [("f", "1")]


@pytest.mark.parametrize(
    ("made", "results", "reason"),
    [
        ("f", [result("1", name="g")], "name: 'g' answers no open call"),
        ("fg", [result("1", name="q"), result("2", name="g")], "name: 'q' answers no open call"),
        ("fg", [result("1", name="f"), result("2", name="f")], "name: 'f' answers no open call"),
        (
            "fg",
            [result("1", name="f"), result("2")],
            "name: is missing, but other results have one",
        ),
        (
            "fg",
            [result('{"name": "f", "content": 1}'), result("2")],
            "name: is missing, but other results have one",
        ),
        ("f", [result("1"), result("2")], "more results (2) than calls (1)"),
    ],
)
def test_a_result_without_id_whose_call_is_not_certain_is_refused(made, results, reason):
    first, last = reads("openai", record([(None, name) for name in made], *results))
    assert "calls" in first
    assert last == refused(reason)


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([result("1", "q")], "'q' answers no call"),
        ([result("1", "x"), result("2", "x")], "two results answer the same call"),
        ([result("2", "y")], "call 1 has no result, but a later one has"),
        ([result("1", "x"), result("2")], "is missing, but other results have one"),
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


def test_results_in_a_users_turn_are_no_words_of_the_user():
    block = "<tool_response>\n1\n</tool_response>"
    said = {"role": "user", "content": block}
    given = {"messages": [USER, called(("x", "f")), said, called(("y", "g"))], "tools": TOOLS}
    last = samples("openai", given)[-1]
    assert (last.category, last.turn) == ("multi_step", 4)
    assert read(given) == [("f", "1")]
    given = hermes()
    given["conversations"].insert(2, {"from": "human", "value": f"{block}\n{block}"})
    assert read(given, "sharegpt") == [("f", "1"), ("g", "1")]
    given["conversations"][2]["value"] = f"What is {block}?"
    assert read(given, "sharegpt") == []


def test_a_message_is_counted_as_the_record_counts_it():
    items = json.dumps([{"name": name, "result": 1} for name in "fg"])
    given = record([(None, "f"), (None, "g")], result(items))
    assert [each.turn for each in samples("openai", given)] == [2, 4]
