"""Tool documents, and the check of a call against them (docs/design.md, section 3).

A tool document is unwrapped: `{"name", "description", "parameters"}`, where `parameters` is a JSON
Schema (draft 2020-12) of type object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from looptool.core import canonical
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.tool_match import branches, properties_of

Tool = dict[str, Any]


def check_tool(tool: Mapping[str, Any]) -> str | None:
    """Return why `tool` is not a valid tool document, naming field and rule, or None."""
    if not isinstance(tool, Mapping):
        return "a tool must be an object"
    if unknown := set(tool) - {"name", "description", "parameters"}:
        return f"unknown field {sorted(unknown)[0]!r}; allowed are name, description, parameters"
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        return "name: must be a non-empty string"
    if not isinstance(tool.get("description", ""), str):
        return "description: must be a string"
    parameters = tool.get("parameters")
    if not isinstance(parameters, Mapping):
        return "parameters: must be a JSON Schema object"
    if parameters.get("type") != "object":
        return 'parameters.type: must be "object"'
    try:
        return _schema_error(canonical.dumps(parameters))
    except (ValueError, TypeError, RecursionError) as error:
        return f"parameters: not valid JSON: {error}"


def read_tools(path: Path | str) -> list[Tool]:
    """Read a tool set written by `looptool tools import`.

    Raises:
        ConfigError: if the file is missing or invalid; names the file, the tool and the rule.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; `looptool tools import` creates it") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from None
    tools = content.get("tools") if isinstance(content, dict) else None
    if not isinstance(tools, list) or not tools:
        raise ConfigError(f"{path}: tools: must be a non-empty list")
    names: set[str] = set()
    for number, tool in enumerate(tools):
        if problem := check_tool(tool):
            raise ConfigError(f"{path}: tools.{number}: {problem}")
        if tool["name"] in names:
            raise ConfigError(f"{path}: tools.{number}.name: {tool['name']!r} occurs twice")
        names.add(tool["name"])
    return tools


def check_call(call: ToolCall, tools: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why `call` is not valid for `tools`, or None if it is valid.

    Stricter than plain JSON Schema: an argument that the schema does not name is refused unless the
    schema explicitly allows it with `additionalProperties`, because models invent arguments.
    """
    tool = next((tool for tool in tools if tool["name"] == call.name), None)
    if tool is None:
        return f"no tool is called {call.name!r}"
    return check_arguments(call.arguments, tool["parameters"])


def check_arguments(arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> str | None:
    """Return the first rule of the schema `parameters` that `arguments` break, or None.

    A schema that cannot be applied (a dangling `$ref`, a number out of range) counts as a broken
    rule.
    """
    closed = parameters
    if not {"additionalProperties", "patternProperties", "anyOf", "oneOf", "allOf", "$ref"} & set(
        parameters
    ):
        closed = {**parameters, "additionalProperties": False}
    try:
        error = next(_validator(canonical.dumps(closed)).iter_errors(arguments), None)
    except (ValueError, TypeError, ArithmeticError, RecursionError, re.error, Unresolvable) as why:
        return f"the schema cannot be applied: {why}"
    if error is None:
        return None
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {error.message}" if where else error.message


def without_nulls(
    arguments: Mapping[str, Any], parameters: Mapping[str, Any], unnamed: Collection[str] = ()
) -> tuple[dict[str, Any], int]:
    """Return arguments without the nulls that their schema does not allow, and their number.

    Some writers give every record the same fields and fill missing values with null. An object that
    may hold anything keeps its nulls, unless other nulls in the call show that it comes from such a
    writer.

    Args:
        unnamed: names that are not parameters of this tool but may be of others. Their nulls are
            removed even where the schema is open.
    """
    if not _holds_null(arguments):
        return dict(arguments), 0
    left_out = 0
    is_filled = False  # whether the writer filled missing values with null

    def given(value: Any, schemas: Sequence[Any]) -> Any:
        nonlocal left_out
        alternatives = [branch for schema in schemas for branch in branches(schema, parameters)]
        if isinstance(value, list):
            items = [branch["items"] for branch in alternatives if "items" in branch]
            return [given(item, items) for item in value]
        if not isinstance(value, Mapping):
            return value
        closed = any(
            properties_of(branch) or branch.get("additionalProperties") is False
            for branch in alternatives
        ) and not any(branch.get(key) for branch in alternatives for key in _OPENING)
        made = {}
        for key, item in value.items():
            parts = [part for branch in alternatives for part in schemas_of(key, branch)]
            if item is None and not (
                any(_admits_null(part, parameters) for part in parts)
                if parts
                else not (closed or is_filled or key in unnamed)
            ):
                left_out += 1
            else:
                made[key] = given(item, parts)
        return made

    made = given(arguments, [parameters])
    if left_out and _holds_null(made):
        is_filled = True
        made = given(made, [parameters])
    return made, left_out


def schemas_of(key: str, schema: Mapping[str, Any]) -> list[Any]:
    """Return the schemas for the value at a key of an object; none if any value is allowed."""
    patterns = schema.get("patternProperties")
    matching = [
        part
        for pattern, part in (patterns.items() if isinstance(patterns, Mapping) else ())
        if _is_match(pattern, key)
    ]
    if key in properties_of(schema):
        matching.append(properties_of(schema)[key])
    others = schema.get("additionalProperties")
    return matching or ([others] if isinstance(others, Mapping) and others else [])


def _is_match(pattern: str, key: str) -> bool:
    try:
        return re.search(pattern, key) is not None
    except re.error:  # `check_arguments` reports it
        return False


def _holds_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(item is None or _holds_null(item) for item in value.values())
    return isinstance(value, list) and any(map(_holds_null, value))


_OPENING = ("additionalProperties", "patternProperties", "unevaluatedProperties")
_NARROWING = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "not"}


def _admits_null(schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether a schema allows null: by type, enum or const, in any branch, or by no restriction."""
    if not isinstance(schema, Mapping):
        return schema is True
    for branch in branches(schema, root):
        kinds = branch.get("type", ())
        if not _NARROWING & set(branch) or kinds == "null" or "null" in kinds:
            return True
        if None in branch.get("enum", ()) or branch.get("const", 0) is None:
            return True
    return False


@lru_cache(maxsize=8192)
def _schema_error(schema: str) -> str | None:
    try:
        Draft202012Validator.check_schema(canonical.loads(schema))
    except jsonschema.SchemaError as error:
        where = ".".join(["parameters", *map(str, error.absolute_path)])
        return f"{where}: {error.message}"
    return None


@lru_cache(maxsize=8192)
def _validator(schema: str) -> Draft202012Validator:
    # the empty registry prevents fetching a `$ref` to a URL
    return Draft202012Validator(canonical.loads(schema), registry=Registry())
