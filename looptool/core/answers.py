"""Chat messages that give an assistant's answer or a tool's result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from looptool.core.calls import ToolCall
from looptool.core.samples import Label, Message, label_calls


def label_message(label: Label) -> Message:
    """Return the assistant's message that gives a label as its answer."""
    if "text" in label:
        return {"role": "assistant", "content": label["text"]}
    return call_message(label_calls(label))


def call_message(calls: Iterable[ToolCall], text: str = "") -> Message:
    """Return an assistant's message that makes these calls."""
    return {
        "role": "assistant",
        "content": text,
        "tool_calls": [{"type": "function", "function": call.to_json()} for call in calls],
    }


def message_calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """Return the calls that a message makes; it may make none."""
    return label_calls({"calls": [item["function"] for item in message.get("tool_calls") or ()]})


def result_message(name: str, content: str) -> Message:
    """Return the message with a tool's result."""
    return {"role": "tool", "name": name, "content": content}
