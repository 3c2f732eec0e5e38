"""A strategy for sound chats, and writers of them in every format that is imported.

The writers are not the project's own exports, so that a fault in both cannot hide.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from hypothesis import strategies as st

from looptool.core import canonical

LETTERS = st.characters(categories=["L", "N", "Zs"], include_characters="'\"\\,.:;(){}!?=\n–€")
TEXT = st.text(LETTERS, min_size=1, max_size=15).filter(str.strip)
WHOLE = st.integers(-(10**12), 10**12)
NUMBERS = st.floats(-1e9, 1e9, allow_nan=False).filter(lambda number: not number.is_integer())
TYPES: dict[str, tuple[dict[str, Any], st.SearchStrategy[Any]]] = {
    "string": ({"type": "string"}, TEXT),
    "integer": ({"type": "integer"}, WHOLE),
    "number": ({"type": "number"}, NUMBERS),
    "boolean": ({"type": "boolean"}, st.booleans()),
    "enum": ({"type": "string", "enum": ["north", "no", "1"]},
             st.sampled_from(["north", "no", "1"])),
    "list": ({"type": "array", "items": {"type": "integer"}}, st.lists(WHOLE, max_size=3)),
    "object": (
        {"type": "object",
         "properties": {"kind": {"type": "string"}, "is_new": {"type": "boolean"}}},
        st.fixed_dictionaries({"kind": TEXT}, optional={"is_new": st.booleans()}),
    ),
}  # fmt: skip
NAMES = ["find_room", "book", "cancel_order", "list_all"]
Call = dict[str, Any]


class Chat(NamedTuple):
    """A request, calls, their results and a last word; `later` are calls that come after these."""

    tools: list[dict[str, Any]]
    request: str
    calls: list[Call]
    results: list[dict[str, Any]]
    later: list[Call]
    last: str


@st.composite
def chats(draw: st.DrawFn) -> Chat:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    keys = st.lists(st.sampled_from(["place", "count", "mode", "to"]), max_size=3, unique=True)
    tools, arguments = [], {}
    for name in names:
        kinds = {key: draw(st.sampled_from(list(TYPES))) for key in draw(keys)}
        required = [key for key in kinds if draw(st.booleans())]
        tools.append({
            "name": name, "description": f"Does what {name} says.",
            "parameters": {"type": "object", "required": required,
                           "properties": {key: TYPES[kind][0] for key, kind in kinds.items()}},
        })  # fmt: skip
        arguments[name] = st.fixed_dictionaries(
            {key: TYPES[kinds[key]][1] for key in required},
            optional={key: TYPES[kind][1] for key, kind in kinds.items() if key not in required},
        )

    def some(least: int, most: int) -> list[Call]:
        made = [
            {"name": name, "arguments": draw(arguments[name])}
            for name in draw(st.lists(st.sampled_from(names), min_size=least, max_size=most))
        ]
        unlike = {canonical.dumps(call): call for call in made}
        return list(unlike.values())

    calls = some(1, 3)
    results = [{"ok": True, "number": place} for place in range(len(calls))]
    later = some(0, 1)
    return Chat(tools, f"Please do it, {draw(TEXT)}", calls, results, later, "All of it is done.")


def openai(chat: Chat, text: Any) -> dict[str, Any]:
    def said(calls: list[Call], start: int) -> dict[str, Any]:
        return {"role": "assistant", "content": None, "tool_calls": [
            {"id": f"c{n}", "type": "function",
             "function": {"name": call["name"], "arguments": text(call["arguments"])}}
            for n, call in enumerate(calls, start)]}  # fmt: skip

    messages = [{"role": "user", "content": chat.request}, said(chat.calls, 0)]
    for place in reversed(range(len(chat.calls))):  # by id, so in any order
        result = json.dumps(chat.results[place])
        messages.append({"role": "tool", "tool_call_id": f"c{place}", "content": result})
    if chat.later:
        messages += [said(chat.later, 10),
                     {"role": "tool", "tool_call_id": "c10", "content": "{}"}]  # fmt: skip
    messages.append({"role": "assistant", "content": chat.last})
    return {"messages": messages,
            "tools": [{"type": "function", "function": tool} for tool in chat.tools]}  # fmt: skip


def sharegpt(chat: Chat, write: Any) -> dict[str, Any]:
    def said(calls: list[Call]) -> dict[str, str]:
        blocks = [f"<tool_call>\n{write(call)}\n</tool_call>" for call in calls]
        return {"from": "gpt", "value": "\n".join(blocks)}

    turns = [{"from": "human", "value": chat.request}, said(chat.calls)]
    for call, result in zip(chat.calls, chat.results, strict=True):
        body = json.dumps({"name": call["name"], "content": result})
        turns.append({"from": "tool", "value": f"<tool_response>\n{body}\n</tool_response>"})
    if chat.later:
        turns += [said(chat.later), {"from": "tool", "value": "<tool_response>{}</tool_response>"}]
    turns.append({"from": "gpt", "value": chat.last})
    system = f"You call functions. <tools> {json.dumps(chat.tools)} </tools>"
    return {"conversations": [{"from": "system", "value": system}, *turns]}


def toolace(chat: Chat) -> dict[str, Any]:
    def said(calls: list[Call]) -> dict[str, str]:
        made = [
            f"{call['name']}({', '.join(f'{k}={v!r}' for k, v in call['arguments'].items())})"
            for call in calls
        ]
        return {"from": "assistant", "value": f"[{', '.join(made)}]"}

    results = [
        {"name": call["name"], "results": result}
        for call, result in zip(chat.calls, chat.results, strict=True)
    ]
    turns = [{"from": "user", "value": chat.request}, said(chat.calls),
             {"from": "tool", "value": json.dumps(results)}]  # fmt: skip
    if chat.later:
        answer = json.dumps([{"name": chat.later[0]["name"], "results": {}}])
        turns += [said(chat.later), {"from": "tool", "value": answer}]
    turns.append({"from": "assistant", "value": chat.last})
    system = "Here is a list of functions in JSON format that you can invoke:\n"
    return {"system": system + json.dumps(chat.tools), "conversations": turns}


def xlam(chat: Chat) -> dict[str, Any]:
    return {
        "query": chat.request, "tools": json.dumps(chat.tools), "answers": json.dumps(chat.calls)
    }  # fmt: skip


def published(chat: Chat) -> dict[str, Any]:
    instruction = "\n".join(map(json.dumps, chat.tools))
    blocks = [f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in chat.calls]
    return {
        "instruction": f"Tools:\n<tools>\n{instruction}\n</tools>",
        "input": chat.request, "output": "\n".join(blocks),
    }  # fmt: skip


WRITERS = {
    "openai": ("openai", lambda chat: openai(chat, json.dumps)),
    "openai, arguments as objects": ("openai", lambda chat: openai(chat, lambda value: value)),
    "openai, Python's literals": ("openai", lambda chat: openai(chat, repr)),
    "sharegpt": ("sharegpt", lambda chat: sharegpt(chat, json.dumps)),
    "sharegpt, Python's literals": ("sharegpt", lambda chat: sharegpt(chat, repr)),
    "toolace": ("toolace", toolace),
    "xlam": ("xlam", xlam),
    "looptool": ("looptool", published),
}
