"""Examples in OpenAPI documents, as the `examples` of a tool's parameters.

A model may read a tool as JSON, so only few and short examples are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from looptool.core import canonical
from looptool.exchange.plain_schemas import MAPS, Unusable, canonical_or_repr
from looptool.exchange.schemas import Schemas

_MOST = 3  # examples of one schema
_LONGEST = 60  # characters of an example as JSON
_LISTS = ("anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")


def told(node: Mapping[str, Any], schemas: Schemas) -> list[Any]:
    """Return the values of `example` and `examples` of a parameter or media type."""
    values = [node["example"]] if "example" in node else []
    named = node.get("examples")
    for part in named.values() if isinstance(named, Mapping) else ():
        try:
            part = schemas.target(part)
        except Unusable:  # an example that cannot be found is no reason to skip the operation
            continue
        if isinstance(part, Mapping) and "value" in part:
            values.append(part["value"])
    return values


def with_examples(schema: dict[str, Any], values: Iterable[Any]) -> dict[str, Any]:
    """Return the schema with these examples before its own."""
    own = schema.get("examples")
    both = [*values, *(own if isinstance(own, list) else ())]
    return {**schema, "examples": both} if both else schema


def field_values(bodies: Iterable[Any], name: str) -> list[Any]:
    """Return what the examples of a body have in a field."""
    return [body[name] for body in bodies if isinstance(body, Mapping) and name in body]


def shortened(schema: Any) -> Any:
    """Return the schema, at any depth with few short examples that it allows."""
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    for key, part in schema.items():
        if key in MAPS and isinstance(part, dict):
            made[key] = {name: shortened(inner) for name, inner in part.items()}
        elif key in _LISTS and isinstance(part, list):
            made[key] = [shortened(inner) for inner in part]
        elif key in _SINGLE:
            made[key] = shortened(part)
    if "examples" in made:
        kept = _kept(made, made.pop("examples"))
        if kept:
            made["examples"] = kept
    return made


def _kept(schema: dict[str, Any], values: Any) -> list[Any]:
    """Return the first different examples that are short and valid."""
    kept: dict[str, Any] = {}
    for value in values if isinstance(values, list) else ():
        text = canonical_or_repr(value)
        if len(text) <= _LONGEST and text not in kept and _is_valid(value, schema):
            kept[text] = value
        if len(kept) == _MOST:
            break
    return list(kept.values())


def _is_valid(value: Any, schema: dict[str, Any]) -> bool:
    try:
        canonical.dumps(value)
        return bool(Draft202012Validator(schema).is_valid(value))
    except Exception:  # not JSON, or a schema that the validator cannot apply
        return False
