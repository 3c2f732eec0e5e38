"""The LLM author: tools under constraints, dialogues that keep to their plan, refusals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from looptool.core import canonical
from looptool.core.samples import CATEGORIES, Message
from looptool.synthesis import Draft, seeds
from looptool.synthesis.constraint_tree import tool_of
from looptool.synthesis.llm import LLMAuthor
from looptool.synthesis.scripts import KINDS, as_planned, said, script_of
from tests import scripted
from tests.engines.test_roles import role_of

LIKE = ("tool", "like another tool")
EVEN = dict.fromkeys(CATEGORIES, 1.0)


def parameter(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "description": f"the {name}", "required": True, **more}


TOOL = tool_of(
    {
        "name": "book_room",
        "description": "Books a room",
        "parameters": [
            parameter("city"),
            parameter("nights", "integer"),
            parameter("view", enum=["sea", "yard"], required=False, default="yard"),
            parameter("tags", "array", items="string", required=False),
        ],
    }
)
OTHER = tool_of({"name": "f", "description": "d", "parameters": [parameter("x")]})
BOOK = {"name": "book_room", "arguments": {"city": "Oslo", "nights": 2}}
MORE = {"name": "book_room", "arguments": {"city": "Rome", "nights": 1}}
F = {"name": "f", "arguments": {"x": "y"}}


def plan(*turns: list[list[Any]], withheld: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "turns": [{"wish": "a wish", "rounds": rounds} for rounds in turns],
        "withheld": list(withheld),
    }


GOOD = {
    "single": plan([[BOOK]]),
    "multiple": plan([[BOOK]]),
    "parallel": plan([[BOOK, MORE]]),
    "parallel_multiple": plan([[BOOK, F]]),
    "multi_step": plan([[F], [BOOK]]),
    "multi_turn": plan([[BOOK]], [[MORE]]),
    "clarify": plan([[BOOK]], withheld=["nights"]),
    "irrelevant": plan([]),
}


def test_a_document_keeps_what_the_model_said_of_it() -> None:
    properties = TOOL["parameters"]["properties"]
    assert TOOL["parameters"]["required"] == ["city", "nights"]
    assert properties["view"] == {
        "type": "string", "enum": ["sea", "yard"], "default": "yard", "description": "the view"
    }  # fmt: skip
    assert properties["tags"]["items"] == {"type": "string"}


def test_a_document_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="x occurs twice"):
        tool_of({"name": "f", "description": "d", "parameters": [parameter("x"), parameter("x")]})


@pytest.mark.parametrize("kind", CATEGORIES)
def test_a_plan_of_its_kind_becomes_a_script(kind: str) -> None:
    script = script_of(GOOD[kind], kind, [TOOL, OTHER])
    assert script[0].speaker == "user"
    assert script[-1].speaker == "assistant"
    calls = [turn.label for turn in script if turn.speaker == "assistant" and "calls" in turn.label]
    rounds = [calls for turn in GOOD[kind]["turns"] for calls in turn["rounds"]]
    assert [label["calls"] for label in calls] == rounds


@pytest.mark.parametrize("kind", CATEGORIES)
@pytest.mark.parametrize("other", CATEGORIES)
def test_a_plan_of_another_kind_is_refused(kind: str, other: str) -> None:
    if GOOD[kind] == GOOD[other]:
        return
    with pytest.raises(ValueError, match="turns: not as the kind asks for"):
        script_of(GOOD[other], kind, [TOOL, OTHER])


def test_a_later_round_of_several_calls_is_no_multi_step_plan() -> None:
    with pytest.raises(ValueError, match="turns: not as the kind asks for"):
        script_of(plan([[F], [BOOK, MORE]]), "multi_step", [TOOL, OTHER])


def test_a_plan_whose_calls_break_a_schema_is_refused() -> None:
    wrong = {"name": "book_room", "arguments": {"city": "Oslo", "nights": "two"}}
    with pytest.raises(ValueError, match="book_room: nights: 'two' is not of type 'integer'"):
        script_of(plan([[wrong]]), "single", [TOOL])


def test_what_is_withheld_is_asked_for_and_then_given() -> None:
    first, asks, second, calls = script_of(GOOD["clarify"], "clarify", [TOOL])
    assert (first.given, first.hidden) == ([{"city": "Oslo"}], {"nights": 2})
    assert "text" in asks.label
    assert second.given == [{"nights": 2}]
    assert calls.label == {"calls": [BOOK]}
    with pytest.raises(ValueError, match="required arguments of the call"):
        script_of(plan([[BOOK]], withheld=["view"]), "clarify", [TOOL])


def test_a_message_may_not_give_away_what_is_withheld() -> None:
    assert said(" A room in Oslo. ", {"nights": 2}) == "A room in Oslo."
    with pytest.raises(ValueError, match="gives nights away"):
        said("A room in Oslo for 2 nights", {"nights": 2})
    with pytest.raises(ValueError, match="gives tags away"):
        said("A room with a Balcony", {"tags": ["sauna", "balcony"]})
    assert said("12 people, is it true?", {"nights": 2, "sure": True, "note": ""})
    with pytest.raises(ValueError, match="says nothing"):
        said("  ", {})


@pytest.mark.parametrize(
    ("answer", "planned", "reason"),
    [
        ({"calls": [MORE]}, {"calls": [BOOK]}, "not what the conversation asks for"),
        ({"text": "ok"}, {"calls": [BOOK]}, "a text where calls were due"),
        ({"calls": [BOOK]}, {"text": "…"}, "calls where a text was due"),
        ({"calls": [{"name": "g", "arguments": {}}]}, {"calls": [BOOK]}, "no tool is called 'g'"),
        ({"text": " "}, {"text": "…"}, "label.text"),
    ],
)
def test_an_answer_must_do_what_was_planned(answer: Any, planned: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        as_planned(answer, planned, [TOOL])


def test_calls_in_another_order_or_with_a_default_are_as_planned() -> None:
    answer = {"calls": [MORE, {**BOOK, "arguments": {**BOOK["arguments"], "view": "yard"}}]}
    assert as_planned(answer, {"calls": [BOOK, MORE]}, [TOOL]) == answer


def test_a_scripted_model_writes_sound_samples_of_every_category(tmp_path: Path) -> None:
    role, engine = role_of(lambda messages: scripted.answer(list(messages))[1], tmp_path)
    drafts = LLMAuthor(role).write(80, seed="s", split="train", shares=EVEN)
    made = [draft for draft in drafts if draft.refused is None]
    refused = [draft for draft in drafts if draft.refused is not None]
    assert len(made) == 80 and {draft.category for draft in made} == set(CATEGORIES)
    assert [seeds.fault(draft) for draft in made] == [None] * 80
    assert {draft.refused[0] for draft in refused if draft.refused} >= {
        "agent:plan", "agent:assistant"
    }  # fmt: skip
    # the assistant sees tools and conversation alone
    for messages in engine.asked:
        if messages[0]["content"].startswith("You play an assistant"):
            names = [name for _, name, _ in scripted._FENCE.findall(messages[1]["content"])]
            assert names == ["tools", "conversation"]


def test_the_same_seed_asks_the_same(tmp_path: Path) -> None:
    def asked(seed: str) -> list[Sequence[Message]]:
        folder = tmp_path / f"{seed}{len(list(tmp_path.iterdir()))}"
        role, engine = role_of(lambda messages: scripted.answer(list(messages))[1], folder)
        LLMAuthor(role).write(6, seed=seed, split="train", shares=EVEN)
        return engine.asked

    assert asked("a") == asked("a") != asked("b")


def test_tools_of_the_heldout_split_come_from_leaves_of_their_own(tmp_path: Path) -> None:
    names = {}
    for split in ("train", "heldout"):
        role, _ = role_of(lambda messages: scripted.answer(list(messages))[1], tmp_path / split)
        drafts = LLMAuthor(role).write(12, seed="s", split=split, shares={"single": 1.0})
        names[split] = {tool["name"] for draft in drafts for tool in draft.tools}
    assert names["train"] and names["heldout"] and not names["train"] & names["heldout"]


def test_no_tool_is_like_one_of_the_heldout_split_or_one_written_before(tmp_path: Path) -> None:
    role, _ = role_of(lambda messages: scripted.answer(list(messages))[1], tmp_path)

    def write(author: LLMAuthor) -> list[Draft]:
        return author.write(12, seed="s", split="train", shares={"single": 1.0})

    first = LLMAuthor(role)
    drafts = write(first)
    used = seeds.tools_of(
        pl.DataFrame({"tools": [canonical.dumps(d.tools) for d in drafts if d.refused != LIKE]})
    )
    other = LLMAuthor(role, heldout=used)
    refused = {draft.tools[0]["name"] for draft in write(other) if draft.refused == LIKE}
    names = {tool["name"] for tool in used}
    assert names <= refused and not names & {tool["name"] for tool in other.tools}

    written = list(first.tools)
    later = write(first)
    assert first.tools == written  # the model has nothing new to say
    assert any(draft.refused is None for draft in later)  # but may speak of it again


def test_a_model_that_writes_no_tool_makes_no_sample(tmp_path: Path) -> None:
    role, engine = role_of(lambda messages: "I do not know any functions.", tmp_path)
    assert LLMAuthor(role).write(8, seed="s", split="train", shares=EVEN) == []
    assert len(role.requests) == 2 * len({row["sample_id"] for row in role.requests})
    assert all(row["error"] for row in role.requests) and engine.asked


def test_a_dialogue_whose_tools_answer_with_too_little_is_refused(tmp_path: Path) -> None:
    def careless(messages: Sequence[Message]) -> str:
        name, text = scripted.answer(list(messages))
        return json.dumps({"results": []}) if name == "You play the tools" else text

    role, _ = role_of(careless, tmp_path)
    drafts = LLMAuthor(role).write(30, seed="s", split="train", shares={"multi_step": 1.0})
    reasons = [draft.refused for draft in drafts if draft.refused]
    assert ("agent:respond", "results: 0 for 1 calls") in reasons
    assert all(draft.refused for draft in drafts)


def test_kinds_are_the_categories() -> None:
    assert set(KINDS) == set(CATEGORIES)
