"""Scripts of dialogues: convert a plan to turns, and check that answers follow it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from looptool.core.samples import Label, check_label, label_calls
from looptool.core.tool_match import match
from looptool.core.tools import Tool, check_call

KINDS: Mapping[str, str] = {
    "single": "one turn, one round, one call",
    "multiple": "one turn, one round, one call; the other tools do not fit",
    "parallel": "one turn, one round of two to four calls of the same tool",
    "parallel_multiple": "one turn, one round of two to four calls of different tools",
    "multi_step": "one turn, two rounds; the second needs a result of the first",
    "multi_turn": "two turns of one round each; the second follows up on the first",
    "clarify": "one turn, one round, one call; one or two of its required arguments are withheld",
    "irrelevant": "one turn without calls: the user wants something near to what the tools do, "
    "but that none of them can do",
}
ANY_TEXT: Label = {"text": "…"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One planned turn of a dialogue.

    Attributes:
        wish: what the user wants in this turn.
        given: the arguments that the user must mention, one mapping per call.
        hidden: the arguments that the user must not mention yet.
        label: the assistant's planned action; for a text answer only that it is a text (ANY_TEXT).
            In a tool's turn, the calls that need results.
    """

    speaker: Literal["user", "assistant", "tool"]
    wish: str = ""
    given: Sequence[Mapping[str, Any]] = ()
    hidden: Mapping[str, Any] = field(default_factory=dict)
    label: Label = field(default_factory=dict)


def script_of(plan: Any, kind: str, tools: Sequence[Tool]) -> list[Turn]:
    """Convert a plan to the turns of a dialogue.

    Args:
        plan: `turns` (each with `wish` and `rounds` of calls) and `withheld` (argument names).
        kind: a key of KINDS.

    Raises:
        ValueError: if the plan does not fit its kind, or a call violates its tool's schema.
    """
    turns, withheld = plan["turns"], plan["withheld"]
    rounds = [calls for turn in turns for calls in turn["rounds"]]
    for calls in rounds:
        _check_calls({"calls": calls}, tools)
    if not _is_of_kind(kind, turns, rounds, withheld):
        raise ValueError(f"turns: not as the kind asks for: {KINDS[kind]}")
    if kind == "clarify":
        return _clarifying(turns[0], withheld, tools)
    script: list[Turn] = []
    for turn in turns:
        given = [call["arguments"] for call in turn["rounds"][0]] if turn["rounds"] else []
        script.append(Turn("user", turn["wish"], given))
        for calls in turn["rounds"]:
            label = {"calls": calls}
            script += [Turn("assistant", label=label), Turn("tool", label=label)]
        if not turn["rounds"]:
            script.append(Turn("assistant", label=ANY_TEXT))
    return script[:-1] if script[-1].speaker == "tool" else script  # no turn reads it


def as_planned(answer: Label, planned: Label, tools: Sequence[Tool]) -> Label:
    """Return the answer if it does what was planned.

    Raises:
        ValueError: if it does not. The message does not reveal the plan, as the assistant reads it.
    """
    if reason := check_label(answer):
        raise ValueError(reason)
    if "text" in planned:
        if "text" not in answer:
            raise ValueError("answer: calls where a text was due")
    elif "text" in answer:
        raise ValueError("answer: a text where calls were due")
    else:
        _check_calls(answer, tools)
        if not match(label_calls(answer), label_calls(planned), tools):
            raise ValueError("answer: these calls are not what the conversation asks for")
    return answer


def said(message: str, hidden: Mapping[str, Any]) -> str:
    """Return the user's message, stripped, if it reveals no hidden value.

    Raises:
        ValueError: if it is empty or contains a hidden value.
    """
    for name, value in hidden.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str | int | float) and not isinstance(part, bool):
                words = re.escape(str(part).strip())
                if words and re.search(rf"(?<!\w){words}(?!\w)", message, re.IGNORECASE):
                    raise ValueError(f"message: gives {name} away, which was to be withheld")
    if not message.strip():
        raise ValueError("message: says nothing")
    return message.strip()


def _is_of_kind(
    kind: str, turns: Sequence[Any], rounds: Sequence[Any], withheld: Sequence[str]
) -> bool:
    if bool(withheld) != (kind == "clarify"):
        return False
    calls = rounds[0] if rounds else []
    several = len({call["name"] for call in calls}) > 1
    one_round = len(turns) == len(rounds) == 1
    return {
        "single": one_round and len(calls) == 1,
        "multiple": one_round and len(calls) == 1,
        "parallel": one_round and len(calls) > 1 and not several,
        "parallel_multiple": one_round and several,
        "multi_step": len(turns) == 1
        and len(rounds) > 1
        and all(len(calls) == 1 for calls in rounds[1:]),
        "multi_turn": len(turns) > 1 and all(len(turn["rounds"]) == 1 for turn in turns),
        "clarify": one_round and len(calls) == 1,
        "irrelevant": len(turns) == 1 and not rounds,
    }[kind]


def _clarifying(turn: Any, withheld: Sequence[str], tools: Sequence[Tool]) -> list[Turn]:
    """Script a request with missing values, the assistant's question, the reply and the call."""
    call = turn["rounds"][0][0]
    tool = next(tool for tool in tools if tool["name"] == call["name"])
    required = set(tool["parameters"].get("required", ()))
    if not set(withheld) <= required & set(call["arguments"]):
        raise ValueError("withheld: must be required arguments of the call")
    hidden = {name: call["arguments"][name] for name in withheld}
    given = {name: value for name, value in call["arguments"].items() if name not in hidden}
    return [
        Turn("user", turn["wish"], [given], hidden),
        Turn("assistant", label=ANY_TEXT),
        Turn("user", "Give what was asked for.", [hidden]),
        Turn("assistant", label={"calls": [call]}),
    ]


def _check_calls(label: Label, tools: Sequence[Tool]) -> None:
    for call in label_calls(label):
        if reason := check_call(call, tools):
            raise ValueError(f"{call.name}: {reason}")
