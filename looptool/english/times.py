"""Times of day in English: "6 p.m.", "half past six in the evening"."""

from __future__ import annotations

import re
from typing import Any

from looptool.english.numbers import ONES

NAMED_TIMES = {(0, 0): "midnight", (12, 0): "noon"}
# Part of the day: its first and its last hour.
PARTS_OF_DAY = {
    "in the morning": (0, 11),
    "in the afternoon": (12, 17),
    "in the evening": (18, 23),
}
_QUARTERS = {0: "{0} o'clock", 15: "quarter past {0}", 30: "half past {0}", 45: "quarter to {1}"}


def read_time(value: Any) -> tuple[int, int] | None:
    """Return the hour and minute of a text HH:MM, or None for other values."""
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2])) if match else None


def half_of_day(hour: int) -> str:
    """Return "am" or "pm"."""
    return "am" if hour < 12 else "pm"


def dotted(half: str) -> str:
    """Return "a.m." for "am"."""
    return f"{half[0]}.{half[1]}."


def clock(hour: int, minute: int | None = None) -> str:
    """Return a time on the twelve-hour clock, without its half of the day: "6" or "6:30"."""
    return f"{hour % 12 or 12}" + ("" if minute is None else f":{minute:02}")


def clock_words(hour: int, minute: int) -> str | None:
    """Return a time in words, without its part of the day; None if it is not a quarter."""
    if minute not in _QUARTERS:
        return None
    shown = hour % 12 or 12
    return _QUARTERS[minute].format(ONES[shown], ONES[shown % 12 + 1])


def part_of_day(hour: int) -> str:
    """Return the words for the part of the day that has this hour."""
    return next(part for part, (first, last) in PARTS_OF_DAY.items() if first <= hour <= last)
