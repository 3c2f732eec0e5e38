"""Planted label noise: every kind does what it is called, and is never right by accident."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core.calls import ToolCall
from looptool.core.samples import check_label, label_calls
from looptool.core.tool_match import match
from looptool.core.tools import check_call
from looptool.synthesis import Draft
from looptool.synthesis.noise import BREAKS_SCHEMA, GROUNDED, KINDS, plant


def tool(name: str, required: int = 1, **properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties)[:required],
    }
    return {"name": name, "description": f"{name}.", "parameters": parameters}


STRING = {"type": "string"}
TRAIN = tool(
    "trains.find",
    3,
    origin=STRING,
    target=STRING,
    day={"type": "string", "description": "Day, YYYY-MM-DD"},
    seats={"type": "integer", "default": 1},
    tariff={"type": "string", "enum": ["standard", "first"], "default": "standard"},
    quiet={"type": "boolean"},
)
BUS = tool("buses.find", 2, origin=STRING, target=STRING, seats={"type": "integer"})
LIST = tool("basket_add", 1, items={"type": "array", "items": STRING})


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


JOURNEY = Draft(
    [TRAIN, BUS, LIST],
    [
        {"role": "system", "content": "Today is Friday, 2024-05-03."},
        {"role": "user", "content": "Find 3 first class seats from Bern to Oslo on 2024-06-30."},
    ],
    {
        "calls": [
            call(
                "trains.find",
                origin="Bern",
                target="Oslo",
                day="2024-06-30",
                seats=3,
                tariff="first",
            )
        ]
    },
    "multiple",
)
SHOPPING = Draft(
    [LIST, BUS],
    [
        {
            "role": "user",
            "content": "Add rice, tea and salt to one basket, soap to another, from Bern to Oslo.",
        }
    ],
    {
        "calls": [
            call("basket_add", items=["rice", "tea", "salt"]),
            call("basket_add", items=["soap"]),
        ]
    },
    "parallel",
)
REFUSAL = Draft(
    [BUS, TRAIN],
    [{"role": "user", "content": "Please paint Anna and Ben a picture of 4 cats in Rome."}],
    {"text": "None of my tools can paint."},
    "irrelevant",
)
NESTED = Draft(
    [
        tool(
            "ship",
            2,
            to={
                "type": "object",
                "properties": {"street": STRING, "number": {"type": "integer"}},
                "required": ["street", "number"],
            },
            parcels={"type": "integer"},
        )
    ],
    [{"role": "user", "content": "Ship 2 parcels to Elm Road 17."}],
    {"calls": [call("ship", to={"street": "Elm Road", "number": 17}, parcels=2)]},
    "single",
)
DRAFTS = (JOURNEY, SHOPPING, REFUSAL, NESTED)


def planted(draft: Draft, rounds: int = 400) -> list[tuple[dict[str, Any], str]]:
    found = [plant(draft, random.Random(f"noise/{index}")) for index in range(rounds)]
    assert None not in found
    return found  # type: ignore[return-value]


def scalars(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in scalars(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in scalars(item)]
    return [value]


def test_there_are_enough_kinds_and_half_of_them_look_right() -> None:
    assert len(KINDS) >= 10
    assert len(GROUNDED) >= len(KINDS) / 2
    assert not GROUNDED & BREAKS_SCHEMA


def test_every_kind_can_be_planted() -> None:
    kinds = {kind for draft in DRAFTS for _, kind in planted(draft)}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft.category)
def test_planted_labels_are_wrong_labels(draft: Draft) -> None:
    for label, _ in planted(draft):
        assert check_label(label) is None
        assert not match(label_calls(label), label_calls(draft.label), draft.tools)


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft.category)
def test_only_the_kinds_that_say_so_break_a_schema(draft: Draft) -> None:
    for label, kind in planted(draft):
        fits = all(check_call(c, draft.tools) is None for c in label_calls(label))
        assert fits == (kind not in BREAKS_SCHEMA), (kind, label)


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft.category)
def test_grounded_kinds_say_only_what_the_conversation_says(draft: Draft) -> None:
    said = " ".join(message["content"] for message in draft.messages)
    for label, kind in planted(draft):
        if kind in GROUNDED:
            for value in scalars([c.arguments for c in label_calls(label)]):
                assert str(value) in said, (kind, label)


def test_kinds_that_apply_are_drawn_evenly() -> None:
    counts = Counter(kind for _, kind in planted(JOURNEY, 1200))
    assert len(counts) == 12
    assert all(60 <= count <= 140 for count in counts.values()), counts


def test_the_same_random_state_plants_the_same_noise() -> None:
    assert planted(JOURNEY, 30) == planted(JOURNEY, 30)


def test_planting_leaves_the_draft_alone() -> None:
    before = json.dumps([draft.label for draft in DRAFTS])
    for draft in DRAFTS:
        for label, _ in planted(draft, 50):
            label.clear()
    assert json.dumps([draft.label for draft in DRAFTS]) == before


def of_kind(draft: Draft, kind: str) -> list[dict[str, Any]]:
    return [label for label, name in planted(draft) if name == kind]


def test_a_date_moves_by_one_day_across_the_end_of_a_month() -> None:
    days = {label["calls"][0]["arguments"]["day"] for label in of_kind(JOURNEY, "off_by_one_date")}
    assert days == {"2024-06-29", "2024-07-01"}


def test_the_date_in_the_system_message_can_stand_in_for_the_right_one() -> None:
    labels = of_kind(JOURNEY, "value_from_elsewhere")
    assert "2024-05-03" in {label["calls"][0]["arguments"]["day"] for label in labels}


def test_a_similar_tool_gets_the_arguments_that_both_know() -> None:
    for label in of_kind(JOURNEY, "similar_tool"):
        assert label == {"calls": [call("buses.find", origin="Bern", target="Oslo", seats=3)]}


def test_values_swap_between_two_calls() -> None:
    labels = of_kind(
        Draft(
            [BUS],
            [{"role": "user", "content": "Buses from Bern to Oslo and from Rome to Lima."}],
            {
                "calls": [
                    call("buses.find", origin="Bern", target="Oslo"),
                    call("buses.find", origin="Rome", target="Lima"),
                ]
            },
            "parallel",
        ),
        "values_swapped",
    )
    targets = {tuple(c["arguments"]["target"] for c in label["calls"]) for label in labels}
    assert ("Lima", "Oslo") in targets


def test_an_argument_at_its_default_is_never_dropped_as_noise() -> None:
    draft = Draft(
        [TRAIN],
        JOURNEY.messages,
        {"calls": [call("trains.find", origin="Bern", target="Oslo", day="2024-06-30", seats=1)]},
        "single",
    )
    assert of_kind(draft, "optional_dropped") == []


def test_nothing_is_planted_where_no_kind_applies() -> None:
    text_without_tools = Draft([], [{"role": "user", "content": "Hi"}], {"text": "Hi."}, "clarify")
    assert plant(text_without_tools, random.Random(0)) is None


def test_a_clarify_label_can_become_a_call_with_a_gap_or_with_a_wrong_value() -> None:
    draft = Draft(
        [BUS],
        [{"role": "user", "content": "Is there a bus from Bern?"}],
        {"text": "Where do you want to go?"},
        "clarify",
    )
    found = {kind for _, kind in planted(draft)}
    assert found == {"called_when_text"}
    numeric = tool("pay", 2, payee=STRING, amount={"type": "integer"})
    draft = Draft([numeric], draft.messages, draft.label, "clarify")
    assert planted(draft, 1)[0] == ({"calls": [call("pay", payee="Bern")]}, "called_incomplete")


values = st.one_of(
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.text(max_size=12),
    st.dates().map(str),
    st.lists(st.text(max_size=4), max_size=3),
)


@given(
    arguments=st.lists(st.dictionaries(st.sampled_from("abcd"), values), min_size=1, max_size=3),
    required=st.integers(0, 4),
    content=st.text(max_size=60),
    seed=st.integers(0, 99),
)
def test_whatever_the_label_the_planted_one_is_wrong(
    arguments: list[dict[str, Any]], required: int, content: str, seed: int
) -> None:
    draft = Draft(
        [tool("t", required, a=STRING, b={"type": "integer"}, c={}, d={"type": "array"})],
        [{"role": "user", "content": content}],
        {"calls": [call("t", **values) for values in arguments]},
        "parallel",
    )
    result = plant(draft, random.Random(seed))
    assert result is not None
    label, kind = result
    assert kind in KINDS
    assert check_label(label) is None
    assert not match(
        [ToolCall(c["name"], c["arguments"]) for c in label.get("calls", ())],
        label_calls(draft.label),
        draft.tools,
    )
