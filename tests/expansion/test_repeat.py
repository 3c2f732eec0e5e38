from __future__ import annotations

from looptool.core import samples
from looptool.core.answers import read_answer
from looptool.expansion import ErrorSeed
from looptool.expansion.repeat import RepeatExpander


def tool(name):
    return {
        "name": name,
        "description": f"Does {name}.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "City"}},
        },
    }


def seed_of(tools):
    messages = [{"role": "user", "content": "Do it in Oslo"}]
    return ErrorSeed(
        samples.sample_id(tools, messages),
        tools,
        messages,
        {"calls": [{"name": tools[0]["name"], "arguments": {"city": "Oslo"}}]},
        "single",
        "wrong_argument",
        read_answer(""),
        "",
        "",
    )


def without_order_and_stops(tools):
    text = str(sorted(tools, key=lambda each: each["name"]))
    return text.replace(".'", "'")


def test_a_repetition_keeps_words_values_and_label_and_has_an_id_of_its_own():
    seed = seed_of([tool("a"), tool("b")])
    made = RepeatExpander().expand([seed], 3, "7")
    assert len(made) == 3
    assert len({samples.sample_id(each.tools, each.messages) for each in made}) == 3
    for each in made:
        assert each.messages == seed.messages
        assert each.label == seed.label
        assert each.parent_id == seed.sample_id
        assert without_order_and_stops(each.tools) == without_order_and_stops(seed.tools)


def test_no_more_repetitions_than_can_be_told_apart():
    bare = {"name": "a", "description": "", "parameters": {"type": "object", "properties": {}}}
    assert RepeatExpander().expand([seed_of([bare])], 3, "7") == []


def test_repetition_is_deterministic():
    seed = seed_of([tool("a"), tool("b")])
    assert RepeatExpander().expand([seed], 2, "7") == RepeatExpander().expand([seed], 2, "7")
