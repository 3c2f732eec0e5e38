"""An assistant's answer: in Hermes form, as JSON values and as a chat message; a tool's result.

`write_label` writes a label in Hermes form, and `read_answer` reads it. `engines/syntax.py` does
both in the syntax of a model. A model's earlier answers reach it as messages, which its chat
template writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from looptool.core import canonical
from looptool.core.calls import Parsed, ToolCall, parse, render
from looptool.core.samples import Label, Message, label_calls

# The start of a tag that ends the text, at the beginning of a line; `<tool_call>` itself is parsed.
_CUT_OFF_TAG = re.compile(r"(?:\A|\n)<(?:t(?:o(?:o(?:l(?:_(?:c(?:a(?:l(?:l)?)?)?)?)?)?)?)?)?\Z")
_BARE_CALL = re.compile(r"""[\s\[]*\{\s*["'](?:name|function)["']\s*:""")
_ARGUMENTS = re.compile(r"""["'](?:arguments|parameters)["']\s*:""")
_NAMED_OBJECT = re.compile(
    r"""^[ \t]*(?:```\w*\s*)?[\s\[]*\{[^{}]*?["'](?:name|function|arguments|parameters)["']\s*:""",
    re.M,
)


def write_label(label: Label) -> str:
    """Return a label as the text that a model should answer.

    Raises:
        ValueError: if an argument cannot be written as JSON.
    """
    text: str = label["text"] if "text" in label else render(label_calls(label))
    return text


def read_answer(text: str) -> Parsed:
    """Parse a model's answer into calls, text and thinking. Never raises.

    A call that was started and not finished is an error, and so is a call without its tags: neither
    may pass for the text that a label asks for.
    """
    parsed = parse(text)
    if parsed.error is None and (error := broken_call(parsed.text)):
        return replace(parsed, error=error)
    return parsed


def to_json(answer: Parsed) -> dict[str, Any]:
    """Return an answer that has been read as JSON values: calls, text, thinking and error."""
    calls = [call.to_json() for call in answer.calls]
    return {
        "calls": calls, "text": answer.text, "thinking": answer.thinking, "error": answer.error
    }  # fmt: skip


def from_json(value: Mapping[str, Any]) -> Parsed:
    """Return the answer that `to_json` wrote."""
    return Parsed(label_calls(dict(value)), value["text"], value["thinking"], value["error"])


def from_columns(row: Mapping[str, Any]) -> Parsed:
    """Return the answer in a row of `tables.Probe`."""
    calls = label_calls({"calls": canonical.loads(row["calls"])})
    return Parsed(calls, row["text"], row["thinking"], row["parse_error"])


def broken_call(text: str) -> str | None:
    """Return why an answer's text is a call that cannot be read, or None if it is a text.

    A text is such a call if it ends in the beginning of `<tool_call>`, if it begins like a call in
    JSON, if one of its lines begins an object with a name and arguments, or if it has `<function=`.
    """
    if "<function=" in text:
        return "a tool call: malformed (<function=…> outside a call)"
    if _CUT_OFF_TAG.search(text):
        return "a tool call: cut off (in its opening tag)"
    if _BARE_CALL.match(text):
        return "a tool call: no <tool_call> before the JSON object"
    if _ARGUMENTS.search(text) and _NAMED_OBJECT.search(text):
        return "a tool call: no <tool_call> before the JSON object"
    return None


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
