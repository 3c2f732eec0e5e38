"""BFCL's multi-turn categories: dialogues on the official API classes, many at a time.

These are the official rules of inference. Within a turn the model answers step by step until an
answer contains no call; the results of its calls are appended to the conversation. A dialogue ends
when a turn takes more than `MOST_STEPS` steps. Held-back tools are added in a turn of their own. A
prompt that exceeds the model's context counts as an answer without a call. If the dialogue is
wrong, its error type is `refused` then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from looptool.core import canonical, tables
from looptool.core.answers import call_message, result_message, to_json
from looptool.core.calls import Parsed, ToolCall
from looptool.core.samples import Message
from looptool.core.tools import Tool
from looptool.engines import Completion, Prompt
from looptool.evaluation import sandbox
from looptool.evaluation.bfcl import prompts, worker
from looptool.evaluation.bfcl.rows import BENCHMARK, Row, answers, category_of, entries, split_of

MOST_STEPS = 20
MORE_TOOLS = "More tools are on offer now. Please try again with them."

Turns = list[list[Completion]]
"""A dialogue's answers, by turn and step."""


@dataclass
class _Dialogue:
    row: Row
    tools: list[Tool]
    messages: list[Message] = field(default_factory=list)
    turns: Turns = field(default_factory=list)
    steps: list[list[ToolCall]] = field(default_factory=list)
    step: int = 0
    over: bool = False

    def next_turn(self) -> None:
        """Add the user's next turn, or end the dialogue."""
        place = len(self.turns)
        if place == len(self.row.turns):
            self.over = True
            return
        self.turns.append([])
        self.step = 0
        self.tools += self.row.held_back.get(place, [])
        said = self.row.turns[place] or [{"role": "user", "content": MORE_TOOLS}]
        self.messages += said

    def take(self, answer: Completion, parsed: Parsed) -> bool:
        """Add the model's answer; return whether it has calls to execute."""
        self.turns[-1].append(answer)
        if not parsed.calls or parsed.error is not None:
            self.messages.append({"role": "assistant", "content": parsed.text or answer.text})
            self.next_turn()
            return False
        self.steps.append(list(parsed.calls))
        self.messages.append(call_message(parsed.calls, parsed.text))
        return True

    def add_results(self, results: Sequence[str] | None) -> None:
        """Add the results of the last calls; None (a limit was exceeded) ends the dialogue."""
        if results is None:
            self.over = True
            return
        for call, result in zip(self.steps[-1], results, strict=True):
            self.messages.append(result_message(call.name, result))
        self.step += 1
        self.over = self.step > MOST_STEPS


def play(
    rows: Sequence[Row],
    ask: Callable[[Sequence[Prompt]], Sequence[Completion]],
    form: prompts.Form = prompts.FORMS["native"],
) -> dict[str, Turns]:
    """Play all dialogues in parallel, one step at a time, and return the model's answers.

    Args:
        ask: returns the model's answer to each prompt.
        form: the prompt style in which the answers are read.

    Returns:
        The answers by row id. A dialogue that ended early has fewer turns than its row.
    """
    dialogues = [_Dialogue(row, list(row.tools)) for row in rows]
    for each in dialogues:
        each.next_turn()
    while going := [each for each in dialogues if not each.over]:
        completions = ask([Prompt(list(each.messages), list(each.tools)) for each in going])
        executing = [
            each
            for each, answer in zip(going, completions, strict=True)
            if each.take(answer, form.read(answer))
        ]
        for each, results in zip(executing, _execute(executing), strict=True):
            each.add_results(results)
    return {each.row.id: each.turns for each in dialogues}


def score(
    played: Mapping[str, Turns], form: prompts.Form = prompts.FORMS["native"]
) -> pl.DataFrame:
    """Return one row of `tables.Eval` for each dialogue.

    `valid` is the official checker's verdict; it compares the state of the API instances and the
    results of the calls, turn by turn. `strict` also requires no parse error in any step, at most
    `MOST_STEPS` steps with calls in each turn, and no call in turns where the right answer is that
    something is missing. The official package contains a check for the last, but does not use it.

    Args:
        played: row id → the model's answers by turn and step.
        form: the prompt style that the answers were written in.

    Raises:
        ConfigError: if an id is unknown, or the package is missing.
        LooptoolError: if the official checker cannot be run.
    """
    items: list[dict[str, object]] = []
    clean: dict[str, bool] = {}
    read: dict[str, list[list[Parsed]]] = {}
    for row_id, turns in played.items():
        category = category_of(row_id)
        steps = read[row_id] = [[form.read(answer) for answer in turn] for turn in turns]
        called = [[_calls(each) for each in turn if each.calls and each.error is None]
                  for turn in steps]  # fmt: skip
        clean[row_id] = all(
            len(calls) <= MOST_STEPS and all(map(form.is_exact, turn))
            for calls, turn in zip(called, turns, strict=True)
        )
        items.append({"task": "dialogue", "entry": _entry(row_id), "category": category,
                      "turns": called, "answer": answers(category)[row_id]})  # fmt: skip
    verdicts = sandbox.run(worker.__name__, items)
    rows = []
    for (row_id, turns), verdict in zip(played.items(), verdicts, strict=True):
        broken = verdict.get(sandbox.LIMITS) or verdict.get(sandbox.RAISED)
        kind = "multi_turn:limits" if broken else verdict["error_type"]
        if kind and not broken and any(answer.error_type for turn in turns for answer in turn):
            kind = "refused"
        rows.append(
            {
                "benchmark": BENCHMARK,
                "category": category_of(row_id),
                "id": row_id,
                "split": split_of(row_id),
                "prediction": canonical.dumps([[each.text for each in turn] for turn in turns]),
                "answer": canonical.dumps([[*map(to_json, turn)] for turn in read[row_id]]),
                "valid": verdict.get("valid", False),
                "strict": verdict.get("valid", False) and verdict["declined"] and clean[row_id],
                "error_type": kind,
                "error": broken or verdict["error"],
            }
        )
    return tables.frame(tables.Eval, rows)


def _execute(dialogues: Sequence[_Dialogue]) -> list[list[str] | None]:
    items = [
        {"task": "execute", "entry": _entry(each.row.id),
         "steps": [[call.to_json() for call in step] for step in each.steps]}
        for each in dialogues
    ]  # fmt: skip
    return [answer.get("results") for answer in sandbox.run(worker.__name__, items)]


def _entry(row_id: str) -> dict[str, object]:
    """Return the fields of a row that the checker needs; the function documents are large."""
    entry = entries(category_of(row_id))[row_id]
    return {key: entry[key] for key in ("id", "initial_config", "involved_classes")}


def _calls(parsed: Parsed) -> list[dict[str, object]]:
    return [call.to_json() for call in parsed.calls]
