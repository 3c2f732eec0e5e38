"""The generators of the constraint tree: they make up values of each kind.

Pools are large and many values are invented, so that a small model learns to copy values from the
request instead of recalling those it has seen.
"""

from __future__ import annotations

import math
import random
import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from looptool.core import canonical
from looptool.offline.grammar import api_kinds, api_values
from looptool.offline.grammar.inference import slot_of, words_of
from looptool.offline.grammar.inventions import (
    address,
    city,
    code,
    company,
    contact,
    email,
    file,
    formula,
    from_pool,
    invent_title,
    invented,
    label,
    message,
    person,
    pick,
    place,
    query,
    team,
    title,
    url,
)
from looptool.offline.grammar.shapes import SHAPES, schema_of
from looptool.offline.grammar.slots import Slot, choices, record_slots

_TRIES = 4


def _number(slot: Slot, rng: random.Random) -> int | float:
    options = slot.kind.options
    low, high = options.get("low", 1), options.get("high", 100)
    low, high = (
        max(low, slot.schema.get("minimum", low)),
        min(high, slot.schema.get("maximum", high)),
    )
    if slot.type == "integer" or (slot.type == "number" and high - low >= 4 and rng.random() < 0.5):
        first, last = math.ceil(low), math.floor(high)
        if last - first > 40 and rng.random() < 0.3:
            return round(rng.randint(first, last) / 5) * 5 or 5
        return rng.randint(first, max(first, last))
    decimals = options.get("decimals") or rng.choice((1, 1, 2))
    value = round(rng.uniform(low, high), decimals) or round(low + 10**-decimals, decimals)
    return int(value) if value.is_integer() else value


def _large(slot: Slot, rng: random.Random) -> int:
    high = slot.kind.options.get("high", 9_000_000)
    value = rng.choice(
        (
            lambda: 500_000,
            lambda: 100_000 * rng.randint(1, 90),
            lambda: 1000 * rng.randint(2, 999),
            lambda: rng.randint(1000, 999_999),
        )
    )()
    return min(value, high)


def _coordinate(slot: Slot, rng: random.Random) -> float:
    options = slot.kind.options
    return round(rng.uniform(options["low"], options["high"]), rng.choice((1, 2, 4)))


def _percent(slot: Slot, rng: random.Random) -> int | float:
    low, high = slot.kind.options.get("low", 1), slot.kind.options.get("high", 60)
    if slot.type == "integer" or rng.random() < 0.65:
        return rng.randint(low, high)
    return rng.randint(low, high - 1) + rng.choice((0.5, 0.25, 0.75, 0.2, 0.8))


def _fraction(slot: Slot, rng: random.Random) -> float:
    if rng.random() < 0.12:
        return rng.choice((0.5, 0.25, 0.75))
    return rng.choice(
        (rng.randint(1, 30) / 100, rng.randint(10, 95) / 1000, rng.randint(1, 9) / 10)
    )


def _count(slot: Slot, rng: random.Random) -> int:
    low, high = slot.kind.options.get("low", 2), slot.kind.options.get("high", 12)
    return rng.randint(low, high)


def _duration(slot: Slot, rng: random.Random) -> int | float:
    if slot.kind.options.get("unit") == "hours":
        low, high = slot.kind.options.get("low", 1), slot.kind.options.get("high", 24)
        half = slot.type == "number" and rng.random() < 0.25
        return rng.randint(low, high - 1) + 0.5 if half else rng.randint(max(low, 2), high)
    high = slot.kind.options.get("high", 240)
    if rng.random() < 0.6:
        return rng.choice(
            [m for m in (5, 10, 15, 20, 25, 30, 40, 45, 60, 75, 90, 120) if m <= high]
        )
    return rng.randint(2, high)


def _amount(slot: Slot, rng: random.Random) -> int | float:
    low, high = slot.kind.options.get("low", 20), slot.kind.options.get("high", 20000)
    value = math.exp(rng.uniform(math.log(low), math.log(high)))
    if slot.type == "number" and value < 2000 and rng.random() < 0.35:
        return round(value, 2)
    step = 1 if value < 50 else 5 if value < 500 else 50 if value < 5000 else 500
    if rng.random() < 0.2:
        step = 1
    return max(step, round(value / step) * step)


