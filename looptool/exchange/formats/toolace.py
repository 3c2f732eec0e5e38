"""ToolACE's format: `{"system": text, "conversations": [{"from", "value"}, …]}`.

The system text ends with a JSON list of functions. Calls are written as `[name(key=value), …]` with
Python literals as values; names may contain spaces and slashes. The literals are parsed; nothing is
evaluated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from looptool.core import canonical
from looptool.core.answers import call_message, message_calls
from looptool.core.calls import ToolCall, render_python
from looptool.core.samples import Label, Message, label_calls
from looptool.core.tools import Tool
from looptool.exchange.formats import Changes, Dialogue, Format, Record, Refused, list_of, text_of
from looptool.exchange.formats.control_tokens import without_control_tokens
from looptool.exchange.formats.literals import literal_of, value_of
from looptool.exchange.formats.turns import DATED, greetings, without_thinking

_MARK = "functions in JSON format that you can invoke"
_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
          "tool": "tool", "system": "system"}  # fmt: skip
_SENTENCES = re.compile(r"(?<=[.\n])")
LIKE_CALLS = re.compile(r"\[\s*[^\[\]{}\"'()]+\(.*\)\s*\]", re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None, "none": None}


def fits(record: Record) -> bool:
    """Whether a record is in this format and not in ShareGPT's."""
    turns = record.get("conversations")
    if not isinstance(turns, list):
        return False
    if isinstance(record.get("system"), str) and _MARK in record["system"]:
        return True
    said = [turn.get("value") for turn in turns if isinstance(turn, Mapping)]
    return "system" in record and any(
        isinstance(text, str) and LIKE_CALLS.fullmatch(text.strip()) for text in said
    )


def read(record: Record, changes: Changes) -> Dialogue:
    """Convert a record to a dialogue; see the module docstring."""
    system = text_of(record, "system")
    tools, rest = _tools(system, changes)
    names = {
        item["name"]
        for item in tools
        if isinstance(item, Mapping) and isinstance(item.get("name"), str)
    }
    messages: list[Message] = [{"role": "system", "content": rest}] if rest else []
    turns = [1] * len(messages)
    for place, item in enumerate(list_of(record, "conversations")):
        role = _ROLES.get(str(item.get("from"))) if isinstance(item, Mapping) else None
        if role is None:
            raise Refused(f"conversations.{place}.from: must be one of {', '.join(_ROLES)}")
        try:
            value = text_of(item, "value")
            if role == "assistant":
                value = without_control_tokens(without_thinking(value, changes), True, changes)
            if role == "tool":
                messages += _responses(value)
            elif role == "assistant" and holds_calls(value, names):
                messages.append(call_message(read_calls(value, names)))
            else:
                messages.append({"role": role, "content": value})
        except Refused as error:
            raise Refused(f"conversations.{place}: {error}") from None
        turns += [place + 1] * (len(messages) - len(turns))
    return Dialogue(tools, messages, frozenset(greetings(messages, changes)), turns)


