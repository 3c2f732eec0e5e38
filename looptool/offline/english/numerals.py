"""Numbers and lists in English: "twenty-one", "1st", "a, b and c"."""

from __future__ import annotations

from collections.abc import Sequence

UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def coordinate(texts: Sequence[str], last: str = " and ") -> str:
    """Join texts as "a, b and c"."""
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + last + texts[-1]


def spell(number: int) -> str | None:
    """Spell out a small or round number, or return None."""
    if 0 <= number < 20:
        return UNITS[number]
    if 20 <= number < 100:
        tens = TENS[number // 10 - 2]
        return tens if number % 10 == 0 else f"{tens}-{UNITS[number % 10]}"
    if number in (100, 1000):
        return "a hundred" if number == 100 else "a thousand"
    if number < 1000 and number % 100 == 0:
        return f"{UNITS[number // 100]} hundred"
    if number < 20000 and number % 1000 == 0:
        return f"{UNITS[number // 1000]} thousand"
    return None


def decimal(value: float) -> str:
    """Return a number in digits, without the decimals of a whole one."""
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def ordinal(number: int) -> str:
    """Return an ordinal in digits, such as "1st"."""
    suffix = (
        "th" if 10 <= number % 100 <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{suffix}"