def _time(slot: Slot, rng: random.Random) -> str:
    minute = rng.choice((0, 0, 0, 30, 30, 15, 45, 5 * rng.randrange(12)))
    return f"{rng.randint(6, 23):02d}:{minute:02d}"


def _year(slot: Slot, rng: random.Random) -> int:
    return rng.randint(slot.kind.options.get("low", 1900), slot.kind.options.get("high", 2024))


def _pool(slot: Slot, rng: random.Random) -> str:
    return from_pool(slot.kind.options["pool"], rng)


def _choice(slot: Slot, rng: random.Random) -> Any:
    return rng.choice(choices(slot))


def _currency(slot: Slot, rng: random.Random) -> str:
    return pick("currencies", rng)


def _flag(slot: Slot, rng: random.Random) -> bool:
    return rng.random() < 0.65


def _numbers(slot: Slot, rng: random.Random) -> list[int | float]:
    options = slot.kind.options
    size = options.get("size") or rng.randint(3, 5)
    if options.get("ranges") and rng.random() < 0.4:
        first = rng.choice((1, 1, rng.randint(2, 20)))
        return list(range(first, first + rng.randint(4, 9)))
    whole = slot.schema.get("items", {}).get("type") == "integer" or rng.random() < 0.6
    low = -9 if rng.random() < 0.15 and not options.get("positive") else 1
    high = rng.choice((12, 100))
    return [
        rng.randint(low, high) if whole else round(rng.uniform(low, high), 1) for _ in range(size)
    ]


def _items(slot: Slot, rng: random.Random) -> list[str]:
    options = slot.kind.options
    size = options.get("size") or rng.randint(2, 3)
    items: list[str] = []
    while len(items) < size:
        value = (
            rng.choice(options["choices"])
            if "choices" in options
            else from_pool(options["pool"], rng)
        )
        if value not in items:
            items.append(value)
    return items


def _record(slot: Slot, rng: random.Random) -> dict[str, Any]:
    return {name: DRAW[part.kind.draw](part, rng) for name, part in record_slots(slot).items()}


def _like(slot: Slot, rng: random.Random) -> Any:
    """Return a value like the example, for parameters that no kind fits."""
    return like(slot.kind.options.get("example"), rng)


