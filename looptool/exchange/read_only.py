"""Read-only fields: what a server sets and a request must not hold (OpenAPI 3.1.1, 4.8.24.2).

"SHOULD NOT be sent as part of the request", and where it is required, "the required will take
effect on the response only". `schemas` puts `MARK` in the place of such a field's schema, so that
it is found again after `allOf` was merged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MARK = {"readOnly": True}
_CHILDREN = {
    "items", "contains", "additionalProperties", "propertyNames", "unevaluatedProperties",
    "unevaluatedItems",
}  # fmt: skip

Memory = dict[tuple[int, frozenset[str]], tuple[Any, "Writable"]]  # with the object: an id ends
Writable = tuple[dict[str, Any], frozenset[str], frozenset[str]]


def is_read_only(
    schema: Any, at: Callable[[str], Any], known: dict[str, bool] | None = None
) -> bool:
    """Whether a schema, what it refers to, or each of its alternatives is marked read-only.

    Args:
        schema: any value.
        at: what a reference refers to; None where to nothing.
        known: what was found of references; those on the way count as not read-only.
    """
    known = {} if known is None else known
    if not isinstance(schema, Mapping):
        return False
    if schema.get("readOnly") is True:
        return True
    if isinstance(reference := schema.get("$ref"), str):
        if reference not in known:
            known[reference] = False
            known[reference] = is_read_only(at(reference), at, known)
        return known[reference]
    if any(is_read_only(part, at, known) for part in _list(schema.get("allOf"))):
        return True
    parts = [
        part
        for key in ("anyOf", "oneOf")
        for part in _list(schema.get(key))
        if part != {"type": "null"}
    ]
    return bool(parts) and all(is_read_only(part, at, known) for part in parts)


def writable(
    schema: dict[str, Any], memory: Memory, outer: frozenset[str] = frozenset()
) -> Writable:
    """Return a schema without its marked fields, the names of its own, and of all at any depth.

    What `if` and `not` say stays: it holds of an object that lacks the fields.

    Args:
        schema: without references and `allOf`.
        memory: of what was done, by identity; parts are shared.
        outer: names that are read-only by a schema that this one is a branch of.
    """
    key = id(schema), outer
    if key in memory:
        return memory[key][1]
    own = {
        name for name, part in schema.get("properties", {}).items() if part.get("readOnly") is True
    }
    hidden = outer | own
    every = set(own)

    def child(part: dict[str, Any]) -> dict[str, Any]:
        made, _, deep = writable(part, memory)
        every.update(deep)
        return made

    def branch(part: dict[str, Any]) -> dict[str, Any]:
        made, mine, deep = writable(part, memory, hidden)
        own.update(mine)
        every.update(deep)
        return made

    made: dict[str, Any] = {}
    for word, value in schema.items():
        if word == "properties":
            made[word] = {name: child(part) for name, part in value.items() if name not in hidden}
        elif word == "patternProperties":
            made[word] = {name: child(part) for name, part in value.items()}
        elif word == "dependentSchemas":
            made[word] = {name: branch(part) for name, part in value.items()}
        elif word in ("anyOf", "oneOf"):
            parts = [(part, branch(part)) for part in value]
            # a branch that asked for nothing but such fields would fit everything now
            kept = [new for old, new in parts if set(old) != {"required"} or new["required"]]
            made |= {word: kept} if kept else {}
        elif word == "prefixItems":
            made[word] = [child(part) for part in value]
        elif word in ("then", "else"):
            made[word] = branch(value)
        elif word in _CHILDREN and isinstance(value, dict):
            made[word] = child(value)
        else:
            made[word] = value
    if "required" in made:
        made["required"] = [name for name in made["required"] if name not in hidden | own]
    if isinstance(depending := made.get("dependentRequired"), dict):
        made["dependentRequired"] = {
            name: [each for each in names if each not in hidden]
            for name, names in depending.items()
        }
    result = made, frozenset(own), frozenset(every)
    memory[key] = schema, result
    return result


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
