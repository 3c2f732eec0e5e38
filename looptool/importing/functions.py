"""Lists of functions: OpenAI's and Anthropic's tools, MCP's `tools/list`, bare JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looptool.importing import Found, Note
from looptool.importing.naming import is_legal, legal_name
from looptool.importing.schemas import Schemas, Unusable
from looptool.tools import check_tool

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
    """Add a tool to `found` for each function, or the reason why there is none."""
    taken: set[str] = set()
    for number, item in enumerate(items, start=1):
        what = f"function {number}"
        told: list[str] = []
        try:
            if isinstance(item, Mapping) and isinstance(item.get("function"), Mapping):
                item = item["function"]
            if not isinstance(item, Mapping):
                raise Unusable("must be an object")
            name = item.get("name")
            if not isinstance(name, str) or not name.strip():
                raise Unusable("name: must be a text that is not empty")
            what = name
            if name in taken:
                raise Unusable("another function has this name")
            if not is_legal(name):
                name = legal_name(name, taken)
                told.append(f"{what!r} is no name that a model can emit")
            tool = _tool(name, item, told)
        except Unusable as reason:
            found.skipped.append(Note(what, str(reason)))
            continue
        taken |= {what, name}
        found.tools.append(tool)
        found.names[name] = what
        found.warnings += [Note(name, text) for text in dict.fromkeys(told)]


def _tool(name: str, item: Mapping[str, Any], told: list[str]) -> dict[str, Any]:
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
    if problem := check_tool(tool):
        raise Unusable(problem)
    return tool
