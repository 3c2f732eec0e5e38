"""New requests for an error seed: calls of the same structure with new values, in new words."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from looptool.core import canonical
from looptool.core.calls import ToolCall
from looptool.core.samples import Label, Message, call_label, label_calls
from looptool.core.tools import Tool, check_call
from looptool.expansion import ErrorSeed
from looptool.offline.grammar import toolbox, user, values, wording
from looptool.offline.grammar.slots import Slot
from looptool.offline.rewriter.substitution import bounds_kept, shift_system_date

ATTEMPTS = 6


def rewrite_request(seed: ErrorSeed, rng: random.Random) -> tuple[list[Message], Label] | None:
    """Return a new request for calls like the label's with new values, or None.

    These stay: the tools and how often each is called, the arguments of each call, the lengths of
    lists, which values calls share, and booleans. Only for conversations of one turn.
    """
    if not _is_one_turn(seed):
        return None
    if any(check_call(call, seed.tools) for call in label_calls(seed.label)):
        return None
    messages = shift_system_date(seed.messages, rng.randint(-40, 40))
    today = wording.today_of(messages)
    for _ in range(ATTEMPTS):
        calls = _new_calls(label_calls(seed.label), seed.tools, today, rng)
        if calls is None:
            continue
        request = user.request(calls, seed.tools, rng, today=today)
        if request:
            return _asking(messages, request), call_label(calls)
    return None


def incomplete_request(seed: ErrorSeed, rng: random.Random) -> tuple[list[Message], Label] | None:
    """Return a new request that lacks the parameter that the label's text asks for, or None.

    The label keeps its text. None also if the text does not tell which parameter that is.
    """
    asked = _asked_for(seed)
    if asked is None or not _is_one_turn(seed):
        return None
    action, missing = asked
    slots = {name: slot for name, slot in action.slots.items() if name != missing}
    call = ToolCall(action.tool["name"], values.draw_arguments(slots, rng))
    messages = shift_system_date(seed.messages, rng.randint(-40, 40))
    request = user.request([call], [action.tool], rng)
    return (_asking(messages, request), seed.label) if request else None


def other_request(seed: ErrorSeed, rng: random.Random) -> tuple[list[Message], Label] | None:
    """Return a new request that none of the tools fits, or None; the label keeps its text."""
    offered = toolbox.distractors(seed.tools, 1, rng)
    if not offered or not _is_one_turn(seed):
        return None
    slots = toolbox.action_of(offered[0]).slots
    call = ToolCall(offered[0]["name"], values.draw_arguments(slots, rng))
    request = user.request([call], offered, rng)
    return (_asking(seed.messages, request), seed.label) if request else None


def confused_with(seed: ErrorSeed) -> set[str]:
    """Return the names of the tools that the failed prediction called."""
    return {call.name for call in seed.prediction.calls}


def other_tools(seed: ErrorSeed, rng: random.Random, user_tools: Sequence[Tool] = ()) -> list[Tool]:
    """Return the tools in random order, with mere distractors replaced.

    Called tools stay, and so do those that the model called by mistake. If no call is due, all
    tools stay, because another one might fit the request.

    Args:
        user_tools: the user's tools, from which new distractors are drawn; if empty, the trees
            give them.
    """
    if "text" in seed.label:
        return rng.sample(seed.tools, len(seed.tools))
    called = {call.name for call in label_calls(seed.label)} | {
        call["function"]["name"]
        for message in seed.messages
        for call in message.get("tool_calls") or ()
    }
    keep = [tool for tool in seed.tools if tool["name"] in called | confused_with(seed)]
    names = {tool["name"] for tool in seed.tools}
    count = len(seed.tools) - len(keep)
    if user_tools:
        left = [tool for tool in user_tools if tool["name"] not in names]
        distractors = rng.sample(left, min(count, len(left)))
    else:
        drawn = toolbox.distractors(keep, count, rng)
        distractors = [tool for tool in drawn if tool["name"] not in names]
    rest = [tool for tool in seed.tools if tool not in keep]
    tools = [*keep, *distractors, *rest[len(distractors) :]]
    return rng.sample(tools, len(tools))


def _is_one_turn(seed: ErrorSeed) -> bool:
    return [m["role"] for m in seed.messages if m["role"] != "system"] == ["user"]


def _asked_for(seed: ErrorSeed) -> tuple[toolbox.Action, str] | None:
    """Return the tool and the required parameter that the label's text names (longest word)."""
    text = seed.label["text"].casefold()
    candidates = [
        (len(slot.word), action, name)
        for action in map(toolbox.action_of, seed.tools)
        for name, slot in action.slots.items()
        if slot.required and re.search(rf"\b{re.escape(slot.word.casefold())}\b", text)
    ]
    longest = [
        candidate
        for candidate in candidates
        if candidate[0] == max(length for length, _, _ in candidates)
    ]
    return longest[0][1:] if len(longest) == 1 else None


def _new_calls(
    calls: Sequence[ToolCall], tools: Sequence[Tool], today: dt.date | None, rng: random.Random
) -> list[ToolCall] | None:
    """Return calls of the same structure with new values, or None if this attempt fails."""
    by_name = {tool["name"]: tool for tool in tools}
    chosen: dict[tuple[str, str], Any] = {}
    made = []
    for call in calls:
        action = toolbox.action_of(by_name[call.name], call.arguments)
        slots = action.slots
        if not set(call.arguments) <= set(slots):
            return None
        if action.leaf is None and any(map(_is_nested, call.arguments.values())):
            return None  # it can only be said as JSON
        arguments = {}
        for name, value in call.arguments.items():
            key = (name, canonical.dumps(value))
            if key not in chosen:
                chosen[key] = _new_value(slots[name], value, today, rng)
            arguments[name] = chosen[key]
        made.append(ToolCall(call.name, arguments))
    known = {canonical.dumps(call.to_json()) for call in calls}
    new = {canonical.dumps(call.to_json()) for call in made}
    if (
        len(new) != len(known)
        or new & known
        or any(check_call(call, tools) for call in made)
        or not all(map(bounds_kept, calls, made))
    ):
        return None
    return made


def _new_value(slot: Slot, value: Any, today: dt.date | None, rng: random.Random) -> Any:
    """Draw a value with the shape of the old one; booleans stay."""
    drawn = value
    for _ in range(0 if isinstance(value, bool) else 10):
        drawn = values.draw(slot, rng, today)
        if _shape(drawn) == _shape(value) and drawn != value:
            break
    return drawn


def _is_nested(value: Any) -> bool:
    items = value if isinstance(value, list) else ()
    return isinstance(value, Mapping) or any(isinstance(item, list | Mapping) for item in items)


def _shape(value: Any) -> Any:
    """Return what stays the same in a new value: types, lengths of lists, names of fields."""
    if isinstance(value, Mapping):
        return {key: _shape(item) for key, item in value.items()}
    return len(value) if isinstance(value, list) else type(value)


def _asking(messages: Sequence[Message], request: str) -> list[Message]:
    """Return the system messages, then the request."""
    return [*(m for m in messages if m["role"] == "system"), {"role": "user", "content": request}]
