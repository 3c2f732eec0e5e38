"""Tool documents from a record's tools, in any dialect.

The dialects are OpenAI's wrapped functions, bare JSON Schemas, xLAM's flat parameters with Python
types (`{"city": {"type": "str, optional"}}`), and the `dict` schemas of ToolACE and BFCL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from looptool.core import canonical
from looptool.core.tools import Tool, check_arguments, check_tool
from looptool.exchange.formats import Changes, Refused
from looptool.exchange.formats.literals import value_of
from looptool.exchange.naming import is_legal, legal_name
from looptool.exchange.plain_schemas import Unusable
from looptool.exchange.schemas import Schemas

_TYPES = {
    "str": "string", "text": "string", "int": "integer", "long": "integer", "float": "number",
    "double": "number", "bool": "boolean", "list": "array", "tuple": "array", "set": "array",
    "dict": "object", "map": "object", "none": "null", "nonetype": "null",
}  # fmt: skip
JSON_TYPES = {"string", "integer", "number", "boolean", "array", "object", "null"}
_ANY = {"any", "", "callable"}
_MANY = {"list", "tuple", "set", "sequence", "array", "iterable"}


@dataclass(frozen=True, slots=True)
class Tools:
    """A record's tools.

    Attributes:
        documents: the tool documents.
        text: their canonical JSON.
        names: name in the record → legal name.
        as_named: the documents with the names of the record.
        parameters: legal name → the tool's parameters.
        unnamed: legal name → names of parameters whose schema is null; the tool lacks these.
        changes: what was left out or read in another way.
    """

    documents: list[Tool]
    text: str
    names: Mapping[str, str]
    as_named: list[Tool]
    parameters: Mapping[str, Any]
    unnamed: Mapping[str, frozenset[str]]
    changes: Changes


def read_documents(raw: Any) -> Tools:
    """Read the tools of a record: a list, one tool, or the JSON text of either.

    Illegal names are changed to similar legal ones. A repeated tool counts once. A null in a schema
    means that the parameter or keyword is absent: some writers give every record the same fields.

    Raises:
        Refused: if the tools are invalid; the message names the tool and the rule.
    """
    if not isinstance(raw, str):
        try:
            raw = canonical.dumps(raw)
        except (ValueError, TypeError, RecursionError) as error:
            raise Refused(f"tools: not valid JSON: {error}") from None
    tools = _read(raw)
    if isinstance(tools, str):
        raise Refused(tools)
    return tools


@lru_cache(maxsize=256)
def _read(raw: str) -> Tools | str:
    """Return the tools, or the reason for refusal as a string, since exceptions are not cached."""
    changes = Changes()
    try:
        value = value_of(raw, changes)
    except ValueError as error:
        return f"tools: not valid JSON: {error}"
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list):
        return "tools: must be a list"
    for place, item in enumerate(items):
        if isinstance(item, dict) and isinstance(item.get("function"), dict):
            item = items[place] = item["function"]
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not name.strip():
            return f"tools.{place}: has no name"
    # tools with legal names keep them; the others get legal names without collision
    names = {item["name"]: item["name"] for item in items if is_legal(item["name"])}
    for item in items:
        if item["name"] not in names:
            names[item["name"]] = legal_name(item["name"], names.values())
    documents: dict[str, _Document] = {}
    for place, item in enumerate(items):
        name, legal = item["name"], names[item["name"]]
        made = _document(canonical.dumps(item), legal)
        if isinstance(made, str):
            return f"tools.{place}: {name}: {made}"
        if legal in documents:
            if made == documents[legal]:
                continue
            return f"tools.{place}: {name}: another tool has this name"
        documents[legal] = made
        if legal != name:
            changes["names of tools made legal"] += 1
        if made.unnamed:
            changes["parameters that are null left out"] += len(made.unnamed)
    return Tools(
        [each.tool for each in documents.values()],
        f"[{','.join(each.text for each in documents.values())}]",
        names,
        [{**documents[legal].tool, "name": name} for name, legal in names.items()],
        {name: each.tool["parameters"] for name, each in documents.items()},
        {name: each.unnamed for name, each in documents.items() if each.unnamed},
        changes,
    )


class _Document(NamedTuple):
    """A tool, its canonical JSON, and the names of parameters whose schema is null."""

    tool: Tool
    text: str
    unnamed: frozenset[str]


@lru_cache(maxsize=16_384)
def _document(text: str, name: str) -> _Document | str:
    """Return one tool with the given name, or the reason for refusal as a string."""
    item = canonical.loads(text)
    raw: Any = next(
        (item[key] for key in ("parameters", "inputSchema", "input_schema") if item.get(key)), {}
    )
    description = item.get("description") or ""
    if not isinstance(raw, Mapping) or not isinstance(description, str):
        return "parameters must be an object and description a string"
    unnamed: set[str] = set()
    try:
        raw = without_nulls(raw, unnamed)
        schema = json_schema(raw) if is_schema(raw) else from_flat(raw)
        plain = Schemas(schema).plain(schema, lambda _: None)
    except Unusable as error:
        return str(error)
    except RecursionError:
        return "is nested too deeply"
    tool = {
        "name": name,
        "description": description.strip(),
        "parameters": {"type": "object", "properties": {}, **plain},
    }
    if problem := check_tool(tool):
        return problem
    absent = unnamed & set(plain.get("required", ())) - set(plain.get("properties", ()))
    if absent:
        return f"parameters.required: names {min(absent)!r}, whose schema is null"
    return _Document(tool, canonical.dumps(tool), frozenset(unnamed))


def without_nulls(schema: Mapping[str, Any], unnamed: set[str]) -> dict[str, Any]:
    """Return a schema or a map of flat parameters without nulls.

    Names of properties that are null are added to `unnamed`. A `default` or `const` of null stays
    if the schema's type allows it.
    """
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if value is None and key not in ("default", "const"):
            if "type" not in schema:
                unnamed.add(key)
        elif key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            gone = {name for name, part in value.items() if is_nothing(part)}
            unnamed |= gone if key == "properties" else set()
            made[key] = {
                name: without_nulls(part, unnamed) if isinstance(part, Mapping) else part
                for name, part in value.items()
                if name not in gone
            }
        elif isinstance(value, Mapping) and key not in ("default", "const"):
            if not is_nothing(value):
                made[key] = without_nulls(value, unnamed)
            elif isinstance(schema.get("type"), Mapping | None):
                unnamed.add(key)
        elif isinstance(value, list) and key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            made[key] = [
                without_nulls(part, unnamed) if isinstance(part, Mapping) else part
                for part in value
                if part is not None
            ]
        else:
            made[key] = value
    for key in ("default", "const"):
        if key in made and made[key] is None and not _says_null(made):
            del made[key]
    return made


def is_nothing(value: Any) -> bool:
    """Whether a value is null or an object whose fields are all null."""
    if isinstance(value, Mapping):
        return bool(value) and all(map(is_nothing, value.values()))
    return value is None


def _says_null(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return kinds.lower() in ("null", "none", "any")
    if isinstance(kinds, list):
        return "null" in kinds
    return None in (schema.get("enum") or ()) or schema.get("nullable") is True or not kinds


def is_schema(raw: Mapping[str, Any]) -> bool:
    """Whether parameters are a JSON Schema; otherwise they are flat, one object per parameter."""
    if isinstance(raw.get("type"), str) and raw["type"].lower() in ("object", "dict"):
        return True
    if any(isinstance(raw.get(key), str) for key in ("$ref", "$schema")):
        return True
    return isinstance(raw.get("properties"), Mapping) and not isinstance(
        raw["properties"].get("type"), str
    )


def from_flat(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Convert flat parameters to JSON Schema; required unless optional or with a default."""
    properties, required = {}, []
    for name, part in raw.items():
        if not isinstance(part, Mapping):
            raise Unusable(f"parameters.{name}: must be an object")
        schema = json_schema(part)
        kind = part.get("type", "")
        optional = isinstance(kind, str) and "optional" in kind.lower()
        if not optional and "default" not in part and part.get("required") is not False:
            required.append(name)
        if not isinstance(schema.get("required"), list):
            schema.pop("required", None)
        if "default" in schema and check_arguments(
            {name: schema["default"]}, {"type": "object", "properties": {name: schema}}
        ):
            del schema["default"]  # "" for "there is none"
        properties[name] = schema
    made: dict[str, Any] = {"type": "object", "properties": properties}
    return {**made, "required": required} if required else made


