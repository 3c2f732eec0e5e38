"""The constraint tree: how a tool's parameters are named and typed (LoopTool, section 3.1)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from looptool.core.tools import Tool, check_tool

NAMING = {"snake": 36, "dotted": 36, "camel": 12, "bare": 10, "pascal": 6}  # weights

_LINE = {"type": "string", "minLength": 1, "maxLength": 400}
# The pattern limits the length, since xgrammar does not support maxLength next to a pattern.
_NAME = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"}
_TYPES = ("string", "integer", "number", "boolean", "array")
DOCUMENT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.]{0,63}$"},
        "description": _LINE,
        "parameters": {
            "type": "array",
            "minItems": 1,
            "maxItems": 12,
            "items": {
                "type": "object",
                "properties": {
                    "name": _NAME,
                    "type": {"enum": list(_TYPES)},
                    "items": {"enum": list(_TYPES[:4])},
                    "enum": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                    "description": _LINE,
                    "required": {"type": "boolean"},
                    "default": {},
                },
                "required": ["name", "type", "description", "required"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["name", "description", "parameters"],
    "additionalProperties": False,
}


def sample_path(rng: random.Random) -> dict[str, Any]:
    """Draw a path through the constraint tree.

    Returns:
        `naming` (a key of NAMING), `required` and `optional` (numbers of parameters), and `types`
        (one or two parameter types to use).
    """
    required = rng.choices([1, 2, 3, 4], weights=[3, 4, 2, 1])[0]
    optional = rng.choices([0, 1, 2], weights=[4, 3, 1])[0]
    return {
        "naming": rng.choices(list(NAMING), weights=list(NAMING.values()))[0],
        "required": required,
        "optional": optional,
        "types": sorted(rng.sample([*_TYPES, "string with enum"], min(2, required + optional))),
    }


def tool_of(data: Any) -> Tool:
    """Convert a model's answer in the schema DOCUMENT to a tool document.

    Raises:
        ValueError: if a parameter name occurs twice or the result is not a valid tool.
    """
    properties: dict[str, Any] = {}
    required = []
    for parameter in data["parameters"]:
        name, schema = parameter["name"], {"type": parameter["type"]}
        if name in properties:
            raise ValueError(f"parameters: {name} occurs twice")
        if "enum" in parameter and parameter["type"] == "string":
            schema["enum"] = parameter["enum"]
        if parameter["type"] == "array":
            schema["items"] = {"type": parameter.get("items", "string")}
        if parameter["required"]:
            required.append(name)
        elif "default" in parameter:
            schema["default"] = parameter["default"]
        properties[name] = {**schema, "description": parameter["description"]}
    parameters = {"type": "object", "properties": properties, "required": required}
    tool = {"name": data["name"], "description": data["description"], "parameters": parameters}
    if reason := check_tool(tool):
        raise ValueError(reason)
    return tool
