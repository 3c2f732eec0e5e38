"""Lists of functions: OpenAI's and Anthropic's tools, MCP's `tools/list`, bare JSON Schemas.

Parameters may be in another dialect: flat, or with the type names of Python, BFCL or Gemini.
Ambiguities give a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from looptool.exchange import Note, SourceTools, problem_of
from looptool.exchange.formats.documents import (
    JSON_TYPES,
    from_flat,
    is_schema,
    json_schema,
    without_nulls,
)
from looptool.exchange.naming import is_legal, legal_name
from looptool.exchange.plain_schemas import Unusable
from looptool.exchange.schemas import Schemas

_SCHEMA_KEYS = ("parameters", "inputSchema", "input_schema")
_WORDS = {*Draft202012Validator.VALIDATORS, "title", "description", "default", "examples"}
_MAPS = {"additionalProperties", "patternProperties", "dependentSchemas", "definitions"}
_VALUES = {"default", "examples", "example", "enum", "const"}


def listed(document: Any) -> list[Any] | None:
    """Return the functions that a document lists, or None if it lists none.

    The document may be a list, an object with `tools` or `functions`, a JSON-RPC response to
    `tools/list`, or one function.
    """
    if isinstance(document, list):
        return document
    if not isinstance(document, Mapping):
        return None
    if isinstance(document.get("result"), Mapping):
        document = document["result"]
    for key in ("tools", "functions"):
        if isinstance(document.get(key), list):
            return list(document[key])
    return [document] if "name" in document or "function" in document else None


def is_one_page(document: Any) -> bool:
    """Whether a saved `tools/list` response refers to a next page, so that tools are missing."""
    if isinstance(document, Mapping) and isinstance(document.get("result"), Mapping):
        document = document["result"]
    return isinstance(document, Mapping) and bool(document.get("nextCursor"))


def read_functions(items: list[Any], result: SourceTools) -> None:
    """Add each function to `result` as a tool, or as skipped with the reason.

    A function with a legal name keeps it. Other names are changed to legal ones without collision.
    """
    functions = [_function(item) for item in items]
    wanted = [item.get("name") if isinstance(item, Mapping) else None for item in functions]
    taken = {name for name in wanted if isinstance(name, str) and is_legal(name)}
    seen: set[str] = set()
    for number, (item, wish) in enumerate(zip(functions, wanted, strict=True), start=1):
        what = f"function {number}"
        warnings: list[str] = []
        try:
            if not isinstance(item, Mapping):
                raise Unusable("must be an object")
            if not isinstance(wish, str) or not wish.strip():
                raise Unusable(_foreign(item) or "name: must be a non-empty string")
            what = name = wish
            if what in seen:
                raise Unusable("another function has this name")
            if not is_legal(what):
                name = legal_name(what, taken)
                warnings.append(f"{what!r} is not a name that a model can emit")
            tool = _tool(name, item, warnings)
        except Unusable as reason:
            result.skipped.append(Note(what, str(reason)))
            continue
        taken.add(name)
        seen.add(what)
        result.tools.append(tool)
        result.names[name] = what
        result.made |= {name} - {what}
        result.warnings += [Note(name, text) for text in dict.fromkeys(warnings)]


def _function(item: Any) -> Any:
    if isinstance(item, Mapping) and isinstance(item.get("function"), Mapping):
        return item["function"]
    return item


def _foreign(item: Mapping[str, Any]) -> str | None:
    """Return why an item is not a function: it is a built-in tool that the vendor runs."""
    kind = item.get("type")
    if kind in (None, "function") or any(item.get(key) is not None for key in _SCHEMA_KEYS):
        return None
    return f"type: {str(kind)[:60]!r} is not a function with parameters"


def _tool(name: str, item: Mapping[str, Any], warnings: list[str]) -> dict[str, Any]:
    if foreign := _foreign(item):
        raise Unusable(foreign)
    schema: Any = next((item[key] for key in _SCHEMA_KEYS if item.get(key) is not None), {})
    if not isinstance(schema, Mapping):
        raise Unusable("parameters: must be a JSON Schema object")
    try:
        plain = _parameters(schema, warnings)
    except RecursionError:
        raise Unusable("is nested too deeply") from None
    if plain.get("type", "object") != "object":
        raise Unusable(f"parameters.type: must be object, found {plain['type']!r}")
    description = item.get("description") or item.get("title") or ""
    if not isinstance(description, str):
        raise Unusable("description: must be a string")
    parameters = {"type": "object", "properties": {}, **plain}
    tool = {"name": name, "description": description.strip(), "parameters": parameters}
    if problem := problem_of(tool):
        raise Unusable(problem)
    return tool


def _parameters(raw: Mapping[str, Any], warnings: list[str]) -> dict[str, Any]:
    """Return a function's parameters, which may be in any dialect, as JSON Schema."""
    nulls: set[str] = set()
    schema = without_nulls(raw, nulls)
    if nulls:
        warnings.append(f"left out, as they are null: {', '.join(sorted(nulls))}")
    kinds = list(_types(schema))
    for kind in kinds:
        if not isinstance(kind, str):
            raise Unusable(f"type: {str(kind)[:40]!r} is not a type")
    odd = sorted(set(kinds) - JSON_TYPES)
    if _is_flat(schema):
        flat, schema = schema, from_flat(schema)
        warnings.append(
            "its parameters are flat, not a JSON Schema; those not marked otherwise are required: "
            f"{', '.join(schema.get('required', ())) or 'none'}"
        )
        kept = schema["properties"]
        lost = [name for name in kept if "default" in flat[name] and "default" not in kept[name]]
        if lost:
            warnings.append(f"defaults that break their schemas are left out: {', '.join(lost)}")
    plain = Schemas(schema).plain(schema, warnings.append)
    if odd:
        plain = json_schema(plain)
        warnings.append(f"types are converted to those of JSON Schema: {', '.join(odd)}")
    absent = nulls & set(plain.get("required", ())) - set(plain.get("properties", ()))
    if absent:
        raise Unusable(f"parameters.required: names {min(absent)!r}, whose schema is null")
    return plain


def _is_flat(raw: Mapping[str, Any]) -> bool:
    """Whether the fields are the parameters themselves (`{"city": {"type": "str"}}`).

    A parameter may have the name of a JSON Schema keyword whose value is not an object.
    """
    return not is_schema(raw) and any(
        not key.startswith(("$", "x-"))
        and key not in _MAPS
        and (key not in _WORDS or isinstance(part, Mapping))
        for key, part in raw.items()
    )


def _types(schema: Any) -> Iterator[Any]:
    """Yield each type that a schema names, at any depth."""
    if isinstance(schema, list):
        for part in schema:
            yield from _types(part)
    elif isinstance(schema, Mapping):
        for key, part in schema.items():
            if key == "type" and not isinstance(part, Mapping):
                yield from part if isinstance(part, list) else [part]
            elif key not in _VALUES:
                yield from _types(part)
