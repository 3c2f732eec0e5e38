"""Tools out of the trees, tools that the trees do not know, distractors, requests for any tool."""

import random

import pytest

from looptool.core.calls import ToolCall
from looptool.core.tools import check_arguments, check_tool
from looptool.english.dates import read_named_date
from looptool.offline.grammar import toolbox, trees, user, values

UNKNOWN = {
    "name": "quuxManager.frobnicate_widget",
    "description": "Adjusts a widget in the workshop.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "torque_level": {"type": "number"},
            "mode": {"type": "string", "enum": ["fast", "slow"]},
            "when": {"type": "string", "description": "Date, YYYY-MM-DD"},
            "labels": {"type": "array", "items": {"type": "string"}},
            "options": {"type": "object"},
            "dry_run": {"type": "boolean"},
        },
        "required": ["city", "torque_level"],
    },
}


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_every_variant_is_a_tool_that_is_read_back_as_its_leaf_and_whose_values_fit(split):
    rng = random.Random(1)
    for leaf in trees.split_leaves(split):
        for index in range(0, trees.styles()["variants"], 3):
            action = toolbox.variant(leaf.key, index)
            read = toolbox.action_of(action.tool)
            assert read.leaf is leaf
            keys = {name: slot.key for name, slot in action.slots.items()}
            assert {name: slot.key for name, slot in read.slots.items()} == keys
            arguments = values.draw_arguments(action.slots, rng, order=leaf.order)
            assert check_arguments(arguments, action.tool["parameters"]) is None, action.tool


def test_variants_are_valid_documents_in_all_naming_styles():
    names = set()
    for leaf in trees.split_leaves("train")[::4]:
        tool = toolbox.variant(leaf.key, 0).tool
        assert check_tool(tool) is None
        names |= {toolbox.variant(leaf.key, i).tool["name"] for i in range(20)}
    assert any("." in name for name in names)
    assert any("_" in name and "." not in name for name in names)
    assert any(name[0].isupper() for name in names)
    assert any(name[0].islower() and any(c.isupper() for c in name) for name in names)


def test_all_dates_of_one_tool_have_one_format():
    for leaf in trees.leaves().values():
        for index in range(8):
            slots = toolbox.variant(leaf.key, index).slots.values()
            assert len({slot.form for slot in slots if slot.form}) <= 1


def test_ordered_dates_ascend_in_every_format():
    rng = random.Random(5)
    for index in range(14):
        action = toolbox.variant("rent_car", index)
        first, last = (
            next(name for name, slot in action.slots.items() if slot.key == key)
            for key in action.leaf.order
        )
        arguments = values.draw_arguments(action.slots, rng, order=action.leaf.order)
        form = action.slots[first].form
        days = [read_named_date(arguments[name], form) for name in (first, last)]
        assert None not in days
        assert days[0] <= days[1]


def test_an_unknown_tool_is_inferred_and_asked_for_with_all_its_values():
    arguments = {
        "city": "Oslo",
        "torque_level": 4.25,
        "mode": "slow",
        "when": "2024-05-03",
        "labels": ["red", "small"],
        "options": {"depth": 3},
        "dry_run": True,
    }
    action = toolbox.action_of(UNKNOWN, arguments)
    assert action.leaf is None
    assert action.slots["city"].kind.name == "city"
    assert action.slots["dry_run"].kind.name == "flag"
    for seed in range(40):
        text = user.request([ToolCall(UNKNOWN["name"], arguments)], [UNKNOWN], random.Random(seed))
        assert text is not None
        for value in ("Oslo", "4.25", "slow", "red", "small", "3", "dry run"):
            assert value in text
        drawn = {n: values.draw(s, random.Random(seed)) for n, s in action.slots.items()}
        assert check_arguments(drawn, UNKNOWN["parameters"]) is None


def test_no_request_for_a_call_whose_tool_or_argument_is_not_there():
    rng = random.Random(1)
    assert user.request([ToolCall("nothing", {})], [UNKNOWN], rng) is None
    assert user.request([ToolCall(UNKNOWN["name"], {"nope": 1})], [UNKNOWN], rng) is None


def test_distractors_are_other_tools_of_the_split_and_never_rivals():
    rng = random.Random(3)
    index = toolbox.name_index()
    for split in ("train", "heldout"):
        near = 0
        for leaf in trees.split_leaves(split):
            tool = toolbox.any_variant(leaf, rng).tool
            found = toolbox.distractors([tool], 3, rng, split)
            keys = [index[other["name"]] for other in found]
            assert len(set(keys)) == 3
            assert leaf.key not in keys
            assert not trees.rivals()[leaf.key] & set(keys)
            assert all(trees.leaves()[key].heldout == leaf.heldout for key in keys)
            near += any(trees.leaves()[key].domain == leaf.domain for key in keys)
        assert near > len(trees.split_leaves(split)) / 3
    assert len(toolbox.distractors([UNKNOWN], 2, rng)) == 2
