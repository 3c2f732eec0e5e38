"""What a completion is worth in GRPO: `train.reward`.

A reward is a function of the answer, the sample that it answers, and `match` of params. It returns
a number from 0 to 1, or named parts, whose mean is the reward and which are logged one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looptool.core import canonical
from looptool.core.calls import Parsed, ToolCall
from looptool.core.registry import load
from looptool.core.samples import Label, is_correct, label_calls
from looptool.core.tool_match import MatchMode
from looptool.core.tool_match import match as same_calls
from looptool.engines import Prompt


@dataclass(frozen=True, slots=True)
class Example:
    """One row of D_j as the trainer needs it; its id and origin are for the record of rollouts."""

    prompt: Prompt
    label: Label
    alternatives: Sequence[Label] = ()
    sample_id: str = ""
    origin: str = ""


Reward = Callable[[Parsed, Example, MatchMode], float | Mapping[str, float]]

REWARDS: Mapping[str, str] = {
    "match": "looptool.training.rewards:match",
    "graded": "looptool.training.rewards:graded",
}
"""Rewards by the name that params give them; others are named by `package.module:name`."""


def make_reward(name: str) -> Reward:
    """Return the reward that `train.reward` names.

    Raises:
        ConfigError: if its module or the function does not exist.
    """
    reward: Reward = load(REWARDS.get(name, name), "train.reward")
    return reward


def match(answer: Parsed, example: Example, mode: MatchMode) -> float:
    """Return 1 if the answer is correct, else 0: the reward of the paper."""
    tools = example.prompt.tools
    return float(is_correct(answer, example.label, example.alternatives, tools, mode))


def graded(answer: Parsed, example: Example, mode: MatchMode) -> dict[str, float]:
    """Return how much of the answer is right: the shares of right calls, names and arguments.

    A correct answer gets 1 in all parts, one that cannot be parsed 0. Where calls are due and a
    text was given, or the reverse, all parts are 0. Missing and surplus calls count alike.
    """
    if match(answer, example, mode):
        return {"calls": 1.0, "names": 1.0, "arguments": 1.0}
    graded_by = [
        _shares(answer.calls, label_calls(label), example.prompt.tools, mode)
        for label in (example.label, *example.alternatives)
        if answer.error is None and "calls" in label
    ]
    worst = {"calls": 0.0, "names": 0.0, "arguments": 0.0}
    return max([worst, *graded_by], key=lambda parts: sum(parts.values()))


def _shares(
    answered: Sequence[ToolCall],
    expected: Sequence[ToolCall],
    tools: Sequence[Any],
    mode: MatchMode,
) -> dict[str, float]:
    most = max(len(answered), len(expected), 1)
    names = Counter(call.name for call in answered) & Counter(call.name for call in expected)
    remaining, equal, arguments = list(expected), 0, 0.0
    unmatched = []
    for call in answered:  # equal calls first, so that none takes another's counterpart
        same = next((each for each in remaining if same_calls([call], [each], tools, mode)), None)
        if same is None:
            unmatched.append(call)
        else:
            remaining.remove(same)
            equal += 1
    for call in unmatched:
        named = [each for each in remaining if each.name == call.name]
        if named:
            nearest = max(named, key=lambda each: _equal(call, each))
            remaining.remove(nearest)
            arguments += _equal(call, nearest)
    return {
        "calls": equal / most,
        "names": names.total() / most,
        "arguments": (equal + arguments) / most,
    }


def _equal(call: ToolCall, other: ToolCall) -> float:
    """Return the share of the arguments of either call that are equal in both."""
    keys = call.arguments.keys() | other.arguments.keys()
    shared = call.arguments.keys() & other.arguments.keys()
    same = sum(
        canonical.dumps(call.arguments[key]) == canonical.dumps(other.arguments[key])
        for key in shared
    )
    return same / len(keys) if keys else 1.0
