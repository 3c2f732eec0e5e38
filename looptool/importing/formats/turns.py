"""What several formats share: messages in the project's form, and calls as texts hold them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from looptool import canonical
from looptool.calls import ToolCall, parse, render
from looptool.importing.formats import Refused
from looptool.samples import Label, Message, label_calls

_RESPONSES = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)
_TAGS = (
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)
_BARE = {"name", "arguments", "id", "type", "index", "function"}  # of a call without arguments
_TOOLS = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
_DATED = re.compile(r"\b(today|current (date|time))\b", re.IGNORECASE)


def calling(calls: Sequence[ToolCall], text: str = "") -> Message:
    """Return an assistant's message that makes these calls."""
    functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
    return {
        "role": "assistant",
        "content": text,
        "tool_calls": [{"type": "function", "function": function} for function in functions],
    }


def answer(text: str) -> Message:
    """Return the assistant's message that a text in Hermes form says, its thinking left out.

    Raises:
        Refused: if one of its calls is malformed.
    """
    parsed = parse(text)
    if parsed.error is not None:
        raise Refused(parsed.error)
    if parsed.calls:
        return calling(parsed.calls, parsed.text)
    return {"role": "assistant", "content": parsed.text}


def text_of_turn(message: Message) -> str:
    """Return what an assistant's message says in Hermes form; `answer` is its inverse."""
    calls = label_calls({"calls": [each["function"] for each in message.get("tool_calls", ())]})
    return "\n".join(part for part in (plain(message["content"]), render(calls)) if part)


def text_of_label(label: Label) -> str:
    """Return a label in Hermes form."""
    return plain(label["text"]) if "text" in label else render(label_calls(label))


def plain(text: str) -> str:
    """Return a text that has no tag of Hermes' form in it, which a reader would take for one.

    Raises:
        Refused: if it has.
    """
    if tag := next((tag for tag in _TAGS if tag in text), None):
        raise Refused(f"a text holds {tag}")
    return text


def calls_of_json(value: Any) -> list[ToolCall]:
    """Return the calls of `{"name", "arguments"}`, a list of them, or JSON text of either.

    Raises:
        Refused: if they are something else.
    """
    if isinstance(value, str):
        try:
            value = canonical.loads(value)
        except ValueError as error:
            raise Refused(f"the calls are no JSON: {error}") from None
    calls = []
    for item in [value] if isinstance(value, dict) else value if isinstance(value, list) else [0]:
        if isinstance(item, dict) and isinstance(item.get("function"), dict):
            item = item["function"]
        name = item.get("name") if isinstance(item, dict) else None
        arguments = item.get("arguments") if isinstance(item, dict) else None
        if arguments is None and isinstance(item, dict) and set(item) <= _BARE:
            arguments = {}
        if isinstance(arguments, str):
            try:
                arguments = canonical.loads(arguments or "{}")
            except ValueError as error:
                raise Refused(f"{name}: the arguments are no JSON: {error}") from None
        if not isinstance(name, str) or not name or not isinstance(arguments, dict):
            raise Refused('a call must be {"name": text, "arguments": object}')
        calls.append(ToolCall(name, arguments))
    return calls


def responses(text: str) -> list[Message]:
    """Return a tool's messages: one for each `<tool_response>`, or the whole text as one where
    something stands outside of them."""
    found = _RESPONSES.findall(text)
    if _RESPONSES.sub("", text).strip():
        found = []
    return [{"role": "tool", "content": each.strip()} for each in found or [text]]


def named(messages: Sequence[Message]) -> list[Message]:
    """Return messages whose tool turns say which call they answer, in the order of the calls."""
    waiting: list[str] = []
    made = []
    for message in messages:
        if message["role"] == "assistant":
            waiting = [each["function"]["name"] for each in message.get("tool_calls", ())]
        elif message["role"] == "tool" and waiting:
            message = {"role": "tool", "name": waiting.pop(0), **message}
        made.append(message)
    return made


def tools_in(system: str) -> tuple[Any, str]:
    """Return the tools that a system message lists between `<tools>` tags, or None, and what of
    the message stays when they stand elsewhere: lines that say what day it is.

    Raises:
        Refused: if what stands there is no JSON.
    """
    # the format explains itself before it lists them: the tags with something in them count
    found = [block for block in _TOOLS.findall(system) if block.strip()]
    if not found:
        return None, system
    rest = "\n".join(line for line in _TOOLS.sub("", system).splitlines() if _DATED.search(line))
    block = found[-1].strip()
    try:
        if block.startswith("["):
            return canonical.loads(block), rest
        return [canonical.loads(line) for line in block.splitlines() if line.strip()], rest
    except ValueError as error:
        raise Refused(f"<tools>: no JSON: {error}") from None
