from __future__ import annotations

import datetime as dt
import random

import pytest

from looptool.core import canonical, samples
from looptool.core.answers import read_answer
from looptool.core.calls import ToolCall, render
from looptool.core.tools import check_call
from looptool.english.dates import system_date
from looptool.expansion import ErrorSeed
from looptool.offline.grammar import toolbox, user, values
from looptool.offline.grammar.trees import split_leaves
from looptool.offline.rewriter.expander import RewritingExpander
from looptool.offline.rewriter.substitution import substitute

STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def tool(_name, **properties):
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": _name, "description": f"Do {_name}", "parameters": parameters}


def says(text):
    return {"role": "user", "content": text}


def today(day):
    return {"role": "system", "content": f"Today is Friday, {day}."}


def seed_of(tools, messages, label, category="single", failure="wrong_argument", prediction=""):
    return ErrorSeed(
        samples.sample_id(tools, messages),
        tools,
        messages,
        label,
        category,
        failure,
        read_answer(prediction),
        prediction,
        "",
    )


def calling(name, **arguments):
    return {"calls": [{"name": name, "arguments": arguments}]}


def written_seeds(count):
    """Error seeds that the grammar's user words, with one to three calls."""
    rng = random.Random("written")
    seeds = []
    for number in range(count):
        day = dt.date(2024, 5, 3) + dt.timedelta(days=number) if number % 3 == 0 else None
        action = toolbox.any_variant(rng.choice(split_leaves("train")), rng)
        calls = [
            ToolCall(action.tool["name"], values.draw_arguments(action.slots, rng, today=day))
            for _ in range(rng.choice((1, 1, 2, 3)))
        ]
        text = user.request(calls, [action.tool], rng, today=day)
        system = [{"role": "system", "content": system_date(day)}] if day else []
        tools = [action.tool, *toolbox.distractors([action.tool], number % 3, rng)]
        failure = ("wrong_argument", "wrong_count")[number % 2]
        label = samples.call_label(calls)
        seeds.append(seed_of(tools, [*system, says(text)], label, failure=failure))
    return seeds


def shape(label):
    return sorted((call["name"], sorted(call["arguments"])) for call in label["calls"])


def test_expansions_keep_the_calls_structure_fit_their_tools_and_differ_from_their_seed():
    seeds = {seed.sample_id: seed for seed in written_seeds(120)}
    made = RewritingExpander().expand(list(seeds.values()), 3, "7")
    assert len(made) >= 2 * len(seeds)
    ids = [samples.sample_id(each.tools, each.messages) for each in made]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(seeds)
    for each in made:
        seed = seeds[each.parent_id]
        assert shape(each.label) == shape(seed.label)
        assert canonical.dumps(each.label) != canonical.dumps(seed.label)
        assert each.messages[-1] != seed.messages[-1]
        for call in samples.label_calls(each.label):
            assert check_call(call, each.tools) is None
        assert len(each.tools) == len(seed.tools)
    assert {each.how for each in made} == {"substitute", "rewrite"}


def test_expansion_is_deterministic_and_depends_on_the_seed_alone():
    seeds = written_seeds(10)
    expander = RewritingExpander()
    first = expander.expand(seeds, 2, "7")
    assert first == RewritingExpander().expand(seeds, 2, "7")
    assert first != expander.expand(seeds, 2, "8")
    alone = [each for seed in reversed(seeds) for each in expander.expand([seed], 2, "7")]
    assert sorted(map(repr, alone)) == sorted(map(repr, first))
    assert expander.expand(seeds, 0, "7") == []


