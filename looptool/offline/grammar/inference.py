"""Slots of parameters that the trees do not know, by name, schema, description and example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from looptool.english.dates import ISO_DATE, NAMED_DATES
from looptool.offline.grammar import api_kinds
from looptool.offline.grammar.slots import Slot, fits
from looptool.offline.grammar.trees import Kind, described, kinds, leaves

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_FORM = re.compile("|".join(map(re.escape, NAMED_DATES)))


def words_of(name: str) -> list[str]:
    """Split an identifier of any naming style into lower-case words."""
    return [word.lower() for word in _WORDS.findall(name)]


def slot_of(
    name: str, schema: Mapping[str, Any], required: bool, example: Any = None, about: str = ""
) -> Slot:
    """Infer a parameter's slot from its name, its schema and an example value.

    Args:
        about: the name and description of the tool, which tell what an ambiguous name means.
    """
    word = " ".join(words_of(name)) or name
    schema = api_kinds.plain(schema)
    named = api_kinds.by_name(words_of(name), schema, about)
    schema = api_kinds.with_told_values(schema, choices=named is None)
    kind = _kind_of(name, schema, example, about)
    return Slot(name, name, kind, schema, required, word, form_of(schema, example))


def _kind_of(name: str, schema: Mapping[str, Any], example: Any, about: str = "") -> Kind:
    """Infer the kind of a parameter: by its name, then its description, then examples and type."""
    declared, words = schema.get("type"), words_of(name)
    if "enum" in schema:
        return kinds()["choice"]
    if declared == "boolean" or isinstance(example, bool):
        return kinds()["flag"]
    if schema.get("format") == "date":
        return kinds()["date"]
    kind = None if _is_structured(schema) else api_kinds.by_name(words, schema, about)
    if kind is not None and (example is None or fits(kind, example)):
        return kind
    if words[-1:] == ["id"] and declared in ("integer", "number", "string", None):
        said = described()["identifier"]
        return _inferred("identifier", tuple(said["say"]), tuple(said["heldout"]))
    if example is None and _is_structured(schema):
        return _inferred("schema", kinds()["record"].say, kinds()["record"].heldout)
    for kind in (
        _kind_by_name(name, schema, example),
        api_kinds.by_description(schema),
        api_kinds.listed(words, schema, about),
    ):
        if kind is not None and (example is None or fits(kind, example)):
            return kind
    return _kind_by_type(schema, example)


def _kind_by_name(name: str, schema: Mapping[str, Any], example: Any) -> Kind | None:
    """Return the trees' kind of a parameter's name or of its last word, or None."""
    declared, words = schema.get("type"), words_of(name)
    for candidate in (name, "_".join(words), "_".join(words[:-1]), *words[-1:]):
        kind = _kinds_by_name().get(candidate)
        if kind is None or kind.draw in ("choice", "record", "flag"):
            continue
        if api_kinds.is_vague(candidate) and "string" in kind.types:
            continue
        types = (declared,) if isinstance(declared, str) else declared or kind.types
        if set(types) & set(kind.types) and (example is None or fits(kind, example)):
            return kind
    return None


def _kind_by_type(schema: Mapping[str, Any], example: Any) -> Kind:
    """Return the kind of a parameter whose name and description tell nothing."""
    declared = schema.get("type")
    if example is None and schema.get("format") == "time":
        return _inferred("schema", kinds()["code"].say, kinds()["code"].heldout)
    if example is None and declared in ("object", "array"):
        return _inferred("schema", kinds()["record"].say, kinds()["record"].heldout)
    if declared == "integer":
        return kinds()["integer"]
    if declared == "number":
        return kinds()["number"]
    if declared == "array" and fits(kinds()["numbers"], example or [1]):
        return kinds()["numbers"]
    if isinstance(example, str) and _FORM.search(str(schema.get("description", ""))):
        return kinds()["date"]
    if example is None and declared in ("string", None):
        return api_kinds.by_look(schema) or api_kinds.anything()
    base = kinds()[
        "record" if declared == "object" else "items" if declared == "array" else "thing"
    ]
    options = {"example": example}
    return Kind(
        base.name, base.group, "like", base.types, base.describe, base.say, base.heldout, base.deny,
        base.deny_heldout, (), (), "", options,
    )  # fmt: skip


def _is_structured(schema: Mapping[str, Any]) -> bool:
    """Whether values must be drawn by the schema: objects, unions, lists of complex items."""
    items = schema.get("items")
    listed = isinstance(items, Mapping) and (
        "enum" in items or "format" in items or items.get("type") in ("object", "array")
    )
    return bool(schema.get("properties")) or listed or bool({"anyOf", "oneOf"} & set(schema))


def _inferred(draw: str, say: tuple[str, ...], heldout: tuple[str, ...]) -> Kind:
    """Return a kind that the constraint tree does not have."""
    types = ("integer", "string", "object", "array")
    return Kind(draw, "described", draw, types, (), say, heldout, (), (), (), (), "", {})


@lru_cache(maxsize=1)
def _kinds_by_name() -> dict[str, Kind]:
    """Return kinds by parameter name: the kind of that name, else the first leaf's."""
    by_name: dict[str, Kind] = {}
    for leaf in leaves().values():
        for param in leaf.params.values():
            for name in (param.key, *param.names):
                by_name.setdefault(name, param.kind)
    return {name: kind for name, kind in by_name.items() if len(name) > 1} | {
        name: kind
        for name, kind in kinds().items()
        if kind.draw not in ("pool", "items") or (kind.word and "pool" in kind.options)
    }


def form_of(schema: Mapping[str, Any], example: Any = None) -> str:
    """Return the name of the date format that a schema asks for, or ""."""
    named = _FORM.search(str(schema.get("description", "")))
    if named:
        return named[0]
    iso = schema.get("format") == "date" or ISO_DATE.fullmatch(str(example))
    return "YYYY-MM-DD" if iso else ""
