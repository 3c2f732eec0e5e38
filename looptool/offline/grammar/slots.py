"""Slots: a slot is one parameter of one tool document, as the agents read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from looptool.offline.grammar.trees import Kind, kinds, pools


@dataclass(frozen=True, eq=False)
class Slot:
    """One parameter of one tool document.

    Attributes:
        name: its name in the document.
        key: its name in the leaf; `name` if the trees do not know the tool.
        word: what people call it ("launch speed").
        form: the name of the date format in `NAMED_DATES`, or "".
    """

    name: str
    key: str
    kind: Kind
    schema: Mapping[str, Any]
    required: bool
    word: str
    form: str = ""

    @property
    def type(self) -> str:
        """Return the JSON Schema type: the first of several, "string" if none is given."""
        kind = self.schema.get("type", "string")
        return kind if isinstance(kind, str) else next((k for k in kind if k != "null"), "string")


def choices(slot: Slot) -> list[Any]:
    """Return the values of an enumerated slot: those of its schema, else those of its kind."""
    if "enum" in slot.schema:
        return list(slot.schema["enum"])
    options = slot.kind.options
    return list(options.get("enum") or pools()[options["synonyms"]])


def record_slots(slot: Slot) -> dict[str, Slot]:
    """Return the slots of an object's fields."""
    return {
        name: Slot(
            name, name, kinds()[kind], slot.schema["properties"][name], True, name.replace("_", " ")
        )
        for name, kind in slot.kind.options["fields"].items()
    }


def fits(kind: Kind, value: Any) -> bool:
    """Whether `value` could be of this kind, judged by its JSON type."""
    if isinstance(value, bool):
        return "boolean" in kind.types
    if isinstance(value, int):
        return "integer" in kind.types or "number" in kind.types
    if isinstance(value, float):
        return "number" in kind.types
    if isinstance(value, list):
        strings = all(isinstance(item, str) for item in value)
        numbers = all(
            isinstance(item, int | float) and not isinstance(item, bool) for item in value
        )
        return (kind.draw == "items" and strings) or (kind.draw == "numbers" and numbers)
    if isinstance(value, dict):
        return kind.draw == "record" and set(value) == set(kind.options.get("fields", ()))
    return value is not None and "string" in kind.types