def write(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Record:
    """Convert a sample to a record.

    The format cannot mark earlier assistant turns as context, so readers make samples of them too.

    Raises:
        Refused: if an assistant turn has text besides calls, or the label's text looks like calls.
    """
    opening = messages[0]["content"] if messages[0]["role"] == "system" else ""
    turns = []
    for message in messages[1:] if opening else messages:
        if message["role"] == "tool":
            result = {"name": message.get("name", ""), "results": message["content"]}
            turns.append({"from": "tool", "value": canonical.dumps([result])})
        elif "tool_calls" in message:
            if message["content"]:
                raise Refused("toolace allows calls or words in one turn, not both")
            turns.append({"from": "assistant", "value": render_python(message_calls(message))})
        else:
            turns.append({"from": message["role"], "value": message["content"]})
    value = render_python(label_calls(label)) if "calls" in label else label["text"]
    if "text" in label and holds_calls(value, [tool["name"] for tool in tools]):
        raise Refused("the text of the label looks like calls")
    turns.append({"from": "assistant", "value": value})
    introduction = f"{opening}\n" if opening else ""
    system = f"{introduction}Here is a list of {_MARK}:\n{canonical.dumps(tools)}"
    return {"system": system, "conversations": turns}


def holds_calls(text: str, names: Collection[str]) -> bool:
    """Whether an answer is meant as calls: it looks like a list of calls, or calls a tool.

    Args:
        names: names of the tools.
    """
    if LIKE_CALLS.fullmatch(text.strip()):
        return True
    called = (re.search(rf"(?<!\w){re.escape(name)}\(", text) for name in names)
    return any(called)


def read_calls(text: str, names: Collection[str]) -> list[ToolCall]:
    """Parse calls written as `[name(key=value), …]`; the inverse of `calls.render_python`.

    Args:
        names: names of the tools, needed to recognise names that contain `(`.

    Raises:
        Refused: if they cannot be parsed; the message quotes the place.
    """
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise Refused(f"calls must stand alone, as [name(key=value)]: {text[:60]!r}")
    inner = text[1:-1]
    by_length = sorted(names, key=len, reverse=True)
    calls, place = [], 0
    while place < len(inner):
        if inner[place] in " ,\n\t":
            place += 1
            continue
        known = next((name for name in by_length if inner.startswith(f"{name}(", place)), None)
        opening = place + len(known) if known else inner.find("(", place)
        if opening < 0:
            raise Refused(f"no call: {inner[place : place + 40]!r}")
        name = inner[place:opening].strip()
        closing = _end(inner, opening)
        calls.append(ToolCall(name, _arguments(inner[opening + 1 : closing], name)))
        place = closing + 1
    if not calls:
        raise Refused("a list of no calls")
    return calls


def _end(text: str, opening: int) -> int:
    """Return the index of the bracket that closes the one at `opening`; strings are skipped."""
    depth, quote, place = 0, "", opening
    while place < len(text):
        sign = text[place]
        if quote:
            if sign == "\\":
                place += 1
            elif sign == quote:
                quote = ""
        elif sign in "\"'":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth == 0:
                return place
        place += 1
    raise Refused(f"a bracket stays open: {text[opening : opening + 40]!r}")


def _arguments(text: str, name: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for part in _split(text):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise Refused(f"{name}: an argument without a name: {part[:40]!r}")
        if key.strip() in arguments:
            raise Refused(f"{name}: the argument {key.strip()!r} occurs twice")
        arguments[key.strip()] = _value(value.strip(), name)
    return arguments


def _split(text: str) -> list[str]:
    parts, start, place = [], 0, 0
    while place < len(text):
        sign = text[place]
        if sign in "\"'":
            place += 1
            while place < len(text) and text[place] != sign:
                place += 2 if text[place] == "\\" else 1
        elif sign in "([{":
            place = _end(text, place)
        elif sign == ",":
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return [part for part in [*parts, text[start:]] if part.strip()]


def _value(text: str, name: str) -> Any:
    if text.casefold() in _WORDS:
        return _WORDS[text.casefold()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return literal_of(text)
    except ValueError:
        raise Refused(f"{name}: {text[:40]!r} is not a value") from None


def _tools(system: str, changes: Changes) -> tuple[list[Any], str]:
    """Return the functions that a system text lists, and its sentences about the date."""
    head, mark, tail = system.partition(_MARK)
    start = tail.find("[")
    if not mark:
        start, head, tail = system.find('[{"'), system, system
    if start < 0:
        raise Refused("system: lists no functions")
    try:
        tools, _ = canonical.decoder().raw_decode(tail, start)
    except (ValueError, RecursionError) as error:
        try:
            tools = value_of(tail[start : _end(tail, start) + 1], changes)
        except ValueError:
            raise Refused(f"system: the functions are not valid JSON: {error}") from None
    if not isinstance(tools, list):
        raise Refused("system: the functions must be a list")
    said = _SENTENCES.split(head if mark else head[:start])
    changes["lists of tools left out of a system message"] += 1
    return tools, "\n".join(each.strip() for each in said if DATED.search(each))


def _responses(text: str) -> list[Message]:
    """Return a message for each result of `[{"name", "results"}, …]`, or one with all the text."""
    whole: list[Message] = [{"role": "tool", "content": text}]
    try:
        value = canonical.loads(text)
    except ValueError:
        return whole
    made: list[Message] = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, Mapping) or set(item) != {"name", "results"}:
            return whole
        name, results = item["name"], item["results"]
        if not isinstance(name, str):
            return whole
        content = results if isinstance(results, str) else canonical.dumps(results)
        made.append({"role": "tool", "content": content, **({"name": name} if name else {})})
    return made or whole


FORMAT = Format("toolace", fits, read, write)
