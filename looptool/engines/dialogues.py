"""Schemas for conversations written by models, and their conversion to chat messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looptool.core.answers import label_message, result_message
from looptool.core.samples import Message, check_label


def object_schema(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


CALL = object_schema(name={"type": "string"}, arguments={"type": "object"})
CALLS = {"type": "array", "items": CALL, "minItems": 1, "maxItems": 16}
TEXT = {"type": "string", "minLength": 1, "maxLength": 4000}
ANSWER = {"oneOf": [object_schema(calls=CALLS), object_schema(text=TEXT)]}
TURN = {
    "type": "object",
    "properties": {
        "role": {"enum": ["user", "assistant", "tool"]},
        "content": {"type": "string", "maxLength": 4000},
        "calls": CALLS,
    },
    "required": ["role", "content"],
    "additionalProperties": False,
}


def messages_of(turns: Sequence[dict[str, Any]]) -> list[Message]:
    """Convert turns that follow the schema TURN to chat messages.

    Raises:
        ValueError: if they are not a valid conversation: a call without a result, a result without
            a call, an empty turn, or an assistant turn at the start.
    """
    messages: list[Message] = []
    waiting: list[str] = []
    for place, turn in enumerate(turns):
        role, where = turn["role"], f"messages.{place}"
        if (role == "tool") != bool(waiting):
            raise ValueError(f"{where}: {'no call waits for' if role == 'tool' else 'calls lack'} "
                             "a result")  # fmt: skip
        if role == "tool":
            messages.append(result_message(waiting.pop(0), turn["content"]))
        elif role == "user":
            if not turn["content"].strip():
                raise ValueError(f"{where}: the user says nothing")
            messages.append({"role": "user", "content": turn["content"]})
        else:
            if not messages:
                raise ValueError("the assistant cannot come first")
            calls = turn.get("calls")
            label = {"calls": calls} if calls else {"text": turn["content"]}
            if reason := check_label(label):
                raise ValueError(f"{where}: {reason}")
            messages.append({**label_message(label), "content": turn["content"]})
            waiting = [call["name"] for call in calls or ()]
    if waiting:
        raise ValueError("the last calls lack their results")
    return messages
