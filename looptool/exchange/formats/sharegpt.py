"""ShareGPT's format with Hermes calls: `{"conversations": [{"from", "value"}, …], "tools": …}`.

Tools are in the field `tools` or between `<tools>` tags in the system turn. Calls are `<tool_call>`
blocks in `gpt` turns, or JSON in `function_call` turns (as in LLaMA-Factory). An assistant turn
with `"weight": 0` is context, not a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from looptool.core import canonical
from looptool.core.answers import call_message
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.exchange.formats import Changes, Dialogue, Format, Record, Refused, list_of, text_of
from looptool.exchange.formats.results import taken_apart
from looptool.exchange.formats.turns import (
    answer,
    calls_of_json,
    greetings,
    of_user,
    plain,
    responses,
    text_of_label,
    text_of_turn,
    tools_in,
    without_thinking,
)

_ROLES = {
    "system": "system", "human": "user", "user": "user", "gpt": "assistant",
    "assistant": "assistant", "model": "assistant", "function_call": "call", "tool": "tool",
    "observation": "tool", "function_response": "tool", "function": "tool",
}  # fmt: skip


def read(record: Record, changes: Changes) -> Dialogue:
    """Convert a record to a dialogue; see the module docstring."""
    messages: list[Message] = []
    turns: list[int] = []
    given = set()
    tools = record.get("tools") or None
    if isinstance(record.get("system"), str) and record["system"].strip():
        tools, rest = tools_in(record["system"], changes, tools)
        messages += [{"role": "system", "content": rest}] if rest.strip() else []
        turns += [1] * len(messages)
    for place, item in enumerate(list_of(record, "conversations")):
        role = _ROLES.get(str(item.get("from"))) if isinstance(item, Mapping) else None
        if role is None:
            raise Refused(f"conversations.{place}.from: must be one of {', '.join(_ROLES)}")
        try:
            value = text_of(item, "value")
            if role == "system":
                tools, value = tools_in(value, changes, tools)
                messages += [{"role": role, "content": value}] if value.strip() else []
            elif role in ("tool", "user"):
                made = responses(value) if role == "tool" else of_user(value, changes)
                messages += taken_apart(made, messages, changes)
            else:
                if item.get("weight") == 0:
                    given.add(len(messages))
                if role == "call":
                    calls = calls_of_json(without_thinking(value, changes), changes)
                    messages.append(call_message(calls))
                else:
                    messages.append(answer(value, changes))
        except Refused as error:
            raise Refused(f"conversations.{place}: {error}") from None
        turns += [place + 1] * (len(messages) - len(turns))
    given |= greetings(messages, changes)
    return Dialogue(tools or [], messages, frozenset(given), turns)


def write(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Record:
    """Convert a sample to a record; the label is the last turn, the only one with weight."""
    names = {"system": "system", "user": "human", "tool": "tool"}
    turns: list[Record] = []
    for message in messages:
        if message["role"] == "assistant":
            turns.append({"from": "gpt", "value": text_of_turn(message), "weight": 0})
        elif message["role"] == "tool":
            value = f"<tool_response>\n{plain(message['content'])}\n</tool_response>"
            turns.append({"from": "tool", "value": value})
        else:
            turns.append({"from": names[message["role"]], "value": message["content"]})
    turns.append({"from": "gpt", "value": text_of_label(label)})
    wrapped = [{"type": "function", "function": tool} for tool in tools]
    return {"conversations": turns, "tools": canonical.dumps(wrapped)}


FORMAT = Format("sharegpt", lambda record: "conversations" in record, read, write)
