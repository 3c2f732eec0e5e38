"""Tools that the trees do not know: requests in the words of their documents."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from looptool.core.calls import ToolCall
from looptool.core.tools import check_arguments
from looptool.offline.grammar import inference, planner, user, values
from looptool.offline.grammar.described import core_of
from looptool.offline.grammar.toolbox import action_of
from looptool.offline.grammar.trees import described, styles

INTEGER = {"type": "integer"}


def tool(name: str, description: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": description, "parameters": parameters}


@pytest.mark.parametrize(
    ("name", "description", "core"),
    [
        ("put_user_follows_shows_show_id", "Follow a show", "follow a show"),
        ("f", "Returns the `weather` of a city (in C). Slowly.", "return the weather of a city"),
        ("f", "Fetches users", "fetch users"),
        ("get_articles", "Published articles", "get published articles"),
        ("post_pages", "A page of the site", "create a page of the site"),
        ("getArticleById", "Published article", "get the published article"),
        ("list_all_tags", "", "list all tags"),
        ("get_x", "An article by its ID", "get an article"),
        ("frobnicate", "Frobnicates " + "very " * 40 + "long", "use frobnicate"),
    ],
)
def test_what_a_tool_does_is_said_in_its_documents_words(
    name: str, description: str, core: str
) -> None:
    assert core_of(action_of(tool(name, description))) == core


def test_a_thing_is_named_by_its_id_in_many_ways() -> None:
    follow = tool("follow", "Follow a specific show", show_id=INTEGER)
    said = {
        user.request([ToolCall("follow", {"show_id": 4821})], [follow], random.Random(seed), split)
        for seed in range(60)
        for split in ("train", "heldout")
    }
    assert all(text and "4821" in text for text in said) and len(said) > 60
    texts = "\n".join(text or "" for text in said)
    for part in ("show 4821", "show with the id 4821", "show number 4821", "tart following"):
        assert part in texts
    assert "4,821" not in texts


def test_ids_of_training_and_held_out_requests_are_worded_otherwise() -> None:
    for group in ("identifier", "named"):
        told = described()[group]
        assert len(told["heldout"]) >= 2 and not set(told["heldout"]) & set(told["say"])


def test_values_follow_the_schema_whatever_its_shape() -> None:
    schemas: dict[str, Any] = {
        "user_id": {"type": "string", "format": "uuid"},
        "tag_id": {"type": "integer", "minimum": 5, "maximum": 9},
        "when": {"type": "string", "format": "date-time"},
        "marks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "kind": {"enum": [0, 1]},
                    "at": {"type": "string", "format": "date"},
                },
                "required": ["kind", "at"],
            },
        },
        "size": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 3, "maximum": 4}]},
        "days": {"type": "array", "items": {"enum": ["mo", "tu"]}, "minItems": 2},
    }
    document = tool("f", "Do it", **schemas)
    action = action_of(document)
    for seed in range(50):
        arguments = values.draw_arguments(action.slots, random.Random(seed))
        assert check_arguments(arguments, document["parameters"]) is None
        text = user.request([ToolCall("f", arguments)], [document], random.Random(seed))
        assert text and str(arguments["tag_id"]) in text and arguments["user_id"] in text


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("date", r"\d{4}-\d\d-\d\d"),
        ("date-time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z"),
        ("uuid", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("ipv4", r"\d+(\.\d+){3}"),
    ],
)
def test_a_texts_format_decides_whatever_its_name(form: str, pattern: str) -> None:
    document = tool("f", "Do it", threshold={"type": "string", "format": form})
    action = action_of(document)
    for seed in range(20):
        (value,) = values.draw_arguments(action.slots, random.Random(seed)).values()
        assert re.fullmatch(pattern, value)
        text = user.request([ToolCall("f", {"threshold": value})], [document], random.Random(seed))
        assert text and (form == "date" or value in text) and f'"{value}"' not in text


def test_names_with_underscores_stay_whole() -> None:
    assert core_of(action_of(tool("f", "Set `marked_at` of user_id"))) == "set marked_at of user_id"


def test_verbs_of_the_trees_are_known_here_too() -> None:
    known = set(described()["imperatives"])
    assert {"get", "search", "create", "send", "convert", "set", "delete"} <= known & set(
        styles()["verbs"]
    )


def test_a_value_that_was_named_stays_in_the_request() -> None:
    tool = {
        "name": "list_commits",
        "description": "List commits of a given author in a repository",
        "parameters": {
            "type": "object",
            "properties": {"repository": {"type": "string"}, "author": {"type": "string"}},
            "required": ["repository", "author"],
        },
    }
    arguments = {"repository": "vixolan", "author": "sofia"}
    for seed in range(40):
        text = user.request([ToolCall("list_commits", arguments)], [tool], random.Random(seed))
        assert text is not None and "vixolan" in text and "sofia" in text


def test_names_of_the_base_kinds_and_empty_unions_have_values() -> None:
    for name, schema in (
        ("thing_x", {"type": "string"}),
        ("items", {"type": "array"}),
        ("note", {"anyOf": [{"type": "null"}]}),
    ):
        slot = inference.slot_of(name, schema, True)
        assert [values.draw(slot, random.Random(seed)) for seed in range(5)]


def test_calls_of_a_tool_with_optional_parameters_only_give_some() -> None:
    tool = {
        "name": "list_rooms",
        "description": "List rooms",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "limit": {"type": "integer"}},
        },
    }
    action = action_of(tool)
    for seed in range(60):
        rng = random.Random(seed)
        pairs = planner.several_calls(action, 3, rng)
        assert all(arguments for _, arguments in pairs)
        assert user.write(pairs, rng)
