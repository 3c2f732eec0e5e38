"""Long tool documents, as real APIs have them: what a tool needs and returns, and what each
parameter is for, with defaults, examples and choices in prose."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

from looptool.english.lists import coordinate
from looptool.offline.grammar.slots import Slot, choices
from looptool.offline.grammar.trees import Leaf, documents, styles
from looptool.offline.grammar.values import draw

_WITH_EXAMPLE = ("spatial", "named", "temporal", "textual", "structured")


def tool_text(leaf: Leaf, slots: Iterable[Slot], rng: random.Random) -> str:
    """Return a description of a leaf's tool with these parameters."""
    needs = [_needed(slot) for slot in slots if slot.required]
    templates = documents()["tool"]
    text = rng.choice([each for each in templates if needs or "{needs}" not in each])
    does = rng.choice(leaf.does)
    return str(text).format(
        Does=does,
        bare=rng.choice(leaf.bare),
        needs=coordinate(needs) if needs else "",
        gives=coordinate([f"the {field.replace('_', ' ')}" for field in leaf.gives]),
    )


def _needed(slot: Slot) -> str:
    counted = slot.kind.group == "counted" and "unit" not in slot.kind.options
    return f"the number of {slot.word}" if counted else f"the {slot.word}"


def longer_text(slot: Slot, leaf: Leaf, default: Any, rng: random.Random) -> str:
    """Return a longer description of a parameter than `slot.schema` has.

    Args:
        default: the value that is used if the parameter is omitted; None if there is none.
    """
    chances = styles()["documents"]
    text = slot.schema.get("description") or slot.word[:1].upper() + slot.word[1:]
    text = text.rstrip(".?")
    plain = not slot.form and "e.g." not in text and "such as" not in text
    if rng.random() < chances["purpose"]:
        text = _filled("purpose", rng, text=text, bare=rng.choice(leaf.bare))
    if slot.kind.draw == "choice" and rng.random() < chances["choices"]:
        values = [str(value) for value in choices(slot)]
        text = _filled("choices", rng, text=text, choices=coordinate(values, " or "))
    elif slot.kind.group in _WITH_EXAMPLE and plain and rng.random() < chances["example"]:
        text = _filled("example", rng, text=text, example=_written(draw(slot, rng)))
    if default is not None:
        lower = text if text[1:2].isupper() else text[:1].lower() + text[1:]
        text = _filled("default", rng, text=text, lower=lower, default=_written(default))
    elif not slot.required and rng.random() < chances["optional"]:
        text = _filled("optional", rng, text=text)
    return text


def _filled(name: str, rng: random.Random, text: str, **parts: str) -> str:
    return str(rng.choice(documents()[name])).format(text=text.rstrip("."), **parts)


def _written(value: Any) -> str:
    """Return a value as a document writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