def test_a_value_is_another_one_wherever_it_stood():
    messages = [
        says("Find Anna Lopez, then get her order"),
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "type": "function",
                    "function": {"name": "find", "arguments": {"person": "Anna Lopez"}},
                }
            ],
        },
        {
            "role": "tool",
            "name": "find",
            "content": '{"order_id":"ORD-1234","note":"for Anna Lopez"}',
        },
    ]
    tools = [tool("find", person=STRING), tool("get", order_id=STRING)]
    seed = seed_of(tools, messages, calling("get", order_id="ORD-1234"), "multi_step")
    changed, label = substitute(seed, random.Random(1))
    order = label["calls"][0]["arguments"]["order_id"]
    person = changed[1]["tool_calls"][0]["function"]["arguments"]["person"]
    assert order != "ORD-1234"
    assert person != "Anna Lopez"
    assert changed[0]["content"] == f"Find {person}, then get her order"
    assert changed[2]["content"] == f'{{"order_id":"{order}","note":"for {person}"}}'


def test_dates_move_together_by_whole_weeks():
    tools = [tool("book", city=STRING, start=STRING, end=STRING)]
    messages = [today("2024-05-03"), says("Book Oslo from next Friday to May 17th, 2024")]
    label = calling("book", city="Oslo", start="2024-05-10", end="2024-05-17")
    for number in range(5):
        (system, request), new = substitute(seed_of(tools, messages, label), random.Random(number))
        arguments = new["calls"][0]["arguments"]
        days = [
            dt.date.fromisoformat(text)
            for text in (system["content"][-11:-1], arguments["start"], arguments["end"])
        ]
        assert days[0] != dt.date(2024, 5, 3)
        assert days[0].weekday() == 4
        assert [(later - days[0]).days for later in days] == [0, 7, 14]
        assert "from next Friday to " in request["content"]
        assert "May 17th" not in request["content"]


def test_a_date_said_by_the_month_keeps_all_dates():
    tools = [tool("book", city=STRING, day=STRING)]
    messages = [today("2024-05-03"), says("Book Oslo for the end of the month")]
    seed = seed_of(tools, messages, calling("book", city="Oslo", day="2024-05-31"))
    changed, label = substitute(seed, random.Random(1))
    assert changed[0] == messages[0]
    assert label["calls"][0]["arguments"]["day"] == "2024-05-31"
    assert label["calls"][0]["arguments"]["city"] != "Oslo"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("a table for a pair", {"guests": 2}),
        (
            "2 people for 2 courses, done in about a quarter past noon",
            {"guests": 2, "span": "13:40"},
        ),
        ("just do it as always", {"guests": 4, "span": "long"}),
    ],
)
def test_no_substitution_where_the_values_are_not_said_or_not_clearly(text, arguments):
    properties = {name: {} for name in arguments}
    seed = seed_of([tool("seat", **properties)], [says(text)], calling("seat", **arguments))
    assert substitute(seed, random.Random(1)) is None


def test_bounds_keep_their_order():
    tools = [tool("search", min_price=INTEGER, max_price=INTEGER)]
    messages = [says("Find one from 200 to 300 dollars")]
    seed = seed_of(tools, messages, calling("search", min_price=200, max_price=300))
    made = [substitute(seed, random.Random(number)) for number in range(10)]
    pairs = [each[1]["calls"][0]["arguments"] for each in made if each is not None]
    assert len(pairs) >= 5
    assert all(pair["min_price"] < pair["max_price"] for pair in pairs)


def test_an_expansion_of_a_wrong_label_is_wrong_in_the_same_way():
    tools = [tool("fly", origin=STRING, destination=STRING)]
    messages = [says("Fly from Oslo to Rome")]
    swapped = calling("fly", origin="Rome", destination="Oslo")
    changed, label = substitute(seed_of(tools, messages, swapped), random.Random(1))
    arguments = label["calls"][0]["arguments"]
    said = f"Fly from {arguments['destination']} to {arguments['origin']}"
    assert changed[0]["content"] == said


