"""Values of a user's own tools fit the API: by name, description, format, examples and schema."""

from __future__ import annotations

import random
import re
from typing import Any
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.core import canonical
from looptool.core.calls import ToolCall
from looptool.core.tools import check_arguments
from looptool.offline.grammar import api_kinds, toolbox, trees, user, values
from looptool.offline.grammar.author import GrammarAuthor
from looptool.offline.grammar.shelves import UserTools
from looptool.synthesis import seeds
from tests.strategies import SHARES

TEXT: dict[str, Any] = {"type": "string"}
MANY = 60
REPOSITORY = r"[a-z0-9]+(-[a-z0-9]+)*"
BRANCH = r"[\w./-]+"
SHA = "[0-9a-f]{40}"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z"
FILE = r"[\w./-]+\.\w+"


def drawn(name: str, schema: dict[str, Any], description: str = "Do it") -> list[Any]:
    """Values for a tool's only parameter, each of which the request repeats."""
    parameters = {"type": "object", "properties": {name: schema}, "required": [name]}
    tool = {"name": "do_it", "description": description, "parameters": parameters}
    slots = toolbox.action_of(tool).slots
    found = []
    for seed in range(MANY):
        arguments = values.draw_arguments(slots, random.Random(seed))
        assert check_arguments(arguments, parameters) is None
        for split in ("train", "heldout"):
            said = user.request([ToolCall("do_it", arguments)], [tool], random.Random(seed), split)
            value = arguments[name]
            assert said is not None
            assert not isinstance(value, str) or value in said, (value, said)
        found.append(arguments[name])
    return found


@pytest.mark.parametrize("name", ["timezone", "targetTimezone", "source_timezone", "tz"])
def test_a_time_zone_is_one_of_iana(name: str) -> None:
    assert set(drawn(name, TEXT)) <= available_timezones()


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("repo", REPOSITORY),
        ("repoName", REPOSITORY),
        ("owner", r"[a-z0-9-]+"),
        ("username", r"[a-z0-9-]+"),
        ("base_branch", BRANCH),
        ("branchName", BRANCH),
        ("head-sha", SHA),
        ("commit_id", SHA),
        ("requestUuid", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("file_path", rf"(README\.md|{FILE})"),
        ("repoPath", r"[~/][\w./-]*/[\w-]+"),
        ("cwd", r"[\w./-]+"),
        ("exclude_pattern", r".*\*.*"),
        ("language_code", "[a-z]{2,3}"),
        ("locale", "[a-z]{2}-[A-Z]{2}"),
        ("currency_code", "[A-Z]{3}"),
        ("countryCode", "[A-Z]{2}"),
        ("mime_type", r"[\w-]+/[\w.+-]+"),
        ("ip_address", r"\d+(\.\d+){3}"),
        ("cidr", r"\d+(\.\d+){3}/\d+"),
        ("webhook_url", r"https://\S+"),
        ("hostname", r"[\w-]+(\.[\w-]+)+"),
        ("http_method", "[A-Z]+"),
        ("app_version", r"[\d.]+(-beta\.\d+)?"),
        ("phone_number", r"\+\d+"),
        ("hex_color", "#[0-9a-f]{6}"),
        ("cron_expression", r"\S+( \S+){4}"),
        ("env_var", "[A-Z0-9_]+"),
        ("start_timestamp", MOMENT),
    ],
)
def test_a_name_tells_the_kind_in_any_style(name: str, pattern: str) -> None:
    found = drawn(name, TEXT)
    assert all(re.fullmatch(pattern, value) for value in found), found
    assert len(set(found)) > 4


@pytest.mark.parametrize(
    ("description", "pattern"),
    [
        ("IANA timezone name", r"UTC|[A-Z]\w+/[\w/+-]+"),
        ("Path to the repository", r"[~/][\w./-]*/[\w-]+"),
        ("The SHA of the commit, or its commit hash", SHA),
        ("ISO 639-1 code", "[a-z]{2,3}"),
        ("Glob of what is left out", r".*\*.*"),
        ("Moment in ISO 8601 format", MOMENT),
    ],
)
def test_a_description_decides_where_the_name_does_not(description: str, pattern: str) -> None:
    for value in drawn("odd", {**TEXT, "description": description}):
        assert re.fullmatch(pattern, value)


def test_the_name_beats_the_description() -> None:
    schema = {**TEXT, "description": "Name of the branch's IANA timezone"}
    assert all(re.fullmatch(SHA, value) for value in drawn("commit_sha", schema))


def test_the_last_words_of_a_name_decide() -> None:
    for value in drawn("branch_webhook_url", TEXT):
        assert value.startswith("https://")
    assert all(re.fullmatch(SHA, value) for value in drawn("url_commit_sha", TEXT))


def test_what_a_tool_does_tells_what_an_ambiguous_name_means() -> None:
    files = drawn("source", TEXT, "Move a file or folder to another path")
    assert all("." in value or "/" in value for value in files)
    for value in drawn("name", TEXT, "Create a repository variable"):
        assert re.fullmatch("[A-Z0-9_]+", value)
    for value in drawn("after", {**TEXT, "description": "Only what is newer, ISO 8601"}):
        assert re.fullmatch(MOMENT, value)


@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize(
    "name", ["port", "status_code", "issue_number", "per_page", "repo", "version", "since", "line"]
)
def test_numeric_types_stay_numeric(name: str, kind: str) -> None:
    for value in drawn(name, {"type": kind, "minimum": 3, "maximum": 40}):
        assert isinstance(value, int | float) and 3 <= value <= 40


