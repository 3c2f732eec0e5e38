"""The LLM expander: what it is told, what becomes of its answers, and what it could not make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from looptool.core import tables
from looptool.core.answers import read_answer
from looptool.core.samples import Message
from looptool.expansion import ErrorSeed
from looptool.expansion.accept import failed
from looptool.expansion.llm import LLMExpander, scenario
from tests.engines.test_roles import role_of
from tests.scripted import _FENCE

TOOL = {
    "name": "f",
    "description": "does f",
    "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
}
LABEL = {"calls": [{"name": "f", "arguments": {"x": 1}}]}
SEED = ErrorSeed(
    "a" * 32, [TOOL], [{"role": "user", "content": "f of 1"}], LABEL, "single",
    "wrong_argument", read_answer("<tool_call>f of 2"), "f of 2", "It took 2 for 1.",
)  # fmt: skip


def turn(role: str, content: str = "", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def expand(turns: Any, answer: Any, folder: Path, seed: ErrorSeed = SEED, k: int = 1) -> Any:
    said = json.dumps({"messages": turns, "answer": answer})
    role, engine = role_of(lambda messages: said, folder)
    expander = LLMExpander(role)
    return expander, expander.expand([seed], k, "7"), engine


def test_it_is_told_seed_wrong_and_right_answer_and_analysis(tmp_path: Path) -> None:
    _, _, engine = expand([turn("user", "f of 9")], LABEL, tmp_path)
    told = {
        name: json.loads(text) for _, name, text in _FENCE.findall(engine.asked[0][1]["content"])
    }
    assert told == {
        "tools": [TOOL], "conversation": SEED.messages, "wrong-answer": "f of 2",
        "right-answer": LABEL, "analysis": "It took 2 for 1.",
    }  # fmt: skip


def test_each_of_k_is_asked_for_in_a_scenario_of_its_own(tmp_path: Path) -> None:
    _, candidates, engine = expand([turn("user", "f of 9")], LABEL, tmp_path, k=4)
    assert len(candidates) == 4
    assert len({messages[1]["content"] for messages in engine.asked}) == 4
    assert scenario("a") == scenario("a") != scenario("b")
    assert set(scenario("a")) == {"complexity", "persona", "style", "values", "turns"}


@pytest.mark.parametrize(
    ("turns", "answer", "category"),
    [
        ([turn("user", "f of 9")], LABEL, "single"),
        ([turn("user", "f twice")], {"calls": LABEL["calls"] * 2}, "parallel"),
        ([turn("user", "f of what I like")], {"text": "Which x?"}, "clarify"),
        ([turn("user", "a"), turn("assistant", "Which?"), turn("user", "9")], LABEL, "multi_turn"),
        ([turn("user", "a"), turn("assistant", calls=LABEL["calls"]), turn("tool", "9")], LABEL,
         "multi_step"),
    ],
)  # fmt: skip
def test_an_answer_becomes_a_candidate_of_the_category_that_it_is(
    tmp_path: Path, turns: Any, answer: Any, category: str
) -> None:
    expander, (candidate,), _ = expand(turns, answer, tmp_path)
    assert (candidate.parent_id, candidate.tools, candidate.label) == ("a" * 32, [TOOL], answer)
    assert candidate.category == category
    assert [message["role"] for message in candidate.messages] == [t["role"] for t in turns]
    assert expander.failures == []


def test_the_seeds_date_stays_where_it_has_one(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Today is 2026-03-01."}
    dated = replace(SEED, messages=[system, *SEED.messages])
    _, (candidate,), _ = expand([turn("user", "f of 9")], LABEL, tmp_path, seed=dated)
    assert candidate.messages[0] == system


@pytest.mark.parametrize(
    ("turns", "answer"),
    [
        ([turn("assistant", "me first")], LABEL),
        ([turn("user", "a"), turn("assistant", "done")], LABEL),
        ([turn("user", "a")], {"calls": []}),
        ([turn("user", "a")], {"calls": [], "text": "b"}),
        ([], LABEL),
    ],
)
def test_what_it_could_not_make_is_kept_with_its_reason(
    tmp_path: Path, turns: Any, answer: Any
) -> None:
    expander, candidates, engine = expand(turns, answer, tmp_path)
    assert candidates == [] and len(engine.asked) == 2
    row = tables.check(failed(expander), tables.Rejected).row(0, named=True)
    assert (row["check"], row["parent_id"]) == ("expander:llm:scripted", "a" * 32)
    assert row["reason"] and failed(expander).height == 1


def test_nothing_to_expand_asks_nothing(tmp_path: Path) -> None:
    def never(messages: Sequence[Message]) -> str:
        raise AssertionError

    role, _ = role_of(never, tmp_path)
    expander = LLMExpander(role)
    assert expander.expand([], 2, "7") == []
    assert failed(expander).equals(pl.DataFrame(schema=tables.polars_schema(tables.Rejected)))