def like(example: Any, rng: random.Random) -> Any:
    """Return a JSON value of the same type and size as `example`, with other content."""
    if isinstance(example, bool):
        return not example
    if isinstance(example, int):
        return rng.randint(min(example // 2, example * 2), max(example // 2, example * 2) + 9)
    if isinstance(example, float):
        return round(rng.uniform(0.5, 2) * example + rng.choice((0, 0.5)), 2)
    if isinstance(example, list):
        return [like(item, rng) for item in example]
    if isinstance(example, dict):
        return {key: like(item, rng) for key, item in example.items()}
    if isinstance(example, str) and any(letter.isdigit() for letter in example):
        return "".join(rng.choice(string.digits) if c.isdigit() else c for c in example)
    return rng.choice((invented(rng), invent_title(rng)))


def _identifier(slot: Slot, rng: random.Random) -> int | str:
    """Return a number as databases use for ids, or a text if the schema wants one."""
    if slot.type == "string":
        return from_schema(slot.schema, rng) if "format" in slot.schema else code(slot, rng)
    low = max(1, math.ceil(slot.schema.get("minimum", 1)))
    high = math.floor(slot.schema.get("maximum", 10**9))
    return rng.randint(low, max(low, min(high, 10 ** rng.choice((2, 3, 4, 4, 5, 6)))))


def _by_schema(slot: Slot, rng: random.Random) -> Any:
    return from_schema(slot.schema, rng, words=words_of(slot.name))


def from_schema(
    schema: Any, rng: random.Random, depth: int = 0, words: Sequence[str] = (), about: str = ""
) -> Any:
    """Return a value for a JSON Schema, by its most common keywords.

    It may violate other keywords; the admission of samples then refuses it.

    Args:
        words: the words of the field's name, which tell what its texts and numbers mean.
        about: the names around it.
    """
    if not isinstance(schema, dict) or not schema:
        return invented(rng)
    for key in ("const", "enum"):
        if key in schema:
            return schema[key] if key == "const" else rng.choice(schema[key])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            options = [option for option in schema[key] if option != {"type": "null"}]
            option = rng.choice(options or schema[key])
            return from_schema(_chosen(schema, key, option), rng, depth, words, about)
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = kinds if isinstance(kinds, str) else next((k for k in kinds if k != "null"), "null")
    if kind == "object":
        required = schema.get("required", ())
        around = " ".join((about, *words, *schema.get("properties", {})))
        return {
            name: from_schema(part, rng, depth + 1, words_of(name), around)
            for name, part in schema.get("properties", {}).items()
            if name in required or (depth < 2 and rng.random() < 0.5)
        }
    if kind == "array":
        return _items_of(schema, rng, depth, words, about)
    if kind in ("boolean", "null"):
        return rng.random() < 0.5 if kind == "boolean" else None
    if schema.get("format") == "time":
        return _clock(rng)
    field = _field("_".join(words), canonical.dumps({**schema, "type": kind}), about)
    if field.kind.draw == "date":
        return api_values.fitting(lambda: _day(rng), schema, rng)
    return drawn(field, rng)


def _items_of(
    schema: dict[str, Any], rng: random.Random, depth: int, words: Sequence[str], about: str
) -> list[Any]:
    """Return one to three items for a list, different ones as far as possible."""
    least = schema.get("minItems", 1)
    size = rng.randint(least, max(least, min(3, schema.get("maxItems", 3))))
    items, each = schema.get("items", {}), api_kinds.singular_of(words)
    values: list[Any] = []
    for tried in range(size * _TRIES):
        value = from_schema(items, rng, depth + 1, each, about)
        if value not in values or tried >= size * (_TRIES - 1):
            values.append(value)
        if len(values) == size:
            break
    return values


@lru_cache(maxsize=8192)
def _field(name: str, schema: str, about: str) -> Slot:
    """Return the slot of a text or number inside an object or list."""
    return slot_of(name, canonical.loads(schema), True, about=about)


def drawn(slot: Slot, rng: random.Random) -> Any:
    """Return a value for any kind but a date: one of the choices or examples, or another."""
    if "enum" in slot.schema:
        return rng.choice(slot.schema["enum"])
    if (example := api_values.shown(slot.schema, rng)) is not None:
        return example
    return api_values.fitting(lambda: _made(slot, rng), slot.schema, rng)


def _made(slot: Slot, rng: random.Random) -> Any:
    if "api" in slot.kind.options:
        return api_values.draw(slot.kind, slot.schema, rng)
    return DRAW[slot.kind.draw](slot, rng)


def _chosen(schema: dict[str, Any], key: str, option: Any) -> Any:
    """Return one of a schema's alternatives with what the schema says besides."""
    if not isinstance(option, dict):
        return option
    merged = {word: value for word, value in schema.items() if word != key} | option
    for word in ("properties", "required"):
        if word in schema and word in option:
            both = schema[word], option[word]
            merged[word] = both[0] | both[1] if word == "properties" else [*both[0], *both[1]]
    return merged


def _day(rng: random.Random) -> str:
    return f"{rng.randint(2023, 2026)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _clock(rng: random.Random) -> str:
    return f"{rng.randint(6, 22):02d}:{rng.choice((0, 15, 30, 45)):02d}:00"


def _nested(name: str) -> Callable[[Slot, random.Random], Any]:
    """Return the generator of a nested shape; a schema that says what it holds comes first."""
    return lambda slot, rng: (
        from_schema(slot.schema, rng)
        if {"items", "properties"} & set(slot.schema)
        and any(slot.schema.get(key) != part for key, part in schema_of(slot.kind).items())
        else SHAPES[name](slot, rng)
    )


DRAW: dict[str, Callable[[Slot, random.Random], Any]] = {
    "number": _number,
    "large": _large,
    "coordinate": _coordinate,
    "percent": _percent,
    "fraction": _fraction,
    "count": _count,
    "duration": _duration,
    "amount": _amount,
    "time": _time,
    "year": _year,
    "pool": _pool,
    "city": city,
    "place": place,
    "address": address,
    "person": person,
    "contact": contact,
    "email": email,
    "team": team,
    "company": company,
    "title": title,
    "code": code,
    "label": label,
    "file": file,
    "url": url,
    "message": message,
    "query": query,
    "formula": formula,
    "choice": _choice,
    "currency": _currency,
    "flag": _flag,
    "numbers": _numbers,
    "items": _items,
    "record": _record,
    "like": _like,
    "identifier": _identifier,
    "schema": _by_schema,
    **SHAPES,
    **{name: _nested(name) for name in ("matrix", "mapping", "objects")},
}
