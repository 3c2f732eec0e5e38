"""Writing about a user's own tools: what training may know, and what small sets allow."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from looptool.core import canonical
from looptool.offline.grammar.author import GrammarAuthor
from looptool.offline.grammar.shelves import UserTools, tools_of_split
from looptool.synthesis import seeds
from tests.strategies import SHARES


def tools(count: int) -> list[dict[str, Any]]:
    things = ("show", "person", "network", "tag", "episode", "list", "review", "trailer")
    verbs = ("Follow", "Delete", "Check", "Rename", "Share")
    made = []
    for number in range(count):
        verb, thing = verbs[number % len(verbs)], things[number // len(verbs) % len(things)]
        properties: dict[str, Any] = {f"{thing}_id": {"type": "integer"}}
        if verb in ("Rename", "Share"):
            properties["note"] = {"type": "string"}
            properties["odd"] = {"description": "nobody knows"}
        made.append(
            {
                "name": f"{verb.lower()}_{thing}",
                "description": f"{verb} a {thing}",
                "parameters": {
                    "type": "object", "properties": properties, "required": [f"{thing}_id"]
                },
            }
        )  # fmt: skip
    return made


def author(own: list[dict[str, Any]]) -> GrammarAuthor:
    return GrammarAuthor(shelf=UserTools(tuple(map(canonical.dumps, own))))


def test_some_of_many_tools_are_left_out_of_training_and_none_of_few() -> None:
    few, many = tools(9), tools(40)
    assert tools_of_split("train", few) == tools_of_split("heldout", few) == few
    assert tools_of_split("heldout", many) == many
    trained = tools_of_split("train", many)
    assert len(trained) == 35 and tools_of_split("train", many[::-1]) == trained[::-1]


def test_every_sample_of_own_tools_is_sound_and_about_them_alone() -> None:
    own = tools(40)
    names = {tool["name"] for tool in own}
    trained = {tool["name"] for tool in tools_of_split("train", own)}
    used: dict[str, set[str]] = {}
    for split in ("train", "heldout"):
        drafts = author(own).write(300, seed="s", split=split, shares=SHARES)
        assert len(drafts) == 300 and not any(map(seeds.fault, drafts))
        used[split] = {tool["name"] for draft in drafts for tool in draft.tools}
        categories = Counter(draft.category for draft in drafts)
        assert not categories["multi_step"] and len(categories) == 7
        calls = [call for draft in drafts for call in draft.label.get("calls", ())]
        assert not any("odd" in call["arguments"] for call in calls)
    assert used["train"] <= trained and used["heldout"] == names


@pytest.mark.parametrize("count", [1, 2])
def test_a_set_of_one_or_two_tools_is_written_about_as_far_as_it_goes(count: int) -> None:
    drafts = author(tools(count)).write(60, seed="s", split="train", shares=SHARES)
    assert len(drafts) == 60 and not any(map(seeds.fault, drafts))
    categories = Counter(draft.category for draft in drafts)
    assert bool(categories["parallel_multiple"]) == bool(categories["multiple"]) == (count > 1)


def test_tools_without_parameters_run_out_of_requests_without_an_error() -> None:
    bare = {"type": "object", "properties": {}}
    own = [{"name": "ping", "description": "Ping the server", "parameters": bare}]
    drafts = author(own).write(400, seed="s", split="train", shares={"single": 1.0})
    assert 0 < len(drafts) < 400
    requests = [draft.messages[-1]["content"] for draft in drafts]
    assert len(set(requests)) == len(requests)


def test_the_same_seed_writes_the_same() -> None:
    shelf = author(tools(12))
    one, other = (shelf.write(20, seed="s", split="train", shares=SHARES) for _ in range(2))
    assert one == other
    assert shelf.shelf.pick(3, random.Random(1), "train")
