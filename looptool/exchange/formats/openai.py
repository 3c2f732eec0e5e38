"""OpenAI's chat format for fine-tuning: `{"messages": […], "tools": […]}`.

Arguments are JSON texts. An assistant message with `"weight": 0` is context, not a label. Also read
are the old `functions` and `function_call`, and Hermes tags in texts: `<tool_call>` in assistant
messages, `<tools>` in system messages. `content` may be a list of parts: texts, thinking, calls as
written by LLaMA-Factory, and Anthropic's calls and results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from looptool.core import canonical
from looptool.core.answers import call_message, label_message
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.exchange.formats import Changes, Dialogue, Format, Record, Refused, list_of
from looptool.exchange.formats.documents import is_nothing
from looptool.exchange.formats.results import taken_apart
from looptool.exchange.formats.turns import (
    answer,
    calls_of_json,
    greetings,
    of_user,
    plain,
    tools_in,
)

_ROLES = {"developer": "system", "function": "tool", "ipython": "tool"}
_TEXT_PARTS = ("text", "input_text", "output_text")
_THINKING_PARTS = ("reasoning", "thinking")


def read(record: Record, changes: Changes) -> Dialogue:
    """Convert a record to a dialogue; see the module docstring."""
    messages: list[Message] = []
    turns: list[int] = []
    given = set()
    if record.get("system"):
        messages = _messages({"role": "system", "content": record["system"]}, changes)
        turns = [1]
    for place, item in enumerate(list_of(record, "messages")):
        try:
            made = taken_apart(_messages(item, changes), messages, changes)
        except Refused as error:
            raise Refused(f"messages.{place}: {error}") from None
        if made[0]["role"] == "assistant" and item.get("weight") == 0:
            given.add(len(messages))
        messages += made
        turns += [place + 1] * len(made)
    tools = record.get("tools") or record.get("functions") or None
    for message in takewhile(lambda each: each["role"] == "system", messages):
        tools, message["content"] = tools_in(message["content"], changes, tools)
    given |= greetings(messages, changes)
    return Dialogue(tools or [], messages, frozenset(given), turns)


def write(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Record:
    """Convert a sample to a record; the label is the last message, the only one with weight.

    Raises:
        Refused: if an assistant's text contains a tag that would be read as a call.
    """
    made: list[Record] = []
    ids: list[str] = []
    number = 0
    for message in [*messages, label_message(label)]:
        item = dict(message)
        if message["role"] == "assistant":
            plain(message["content"])
        if "tool_calls" in message:
            item["content"] = message["content"] or None
            item["tool_calls"], ids = [], []
            for each in message["tool_calls"]:
                ids.append(f"call_{number}")
                number += 1
                function = each["function"]
                arguments = canonical.dumps(function["arguments"])
                item["tool_calls"].append(
                    {
                        "id": ids[-1],
                        "type": "function",
                        "function": {"name": function["name"], "arguments": arguments},
                    }
                )
        if message["role"] == "tool" and ids:
            item["tool_call_id"] = ids.pop(0)
        if message["role"] == "assistant":
            item["weight"] = 0
        made.append(item)
    del made[-1]["weight"]
    return {
        "messages": made,
        "tools": [{"type": "function", "function": tool} for tool in tools],
    }


def _messages(item: Any, changes: Changes) -> list[Message]:
    """Convert a message to chat messages; calls and results keep their ids."""
    role = item.get("role") if isinstance(item, Mapping) else None
    role = _ROLES.get(str(role), role)
    if role not in ("system", "user", "assistant", "tool"):
        raise Refused(f"role: {role!r} is not system, user, assistant or tool")
    content = item.get("content")
    if role == "user" and isinstance(content, list) and any(map(_is_result, content[:1])):
        return _of_results(content, changes)
    content, parts = _content(content, changes)
    if parts and role != "assistant":
        raise Refused(f"content: calls of the {role}")
    if role == "tool":
        message: Message = {"role": role, "content": content}
        for key in ("name", "tool_call_id"):
            if item.get(key) is not None and not isinstance(item[key], str | int):
                raise Refused(f"{key}: must be a string")
            if item.get(key) not in (None, ""):
                message[key] = str(item[key])
        return [message]
    if role == "user":
        return of_user(content, changes)
    if role == "system":
        return [{"role": role, "content": content}]
    if any(item.get(key) for key in ("reasoning_content", "reasoning", "thinking")):
        changes["thinking left out"] += 1
    raw = item.get("tool_calls") or []
    if isinstance(raw, list):
        raw = [each for each in (raw or [item.get("function_call")]) if not is_nothing(each)]
    said = answer(content, changes)
    if not raw and not parts:
        return [said]
    calls = [*(calls_of_json(raw, changes) if raw else ()), *calls_of_json(parts, changes)]
    if "tool_calls" in said and said != call_message(calls, said["content"]):
        raise Refused("content: contains calls other than those in tool_calls")
    made = call_message(calls, said["content"])
    if isinstance(raw, list):
        for call, each in zip(made["tool_calls"], [*raw, *parts], strict=True):
            if isinstance(each.get("id"), str | int) and each["id"] != "":
                call["id"] = str(each["id"])
    return [made]


def _of_results(parts: Sequence[Any], changes: Changes) -> list[Message]:
    """Split a user message that begins with results (Anthropic's form); the rest is the user's."""
    results = list(takewhile(_is_result, parts))
    made: list[Message] = []
    for part in results:
        if part.get("is_error"):
            changes["marks of results that are errors left out"] += 1
        result = {"tool_call_id": part.get("tool_use_id"), "content": part.get("content")}
        made += _messages({"role": "tool", **result}, changes)
    if rest := parts[len(results) :]:
        made += _messages({"role": "user", "content": rest}, changes)
    return made


def _is_result(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "tool_result"


def _content(value: Any, changes: Changes) -> tuple[str, list[Record]]:
    """Return the text of a message's content and the calls among its parts."""
    if value is None:
        return "", []
    if isinstance(value, str):
        return value, []
    if not isinstance(value, list):
        raise Refused("content: must be a string or a list of parts")
    texts: list[str] = []
    calls: list[Record] = []
    for place, part in enumerate(value):
        kind = part.get("type") or "text" if isinstance(part, Mapping) else None
        inner = (
            [part[key] for key in ("text", "value") if part.get(key) is not None] if kind else []
        )
        if kind in _TEXT_PARTS and len(inner) == 1 and isinstance(inner[0], str):
            texts.append(inner[0])
        elif kind in _THINKING_PARTS:
            changes["thinking left out"] += 1
        elif kind == "tool_call" and len(inner) == 1:
            calls += [call.to_json() for call in calls_of_json(inner[0], changes)]
        elif kind == "tool_use":
            call = {"id": part.get("id"), "name": part.get("name"), "arguments": part.get("input")}
            calls.append(call)
        elif isinstance(kind, str) and kind not in _TEXT_PARTS:
            raise Refused(f"content.{place}: parts of type {kind!r} are not read")
        else:
            raise Refused(f"content.{place}: must be a part with a type and one text")
    return "\n".join(texts), calls


FORMAT = Format("openai", lambda record: "messages" in record, read, write)
