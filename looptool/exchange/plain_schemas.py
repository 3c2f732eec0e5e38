"""Operations on plain JSON Schemas: merge two, modernise one, tag a variant, drop a title."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

from looptool.core import canonical
from looptool.exchange.variants import Choice

MAPS = {"properties", "patternProperties", "dependentSchemas"}  # of names to schemas
NOTES = {"description", "title", "default", "examples"}  # annotations, not constraints
_VALUES = {"const", "enum", "default", "examples"}

Warn = Callable[[str], None]


class Unusable(ValueError):
    """A schema that cannot become part of a tool document; the message says why."""


def merged(one: dict[str, Any], other: dict[str, Any], warn: Warn) -> dict[str, Any]:
    """Merge two schemas of an `allOf`, as far as one object can express both."""
    made = dict(one)
    for key, value in other.items():
        if key not in made or made[key] == value:
            made[key] = value
        elif key in MAPS:
            made[key] = {
                **made[key],
                **{
                    name: merged(made[key][name], part, warn) if name in made[key] else part
                    for name, part in value.items()
                },
            }
        elif key == "required":
            made[key] = list(dict.fromkeys([*made[key], *value]))
        elif key == "enum":
            other_values = set(map(_identity, value))
            both = [each for each in made[key] if _identity(each) in other_values]
            if not both:
                warn("allOf: two enums have no value in common; the first counts")
            made[key] = both or made[key]
        elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
            made[key] = max(made[key], value)
        elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
            made[key] = min(made[key], value)
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            if isinstance(made[key], dict):
                made[key] = merged(made[key], value, warn)
        elif key == "type":
            if not (both := _common(_kinds(made[key]), _kinds(value))):
                warn(f"allOf: types {made[key]} and {value} contradict each other")
            else:
                made[key] = both[0] if len(both) == 1 else both
        elif key not in NOTES:
            warn(f"allOf: several {key}; the first counts")
    return made


def tidied(made: dict[str, Any], warn: Warn) -> dict[str, Any]:
    """Return a schema in today's dialect, without values that cannot be kept; changes `made`.

    Raises:
        Unusable: if `required` is not a list of names.
    """
    if made.pop("nullable", False) is True:
        kind = made.get("type")
        if isinstance(kind, str):
            made["type"] = [kind, "null"]
        for word in () if "type" in made else ("anyOf", "oneOf"):
            if word in made and {"type": "null"} not in made[word]:
                made[word] = [*made[word], {"type": "null"}]
        if isinstance(made.get("enum"), list) and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(made.get(exclusive), bool) and made.pop(exclusive) and bound in made:
            made[exclusive] = made.pop(bound)
    pattern = made.get("pattern")
    if pattern is not None and not _is_pattern(pattern):
        warn(f"pattern {pattern!r} is left out: Python cannot compile it")
        del made["pattern"]
    for key in ("default", "examples", "enum", "const"):
        if key in made and not _is_json(made[key]):
            warn(f"{key} is left out: it is not valid JSON")
            del made[key]
    if "required" in made and not isinstance(made["required"], list):
        del made["required"]  # a boolean of draft 3, which does not constrain the value
    if not all(isinstance(name, str) for name in made.get("required", ())):
        raise Unusable("required: must be a list of names")
    if isinstance(items := made.get("items"), list):
        made["prefixItems"] = items
        del made["items"]
    if made.get("enum") == []:
        del made["enum"]
    return made


def with_tag(
    schema: dict[str, Any], choice: Choice, values: tuple[str, ...]
) -> dict[str, Any] | None:
    """Restrict a variant's discriminator field to its values; None if the schema contradicts them.

    If the values are only component names, a single value that the variant itself allows wins.
    """
    tag = schema.get("properties", {}).get(choice.field, {"type": "string"})
    allowed = [tag["const"]] if "const" in tag else tag.get("enum", values)
    fitting = [value for value in values if value in allowed]
    if not fitting and not choice.mapped and len(allowed) == 1:
        fitting = allowed
    if not fitting or "string" not in _kinds(tag.get("type", "string")) or "readOnly" in tag:
        return None
    kept = {key: value for key, value in tag.items() if key not in _VALUES}
    kept |= {"const": fitting[0]} if len(fitting) == 1 else {"enum": fitting}
    return {
        **schema,
        "properties": {**schema.get("properties", {}), choice.field: kept},
        "required": list(dict.fromkeys([*schema.get("required", ()), choice.field])),
    }


def untitled(schema: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Remove a schema's title; it replaces a missing description unless it repeats the name."""
    if "title" not in schema:
        return schema
    made = {key: value for key, value in schema.items() if key != "title"}
    title = schema["title"]
    if isinstance(title, str) and _letters(title) != _letters(name):
        made.setdefault("description", title)
    return made


def _identity(value: Any) -> Any:
    """Return a key that is equal for two enum values if they are equal in JSON Schema."""
    if isinstance(value, bool | list | dict):
        return canonical_or_repr(value), type(value)
    return value


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


def _kinds(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    """Return the types that both allow; an integer is also a number."""

    def allows(kinds: list[Any], kind: Any) -> bool:
        return kind in kinds or (kind == "integer" and "number" in kinds)

    both = [kind for kind in one if allows(other, kind)]
    return both + [kind for kind in other if kind not in one and allows(one, kind)]


def is_object(schema: dict[str, Any]) -> bool:
    return "object" in _kinds(schema.get("type", "object"))


def _is_pattern(pattern: Any) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FutureWarning about the syntax of patterns
            re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError):
        return False
    return True


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int)


def canonical_or_repr(value: Any) -> str:
    """Return a value as JSON, or its repr if it is not JSON."""
    try:
        return canonical.dumps(value)
    except (ValueError, TypeError):
        return repr(value)
