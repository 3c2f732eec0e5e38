"""What a model will stumble over in a set of tools. Nothing here stops an import."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from looptool.core import canonical
from looptool.core.tools import Tool, check_arguments
from looptool.exchange import Note

ALIKE = 95.0  # rapidfuzz ratio of two descriptions that say the same
LONG = 4000  # characters of a document: about a thousand tokens
_COMPARED = 1500  # tools up to which descriptions are compared with one another


def lint(tools: Sequence[Tool]) -> list[Note]:
    """Return what is amiss with each tool, in their order."""
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
    """Return pairs that say the same of themselves and take the same parameters."""
    import numpy as np
    from rapidfuzz import fuzz, process, utils

    groups: dict[tuple[str, ...], list[Tool]] = defaultdict(list)
    for tool in tools:
        groups[tuple(sorted(tool["parameters"].get("properties", {})))].append(tool)
    notes = []
    for group in groups.values():
        texts = [utils.default_process(tool.get("description", "")) for tool in group[:_COMPARED]]
        scores = process.cdist(texts, texts, scorer=fuzz.ratio, score_cutoff=ALIKE)
        told: set[int] = set()
        for one, other in np.argwhere(np.triu(scores >= ALIKE, 1)).tolist():
            if texts[one] and other not in told:
                told.add(other)
                why = f"is hard to tell from {group[one]['name']}"
                notes.append(Note(group[other]["name"], why))
    return notes