def json_schema(schema: Any) -> Any:
    """Convert the type names of Python and BFCL in a schema to those of JSON Schema."""
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type":
            made = {**_type(value), **made}
        elif key in ("properties", "patternProperties", "$defs", "definitions"):
            parts = value.items() if isinstance(value, Mapping) else ()
            made[key] = {name: json_schema(part) for name, part in parts}
        elif key in ("items", "additionalProperties", "not"):
            made[key] = json_schema(value)
        elif key in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
            made[key] = [json_schema(part) for part in value]
        elif key == "required" and isinstance(value, list):
            made[key] = [name for place, name in enumerate(value) if name not in value[:place]]
        elif key != "optional" and not (key in ("enum", "required") and value is None):
            made[key] = value
    return made


def _type(value: Any) -> dict[str, Any]:
    """Convert a type such as `List[int]`, `str, optional` or `dict` to a schema."""
    if isinstance(value, list):
        kinds = [_type(each).get("type") for each in value]
        plain = [kind for kind in kinds if isinstance(kind, str)]
        return {"type": plain} if len(plain) == len(kinds) and plain else {}
    if not isinstance(value, str):
        return {}
    text = re.sub(r",\s*optional\b.*$", "", value.strip(), flags=re.IGNORECASE)
    if len(alternatives := _parts(text, "|")) > 1:
        return _union(alternatives)
    outer, bracket, inner = text.partition("[")
    outer, inner = outer.strip().rpartition(".")[2].lower(), inner.removesuffix("]").strip()
    if bracket and not text.endswith("]"):
        raise Unusable(f"type: {value[:40]!r} is not a type")
    if outer == "optional":
        return _type(inner)
    if outer == "union":
        return _union(_parts(inner, ","))
    if outer in _MANY:
        parts = _parts(inner, ",") if inner else []
        same = len(parts) == 1 or (len(parts) == 2 and parts[1] == "...")
        items = _type(parts[0]) if same else {}
        return {"type": "array", "items": items} if items else {"type": "array"}
    kind = _TYPES.get(outer, outer)
    if outer in _ANY:
        return {}
    if kind not in JSON_TYPES:
        raise Unusable(f"type: {value[:40]!r} is not a type")
    return {"type": kind}


def _union(alternatives: list[str]) -> dict[str, Any]:
    """Return the union of several types; {} if one of them is more than a simple type."""
    parts = [_type(each) for each in alternatives]
    parts = [part for part in parts if part.get("type") != "null"]
    if len(parts) == 1:
        return parts[0]
    simple = parts and all(set(part) == {"type"} for part in parts)
    return {"type": list(dict.fromkeys(part["type"] for part in parts))} if simple else {}


def _parts(text: str, sign: str) -> list[str]:
    """Split at a character outside brackets."""
    parts, depth, start = [], 0, 0
    for place, each in enumerate(text):
        depth += (each == "[") - (each == "]")
        if each == sign and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [part.strip() for part in [*parts, text[start:]]]
