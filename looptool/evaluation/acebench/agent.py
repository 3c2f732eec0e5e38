"""ACEBench's agent categories: a model acts on a scenario's classes, with a simulated user.

All dialogues run in parallel, in rounds, so that engines receive large batches of prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from looptool.core import canonical, tables
from looptool.core.answers import result_message
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.python_calls import decode_python_calls
from looptool.core.samples import Message
from looptool.engines import Completion, Prompt
from looptool.evaluation import sandbox
from looptool.evaluation.acebench import worker
from looptool.evaluation.acebench.prompts import (
    DONE,
    STEP,
    Speaker,
    Style,
    agent_prompt,
    constant,
    user_prompt,
)
from looptool.evaluation.acebench.rows import PARAM, Row, assistant_message
from looptool.evaluation.acebench.scoring import BENCHMARK, Fault, official_text, plain

Ask = Callable[[Sequence[Prompt]], list[Completion]]
Execute = Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]]

MAX_MESSAGES = 40  # by all speakers together, as in the official runner

_NUDGE = {
    "en": "Nobody answers here: go on with what is known.",
    "zh": "没有人回答问题，请用已知信息继续。",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a dialogue.

    Attributes:
        states: the final `{class: {attribute: value}}` of each class; empty if nothing was called.
        process: the agent's steps as the official runner records them, as text.
        messages: the whole dialogue.
        ended: `finished`, `too long`, `refused` (a prompt that the model could not take), or the
            sandbox limit that was exceeded.
    """

    row_id: str
    states: list[dict[str, Any]]
    process: list[str]
    messages: list[Message]
    ended: str