def test_the_tool_that_the_model_took_by_mistake_stays():
    tools = [tool("get_forecast", city=STRING), tool("get_weather", city=STRING)]
    tools.append(tool("send_note", text=STRING))
    mistaken = render([ToolCall("get_weather", {"city": "Oslo"})])
    seed = seed_of(
        tools,
        [says("What will the weather be in Oslo?")],
        calling("get_forecast", city="Oslo"),
        "multiple",
        "wrong_tool",
        mistaken,
    )
    made = RewritingExpander().expand([seed], 3, "7")
    assert made
    for each in made:
        names = {document["name"] for document in each.tools}
        assert {"get_forecast", "get_weather"} <= names
        assert "send_note" not in names
        assert len(names) == 3


def test_beside_the_users_tools_stand_others_of_theirs_alone():
    own = [tool(f"{verb}_zorp", zorp_id=INTEGER) for verb in ("blit", "frob", "twiddle", "grok")]
    label = calling("frob_zorp", zorp_id=45)
    seed = seed_of(own[:2], [says("frob the zorp 45")], label, "multiple")
    made = RewritingExpander(own).expand([seed], 8, "s")
    names = {document["name"] for each in made for document in each.tools}
    assert len(names) > 2 and names <= {document["name"] for document in own}


def test_where_no_tool_fits_the_tools_stay_and_the_request_is_another():
    tools = [tool("get_weather", city=STRING)]
    label = {"text": "None of my tools can do that."}
    seed = seed_of(tools, [says("Tell me a joke")], label, "irrelevant", "unexpected_call")
    made = RewritingExpander().expand([seed], 3, "7")
    assert len(made) == 3
    for each in made:
        assert each.tools == tools
        assert each.label == label
        assert each.category == "irrelevant"
        assert each.messages != seed.messages


def test_a_request_that_lacks_a_parameter_lacks_it_again():
    leaf_tool = toolbox.variant(split_leaves("train")[0].key, 0)
    slot = next(slot for slot in leaf_tool.slots.values() if slot.required)
    label = {"text": f"What {slot.word} should I use?"}
    seed = seed_of([leaf_tool.tool], [says("Do it")], label, "clarify", "unexpected_call")
    made = RewritingExpander().expand([seed], 2, "7")
    assert len(made) == 2
    for each in made:
        assert each.label == label
        assert each.category == "clarify"
    unclear = seed_of([leaf_tool.tool], [says("Do it")], {"text": "Hm?"}, "clarify")
    assert RewritingExpander().expand([unclear], 2, "7") == []


def test_a_call_corrected_into_an_irrelevant_sample_gets_a_category_of_calls():
    tools = [tool("get_weather", city=STRING)]
    seed = seed_of(
        tools, [says("Weather in Oslo?")], calling("get_weather", city="Oslo"), "irrelevant"
    )
    made = RewritingExpander().expand([seed], 2, "7")
    assert {each.category for each in made} == {"single"}


def test_of_a_request_with_steps_to_come_no_step_is_lost():
    tools = [tool("find", person=STRING), tool("get", order_id=STRING)]
    messages = [says("Find Anna Lopez, then get her order")]
    seed = seed_of(tools, messages, calling("find", person="Anna Lopez"), "multi_step")
    made = RewritingExpander().expand([seed], 2, "7")
    assert made
    assert all(each.messages[0]["content"].endswith(", then get her order") for each in made)


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ({"type": "object"}, {}),
        ({"type": "object", "properties": {"a": True}}, {"a": 3}),
        ({"type": "object", "properties": {"a": {}}}, {"a": None, "b": 3}),
        ({"type": "object", "properties": {"a": {"type": "object"}}}, {"a": {"k": [["x"]]}}),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {}}},
            {"a": "x"},
        ),
    ],
)
def test_tools_that_say_little_of_their_values_are_no_accident(parameters, arguments):
    documents = [{"name": "f", "parameters": parameters}]
    for category in ("single", "clarify"):
        for label in (calling("f", **arguments), {"text": "Which a?"}):
            seed = seed_of(documents, [says("Do f with 3 and x")], label, category)
            made = RewritingExpander().expand([seed], 2, "7")
            for each in made:
                assert all(
                    check_call(call, documents) is None for call in samples.label_calls(each.label)
                )
