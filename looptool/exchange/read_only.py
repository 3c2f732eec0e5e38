"""Removal of read-only fields, which only the server sets (OpenAPI 3.1.1, section 4.8.24.2).

They "SHOULD NOT be sent as part of the request"; if one is required, "the required will take effect
on the response only". `schemas` replaces such a field's schema by `MARK`, so that it can still be
found after `allOf` has been merged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MARK = {"readOnly": True}
_CHILDREN = {
    "items", "contains", "additionalProperties", "propertyNames", "unevaluatedProperties",
    "unevaluatedItems",
}  # fmt: skip

Memory = dict[tuple[int, frozenset[str]], tuple[Any, "Writable"]]  # holds objects: ids get reused
Writable = tuple[dict[str, Any], frozenset[str], frozenset[str]]


def is_read_only(
    schema: Any, at: Callable[[str], Any], known: dict[str, bool] | None = None
) -> bool:
    """Whether a schema, the schema it refers to, or each of its alternatives is read-only.

    Args:
        schema: any value.
        at: resolves a reference; returns None if it points nowhere.
        known: results by reference; a reference being resolved counts as not read-only.
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
    """Remove the fields marked read-only from a schema.

    `if` and `not` stay unchanged: they apply to an object without the fields.

    Args:
        schema: a schema without references and `allOf`.
        memory: earlier results by identity of the schema, since parts are shared.
        outer: names of read-only fields of a schema that this one is a branch of.

    Returns:
        The schema without the fields, the names of its own read-only fields, and the names of all
        read-only fields at any depth.
    """
    key = id(schema), outer
    if key in memory:
        return memory[key][1]
    removed = {
        name for name, part in schema.get("properties", {}).items() if part.get("readOnly") is True
    }
    hidden = outer | removed
    every = set(removed)

    def child(part: dict[str, Any]) -> dict[str, Any]:
        made, _, deep = writable(part, memory)
        every.update(deep)
        return made

    def branch(part: dict[str, Any]) -> dict[str, Any]:
        made, mine, deep = writable(part, memory, hidden)
        removed.update(mine)
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
            # a branch that only required such fields would now match everything
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
        made["required"] = [name for name in made["required"] if name not in hidden | removed]
    if isinstance(depending := made.get("dependentRequired"), dict):
        made["dependentRequired"] = {
            name: [each for each in names if each not in hidden]
            for name, names in depending.items()
        }
    result = made, frozenset(removed), frozenset(every)
    memory[key] = schema, result
    return result


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
