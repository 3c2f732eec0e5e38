"""An assistant's answer as text and as a chat message, and a tool's result.

Only here is a label written as the text that a model should give (`write_label`), and only here is
a model's text read (`read_answer`). A model's earlier answers reach it as messages, which its chat
template writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from looptool.core.calls import Parsed, ToolCall, parse, render
from looptool.core.samples import Label, Message, label_calls


def write_label(label: Label) -> str:
    """Return a label as the text that a model should answer.

    Raises:
        ValueError: if an argument cannot be written as JSON.
    """
    text: str = label["text"] if "text" in label else render(label_calls(label))
    return text


def read_answer(text: str) -> Parsed:
    """Parse a model's answer into calls, text and thinking. Never raises."""
    return parse(text)


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
