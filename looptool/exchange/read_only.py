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
    removal = _Removal(schema, memory, outer)
    made: dict[str, Any] = {}
    for word, value in schema.items():
        made |= removal.keyword(word, value)
    _require_only_kept(made, removal.hidden, removal.removed)
    result = made, frozenset(removal.removed), frozenset(removal.every)
    memory[key] = schema, result
    return result


class _Removal:
    """The removal of one schema's read-only fields; collects their names.

    Attributes:
        hidden: names of the read-only fields of this object, also those that an outer schema marks.
        removed: names of the read-only fields of the schema and its branches.
        every: names of all read-only fields at any depth.
    """

    def __init__(self, schema: dict[str, Any], memory: Memory, outer: frozenset[str]) -> None:
        self.memory = memory
        self.removed = {
            name
            for name, part in schema.get("properties", {}).items()
            if part.get("readOnly") is True
        }
        self.hidden = outer | self.removed
        self.every = set(self.removed)

    def keyword(self, word: str, value: Any) -> dict[str, Any]:
        """Return a keyword of the schema without the fields; nothing if none of it is left."""
        if word == "properties":
            kept = {name: part for name, part in value.items() if name not in self.hidden}
            return {word: {name: self._child(part) for name, part in kept.items()}}
        if word == "patternProperties":
            return {word: {name: self._child(part) for name, part in value.items()}}
        if word == "dependentSchemas":
            return {word: {name: self._branch(part) for name, part in value.items()}}
        if word in ("anyOf", "oneOf"):
            parts = [(part, self._branch(part)) for part in value]
            # a branch that only required such fields would now match everything
            left = [new for old, new in parts if set(old) != {"required"} or new["required"]]
            return {word: left} if left else {}
        if word == "prefixItems":
            return {word: [self._child(part) for part in value]}
        if word in ("then", "else"):
            return {word: self._branch(value)}
        if word in _CHILDREN and isinstance(value, dict):
            return {word: self._child(value)}
        return {word: value}

    def _child(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of another value, such as a field or an item."""
        made, _, deep = writable(part, self.memory)
        self.every.update(deep)
        return made

    def _branch(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return a schema of the same object, whose fields are this schema's fields."""
        made, mine, deep = writable(part, self.memory, self.hidden)
        self.removed.update(mine)
        self.every.update(deep)
        return made


def _require_only_kept(schema: dict[str, Any], hidden: frozenset[str], removed: set[str]) -> None:
    """Remove the names of fields that are gone from what a schema requires; changes `schema`."""
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name not in hidden | removed]
    if isinstance(depending := schema.get("dependentRequired"), dict):
        schema["dependentRequired"] = {
            name: [each for each in names if each not in hidden]
            for name, names in depending.items()
        }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
