"""Label noise: wrong labels of known kinds, planted to measure how many of them the judge finds.

Most kinds are schema-valid and use only values from the conversation. Otherwise a judge could do
well by checking schemas and searching the text for values.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from looptool.core import canonical
from looptool.core.answers import message_calls
from looptool.core.calls import ToolCall
from looptool.core.samples import Label, Message, call_label, label_calls, text_label
from looptool.core.tool_match import match
from looptool.core.tools import check_call
from looptool.english.dates import DIGITS_DATE, NOISE_DATES, read_date

if TYPE_CHECKING:
    from looptool.synthesis import Draft

Calls = tuple[ToolCall, ...]

_NUMBER = re.compile(r"(?<![\w.,:/-])-?\d+(?:\.\d+)?(?![\w:/-]|[.,]\d)")
_QUOTED = re.compile(r"[\"“]([^\"”\n]{1,60})[\"”]|(?<!\w)'([^'\n]{1,60})'(?!\w)")
_NAME = re.compile(r"(?<![.!?:] )(?<!^)\b[A-Z]\w+(?: [A-Z]\w+)*", re.MULTILINE)
_WORD = re.compile(r"\b[a-z]{5,}\b")
_TEXTS = (
    "Could you give me a few more details first?",
    "None of my tools can do that.",
)


def plant(draft: Draft, rng: random.Random) -> tuple[Label, str] | None:
    """Return a wrong label for `draft` and the kind of its error, or None if no kind applies.

    The kind is drawn uniformly from those that apply. A wrong label never matches the right one
    under `match: schema`. It satisfies the tools' schemas unless its kind is in `BREAKS_SCHEMA`.
    """
    kinds = sorted(KINDS)
    rng.shuffle(kinds)
    for kind in kinds:
        candidates = list(KINDS[kind](draft))
        rng.shuffle(candidates)
        for label in candidates:
            if _is_wrong(draft, label) and _fits(draft, label) == (kind not in BREAKS_SCHEMA):
                return copy.deepcopy(label), kind
    return None


def _is_wrong(draft: Draft, label: Label) -> bool:
    return not match(label_calls(label), label_calls(draft.label), draft.tools)


def _fits(draft: Draft, label: Label) -> bool:
    """Whether all calls of a label satisfy the schemas."""
    return all(check_call(call, draft.tools) is None for call in label_calls(label))


# Positions of values in a label


@dataclass(frozen=True, slots=True)
class _Slot:
    """A value in a label: an argument, or a property of an argument that is an object."""

    call: int
    path: tuple[str, ...]
    value: Any
    schema: Mapping[str, Any]
    required: bool


def _slots(draft: Draft) -> list[_Slot]:
    slots = []
    for index, call in enumerate(label_calls(draft.label)):
        tool = next((tool for tool in draft.tools if tool["name"] == call.name), None)
        if tool is not None:
            slots += list(_slots_of(index, (), call.arguments, tool["parameters"]))
    return slots


def _slots_of(
    call: int, path: tuple[str, ...], values: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[_Slot]:
    """Yield the slots of an object and of the objects inside it."""
    for name, value in values.items():
        inner = schema.get("properties", {}).get(name, {})
        yield _Slot(call, (*path, name), value, inner, name in schema.get("required", ()))
        if isinstance(value, dict):
            yield from _slots_of(call, (*path, name), value, inner)


def _replaced(draft: Draft, *changes: tuple[_Slot, Any]) -> Label:
    """Return the draft's label with the given slots changed to other values."""
    label = copy.deepcopy(draft.label)
    for slot, value in changes:
        _holder(label, slot)[slot.path[-1]] = copy.deepcopy(value)
    return label


def _without(draft: Draft, slot: _Slot) -> Label:
    label = copy.deepcopy(draft.label)
    del _holder(label, slot)[slot.path[-1]]
    return label


def _holder(label: Label, slot: _Slot) -> dict[str, Any]:
    """Return the object in the label that has the slot as a property."""
    holder: dict[str, Any] = label["calls"][slot.call]["arguments"]
    for name in slot.path[:-1]:
        holder = holder[name]
    return holder


def _differ(left: Any, right: Any) -> bool:
    return canonical.dumps(left) != canonical.dumps(right)


def _one_in_the_other(left: Any, right: Any) -> bool:
    """Whether two values are equal, or one text contains the other regardless of case."""
    if not (isinstance(left, str) and isinstance(right, str)):
        return not _differ(left, right)
    left, right = left.casefold(), right.casefold()
    return left in right or right in left


# What the conversation mentions


@dataclass(frozen=True, slots=True)
class _Mentions:
    """The values mentioned in a conversation, without repetition."""

    text: str
    numbers: tuple[int | float, ...]
    dates: tuple[str, ...]
    names: tuple[str, ...]


