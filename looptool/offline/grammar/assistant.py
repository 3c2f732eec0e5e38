"""The assistant agent: the labels, and what the assistant says in earlier turns."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from looptool.core import canonical
from looptool.core.answers import call_message, result_message
from looptool.core.calls import ToolCall
from looptool.core.samples import Label, Message, call_label, text_label
from looptool.english.forms import yes_or_no
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.toolbox import Action
from looptool.offline.grammar.trees import frames


def label_of(pairs: Sequence[tuple[Action, Mapping[str, Any]]]) -> Label:
    """Return the label that makes these calls, in order."""
    return call_label([ToolCall(action.tool["name"], dict(values)) for action, values in pairs])


def ask_for(slot: Slot, rng: random.Random) -> str:
    """Return a question for the one parameter that is missing."""
    if slot.kind.draw == "count" and "unit" not in slot.kind.options:
        return str(rng.choice(frames()["clarify_count"])).format(word=slot.word)
    return str(rng.choice(frames()["clarify"])).format(word=slot.word)


def decline(rng: random.Random) -> str:
    """Return a text which says that no tool fits."""
    return str(rng.choice(frames()["decline"]))


def decline_label(rng: random.Random) -> Label:
    """Return the label that declines."""
    return text_label(decline(rng))


def clarify_label(slot: Slot, rng: random.Random) -> Label:
    """Return the label that asks for a missing parameter."""
    return text_label(ask_for(slot, rng))


def call_messages(
    action: Action, arguments: Mapping[str, Any], response: Mapping[str, Any]
) -> list[Message]:
    """Return two messages: the assistant's call and the tool's response."""
    name = action.tool["name"]
    return [
        call_message([ToolCall(name, dict(arguments))]),
        result_message(name, canonical.dumps(response)),
    ]


def report(response: Mapping[str, Any], rng: random.Random) -> str:
    """Return the assistant's report of a tool's response."""
    field, value = next(iter(response.items()))
    word = field.replace("_", " ")
    if isinstance(value, bool):
        value = yes_or_no(value)
    texts = [f"Done. {word.capitalize()}: {value}.", f"Here you are, {word} {value}."]
    if not word.endswith("s"):
        texts.append(f"The {word} is {value}.")
    return rng.choice(texts)
