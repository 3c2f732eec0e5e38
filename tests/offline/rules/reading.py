"""Answers read as the rules judge reads them, for the tests of its parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.offline.rules import answers, conversation
from looptool.offline.rules.answers import Answer, Leaf
from looptool.offline.rules.conversation import Conversation
from looptool.offline.rules.evidence import Fault
from tests.offline.rules.table import said


def talk(*turns: str, today: str = "") -> Conversation:
    """A conversation in which user and assistant take turns."""
    return conversation.read(said(*turns, today=today))


def answer(tools: list[Tool], messages: list[Message], label: Label, side: str = "label") -> Answer:
    by_name = {tool["name"]: tool for tool in tools}
    return answers.read(label, side, by_name, conversation.read(messages))


def both(
    tools: list[Tool], messages: list[Message], left: Label, right: Label
) -> tuple[Answer, Answer]:
    """Two answers on one conversation; the first is the label."""
    heard = conversation.read(messages)
    by_name = {tool["name"]: tool for tool in tools}
    return (
        answers.read(left, "label", by_name, heard),
        answers.read(right, "prediction", by_name, heard),
    )


def leaf(made: Answer, name: str, call: int = 0) -> Leaf:
    return next(x for x in made.leaves[call] if x.path[-1] == name)


def sides(faults: Iterable[Fault]) -> list[str]:
    return [fault.side for fault in faults]


def place(text: str, words: str) -> tuple[int, int]:
    """The span of words in a text."""
    start = text.index(words)
    return start, start + len(words)


def parameter(description: str = "", **schema: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **schema}
