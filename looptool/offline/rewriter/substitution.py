"""New samples in the user's own words: every value that can be located is replaced.

The new value replaces the old one everywhere: in all turns, in earlier calls, in the tools'
responses and in the label. All dates move by the same number of weeks, so that weekdays, "next
Friday" and the order of dates stay correct.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from looptool.core import canonical
from looptool.core.calls import ToolCall
from looptool.core.samples import Label, Message, label_calls
from looptool.core.tools import check_arguments
from looptool.english.dates import ISO_DATE, MONTH_DATE, RELATIVE_DATE, read_date
from looptool.english.times import read_time
from looptool.expansion import ErrorSeed
from looptool.offline.rewriter.blueprint import (
    Blueprint,
    Value,
    all_calls,
    leaves,
    parameters_of,
    read_blueprint,
    read_response,
)
from looptool.offline.rewriter.mentions import Mention, locate, rewrite
from looptool.offline.rewriter.replacements import replacements

ATTEMPTS = 4
_BOUNDS = (("min", "max"), ("low", "high"), ("start", "end"), ("from", "to"), ("lower", "upper"))


def substitute(seed: ErrorSeed, rng: random.Random) -> tuple[list[Message], Label] | None:
    """Return messages and label with other values, or None if this cannot be done soundly.

    A value stays if it is not said in a known form, or not unambiguously. At least half of the
    label's values other than booleans must change.
    """
    blueprint = read_blueprint(seed)
    for _ in range(ATTEMPTS):
        new = _new_values(seed, blueprint, rng)
        if new and _enough(seed, new):
            messages, label = _applied(seed, blueprint, new)
            if _is_sound(seed, blueprint, new, messages, label):
                return messages, label
    return None


def shift_system_date(messages: Sequence[Message], weeks: int) -> list[Message]:
    """Return the messages with the dates in system messages moved by `weeks`."""
    return [
        {
            **message,
            "content": ISO_DATE.sub(
                lambda match: _later(match[0], weeks) or match[0], message["content"]
            ),
        }
        if message["role"] == "system" and message.get("content")
        else message
        for message in messages
    ]


def _new_values(seed: ErrorSeed, blueprint: Blueprint, rng: random.Random) -> dict[str, Any]:
    """Choose new values for those that are not fixed, by the old values' canonical JSON."""
    new: dict[str, Any] = {}
    taken = set(blueprint.values)
    text = "\n".join(message.get("content") or "" for message in seed.messages)
    weeks = _weeks(seed, blueprint, rng)
    dates = {key: v.value for key, v in blueprint.values.items() if read_date(v.value)}
    if weeks and all(read_date(_later(text, weeks)) for text in dates.values()):
        new.update({key: _later(text, weeks) for key, text in dates.items()})
    for key, value in blueprint.values.items():
        if value.fixed or read_date(value.value):
            continue
        for candidate in replacements(value.value, value.parameters[0], rng):
            name = canonical.dumps(candidate)
            if name not in taken and _sayable(candidate, value) and not locate(candidate, [text]):
                new[key] = candidate
                taken.add(name)
                break
    return new


def _sayable(candidate: Any, value: Value) -> bool:
    """Whether a candidate can be written in the form of each mention and satisfies the schemas."""
    return all(mention.form(candidate) for mention in value.mentions) and all(
        check_arguments({"x": candidate}, {"type": "object", "properties": {"x": place.schema}})
        is None
        for place in value.parameters
        if "$ref" not in canonical.dumps(place.schema)
    )


def _weeks(seed: ErrorSeed, blueprint: Blueprint, rng: random.Random) -> int:
    """Return the number of weeks by which all dates move; 0 if it is unsafe to move them."""
    said = "\n".join(blueprint.texts)
    dates = [value for value in blueprint.values.values() if read_date(value.value)]
    system = "\n".join(m["content"] for m in seed.messages if m["role"] == "system")
    located = all(value.mentions or value.responded for value in dates)
    relative = bool(ISO_DATE.search(system) and RELATIVE_DATE.search(said))
    if any(_undecided(value) for value in dates):
        return 0
    if not dates or MONTH_DATE.search(said) or not (located or relative):
        return 0
    return rng.choice([-1, 1]) * rng.randint(2, 40)


def _undecided(value: Value) -> bool:
    """Whether it is unclear which number of a date like 05/03/2024 is the month."""
    first, slash, rest = value.value.partition("/")
    return (
        slash == "/"
        and len(first) == 2
        and first <= "12"
        and rest[:2] <= "12"
        and any(place.slot.form != "MM/DD/YYYY" for place in value.parameters)
    )


def _later(text: str, weeks: int) -> str:
    """Return a date moved by `weeks` in the same notation, or "" if it cannot be read back."""
    date = read_date(text)
    if date is None:
        return ""
    moment, pattern = date[0] + timedelta(weeks=weeks), date[1]
    said = moment.strftime(pattern)
    return said if read_date(said) == (moment, pattern) else ""