def _mentions(messages: Sequence[Message]) -> _Mentions:
    """Find the values that the messages mention, calls and responses included."""
    leaves: list[Any] = []
    text = []
    for message in messages:
        content = message.get("content") or ""
        for call in message_calls(message):
            leaves += _leaves(call.arguments)
        if message["role"] == "tool":
            try:
                leaves += _leaves(canonical.loads(content))
            except ValueError:
                text.append(content)
        else:
            text.append(content)
    everything = "\n".join([*text, *(leaf for leaf in leaves if isinstance(leaf, str))])
    spoken = "\n".join(m["content"] for m in messages if m["role"] == "user" and m.get("content"))
    undated = DIGITS_DATE.sub(" ", spoken)
    numbers = [float(n) if "." in n else int(n) for n in _NUMBER.findall(undated)]
    names = ["".join(parts) for parts in _QUOTED.findall(spoken)] + _NAME.findall(spoken)
    names += [v for v in leaves if isinstance(v, str) and v and not _date_pattern(v)]
    return _Mentions(
        everything,
        _unique(numbers + [v for v in leaves if type(v) in (int, float)]),
        _unique(DIGITS_DATE.findall(everything)),
        _unique(names or _WORD.findall(spoken)[-4:]),
    )


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _unique(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple({canonical.dumps(value): value for value in values}.values())


def _grounded(schema: Mapping[str, Any], mentions: _Mentions) -> list[Any]:
    """Return the mentioned values that a parameter with this schema could take."""
    kind = schema.get("type")
    if "enum" in schema:
        text = mentions.text.lower()
        return [v for v in schema["enum"] if isinstance(v, str) and v.lower() in text]
    if kind == "integer":
        return [value for value in mentions.numbers if isinstance(value, int)]
    if kind == "number":
        return list(mentions.numbers)
    if kind == "array":
        return [[value] for value in _grounded(schema.get("items", {}), mentions)]
    if kind == "object":
        filled = _filled(schema, mentions, 0)
        return [filled] if filled else []
    if kind != "string":
        return []
    about = f"{schema.get('format', '')} {schema.get('description', '')}".lower()
    return list(mentions.dates if "date" in about or "yyyy" in about else mentions.names)


def _filled(schema: Mapping[str, Any], mentions: _Mentions, shift: int) -> dict[str, Any]:
    """Fill required properties with mentioned values, without repetition while values last."""
    filled: dict[str, Any] = {}
    for name in schema.get("required", ()):
        values = _grounded(schema["properties"].get(name, {}), mentions)
        values = values[shift % max(1, len(values)) :] + values[: shift % max(1, len(values))]
        unused = [value for value in values if value not in filled.values()]
        if values:
            filled[name] = (unused or values)[0]
    return filled


def _grounded_calls(draft: Draft) -> list[ToolCall]:
    """Return calls of all tools that take their required arguments from the conversation."""
    mentions = _mentions(draft.messages)
    return [
        ToolCall(tool["name"], _filled(tool["parameters"], mentions, shift))
        for tool in draft.tools
        for shift in range(3)
    ]


def _date_pattern(value: Any) -> str | None:
    """Return the pattern of a date, or None for other values."""
    date = read_date(value, NOISE_DATES)
    return date and date[1]


# The kinds of noise: each yields candidate labels, and `plant` picks one that is really wrong


def _values_swapped(draft: Draft) -> Iterator[Label]:
    """Swap two values of the same type, within a call or between two calls."""
    slots = [slot for slot in _slots(draft) if not isinstance(slot.value, dict)]
    for index, left in enumerate(slots):
        for right in slots[index + 1 :]:
            if type(left.value) is type(right.value) and _differ(left.value, right.value):
                yield _replaced(draft, (left, right.value), (right, left.value))


def _value_from_elsewhere(draft: Draft) -> Iterator[Label]:
    """Replace a value by another one that the conversation mentions."""
    mentions = _mentions(draft.messages)
    for slot in _slots(draft):
        if isinstance(slot.value, dict):
            continue
        pattern = _date_pattern(slot.value)
        values = mentions.dates if pattern else _grounded(slot.schema, mentions)
        for value in values:
            if _date_pattern(value) == pattern and not _one_in_the_other(value, slot.value):
                yield _replaced(draft, (slot, value))


def _similar_tool(draft: Draft) -> Iterator[Label]:
    """Call another available tool with the arguments that both tools have."""
    calls = label_calls(draft.label)
    for index, call in enumerate(calls):
        for tool in draft.tools:
            known = tool["parameters"].get("properties", {})
            shared = {name: v for name, v in call.arguments.items() if name in known}
            if tool["name"] != call.name and (shared or not call.arguments):
                other = ToolCall(tool["name"], shared)
                yield call_label([*calls[:index], other, *calls[index + 1 :]])


def _call_dropped(draft: Draft) -> Iterator[Label]:
    calls = label_calls(draft.label)
    if len(calls) > 1:
        for index in range(len(calls)):
            yield call_label([*calls[:index], *calls[index + 1 :]])


def _call_duplicated(draft: Draft) -> Iterator[Label]:
    calls = label_calls(draft.label)
    for index, call in enumerate(calls):
        yield call_label([*calls[: index + 1], call, *calls[index + 1 :]])


def _call_added(draft: Draft) -> Iterator[Label]:
    """Add a call to another available tool, with mentioned values."""
    calls = label_calls(draft.label)
    named = {call.name for call in calls}
    if calls:
        for call in _grounded_calls(draft):
            if call.name not in named:
                yield call_label([*calls, call])


def _optional_dropped(draft: Draft) -> Iterator[Label]:
    for slot in _slots(draft):
        if not slot.required:
            yield _without(draft, slot)


def _list_item_dropped(draft: Draft) -> Iterator[Label]:
    for slot in _slots(draft):
        if isinstance(slot.value, list) and len(slot.value) > 1:
            for index in range(len(slot.value)):
                yield _replaced(draft, (slot, slot.value[:index] + slot.value[index + 1 :]))


def _list_reordered(draft: Draft) -> Iterator[Label]:
    for slot in _slots(draft):
        if isinstance(slot.value, list) and len(slot.value) > 1:
            yield _replaced(draft, (slot, slot.value[::-1]))
            yield _replaced(draft, (slot, slot.value[1:] + slot.value[:1]))


def _called_when_text(draft: Draft) -> Iterator[Label]:
    """Call a tool where the label is a text, with mentioned values for its parameters."""
    if "text" in draft.label:
        for call in _grounded_calls(draft):
            yield call_label([call])


def _called_incomplete(draft: Draft) -> Iterator[Label]:
    """Call a tool where the label is a text, with a required parameter missing."""
    yield from _called_when_text(draft)


def _off_by_one_date(draft: Draft) -> Iterator[Label]:
    for slot in _slots(draft):
        if date := read_date(slot.value, NOISE_DATES):
            moment, pattern = date
            for days in (-1, 1):
                if 1000 < moment.year < 9999:
                    other = (moment + timedelta(days=days)).strftime(pattern)
                    yield _replaced(draft, (slot, other))


def _invented_value(draft: Draft) -> Iterator[Label]:
    """Change one digit of a number, or of a text that is not a date."""
    for slot in _slots(draft):
        if isinstance(slot.value, bool) or not isinstance(slot.value, int | float | str):
            continue
        text = slot.value if isinstance(slot.value, str) else canonical.dumps(slot.value)
        if "enum" in slot.schema or _date_pattern(slot.value) or len(text) > 40:
            continue
        for place in (hit.start() for hit in re.finditer(r"[0-9]", text)):
            for digit in "123456789":
                changed = text[:place] + digit + text[place + 1 :]
                if changed != text:
                    value = changed if isinstance(slot.value, str) else canonical.loads(changed)
                    yield _replaced(draft, (slot, value))


def _enum_changed(draft: Draft) -> Iterator[Label]:
    """Replace a value by another member of its enum, or a boolean by its opposite."""
    for slot in _slots(draft):
        members = [not slot.value] if isinstance(slot.value, bool) else slot.schema.get("enum", ())
        for member in members:
            if _differ(member, slot.value):
                yield _replaced(draft, (slot, member))


def _required_dropped(draft: Draft) -> Iterator[Label]:
    for slot in _slots(draft):
        if slot.required:
            yield _without(draft, slot)


def _wrong_type(draft: Draft) -> Iterator[Label]:
    """Give a value another type: a number as text, a list's first item for the list, …"""
    for slot in _slots(draft):
        value = slot.value
        if isinstance(value, str):
            yield _replaced(draft, (slot, [value]))
        elif isinstance(value, list):
            yield _replaced(draft, (slot, value[0] if value else ""))
        else:
            yield _replaced(draft, (slot, canonical.dumps(value)))


def _text_when_called(draft: Draft) -> Iterator[Label]:
    if "calls" in draft.label:
        for text in _TEXTS:
            yield text_label(text)


Kind = Callable[["Draft"], Iterator[Label]]
_GROUNDED: dict[str, Kind] = {
    "values_swapped": _values_swapped,
    "value_from_elsewhere": _value_from_elsewhere,
    "similar_tool": _similar_tool,
    "call_dropped": _call_dropped,
    "call_duplicated": _call_duplicated,
    "call_added": _call_added,
    "optional_dropped": _optional_dropped,
    "list_item_dropped": _list_item_dropped,
    "list_reordered": _list_reordered,
    "called_when_text": _called_when_text,
}
# Schema-valid kinds whose values all come from the right label or the conversation.
GROUNDED = frozenset(_GROUNDED)
BREAKS_SCHEMA = frozenset({"required_dropped", "wrong_type", "called_incomplete"})
KINDS: dict[str, Kind] = {
    **_GROUNDED,
    "off_by_one_date": _off_by_one_date,
    "invented_value": _invented_value,
    "enum_changed": _enum_changed,
    "text_when_called": _text_when_called,
    "required_dropped": _required_dropped,
    "wrong_type": _wrong_type,
    "called_incomplete": _called_incomplete,
}
