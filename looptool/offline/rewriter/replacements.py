"""Random values of the same kind as a value, to take its place."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator
from typing import Any

from looptool.core import canonical
from looptool.english.forms import worded_like
from looptool.offline.grammar.values import draw
from looptool.offline.rewriter.blueprint import Parameter

TRIES = 24


def replacements(value: Any, parameter: Parameter, rng: random.Random) -> Iterator[Any]:
    """Yield values that could replace `value`, the most suitable ones first.

    For an enumeration these are its members. All others have the type of `value`. They may violate
    the schema, and there may be no wording for them.
    """
    if members := parameter.schema.get("enum"):
        yield from rng.sample(members, len(members))
        return
    if isinstance(value, str) and _is_code(value):
        for _ in range(TRIES):
            yield _similar_code(value, rng)
    for _ in range(TRIES):
        drawn = _part(draw(parameter.slot, rng), parameter.path, rng)
        if type(drawn) is type(value):
            yield drawn
    if isinstance(value, int | float):
        for _ in range(TRIES):
            yield _similar_number(value, rng)
        worded = worded_like(value)
        yield from rng.sample(worded, len(worded))


def _part(drawn: Any, path: tuple[str | None, ...], rng: random.Random) -> Any:
    """Return the part of an argument at this path; of a list, a random item."""
    for step in path:
        if isinstance(drawn, list):
            drawn = rng.choice(drawn) if drawn else None
        elif isinstance(drawn, dict):
            drawn = drawn.get(step)
    return drawn


def _is_code(text: str) -> bool:
    """Whether a text looks like a code, such as "AB-1234"."""
    return bool(re.fullmatch(r"[A-Za-z]{0,5}[-_#/]?(?=\S*\d)[A-Z0-9][A-Z0-9-]{2,}", text))


def _similar_code(text: str, rng: random.Random) -> str:
    """Replace the digits of `text`, and the capitals after the first digit."""
    start = next(place for place, char in enumerate(text) if char.isdigit())
    return text[:start] + "".join(
        rng.choice(string.digits if place else "123456789")
        if char.isdigit()
        else rng.choice(string.ascii_uppercase)
        if char.isupper()
        else char
        for place, char in enumerate(text[start:])
    )


def _similar_number(value: int | float, rng: random.Random) -> int | float:
    """Return a number with the same sign, length, decimals and trailing zeros."""
    digits = canonical.dumps(abs(value))
    if not value:
        return rng.randint(1, 9)
    if "e" in digits:
        mantissa, _, exponent = digits.partition("e")
        other = _similar_number(canonical.loads(mantissa), rng)
        return float(f"{'-' * (value < 0)}{other}e{exponent}")
    if isinstance(value, int) and 1900 <= value <= 2100:
        return rng.randint(value - 40, min(value + 10, max(value, 2030)))
    head = digits.rstrip("0").rstrip(".") if isinstance(value, int) else digits
    tail = digits[len(head) :]
    made = "".join(
        char if char == "." else rng.choice(string.digits if place else "23456789")
        for place, char in enumerate(head)
    )
    if digits.startswith("0."):
        made = "0" + made[1:]
    number = canonical.loads(made.lstrip("0") + tail if made[0] != "0" else made + tail)
    return -number if value < 0 else number
