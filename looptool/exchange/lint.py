"""Warnings about tools that models are likely to get wrong; they do not stop an import."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from looptool.core import canonical
from looptool.core.tools import Tool, check_arguments
from looptool.exchange import Note

ALIKE = 95.0  # rapidfuzz ratio above which two descriptions count as the same
LONG = 4000  # characters of a tool document: about 1000 tokens
_COMPARED = 1500  # maximum number of tools whose descriptions are compared pairwise


def lint(tools: Sequence[Tool]) -> list[Note]:
    """Return warnings about the tools, in their order."""
    notes = []
    for tool in tools:
        name, properties = tool["name"], tool["parameters"].get("properties", {})
        if not tool.get("description"):
            notes.append(Note(name, "has no description"))
        bare = [
            key
            for key, schema in properties.items()
            if not schema.get("description") and not schema.get("enum")
        ]
        if bare:
            notes.append(Note(name, f"parameters without description: {', '.join(bare)}"))
        size = len(canonical.dumps(tool))
        if size > LONG:
            notes.append(
                Note(name, f"its document has {size} characters, about {size // 4} tokens")
            )
        for key, schema in properties.items():
            if "default" in schema:
                closed = {"type": "object", "properties": {key: schema}}
                if problem := check_arguments({key: schema["default"]}, closed):
                    notes.append(Note(name, f"the default breaks the schema: {problem}"))
    return [*notes, *_alike(tools)]


def _alike(tools: Sequence[Tool]) -> list[Note]:
    """Return warnings about tools with the same parameters and nearly the same description."""
    import numpy as np
    from rapidfuzz import fuzz, process, utils

    groups: dict[tuple[str, ...], list[Tool]] = defaultdict(list)
    for tool in tools:
        groups[tuple(sorted(tool["parameters"].get("properties", {})))].append(tool)
    notes = []
    for group in groups.values():
        texts = [utils.default_process(tool.get("description", "")) for tool in group[:_COMPARED]]
        scores = process.cdist(texts, texts, scorer=fuzz.ratio, score_cutoff=ALIKE)
        reported: set[int] = set()
        for one, other in np.argwhere(np.triu(scores >= ALIKE, 1)).tolist():
            if texts[one] and other not in reported:
                reported.add(other)
                why = f"is hard to tell from {group[one]['name']}"
                notes.append(Note(group[other]["name"], why))
    return notes