def test_examples_are_used_in_part_and_otherwise_values_like_them() -> None:
    schema = {**TEXT, "examples": ["blue-whale", "red-fox", "grey-owl"]}
    found = drawn("mascot", schema)
    share = sum(value in schema["examples"] for value in found) / MANY
    assert 0.2 < share < 0.6
    others = set(found) - set(schema["examples"])
    assert len(others) > 15 and all(re.fullmatch("[a-z0-9-]+", value) for value in others)


def test_a_name_tells_what_is_drawn_besides_the_examples() -> None:
    found = drawn("timezone", {**TEXT, "examples": ["Europe/Oslo"]})
    assert set(found) <= available_timezones() and len(set(found)) > 10


def test_a_default_shows_what_values_look_like() -> None:
    for value in drawn("odd", {**TEXT, "default": "00000000-0000-4000-8000-000000000000"}):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)


def test_examples_and_choices_in_a_description_are_used() -> None:
    told = {**TEXT, "description": "Kind of whale (e.g. 'blue-whale', `sperm-whale`)"}
    assert {"blue-whale", "sperm-whale"} < set(drawn("odd", told))
    choice = {**TEXT, "description": "Whether to show 'local' or 'remote' ones"}
    assert set(drawn("odd", choice)) == {"local", "remote"}


def test_wrong_examples_are_not_used() -> None:
    schema = {**TEXT, "maxLength": 8, "examples": ["far too long for it", 'with "marks"', "ok"]}
    found = drawn("odd", schema)
    assert "ok" in found and not any('"' in value for value in found)


def test_an_alternative_of_null_changes_nothing() -> None:
    for schema in ({"anyOf": [TEXT, {"type": "null"}]}, {"type": ["string", "null"]}):
        assert set(drawn("timezone", schema)) <= available_timezones()


def test_lists_and_nested_fields_are_drawn_by_their_names() -> None:
    for paths in drawn("file_paths", {"type": "array", "items": TEXT}):
        assert paths and all(re.fullmatch(FILE, path) for path in paths)
    fields = {"newText": TEXT, "timezone": TEXT, "shas": {"type": "array", "items": TEXT}}
    record = {"type": "object", "properties": fields, "required": list(fields)}
    for edits in drawn("edits", {"type": "array", "items": record}):
        for edit in edits:
            assert edit["timezone"] in available_timezones()
            assert all(re.fullmatch(SHA, sha) for sha in edit["shas"])


NAMES = [
    "repo", "owner", "path", "paths", "labels", "timezone", "sha", "port", "page", "title", "body",
    "name", "key", "city", "id", "user_id", "since", "url", "value", "x", "files", "limit", "email",
]  # fmt: skip
BOUNDED_TEXT = st.builds(
    lambda low, more, pattern: {**TEXT, "minLength": low, "maxLength": low + more} | pattern,
    st.integers(0, 8),
    st.integers(4, 60),
    st.sampled_from([{}, {}, {"description": "Path of a file"}]),
)
PATTERNED = st.sampled_from(
    [
        {**TEXT, "pattern": pattern}
        for pattern in ("^[0-9a-f]{40}$", "^[A-Z]{3}$", r"^[\w-]+$", "^$|a")
    ]
)
NUMBERS = st.builds(
    lambda kind, low, more: {"type": kind, "minimum": low, "maximum": low + more},
    st.sampled_from(["integer", "number"]),
    st.integers(-500, 500),
    st.integers(0, 900),
)
LEAVES = BOUNDED_TEXT | PATTERNED | NUMBERS | st.just({"type": "boolean"}) | st.just(TEXT)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(
            lambda fields: {"type": "object", "properties": fields, "required": list(fields)},
            st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=3),
        )
        | st.builds(lambda one: {"anyOf": [one, {"type": "null"}]}, inner)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(NAMES), SCHEMAS, st.integers(0, 9))
def test_every_drawn_value_is_valid(name: str, schema: dict[str, Any], seed: int) -> None:
    value = values.draw(toolbox.slot_of(name, schema, True), random.Random(seed))
    parameters = {"type": "object", "properties": {name: schema}}
    assert check_arguments({name: value}, parameters) is None


def test_wordings_of_held_out_requests_never_occur_in_training() -> None:
    table = api_kinds.all_kinds()
    assert len(table) > 60
    trained = {text for kind in (*table, *trees.kinds().values()) for text in kind.say}
    for kind in table:
        assert len(kind.heldout) >= 2 and not set(kind.heldout) & trained, kind.name
    called = trees.described()["called"]
    assert len(called["heldout"]) >= 2 and not set(called["heldout"]) & set(called["say"])


OWN = [
    {
        "name": f"{verb}_thing",
        "description": f"{verb.capitalize()} a branch of a repository in a specific timezone",
        "parameters": {
            "type": "object",
            "properties": {
                "repo": TEXT,
                "branch": TEXT,
                "timezone": TEXT,
                "labels": {"type": "array", "items": TEXT},
                "since": {"anyOf": [{**TEXT, "format": "date-time"}, {"type": "null"}]},
            },
            "required": ["repo", "branch"],
        },
    }
    for verb in ("get", "list", "create", "delete")
]


def test_samples_about_an_api_are_sound_and_the_same_for_the_same_seed() -> None:
    author = GrammarAuthor(shelf=UserTools(tuple(map(canonical.dumps, OWN))))
    one, other = (author.write(150, seed="s", split="train", shares=SHARES) for _ in range(2))
    assert one == other and not any(map(seeds.fault, one))
    said = "\n".join(draft.messages[-1]["content"] for draft in one)
    assert "the repository" in said and "a specific timezone" not in said
    used = {name for d in one for call in d.label.get("calls", ()) for name in call["arguments"]}
    assert used == {"repo", "branch", "timezone", "labels", "since"}
