"""Masked names: random names for the tools and parameters of samples; documents stay.

A model that sees the same names often decides by them. Where they mean nothing, it has to read the
documents (Hammer, arXiv 2410.04587, "function masking").
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from looptool.core.tools import Tool
from looptool.offline.grammar.inventions import invented
from looptool.offline.grammar.toolbox import action_of
from looptool.synthesis import Draft


def mask(drafts: Sequence[Draft], rng: random.Random) -> list[Draft]:
    """Return the drafts, which offer the same tools, with other names for these.

    A parameter without a description gets its name in words as one, because nothing else would
    tell what it is for.
    """
    tools: dict[str, str] = {}
    parameters: dict[str, dict[str, str]] = {}
    documents: dict[str, Tool] = {}
    for tool in drafts[0].tools:
        name = _new_name(rng, set(tools.values()))
        slots = action_of(tool).slots
        masked: dict[str, str] = {}
        for parameter in tool["parameters"]["properties"]:
            masked[parameter] = _new_name(rng, set(masked.values()))
        document = copy.deepcopy(tool)
        schema = document["parameters"]
        for parameter, part in schema["properties"].items():
            part.setdefault("description", slots[parameter].word)
        schema["properties"] = {masked[key]: part for key, part in schema["properties"].items()}
        schema["required"] = [masked[key] for key in schema["required"]]
        document["name"] = name
        tools[tool["name"]], parameters[tool["name"]], documents[tool["name"]] = (
            name,
            masked,
            document,
        )

    def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        known = parameters[name]
        return {"name": tools[name], "arguments": {known[k]: v for k, v in arguments.items()}}

    def message(turn: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(turn)
        if turn.get("tool_calls"):
            made["tool_calls"] = [
                {**item, "function": call(item["function"]["name"], item["function"]["arguments"])}
                for item in turn["tool_calls"]
            ]
        if turn.get("name") in tools:
            made["name"] = tools[turn["name"]]
        if turn["role"] == "user":
            for name, new in tools.items():
                made["content"] = made["content"].replace(name, new)
        return made

    return [
        replace(
            draft,
            tools=[documents[tool["name"]] for tool in draft.tools],
            messages=[message(turn) for turn in draft.messages],
            label={"calls": [call(c["name"], c["arguments"]) for c in draft.label["calls"]]}
            if "calls" in draft.label
            else draft.label,
        )
        for draft in drafts
    ]


def _new_name(rng: random.Random, taken: set[str]) -> str:
    """Return a name without meaning that is not in `taken`."""
    while True:
        word = invented(rng).lower()
        name = rng.choice(
            (
                word,
                f"{word}_{invented(rng, 1, 2).lower()}",
                f"{rng.choice('abcdfghkmpqrstvwxyz')}{rng.randint(1, 99)}",
                f"{rng.choice(('fn', 'func', 'tool', 'op', 'arg', 'p'))}_{rng.randint(1, 999)}",
                f"{word}{rng.randint(1, 99)}",
            )
        )
        if name not in taken:
            return name
