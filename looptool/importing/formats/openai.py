"""OpenAI's chat form, as its fine-tuning takes it: `{"messages": […], "tools": […]}`.

Arguments are JSON texts. An assistant's message with `"weight": 0` is context and no label. The old
`functions` and `function_call` are read too, and so are Hermes' tags in texts: `<tool_call>` of an
assistant, `<tools>` of the system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from looptool import canonical
from looptool.importing.formats import Dialogue, Format, Record, Refused, list_of
from looptool.importing.formats.turns import answer, calling, calls_of_json, plain, tools_in
from looptool.samples import Label, Message, label_calls
from looptool.tools import Tool

_ROLES = {"developer": "system", "function": "tool"}


def read(record: Record) -> Dialogue:
    """Return the dialogue of a record; see the module."""
    messages: list[Message] = []
    given = set()
    called: dict[str, str] = {}
    for place, item in enumerate(list_of(record, "messages")):
        try:
            message = _message(item, called)
        except Refused as error:
            raise Refused(f"messages.{place}: {error}") from None
        if message["role"] == "assistant" and item.get("weight") == 0:
            given.add(place)
        messages.append(message)
    tools = record.get("tools") or record.get("functions") or []
    if not tools and messages and messages[0]["role"] == "system":
        listed, rest = tools_in(messages[0]["content"])
        if listed is not None:
            tools, messages[0] = listed, {"role": "system", "content": rest}
    return Dialogue(tools, messages, frozenset(given))


def write(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Record:
    """Return a sample as a record: the label is the last message, the only one with weight.

    Raises:
        Refused: if an assistant's text holds a tag that a reader would take for a call.
    """
    made: list[Record] = []
    ids: list[str] = []
    number = 0
    for message in [*messages, _labelled(label)]:
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


def _labelled(label: Label) -> Message:
    if "text" in label:
        return {"role": "assistant", "content": label["text"]}
    return calling(label_calls(label))


def _message(item: Any, called: dict[str, str]) -> Message:
    """Return one message; `called` keeps which call has which id, for the tools' answers."""
    role = item.get("role") if isinstance(item, Mapping) else None
    role = _ROLES.get(str(role), role)
    if role not in ("system", "user", "assistant", "tool"):
        raise Refused(f"role: {role!r} is not system, user, assistant or tool")
    content = _content(item.get("content"))
    if role == "tool":
        name = item.get("name") or called.get(str(item.get("tool_call_id")))
        if name is not None and not isinstance(name, str):
            raise Refused("name: must be a text")
        return {"role": role, "content": content, **({"name": name} if name else {})}
    raw = item.get("tool_calls") or ([item["function_call"]] if item.get("function_call") else [])
    if role == "assistant" and not raw:
        return answer(content)
    if role != "assistant":
        return {"role": role, "content": content}
    calls = calls_of_json(raw)
    if isinstance(raw, list):
        for each, call in zip(raw, calls, strict=True):
            called[str(each.get("id"))] = call.name
    return calling(calls, content)


def _content(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, Mapping) else None for part in value]
        if all(isinstance(part, str) for part in parts):
            return "\n".join(map(str, parts))
    raise Refused("content: must be a text; pictures and sounds are not read")


FORMAT = Format("openai", lambda record: "messages" in record, read, write)
