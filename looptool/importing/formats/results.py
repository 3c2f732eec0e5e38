"""Which result answers which call.

A sample's results follow the calls in their order, so a result that came in another place is moved,
and one whose call is not certain is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from looptool import canonical
from looptool.importing.formats import Changes, Refused
from looptool.samples import Message


def in_order(
    calls: Sequence[Mapping[str, Any]], results: Sequence[Message], changes: Changes
) -> list[Message]:
    """Return the messages of tools in the order of the calls that they answer, with their names.

    A result is told by its id; where results have none, by the name of its tool; else by its
    place.

    Args:
        calls: `tool_calls` of the assistant's message before them.

    Raises:
        Refused: if a result answers no call, or the same one as another, or an earlier call has
            none.
    """
    names = [call["function"]["name"] for call in calls]
    ids = [result.get("tool_call_id") for result in results]
    called = [call.get("id") for call in calls]
    if any(ids) and (any(called) or len(calls) > 1):  # one call without id has one result
        places = _places_of_ids(ids, called)
        for result, place in zip(results, places, strict=True):
            if result.get("name", names[place]) != names[place]:
                raise Refused(f"name: {result['name']!r} answers a call of {names[place]!r}")
    else:
        places = _places_of_names([_name(result, names) for result in results], names)
    if sorted(places)[: len(calls)] != list(range(min(len(places), len(calls)))):
        missing = min(set(range(len(calls))) - set(places))
        raise Refused(f"call {missing + 1} has no result, and a later one has")
    if places != sorted(places):
        changes["results moved behind their calls"] += 1
    made = []
    for place, result in sorted(zip(places, results, strict=True), key=itemgetter(0)):
        name = {"name": names[place]} if place < len(names) else {}
        made.append({**name, **{k: v for k, v in result.items() if k != "tool_call_id"}})
    return made


def _places_of_ids(ids: Sequence[str | None], called: Sequence[str | None]) -> list[int]:
    places = []
    for identity in ids:
        if identity is None:
            raise Refused("tool_call_id: is missing beside results that have one")
        if called.count(identity) != 1:
            many = "several calls" if identity in called else "no call"
            raise Refused(f"tool_call_id: {identity!r} answers {many} of the turn before")
        places.append(called.index(identity))
    if len(set(places)) < len(places):
        raise Refused("tool_call_id: two results answer the same call")
    return places


def _places_of_names(named: Sequence[str | None], names: Sequence[str]) -> list[int]:
    """Return for each result the first open call of its name, if all names are told and known."""
    open_calls = list(range(len(names)))
    places = []
    for name in named:
        place = next((place for place in open_calls if names[place] == name), None)
        if place is None:
            return list(range(len(named)))
        open_calls.remove(place)
        places.append(place)
    return places


def _name(result: Message, names: Sequence[str]) -> str | None:
    """Return the tool that a result names, in its field or, as Hermes has it, in its content."""
    if "name" in result:
        return str(result["name"])
    content = result["content"].strip()
    if len(names) < 2 or not content.startswith("{"):
        return None
    try:
        value = canonical.loads(content)
    except ValueError:
        return None
    name = value.get("name") if set(value) == {"name", "content"} else None
    return name if isinstance(name, str) else None
