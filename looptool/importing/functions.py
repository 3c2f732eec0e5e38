"""Lists of functions: OpenAI's and Anthropic's tools, MCP's `tools/list`, bare JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looptool.importing import Found, Note, problem_of
from looptool.importing.naming import is_legal, legal_name
from looptool.importing.schemas import Schemas, Unusable

_SCHEMA_KEYS = ("parameters", "inputSchema", "input_schema")


def listed(document: Any) -> list[Any] | None:
    """Return the functions that a document lists, or None if it is no such list.

    A list; an object with `tools` or `functions`; a JSON-RPC answer to `tools/list`; one function.
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


def read_functions(items: list[Any], found: Found) -> None:
    """Add a tool to `found` for each function, or the reason why there is none.

    A legal name stays with its function, whatever stands before; others are made legal beside it.
    """
    functions = [_function(item) for item in items]
    wanted = [item.get("name") if isinstance(item, Mapping) else None for item in functions]
    taken = {name for name in wanted if isinstance(name, str) and is_legal(name)}
    seen: set[str] = set()
    for number, (item, wish) in enumerate(zip(functions, wanted, strict=True), start=1):
        what = f"function {number}"
        told: list[str] = []
        try:
            if not isinstance(item, Mapping):
                raise Unusable("must be an object")
            if not isinstance(wish, str) or not wish.strip():
                raise Unusable(_foreign(item) or "name: must be a text that is not empty")
            what = name = wish
            if what in seen:
                raise Unusable("another function has this name")
            if not is_legal(what):
                name = legal_name(what, taken)
                told.append(f"{what!r} is no name that a model can emit")
            tool = _tool(name, item, told)
        except Unusable as reason:
            found.skipped.append(Note(what, str(reason)))
            continue
        taken.add(name)
        seen.add(what)
        found.tools.append(tool)
        found.names[name] = what
        found.made |= {name} - {what}
        found.warnings += [Note(name, text) for text in dict.fromkeys(told)]


def _function(item: Any) -> Any:
    if isinstance(item, Mapping) and isinstance(item.get("function"), Mapping):
        return item["function"]
    return item


def _foreign(item: Mapping[str, Any]) -> str | None:
    """Return why an item is no function: a tool of another type, which its vendor runs."""
    kind = item.get("type")
    if kind in (None, "function") or any(item.get(key) is not None for key in _SCHEMA_KEYS):
        return None
    return f"type: {str(kind)[:60]!r} is no function with parameters"


def _tool(name: str, item: Mapping[str, Any], told: list[str]) -> dict[str, Any]:
    if foreign := _foreign(item):
        raise Unusable(foreign)
    schema = next((item[key] for key in _SCHEMA_KEYS if item.get(key) is not None), None)
    if schema is None:
        schema = {"type": "object", "properties": {}}
    if not isinstance(schema, Mapping):
        raise Unusable("parameters: must be a JSON Schema object")
    plain = Schemas(schema).plain(schema, told.append)
    if plain.get("type", "object") != "object":
        raise Unusable(f"parameters.type: must be object, found {plain['type']!r}")
    description = item.get("description") or item.get("title") or ""
    if not isinstance(description, str):
        raise Unusable("description: must be a text")
    parameters = {"type": "object", "properties": {}, **plain}
    tool = {"name": name, "description": description.strip(), "parameters": parameters}
    if problem := problem_of(tool):
        raise Unusable(problem)
    return tool