@dataclass(slots=True)
class _Dialogue:
    row: Row
    next: Literal["agent", "user", "execution", "nobody"]
    said: list[tuple[Speaker, Any]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    steps: list[list[ToolCall]] = field(default_factory=list)
    called: list[ToolCall] | None = None  # in the agent's last message; None: not parsed as calls
    process: list[str] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    ended: str = "too long"

    def add(
        self, speaker: Speaker, text: Any, follows: Literal["agent", "user", "execution"]
    ) -> None:
        """Add a message and check whether the dialogue ends with it."""
        self.said.append((speaker, text))
        self.next = follows
        finished = self.count > 1 and isinstance(text, str) and DONE in text
        self.count += 1
        if finished:
            self.ended, self.next = "finished", "nobody"
        elif self.count >= MAX_MESSAGES:
            self.next = "nobody"


def drive(
    rows: Sequence[Row],
    checkout: Path | str,
    ask: Ask,
    user: Ask | None = None,
    style: Style = "native",
    execute: Execute | None = None,
) -> list[Outcome]:
    """Run a model in the rows' scenarios and return the outcomes, in order.

    A dialogue ends when the model or the user says "finish conversation", from the third message
    on, or after `MAX_MESSAGES`. In `multi_step` there is no user; the reply to a text is a request
    to continue.

    Args:
        checkout: the checkout with the scenario classes and prompts.
        ask: returns the model's answers to prompts, in order.
        user: returns the simulated user's answers to prompts; required for `multi_turn`.
        execute: returns the answers of `worker.handle` to items, in order; default: the sandbox.

    Raises:
        ConfigError: if the checkout is incomplete or its classes fail, or `multi_turn` has no user.
        LooptoolError: if the sandbox cannot be run.
    """
    dialogues = [_begin(row) for row in rows]
    if user is None and (lonely := [d for d in dialogues if d.row.category != STEP]):
        raise ConfigError(
            f"eval.acebench.user: {lonely[0].row.category} needs a model that simulates the user; "
            "name one (`--user` of `looptool bench`) or omit that category"
        )
    execute = execute or _in_sandbox
    saved = constant(str(checkout), "SAVED_CLASS") if rows else {}
    while waiting := [dialogue for dialogue in dialogues if dialogue.next != "nobody"]:
        if acting := [dialogue for dialogue in waiting if dialogue.next == "agent"]:
            prompts = [agent_prompt(d.row, d.said, d.messages, style, checkout) for d in acting]
            for dialogue, said in zip(acting, ask(prompts), strict=True):
                if said.error_type:
                    dialogue.ended, dialogue.next = said.error_type, "nobody"
                else:
                    _agent_says(dialogue, said)
        if calling := [dialogue for dialogue in waiting if dialogue.next == "execution"]:
            items = [_item(dialogue, checkout, saved) for dialogue in calling]
            for dialogue, answer in zip(calling, execute(items), strict=True):
                _take_results(dialogue, answer)
        talking = [dialogue for dialogue in waiting if dialogue.next == "user"]
        if talking and user is not None:
            prompts = [user_prompt(d.row, d.said, checkout) for d in talking]
            for dialogue, said in zip(talking, user(prompts), strict=True):
                _user_says(dialogue, said.answer.text)
    return [Outcome(d.row.id, d.states, d.process, d.messages, d.ended) for d in dialogues]


def score(rows: Sequence[Row], outcomes: Mapping[str, Outcome]) -> pl.DataFrame:
    """Return one row of `tables.Eval` for each row; its prediction is the outcome as JSON.

    Args:
        outcomes: outcomes by row id; a row without one is wrong (`no_answer`).
    """
    scored = []
    for row in rows:
        outcome = outcomes.get(row.id)
        if outcome is None:
            fault: Fault | None = Fault("no_answer", "no answer")
        elif fault := official_fault(row, outcome.states):
            share = process_accuracy(row, outcome)
            message = f"{fault.message} ({outcome.ended}; process accuracy {share:.2f})"
            kind = "refused" if outcome.ended == "refused" else fault.kind
            fault = fault._replace(kind=kind, message=message)
        scored.append(
            {
                "benchmark": BENCHMARK,
                "category": row.category,
                "id": row.id,
                "split": "test",
                "prediction": canonical.dumps(asdict(outcome)) if outcome else "",
                "answer": None,
                "valid": fault is None,
                "strict": outcome is not None and is_strictly_right(row, outcome.states),
                "error_type": fault.kind if fault else None,
                "error": fault.message if fault else None,
            }
        )
    return tables.frame(tables.Eval, scored)


def official_fault(row: Row, states: Sequence[Mapping[str, Any]]) -> Fault | None:
    """Return the fault that the official end-to-end rule finds in the final states, or None.

    The rule ignores a missing class if the number of classes is right, and additional keys of an
    object.
    """
    wanted = row.answer if isinstance(row.answer, list) else [row.answer]
    if len(states) != len(wanted):
        return Fault("wrong number of class", f"{len(states)} classes, not {len(wanted)}")
    for expected in wanted:
        final = next((state for state in states if set(state) == set(expected)), None)
        if final:
            name = next(iter(expected))
            right, values = expected[name], final[next(iter(final))]
            for attribute, value in values.items():
                if attribute not in right or not _covers(value, right[attribute]):
                    return Fault("class attributes wrong", f"{name}.{attribute}")
    return None


def is_strictly_right(row: Row, states: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the final states are exactly those of the answer, with no other classes.

    Class names are compared without case, because the data misspell one.
    """
    wanted = row.answer if isinstance(row.answer, list) else [row.answer]
    return _by_name(states) == _by_name(wanted)


def process_accuracy(row: Row, outcome: Outcome) -> float:
    """Return the official process score: the share of milestones reached, in order and verbatim.

    If there are several ways, the best counts, rounded to 3 digits. If the final states are right,
    the score is 1.
    """
    if official_fault(row, outcome.states) is None:
        return 1.0
    if row.milestones and isinstance(row.milestones[0], list):
        return max(round(_passed(way, outcome.process), 3) for way in row.milestones)
    return _passed(row.milestones, outcome.process)


def _passed(milestones: Sequence[str], process: Sequence[str]) -> float:
    steps = iter(process)
    count = sum(any(step.strip() == stone.strip() for step in steps) for stone in milestones)
    return count / len(milestones) if milestones else 1.0


def _covers(value: Any, expected: Any) -> bool:
    if not isinstance(expected, dict):
        return bool(value == expected)
    return isinstance(value, dict) and all(
        key in value and value[key] == inner for key, inner in expected.items()
    )


def _by_name(states: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {
        name.lower(): canonical.dumps(plain(values, strip=False))
        for state in states
        for name, values in state.items()
    }


def _in_sandbox(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sandbox.run(worker.__name__, items)


def _begin(row: Row) -> _Dialogue:
    if row.group != "agent":
        raise ValueError(f"{row.id}: is not an agent row")
    if row.category != STEP:
        return _Dialogue(row, "user", count=-1)  # the user's first words are not counted
    question = row.entry["question"]
    return _Dialogue(row, "agent", said=[("user", question)], messages=list(row.messages))


def _agent_says(dialogue: _Dialogue, said: Completion) -> None:
    alone = dialogue.row.category == STEP
    official = official_text(said)
    # with a user, the official runner reads a text as calls only if one line has brackets
    calls = _calls(official) if alone or re.search(r"\[.*\]", official) else None
    dialogue.called = calls
    if calls is not None:
        dialogue.steps.append(calls)
    dialogue.messages.append(assistant_message(official, calls or ()))
    dialogue.add("agent", official, "user" if calls is None and not alone else "execution")
    if dialogue.next == "execution":
        dialogue.process.append(official)


def _calls(text: str) -> list[ToolCall] | None:
    """Return the calls that the official runner executes for this text, or None.

    It strips brackets and quotes, but almost no white space, from both ends. It cannot write an
    argument that is an object.
    """
    try:
        calls = decode_python_calls(text.removeprefix(" ").strip("[]'"), alone=True)
        canonical.dumps([call.to_json() for call in calls])
    except (ValueError, TypeError):
        return None
    if any(isinstance(value, dict) for call in calls for value in call.arguments.values()):
        return None
    return calls


def _user_says(dialogue: _Dialogue, text: str) -> None:
    dialogue.messages.append({"role": "user", "content": text})
    dialogue.add("user", text, "agent")


def _item(dialogue: _Dialogue, checkout: Path | str, saved: Mapping[str, Any]) -> dict[str, Any]:
    row = dialogue.row
    return {
        "checkout": str(Path(checkout).resolve()),
        "language": row.language,
        "scenario": row.category.removeprefix("agent_"),
        "classes": row.entry["involved_classes"],
        "config": row.entry.get("initial_config") or {},
        "saved": saved,
        "steps": [[call.to_json() for call in step] for step in dialogue.steps],
    }


def _take_results(dialogue: _Dialogue, answer: Mapping[str, Any]) -> None:
    nudge = _NUDGE[dialogue.row.language]
    if not dialogue.called:
        dialogue.messages.append({"role": "user", "content": nudge})
    if dialogue.called is None:
        dialogue.add("execution", nudge, "agent")
        return
    if sandbox.RAISED in answer:  # not from a call: an exception in a call becomes its result
        raise ConfigError(
            f"{PARAM}: the classes of {dialogue.row.id} cannot be run: {answer[sandbox.RAISED]}"
        )
    if sandbox.LIMITS in answer:
        dialogue.ended = str(answer[sandbox.LIMITS])
        dialogue.next, dialogue.states = "nobody", []
        return
    dialogue.states = answer["states"]
    for call, result in zip(dialogue.called, answer["results"], strict=True):
        content = result if isinstance(result, str) else canonical.dumps(result)
        dialogue.messages.append(result_message(call.name, content))
    dialogue.add("execution", answer["results"], "agent")
