"""How values are written: each form writes values of one kind in one way.

"12,500", "a dozen", "3 May 2024" and "half past two" are written in four different forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from looptool.english.dates import TEXT_DATES, read_date, write_date
from looptool.english.numbers import (
    DOZENS,
    FRACTIONS,
    HOURS,
    MILLIONS,
    grouped,
    hours_words,
    minus,
    number_words,
    percent,
    scaled,
    whole_hours,
)
from looptool.english.times import (
    PARTS_OF_DAY,
    clock,
    clock_words,
    dotted,
    half_of_day,
    read_time,
)

# Returns the value as this form writes it, or None if it cannot.
Form = Callable[[Any], str | None]

_WORDED: tuple[Mapping[float, str], ...] = (DOZENS, MILLIONS, HOURS, FRACTIONS)
# Too common as words to be taken for values.
_STOP_WORDS = frozenset(
    re.findall(r"\w+", "a i an as at by for if in is it me my no of on or so the to us we")
)


def forms_of(value: Any) -> tuple[Form, ...]:
    """Return the forms that can write values like `value`, the plainest first."""
    if isinstance(value, bool):
        return ()
    if isinstance(value, int | float):
        return _NUMBER_FORMS if abs(value) < 1e12 else (_plain,)
    if not isinstance(value, str) or not value.strip() or value.lower() in _STOP_WORDS:
        return ()
    if read_date(value):
        return _DATE_FORMS
    return _TIME_FORMS if read_time(value) else _TEXT_FORMS


def worded_like(value: Any) -> tuple[float, ...]:
    """Return the numbers with a fixed wording of the same sort as that of `value` ("a dozen")."""
    return tuple(number for words in _WORDED if value in words for number in words)


def yes_or_no(value: bool) -> str:
    """Return a boolean in words."""
    return "yes" if value else "no"


# Numbers


def _plain(value: Any) -> str | None:
    return str(value)


def _whole(value: Any) -> str | None:
    """Write 5.0 as "5"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else None


def _grouped(value: Any) -> str | None:
    """Write 12500 as "12,500"."""
    return grouped(value) if abs(value) >= 1000 else None


def _cents(value: Any) -> str | None:
    """Write 5 as "5.00"."""
    return f"{value:.2f}" if round(value, 2) == value else None


def _grouped_cents(value: Any) -> str | None:
    """Write 12500 as "12,500.00"."""
    return f"{value:,.2f}" if abs(value) >= 1000 and round(value, 2) == value else None


def _words(value: Any) -> str | None:
    """Write 5 as "five"."""
    # "one" is a pronoun as often as a number.
    return number_words(int(value)) if value == int(value) and value > 1 else None


def _capital_words(value: Any) -> str | None:
    """Write 5 as "Five"."""
    words = _words(value)
    return words and words.capitalize()


def _minus(value: Any) -> str | None:
    """Write -5 as "minus 5"."""
    return minus(value) if value < 0 else None


def _worded(words: Mapping[float, str]) -> Form:
    """Return the form that writes the numbers of a table in its words."""
    return words.get


def _thousands(value: Any) -> str | None:
    """Write 5000 as "5k"."""
    return f"{int(value) // 1000}k" if value == int(value) and value and value % 1000 == 0 else None


def _scaled(size: int, name: str) -> Form:
    """Return the form that writes 1500 as "1.5 thousand"."""

    def form(value: Any) -> str | None:
        tenths = value * 10 / size
        return scaled(value, size, name) if value >= size and tenths == int(tenths) else None

    return form


def _scaled_words(size: int, name: str) -> Form:
    """Return the form that writes 2000 as "two thousand"."""

    def form(value: Any) -> str | None:
        if not size <= value < 1000 * size or value % size:
            return None
        return f"{number_words(int(value) // size)} {name}"

    return form


def _percent(mark: str) -> Form:
    """Return the form that writes a share in hundredths."""

    def form(value: Any) -> str | None:
        if not isinstance(value, float) or not 0 < value < 1:
            return None
        return percent(round(value * 100, 6), mark)

    return form


def _hours(value: Any) -> str | None:
    """Write 120 minutes as "2 hours"."""
    hours = whole_hours(value)
    return f"{hours} hours" if hours else None


_NUMBER_FORMS: tuple[Form, ...] = (
    _plain,
    _whole,
    _grouped,
    _cents,
    _grouped_cents,
    _words,
    _capital_words,
    _minus,
    *map(_worded, _WORDED),
    _thousands,
    _scaled(1000, "thousand"),
    _scaled(1_000_000, "million"),
    _scaled_words(1000, "thousand"),
    _scaled_words(1_000_000, "million"),
    _percent("%"),
    _percent(" percent"),
    _hours,
    hours_words,
)


# Dates and times


def _dated(pattern: str) -> Form:
    """Return the form that writes dates in one format."""

    def form(value: Any) -> str | None:
        date = read_date(value)
        return write_date(date[0], pattern) if date else None

    return form


_DATE_FORMS: tuple[Form, ...] = (
    lambda value: value if read_date(value) else None,
    *map(_dated, TEXT_DATES),
)


def _clock(gap: str, case: Callable[[str], str], minutes: bool) -> Form:
    """Return the form that writes times as "6:30 p.m.", or without minutes as "6 p.m."."""

    def form(value: Any) -> str | None:
        time = read_time(value)
        if not time or (time[1] and not minutes):
            return None
        hour, minute = time
        return clock(hour, minute if minutes else None) + gap + case(half_of_day(hour))

    return form


def _clock_words(part: str, first: int, last: int) -> Form:
    """Return the form for times from hour `first` to `last`, which ends with `part` of the day."""

    def form(value: Any) -> str | None:
        time = read_time(value)
        words = clock_words(*time) if time and first <= time[0] <= last else None
        return words and f"{words} {part}".rstrip()

    return form


_TIME_FORMS: tuple[Form, ...] = (
    lambda value: value if read_time(value) else None,
    *(_clock_words(part, first, last) for part, (first, last) in PARTS_OF_DAY.items()),
    # Without a part of the day the words do not say which half is meant, so it must not change.
    _clock_words("", 0, 11),
    _clock_words("", 12, 23),
    *(
        _clock(gap, case, minutes)
        for minutes in (True, False)
        for gap in ("", " ")
        for case in (str.lower, str.upper, dotted)
    ),
)


# Texts


def _text(write: Callable[[str], str]) -> Form:
    """Return the form that changes a text in this way."""
    return lambda value: write(value) if isinstance(value, str) else None


_TEXT_FORMS: tuple[Form, ...] = (
    _text(str),
    _text(str.lower),
    _text(str.title),
    _text(str.capitalize),
    _text(lambda value: re.sub(r"[_-]+", " ", value)),
    _text(lambda value: re.sub(r"[_-]+", " ", value).lower()),
)
