"""How values are written: each form writes values of one kind in one way.

"12,500", "a dozen", "3 May 2024" and "half past two" are written in four different forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

# Returns the value as this form writes it, or None if it cannot.
Form = Callable[[Any], str | None]

DATE_PATTERNS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
)
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_DOZENS: Mapping[float, str] = {
    12: "a dozen",
    24: "two dozen",
    36: "three dozen",
    48: "four dozen",
    60: "five dozen",
}
_MILLIONS: Mapping[float, str] = {
    250_000: "a quarter of a million",
    500_000: "half a million",
    1_000_000: "a million",
    1_500_000: "one and a half million",
    2_500_000: "two and a half million",
    3_500_000: "three and a half million",
}
_HOURS: Mapping[float, str] = {
    30: "half an hour",
    45: "three quarters of an hour",
    60: "an hour",
    90: "an hour and a half",
    150: "two and a half hours",
}
_FRACTIONS: Mapping[float, str] = {0.25: "a quarter", 0.5: "a half", 0.75: "three quarters"}
_WORDED: tuple[Mapping[float, str], ...] = (_DOZENS, _MILLIONS, _HOURS, _FRACTIONS)
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


def read_date(value: Any) -> tuple[datetime, str] | None:
    """Return a date and its pattern, or None if `value` has none of DATE_PATTERNS."""
    if not isinstance(value, str) or not value[:1].isdigit():
        return None
    for pattern in DATE_PATTERNS:
        try:
            moment = datetime.strptime(value, pattern)
        except ValueError:
            continue
        if moment.strftime(pattern) == value:
            return moment, pattern
    return None


def read_time(value: Any) -> tuple[int, int] | None:
    """Return the hour and minute of a text HH:MM, or None for other values."""
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2])) if match else None


def number_words(number: int) -> str | None:
    """Return the English words for 0 to 999,999; None for other numbers."""
    if not 0 <= number < 1_000_000:
        return None
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = number % size
    joint = " and " if size == 100 or rest < 100 else " "
    return f"{number_words(number // size)} {name}" + (
        f"{joint}{number_words(rest)}" if rest else ""
    )


# Numbers


def _plain(value: Any) -> str | None:
    return str(value)


def _whole(value: Any) -> str | None:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else None


def _grouped(value: Any) -> str | None:
    return f"{value:,}" if abs(value) >= 1000 else None


def _cents(value: Any) -> str | None:
    return f"{value:.2f}" if round(value, 2) == value else None


def _grouped_cents(value: Any) -> str | None:
    return f"{value:,.2f}" if abs(value) >= 1000 and round(value, 2) == value else None


def _words(value: Any) -> str | None:
    # "one" is a pronoun as often as a number.
    return number_words(int(value)) if value == int(value) and value > 1 else None


def _capital_words(value: Any) -> str | None:
    words = _words(value)
    return words and words.capitalize()


def _minus(value: Any) -> str | None:
    return f"minus {-value}" if value < 0 else None


def _worded(words: Mapping[float, str]) -> Form:
    return words.get


def _thousands(value: Any) -> str | None:
    return f"{int(value) // 1000}k" if value == int(value) and value and value % 1000 == 0 else None


def _scaled(size: int, name: str) -> Form:
    def form(value: Any) -> str | None:
        tenths = value * 10 / size
        if value < size or tenths != int(tenths):
            return None
        return f"{tenths / 10:g} {name}"

    return form


def _scaled_words(size: int, name: str) -> Form:
    def form(value: Any) -> str | None:
        return f"{number_words(int(value) // size)} {name}" if _multiple(value, size) else None

    return form


def _multiple(value: Any, size: int) -> bool:
    return bool(size <= value < 1000 * size and value % size == 0)


def _percent(mark: str) -> Form:
    def form(value: Any) -> str | None:
        share = round(value * 100, 6)
        return f"{share:g}{mark}" if isinstance(value, float) and 0 < value < 1 else None

    return form


def _hours(value: Any) -> str | None:
    return f"{int(value) // 60} hours" if value > 60 and value % 60 == 0 else None


def _hours_words(value: Any) -> str | None:
    return f"{number_words(int(value) // 60)} hours" if value > 60 and value % 60 == 0 else None


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
    _hours_words,
)


# Dates and times


def _dated(write: Callable[[date], str]) -> Form:
    def form(value: Any) -> str | None:
        found = read_date(value)
        return write(found[0]) if found else None

    return form


def _ordinal(day: int) -> str:
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _strftime(pattern: str) -> Form:
    return _dated(lambda day: day.strftime(pattern))


def _spelled(month: str, template: str) -> Form:
    return _dated(
        lambda day: template.format(
            d=day.day, o=_ordinal(day.day), m=day.strftime(month), y=day.year
        )
    )


_DATE_FORMS: tuple[Form, ...] = (
    lambda value: value if read_date(value) else None,
    *(_strftime(pattern) for pattern in DATE_PATTERNS[:2]),
    *(
        _spelled(month, template)
        for month in ("%B", "%b")
        for template in (
            "{m} {d}, {y}",
            "{m} {o}, {y}",
            "{m} {d} {y}",
            "{d} {m} {y}",
            "{o} {m} {y}",
            "the {o} of {m} {y}",
            "{o} of {m}, {y}",
            "{m} {o}",
            "the {o} of {m}",
            "{d} {m}",
            "{m} {d}",
        )
    ),
)


def _dotted(half: str) -> str:
    return f"{half[0]}.{half[1]}."


def _clock(gap: str, case: Callable[[str], str], minutes: bool) -> Form:
    def form(value: Any) -> str | None:
        found = read_time(value)
        if not found or (found[1] and not minutes):
            return None
        half = case("am" if found[0] < 12 else "pm")
        clock = f"{found[0] % 12 or 12}" + (f":{found[1]:02}" if minutes else "")
        return f"{clock}{gap}{half}"

    return form


def _clock_words(part: str, first: int, last: int) -> Form:
    """Return the form for times from hour `first` to `last`, which ends with `part` of the day."""
    names = {0: "{0} o'clock", 15: "quarter past {0}", 30: "half past {0}", 45: "quarter to {1}"}

    def form(value: Any) -> str | None:
        found = read_time(value)
        if not found or found[1] not in names or not first <= found[0] <= last:
            return None
        hour = found[0] % 12 or 12
        return names[found[1]].format(_ONES[hour], _ONES[hour % 12 + 1]) + part

    return form


_TIME_FORMS: tuple[Form, ...] = (
    lambda value: value if read_time(value) else None,
    _clock_words(" in the morning", 0, 11),
    _clock_words(" in the afternoon", 12, 17),
    _clock_words(" in the evening", 18, 23),
    # Without a part of the day the words do not say which half is meant, so it must not change.
    _clock_words("", 0, 11),
    _clock_words("", 12, 23),
    *(
        _clock(gap, case, minutes)
        for minutes in (True, False)
        for gap in ("", " ")
        for case in (str.lower, str.upper, _dotted)
    ),
)


# Texts


def _text(write: Callable[[str], str]) -> Form:
    return lambda value: write(value) if isinstance(value, str) else None


_TEXT_FORMS: tuple[Form, ...] = (
    _text(str),
    _text(str.lower),
    _text(str.title),
    _text(str.capitalize),
    _text(lambda value: re.sub(r"[_-]+", " ", value)),
    _text(lambda value: re.sub(r"[_-]+", " ", value).lower()),
)