def _enough(seed: ErrorSeed, new: Mapping[str, Any]) -> bool:
    """Whether at least half of the label's values other than booleans change."""
    keys = {
        canonical.dumps(leaf)
        for call in label_calls(seed.label)
        for leaf in leaves(call.arguments)
        if leaf is not None and not isinstance(leaf, bool)
    }
    changing = len(keys & set(new))
    return changing > 0 and 2 * changing >= len(keys)


def _applied(
    seed: ErrorSeed, blueprint: Blueprint, new: Mapping[str, Any]
) -> tuple[list[Message], Label]:
    """Return the messages and the label with the new values."""
    changes = [
        (mention, said)
        for key, value in blueprint.values.items()
        if key in new
        for mention in value.mentions
        if (said := mention.form(new[key])) is not None
    ]
    texts = rewrite(blueprint.texts, changes)
    messages: list[Message] = []
    for message, text in zip(seed.messages, texts, strict=True):
        changed = dict(message)
        if text:
            changed["content"] = text
        elif message["role"] == "tool":
            changed["content"] = _response(message["content"], blueprint, new)
        if calls := message.get("tool_calls"):
            changed["tool_calls"] = [_replaced(call, new) for call in calls]
        messages.append(changed)
    weeks = _weeks_of(blueprint, new)
    return shift_system_date(messages, weeks) if weeks else messages, {
        "calls": [
            {"name": call["name"], "arguments": _replaced(call["arguments"], new)}
            for call in seed.label["calls"]
        ]
    }


def _weeks_of(blueprint: Blueprint, new: Mapping[str, Any]) -> int:
    """Return the number of weeks by which the dates moved; 0 if they stay."""
    for key, value in blueprint.values.items():
        before = read_date(value.value)
        after = read_date(new.get(key))
        if before and after:
            return round((after[0] - before[0]) / timedelta(weeks=1))
    return 0


def _replaced(node: Any, new: Mapping[str, Any]) -> Any:
    """Return a JSON value in which the scalars that have a new value are replaced."""
    if isinstance(node, dict):
        return {key: _replaced(item, new) for key, item in node.items()}
    if isinstance(node, list):
        return [_replaced(item, new) for item in node]
    return new.get(canonical.dumps(node), node)


def _response(content: str, blueprint: Blueprint, new: Mapping[str, Any]) -> str:
    """Return a tool's response with the new values, formatted as before."""
    data = read_response(content)
    changed = _in_texts(data, blueprint, new)
    if isinstance(data, str) and data == content:
        return str(changed)
    compact = json.dumps(data, ensure_ascii=False, separators=(",", ":")) == content
    separators = (",", ":") if compact else (", ", ": ")
    return json.dumps(changed, ensure_ascii=False, separators=separators)


def _in_texts(node: Any, blueprint: Blueprint, new: Mapping[str, Any]) -> Any:
    """Replace values in a JSON value, and the mentions of texts inside its texts."""
    if isinstance(node, dict):
        return {key: _in_texts(item, blueprint, new) for key, item in node.items()}
    if isinstance(node, list):
        return [_in_texts(item, blueprint, new) for item in node]
    if (key := canonical.dumps(node)) in new or not isinstance(node, str):
        return new.get(key, node)
    changes: list[tuple[Mention, str]] = []
    for key, value in blueprint.values.items():
        if key in new and isinstance(value.value, str):
            changes += [
                (mention, said)
                for mention in locate(value.value, [node])
                if (said := mention.form(new[key])) is not None
            ]
    return rewrite([node], changes)[0]


def _is_sound(
    seed: ErrorSeed,
    blueprint: Blueprint,
    new: Mapping[str, Any],
    messages: Sequence[Message],
    label: Label,
) -> bool:
    """Whether calls are valid, bounds keep their order, and mentions keep their number."""
    for before, after in zip(all_calls(seed), all_calls(_with(seed, messages, label)), strict=True):
        if check_arguments(after.arguments, parameters_of(after, seed.tools)) is not None:
            return False
        if not bounds_kept(before, after):
            return False
    texts = [
        message.get("content") or "" if message["role"] in ("user", "assistant") else ""
        for message in messages
    ]
    return all(
        read_date(value.value) is not None or len(locate(new[key], texts)) == len(value.mentions)
        for key, value in blueprint.values.items()
        if key in new
    )


def _with(seed: ErrorSeed, messages: Sequence[Message], label: Label) -> ErrorSeed:
    return replace(seed, messages=list(messages), label=label)


def bounds_kept(before: ToolCall, after: ToolCall) -> bool:
    """Whether pairs such as min_price and max_price keep their order."""
    for low_name in before.arguments:
        for left, right in _BOUNDS:
            high_name = low_name.replace(left, right)
            if high_name == low_name or high_name not in before.arguments:
                continue
            old = [_order(before.arguments[name]) for name in (low_name, high_name)]
            new = [_order(after.arguments[name]) for name in (low_name, high_name)]
            if None in (*old, *new):
                continue
            if (old[0] < old[1]) != (new[0] < new[1]):
                return False
    return True


def _order(value: Any) -> Any:
    """Return the sort key of a number, date or time; None for other values."""
    if isinstance(value, int | float):
        return float(value)
    if date := read_date(value):
        return date[0].timestamp()
    time = read_time(value)
    return time and 60.0 * time[0] + time[1]
