"""Helpers that several formats share: chat messages, and calls in texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from looptool.core import canonical
from looptool.core.answers import call_message, message_calls
from looptool.core.calls import ToolCall, parse, read_arguments, render
from looptool.core.samples import Label, Message, label_calls
from looptool.exchange.formats import Changes, Refused
from looptool.exchange.formats.literals import value_of

_RESPONSES = re.compile(r"<tool_response>(.*?)</tool_response>", re.DOTALL)
_TAGS = (
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)
_GAP = re.compile(r"[\s,;]*")
_BARE = {"name", "arguments", "id", "type", "index", "function"}  # keys of calls without arguments
_CALL = 'a call must be {"name": text, "arguments": object}'
_BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_TOOLS = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
_NO_LISTS = ("", "[]", "null")
DATED = re.compile(r"\b(today|current (date|time))\b", re.IGNORECASE)


def answer(text: str, changes: Changes) -> Message:
    """Convert a text in Hermes form to an assistant message, without its thinking.

    Raises:
        Refused: if one of its calls is malformed.
    """
    parsed = parse(text)
    if parsed.error is not None:
        parsed = parse(_BLOCK.sub(lambda block: _in_form(block, changes), text))
    if parsed.error is not None:
        raise Refused(parsed.error)
    if "</think>" in text or "<think>" in text:
        changes["thinking left out"] += 1
    if parsed.calls:
        return call_message(parsed.calls, parsed.text)
    return {"role": "assistant", "content": parsed.text}


def without_thinking(text: str, changes: Changes) -> str:
    """Return a text without the thinking at its beginning."""
    if not text.lstrip().startswith("<think>"):
        return text
    changes["thinking left out"] += 1
    return text.partition("</think>")[2]


def _in_form(block: re.Match[str], changes: Changes) -> str:
    """Rewrite a `<tool_call>` block of another shape as blocks that `parse` reads."""
    try:
        items = values_in(block[1], changes)
        if not items or any(set(item) - _BARE - {"parameters"} for item in items):
            return block[0]
        calls = calls_of_json(items, changes)
        blocks = render(calls)
    except (ValueError, TypeError, RecursionError):  # `parse` says what is wrong
        return block[0]
    if [call.to_json() for call in calls] != items:
        changes["<tool_call> blocks of another shape"] += 1
    return blocks


def values_in(text: str, changes: Changes) -> list[Any]:
    """Parse a list, or several values in sequence, with or without commas or semicolons.

    Raises:
        ValueError: if it is neither JSON nor Python literals, as a whole or line by line.
    """
    values: list[Any] = []
    place = 0
    try:
        while place < len(text):
            value, place = canonical.decoder().raw_decode(text, place)
            values += value if isinstance(value, list) else [value]
            place = _GAP.match(text, place).end()  # type: ignore[union-attr]
        return values
    except (ValueError, RecursionError):
        pass
    try:
        value = value_of(text, changes)
        return value if isinstance(value, list) else [value]
    except ValueError:
        if "\n" not in text:
            raise
    lines = [line.strip().removesuffix(",") for line in text.splitlines()]
    return [value_of(line, changes) for line in lines if line]


def text_of_turn(message: Message) -> str:
    """Return an assistant message in Hermes form; `answer` is the inverse."""
    texts = (plain(message["content"]), render(message_calls(message)))
    return "\n".join(part for part in texts if part)


def text_of_label(label: Label) -> str:
    """Return a label in Hermes form."""
    return plain(label["text"]) if "text" in label else render(label_calls(label))


def plain(text: str) -> str:
    """Return a text unchanged, after checking that it contains no Hermes tags.

    Raises:
        Refused: if it contains one.
    """
    if tag := next((tag for tag in _TAGS if tag in text), None):
        raise Refused(f"a text contains {tag}")
    return text


def calls_of_json(value: Any, changes: Changes) -> list[ToolCall]:
    """Read calls from `{"name", "arguments"}`, a list of such objects, or the text of either.

    `parameters` is accepted instead of `arguments`; a call without arguments needs neither.

    Raises:
        Refused: if the value has another form.
    """
    if isinstance(value, str):
        try:
            value = value_of(value, changes)
        except ValueError as error:
            raise Refused(f"the calls are not valid JSON: {error}") from None
    calls = []
    loads = partial(value_of, changes=changes)
    for item in [value] if isinstance(value, dict) else value if isinstance(value, list) else [0]:
        if isinstance(item, dict) and isinstance(item.get("function"), dict):
            item = item["function"]
        if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
            raise Refused(_CALL)
        name = item["name"]
        given = [key for key in ("arguments", "parameters") if item.get(key) is not None]
        if len(given) > 1 or not (given or _has_nothing_else(item)):
            raise Refused(_CALL)
        try:
            arguments = read_arguments(item[given[0]] if given else None, loads)
        except ValueError as error:
            raise Refused(f"{name}: the arguments are not a JSON object: {error}") from None
        calls.append(ToolCall(name, arguments))
    return calls


def _has_nothing_else(item: Mapping[str, Any]) -> bool:
    return {key for key, part in item.items() if part is not None} <= _BARE


def responses(text: str) -> list[Message]:
    """Return a tool message for each `<tool_response>`; if there is other text, one for it all."""
    texts = _RESPONSES.findall(text)
    if _RESPONSES.sub("", text).strip():
        texts = []
    return [{"role": "tool", "content": each.strip()} for each in texts or [text]]


def of_user(text: str, changes: Changes) -> list[Message]:
    """Return the messages of a user turn: results, if it consists of `<tool_response>` blocks.

    Qwen's template renders results as user turns.
    """
    if "<tool_response>" not in text or _RESPONSES.sub("", text).strip():
        return [{"role": "user", "content": text}]
    changes["results read from a user's turn"] += 1
    return responses(text)


def tools_in(system: str, changes: Changes, known: Any = None) -> tuple[Any, str]:
    """Return the tools that a system message lists between `<tools>` tags, and the rest of it.

    If it lists tools, only lines about the current date are kept of it. Otherwise the result is
    `known` and the message unchanged.

    Args:
        known: tools from the record's own field; if there are any, the list is not read.

    Raises:
        Refused: if the list is neither JSON nor Python literals.
    """
    # the introduction mentions empty <tools></tools> tags; only tags with content count
    blocks = [block.strip() for block in _TOOLS.findall(system) if block.strip()]
    if not blocks:
        return known, system
    changes["lists of tools left out of a system message"] += 1
    rest = "\n".join(line for line in _TOOLS.sub("", system).splitlines() if DATED.search(line))
    if known and not (isinstance(known, str) and known.strip() in _NO_LISTS):
        return known, rest
    listed = [block for block in blocks if block[0] in "[{"] or blocks
    try:
        return [tool for block in listed for tool in values_in(block, changes)], rest
    except ValueError as error:
        raise Refused(f"<tools>: not valid JSON: {error}") from None


def greetings(messages: Sequence[Message], changes: Changes) -> set[int]:
    """Return the index of an assistant message before the first user message, as a set.

    It answers nothing, so it is context, not a label.
    """
    first = next((n for n, each in enumerate(messages) if each["role"] != "system"), 0)
    roles = [each["role"] for each in messages[first : first + 2]]
    if roles != ["assistant", "user"] or "tool_calls" in messages[first]:
        return set()
    changes["greetings that are no labels"] += 1
    return {first}
