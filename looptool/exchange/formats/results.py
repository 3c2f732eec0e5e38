"""Matching results to calls.

A sample's results follow its calls in the same order. Results in another order are moved; a result
is refused if it is unclear which call it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from looptool.core import canonical
from looptool.core.answers import result_message
from looptool.core.samples import Message
from looptool.exchange.formats import Changes, Refused
from looptool.exchange.formats.literals import value_of

_VALUES = {"content", "results", "result", "output"}
_KEYS = _VALUES | {"name", "tool_call_id"}  # allowed in a content that names its tool
_CALL_KEYS = {"name", "tool_call_id"}


def in_order(
    calls: Sequence[Mapping[str, Any]], results: Sequence[Message], changes: Changes
) -> list[Message]:
    """Return the tool messages in the order of the calls that they answer, with tool names.

    Results are matched by id; if they have none, by tool name; if they have no names either, by
    position.

    Args:
        calls: `tool_calls` of the preceding assistant message.

    Raises:
        Refused: if a result answers no call or the same call as another, or a call has no result
            although a later one has.
    """
    names = [call["function"]["name"] for call in calls]
    ids = [result.get("tool_call_id") for result in results]
    called = [call.get("id") for call in calls]
    if any(ids) and (any(called) or len(calls) > 1):  # a single call needs no id
        places = _places_of_ids(ids, called)
        for result, place in zip(results, places, strict=True):
            if "name" in result and not _is_same(result["name"], names[place]):
                raise Refused(f"name: {result['name']!r} answers a call of {names[place]!r}")
    else:
        if len(calls) > 1:
            results = _with_names(results, names)
        places = _places_of_names([result.get("name") for result in results], names)
    if sorted(places)[: len(calls)] != list(range(min(len(places), len(calls)))):
        missing = min(set(range(len(calls))) - set(places))
        raise Refused(f"call {missing + 1} has no result, but a later one has")
    if places != sorted(places):
        changes["results moved behind their calls"] += 1
    return [
        {"name": names[place], **{k: v for k, v in result.items() if k not in _CALL_KEYS}}
        for place, result in sorted(zip(places, results, strict=True), key=itemgetter(0))
    ]


def taken_apart(
    results: list[Message], before: Sequence[Message], changes: Changes
) -> list[Message]:
    """Split a message that lists the results of several calls by name into one message each.

    Args:
        results: the messages of a turn; returned unchanged if there is nothing to split.
        before: all messages before them.
    """
    calls = before[-1].get("tool_calls", ()) if before and results[0]["role"] == "tool" else ()
    if len(calls) < 2 or len(results) > 1 or results[0].keys() & _CALL_KEYS:
        return results
    items = _named_in(results[0]["content"])
    names = [call["function"]["name"] for call in calls]
    if len(items) < 2 or not any(_is_same(item["name"], name) for item in items for name in names):
        return results
    changes["messages with several results taken apart"] += 1
    return [result_message(item["name"], canonical.dumps(item)) for item in items]


def _places_of_ids(ids: Sequence[str | None], called: Sequence[str | None]) -> list[int]:
    places = []
    for identity in ids:
        if identity is None:
            raise Refused("tool_call_id: is missing, but other results have one")
        if called.count(identity) != 1:
            many = "several calls" if identity in called else "no call"
            raise Refused(f"tool_call_id: {identity!r} answers {many} of the previous turn")
        places.append(called.index(identity))
    if len(set(places)) < len(places):
        raise Refused("tool_call_id: two results answer the same call")
    return places


def _places_of_names(named: Sequence[str | None], names: Sequence[str]) -> list[int]:
    """Return for each result the index of the first open call of its name, or its own position."""
    if not any(named):
        if len(named) > len(names):
            raise Refused(f"there are more results ({len(named)}) than calls ({len(names)})")
        return list(range(len(named)))
    open_calls = list(range(len(names)))
    places = []
    for name in named:
        if name is None:
            raise Refused("name: is missing, but other results have one")
        place = next((place for place in open_calls if _is_same(name, names[place])), None)
        if place is None:
            raise Refused(f"name: {name!r} answers no open call of the previous turn")
        open_calls.remove(place)
        places.append(place)
    return places


def _is_same(name: str, other: str) -> bool:
    """Whether two names denote the same tool; OpenAI's namespace `functions.` is ignored."""
    return name.removeprefix("functions.") == other.removeprefix("functions.")


def _with_names(results: Sequence[Message], names: Sequence[str]) -> Sequence[Message]:
    """Return results with the tool names from their contents (Hermes form).

    Any tool may return a name and a content, e.g. of a file. The names count only if at least one
    of them is the name of a call.
    """
    made: list[Message] = []
    is_named = False
    for result in results:
        inner = [] if "name" in result else _named_in(result["content"])
        known = any(_is_same(item["name"], name) for item in inner for name in names)
        if known and len(inner) > 1:
            raise Refused("one message has the results of several calls beside another's")
        is_named |= known or "name" in result
        made.append({**result, "name": inner[0]["name"]} if len(inner) == 1 else result)
    return made if is_named else results


def _named_in(text: str) -> list[dict[str, Any]]:
    """Return the results in a text that is an object with a tool name, or a list of such."""
    if "name" not in text or text.lstrip()[:1] not in ("{", "["):
        return []
    try:
        value = value_of(text.strip(), Changes())
    except ValueError:
        return []
    items = value if isinstance(value, list) else [value]
    return items if all(map(_names_its_tool, items)) else []


def _names_its_tool(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("name"), str)
        and _VALUES & set(item) != set()
        and set(item) <= _KEYS
    )
