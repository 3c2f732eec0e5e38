"""BFCL's multi-turn categories: the official rules of inference, its verdicts, hostile answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from benchmarks import bfcl_parity
from looptool.core import canonical, tables
from looptool.core.calls import ToolCall, render
from looptool.engines import Completion, Prompt
from looptool.evaluation.bfcl import dialogues
from looptool.evaluation.bfcl.rows import MULTI_TURN, Row, rows
from tests.answers import said

BASE = {row.id: row for row in rows(["multi_turn_base"], split="development")}


Turns = list[list[str]]


def perfect(row_id: str) -> Turns:
    category = row_id.rpartition("_")[0]
    turns: Turns = canonical.loads(bfcl_parity.perfect([category])[row_id])
    return turns


def score(played: dict[str, Turns]) -> pl.DataFrame:
    return dialogues.score(
        {row_id: [[said(text) for text in turn] for turn in turns]
         for row_id, turns in played.items()}
    )  # fmt: skip


def scripted(row: Row, turns: Turns, seen: list[Prompt]) -> Turns:
    texts = [text for turn in turns for text in turn]

    def ask(prompts: Sequence[Prompt]) -> list[Completion]:
        seen.extend(prompts)
        return [said(texts.pop(0)) for _ in prompts]

    played = dialogues.play([row], ask)[row.id]
    return [[each.text for each in turn] for turn in played]


@pytest.mark.parametrize("category", MULTI_TURN)
def test_perfect_answers_are_right_and_what_calls_return_is_told(category: str) -> None:
    row = rows([category], limit=1, split="development")[0]
    seen: list[Prompt] = []
    played = scripted(row, perfect(row.id), seen)
    assert played == perfect(row.id)
    results = tables.check(score({row.id: played}), tables.Eval)
    assert results.select("valid", "strict").rows() == [(True, True)]
    last = seen[-1].messages
    called = sum(len(message.get("tool_calls", ())) for message in last)
    assert called == sum(message["role"] == "tool" for message in last) > 0


def test_a_tool_that_is_held_back_comes_on_offer_in_its_own_turn() -> None:
    row = rows(["multi_turn_miss_func"], limit=1, split="development")[0]
    ((turn, held),) = row.held_back.items()
    seen: list[Prompt] = []
    scripted(row, [["Done."] for _ in row.turns], seen)
    offered = [held[0]["name"] in {tool["name"] for tool in prompt.tools} for prompt in seen]
    assert offered == [place >= turn for place in range(len(row.turns))]
    assert row.turns[turn] == [] and seen[turn].messages[-1]["content"] == dialogues.MORE_TOOLS


def test_a_dialogue_that_does_not_end_is_ended_and_wrong_and_others_go_on() -> None:
    one, two = list(BASE.values())[:2]
    again = render([ToolCall(one.tools[0]["name"], {})])
    right = [text for turn in perfect(two.id) for text in turn]

    def ask(prompts: Sequence[Prompt]) -> list[Completion]:
        firsts = [prompt.messages[0]["content"] for prompt in prompts]
        mine = one.messages[0]["content"]
        return [said(again if first == mine else right.pop(0)) for first in firsts]

    played = dialogues.play([one, two], ask)
    assert len(played[one.id]) == 1 and len(played[one.id][0]) == dialogues.MOST_STEPS + 1
    verdicts = dict(dialogues.score(played).select("id", "error_type").rows())
    assert verdicts == {one.id: "multi_turn:force_terminated", two.id: None}


def test_a_call_where_something_is_missing_is_right_officially_and_not_strictly() -> None:
    for row in rows(["multi_turn_miss_param"], split="development"):
        turns = perfect(row.id)
        place = next(place for place, turn in enumerate(turns) if len(turn) == 1)
        harmless = {tool["name"] for tool in row.tools} & {"ls", "pwd", "get_stock_info"}
        if harmless & {"ls", "pwd"}:
            turns[place].insert(0, render([ToolCall("pwd", {})]))
            results = score({row.id: turns})
            assert results.select("valid", "strict").rows() == [(True, False)]
            return
    raise AssertionError("no row with a harmless tool")


def call(name: str, /, **arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def keyed(name: str, key: str) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': {key: 'x'}})}\n</tool_call>"


TOUCH = "__import__('pathlib').Path('{target}').touch()"
HOSTILE = {
    "import": call("__import__", name="os"),
    "a call as a name": call("__import__('os').system('touch {target}') or ls"),
    "eval": call("eval", source=TOUCH),
    "exec": call("exec", source=TOUCH),
    "open": call("open", file="{target}", mode="w"),
    "print": call("print", x="1"),
    "dunder attribute": call("ls.__globals__"),
    "class attribute": call("ls.__class__.__mro__"),
    "module of the checker": call("importlib.import_module", name="antigravity"),
    "function of the checker": call("execute_multi_turn_func_call", func_call_list=[TOUCH]),
    "name with a quote": call("ls'"),
    "name with a bracket": call("ls)(" ),
    "name with a new line": call("ls\n()"),
    "name with a semicolon": call("ls();" + TOUCH),
    "lambda": call("(lambda: " + TOUCH + ")"),
    "key that closes the call": keyed("ls", "a=1), " + TOUCH + ", f(b"),
    "key with a call": keyed("ls", "a=" + TOUCH + ", b"),
    "star key": keyed("ls", "**{}"),
    "value with a call": call("ls", a=TOUCH),
    "value that closes the string": call("cd", folder="'), " + TOUCH + ", cd(folder='"),
    "value with an escaped quote": call("cd", folder="\\'), " + TOUCH + ", ('"),
    "format string": call("cd", folder="{0.__class__.__init__.__globals__}"),
    "method in a value": call("echo", content="rm(file_name='x') and ls()"),
    "huge number": call("ls", a=10**4000),
    "huge range": call("mean", numbers=list(range(200_000))),
    "endless power": call("power", base=9.0e300, exponent=10**9),
    "deep nesting": call("ls", a=json.loads("[" * 60 + "]" * 60)),
    "private method": call("_load_scenario", scenario={}),
    "keyword": call("del"),
    "null byte": call("ls", a="\0"),
}  # fmt: skip


def test_hostile_answers_run_nothing_score_wrong_and_leave_the_rest_unharmed(
    tmp_path: Path,
) -> None:
    assert len(HOSTILE) >= 20
    target = tmp_path / "touched"
    ids = list(BASE)[: len(HOSTILE) + 1]
    played = {
        row_id: [[text.replace("{target}", str(target)), "Done."] for _ in BASE[row_id].turns]
        for row_id, text in zip(ids[1:], HOSTILE.values(), strict=True)
    }
    played[ids[0]] = perfect(ids[0])
    results = score(played)
    assert results.filter("valid")["id"].to_list() == [ids[0]]
    assert not target.exists()


@pytest.mark.parametrize("name", ["import", "a call as a name", "key that closes the call", "eval"])
def test_a_hostile_call_beside_the_right_ones_makes_the_dialogue_wrong(name: str) -> None:
    row_id = next(iter(BASE))
    turns = perfect(row_id)
    turns[0].insert(0, HOSTILE[name])
    results = score({row_id: turns})
    assert results.select("valid", "error_type").rows() == [(False, "multi_turn:unsafe_call")]


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_runs_beside_the_right_calls_either(name: str, tmp_path: Path) -> None:
    row_id, target = next(iter(BASE)), tmp_path / "touched"
    turns = perfect(row_id)
    turns[0].insert(0, HOSTILE[name].replace("{target}", str(target)))
    results = score({row_id: turns})
    assert not target.exists()
    told = results["error"][0] or ""
    assert "\0" not in told and results["valid"][0] == (not told)


@pytest.mark.parametrize(
    "name", ["move-file", "fs/ls", "2ls", "my__tool", "sum", "print", "a.b", ""]
)
def test_a_slip_in_a_name_is_an_error_that_a_dialogue_survives(name: str) -> None:
    row_id = next(iter(BASE))
    for slip in (call(name), keyed("pwd", "a-b"), keyed("pwd", "file:name")):
        turns = perfect(row_id)
        turns[0].insert(0, slip)
        assert score({row_id: turns})["valid"].to_list() == [True]


def test_as_many_steps_as_a_turn_may_have_are_strict() -> None:
    row = next(row for row in BASE.values() if "pwd" in {tool["name"] for tool in row.tools})
    turns = perfect(row.id)
    turns[0] = [*[call("pwd")] * (dialogues.MOST_STEPS - 1), *turns[0]]
    assert score({row.id: turns})["strict"].to_list() == [True]


def test_hostile_answers_while_playing_are_told_that_they_failed() -> None:
    row = BASE[next(iter(BASE))]
    seen: list[Prompt] = []
    turns = [[HOSTILE["eval"], "Done."], *([["Done."]] * (len(row.turns) - 1))]
    scripted(row, turns, seen)
    assert seen[1].messages[-1]["role"] == "tool"
    assert "'eval' is not a tool" in seen[1].messages[-1]["content"]


def test_an_unknown_tool_is_an_error_that_the_model_is_told_of() -> None:
    row = BASE[next(iter(BASE))]
    seen: list[Prompt] = []
    turns = [[call("no_such_tool"), "Done."], *([["Done."]] * (len(row.turns) - 1))]
    scripted(row, turns, seen)
    told = "Error during execution: name 'no_such_tool' is not defined"
    assert seen[1].messages[-1]["content"] == told


def test_rollouts_of_one_row_share_no_state() -> None:
    row = BASE[next(iter(BASE))]
    first, second = list[Prompt](), list[Prompt]()
    for seen in (first, second):
        scripted(row, perfect(row.id), seen)
    assert first[-1].messages == second[-1].messages
