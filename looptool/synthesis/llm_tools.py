"""Hierarchical API synthesis by a large model: it grows the context tree, then writes documents.

A leaf is a function that it names within a domain; a document follows a path through the constraint
tree that is sampled here: naming style, number and types of parameters. What is like another one is
left out, of leaves and of documents.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rapidfuzz import fuzz, process

from looptool import canonical
from looptool.engines.roles import Question, Role, load_template
from looptool.synthesis import Draft, Split
from looptool.synthesis.trees import leaves, styles
from looptool.tools import Tool, check_tool

ALIKE = 90.0  # rapidfuzz ratio from which two functions count as one
HELDOUT = 5  # one leaf of so many, by its hash, is for the held-out split
_AT_ONCE = 40  # functions named in one answer
_PER_DOMAIN = 8  # tools wanted of a domain
_LETTERS = "abcdefghilmnoprstuvw"

_LINE = {"type": "string", "minLength": 1, "maxLength": 400}
# by the pattern alone: xgrammar takes no maxLength beside one
_NAME = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"}
_TYPES = ("string", "integer", "number", "boolean", "array")
GROWTH: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "functions": {
            "type": "array",
            "minItems": 1,
            "maxItems": _AT_ONCE,
            "items": {
                "type": "object",
                "properties": {"part": _LINE, "action": _LINE},
                "required": ["part", "action"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["functions"],
    "additionalProperties": False,
}
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


def write_tools(
    role: Role, count: int, rng: random.Random, split: Split, known: Sequence[Tool] = ()
) -> tuple[list[Tool], list[Draft]]:
    """Return up to `count` tools, and those refused for their likeness as refused drafts.

    Answers that were no documents stand in the record of requests.

    Args:
        known: tools that no new one may be like, or share its name with.
    """
    picked = _grow(role, count, rng, split)
    documents = role.ask(
        load_template("synthesis", "tool"),
        [
            Question(
                canonical.digest("tool", canonical.dumps(action)),
                {**action, **_constraints(rng)},
                tool_of,
            )
            for action in picked
        ],
        DOCUMENT,
    )
    taken = {tool["name"]: _text(tool) for tool in known}
    tools, refused = [], []
    for reply in documents:
        if (tool := reply.value) is None:
            continue
        if tool["name"] in taken or _is_like(_text(tool), taken.values()):
            refused.append(Draft([tool], [], {}, "single", ("tool", "like another tool")))
        else:
            tools.append(tool)
            taken[tool["name"]] = _text(tool)
    return tools, refused


def _text(tool: Tool) -> str:
    return f"{tool['name']}: {tool['description']}"


def tool_of(data: Any) -> Tool:
    """Return the tool document that an answer to DOCUMENT means.

    Raises:
        ValueError: if its parts contradict each other.
    """
    properties: dict[str, Any] = {}
    required = []
    for parameter in data["parameters"]:
        name, schema = parameter["name"], {"type": parameter["type"]}
        if name in properties:
            raise ValueError(f"parameters: {name} stands there twice")
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


def _grow(role: Role, count: int, rng: random.Random, split: Split) -> list[dict[str, str]]:
    """Return up to `count` leaves of the context tree: domain, part, action."""
    domains = sorted({leaf.domain for leaf in leaves().values()})
    chosen = [rng.choice(domains) for _ in range(-(-count // _PER_DOMAIN))]
    wanted = 2 * _PER_DOMAIN * (HELDOUT if split == "heldout" else 1)
    replies = role.ask(
        load_template("synthesis", "grow"),
        [
            Question(
                canonical.digest("grow", domain, str(number)),
                {"domain": domain, "count": min(wanted, _AT_ONCE), "letter": rng.choice(_LETTERS)},
                lambda data: list(data["functions"]),
            )
            for number, domain in enumerate(chosen)
        ],
        GROWTH,
    )
    actions: dict[str, dict[str, str]] = {}
    for domain, reply in zip(chosen, replies, strict=True):
        for function in reply.value or ():
            text = f"{function['part']}: {function['action']}"
            heldout = int(canonical.digest(text.casefold())[:8], 16) % HELDOUT == 0
            if heldout == (split == "heldout") and not _is_like(text, actions):
                actions[text] = {"domain": domain, **function}
    return list(actions.values())[:count]


def _constraints(rng: random.Random) -> dict[str, Any]:
    """Return a path through the constraint tree: naming, number and types of parameters."""
    naming = styles()["naming"]
    required = rng.choices([1, 2, 3, 4], weights=[3, 4, 2, 1])[0]
    optional = rng.choices([0, 1, 2], weights=[4, 3, 1])[0]
    return {
        "naming": rng.choices(list(naming), weights=list(naming.values()))[0],
        "required": required,
        "optional": optional,
        "types": sorted(rng.sample([*_TYPES, "string with enum"], min(2, required + optional))),
    }


def _is_like(text: str, known: Collection[str]) -> bool:
    found = process.extractOne(text, list(known), scorer=fuzz.token_sort_ratio, score_cutoff=ALIKE)
    return found is not None
