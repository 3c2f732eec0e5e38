"""Numbers in English: "twenty-one", "1st", "half a million", "an hour and a half", "25%"."""

from __future__ import annotations

from collections.abc import Mapping

ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
DOZENS: Mapping[float, str] = {
    12: "a dozen",
    24: "two dozen",
    36: "three dozen",
    48: "four dozen",
    60: "five dozen",
}
MILLIONS: Mapping[float, str] = {
    250_000: "a quarter of a million",
    500_000: "half a million",
    1_000_000: "a million",
    1_500_000: "one and a half million",
    2_500_000: "two and a half million",
    3_500_000: "three and a half million",
}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
# By minutes.
HOURS: Mapping[float, str] = {
    30: "half an hour",
    45: "three quarters of an hour",
    60: "an hour",
    90: "an hour and a half",
    150: "two and a half hours",
}
FRACTIONS: Mapping[float, str] = {0.25: "a quarter", 0.5: "a half", 0.75: "three quarters"}


def number_words(number: int) -> str | None:
    """Return the English words for 0 to 999,999; None for other numbers."""
    if not 0 <= number < 1_000_000:
        return None
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = number % size
    joint = " and " if size == 100 or rest < 100 else " "
    return f"{number_words(number // size)} {name}" + (
        f"{joint}{number_words(rest)}" if rest else ""
    )


def short_number_words(number: int) -> str | None:
    """Return the words for a small or round number, as people write them; else None."""
    if number in (100, 1000):
        return "a hundred" if number == 100 else "a thousand"
    is_round = number % (100 if number < 1000 else 1000) == 0
    return number_words(number) if number < 100 or (number < 20_000 and is_round) else None


def ordinal(number: int) -> str:
    """Return an ordinal in digits, such as "1st"."""
    suffix = (
        "th" if 10 <= number % 100 <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{suffix}"


def decimal(value: float) -> str:
    """Return a number in digits, without the decimals of a whole one."""
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def grouped(value: float) -> str:
    """Return a number in digits with thousands separators."""
    return f"{value:,}"


def minus(value: float) -> str:
    """Return a negative number with its sign as a word."""
    return f"minus {-value}"


def scaled(value: float, size: int, name: str) -> str:
    """Return a number in units of `size`, such as "1.5 million"."""
    return f"{decimal(value / size)} {name}"


def percent(number: float, mark: str = "%") -> str:
    """Return a number of hundredths, such as "25%"."""
    return f"{decimal(float(number))}{mark}"


def whole_hours(minutes: float) -> int | None:
    """Return the hours in a number of minutes; None if they are less than two or not whole."""
    return int(minutes) // 60 if minutes > 60 and minutes % 60 == 0 else None


def hours_words(minutes: float) -> str | None:
    """Return whole hours in words, such as "two hours", from a number of minutes."""
    hours = whole_hours(minutes)
    words = number_words(hours) if hours else None
    return words and f"{words} hours"


def duration_words(value: float, unit: str) -> str | None:
    """Return the words for a number of minutes or hours that has some, such as "an hour"."""
    minutes = 60 * value if unit == "hours" else value
    return "a whole day" if minutes == 24 * 60 else HOURS.get(minutes) or hours_words(minutes)


def dollars(number: str, mark: str) -> str:
    """Return an amount of money: a number in words or digits with "$" or "dollars"."""
    return f"${number}" if mark == "$" and number[0].isdigit() else f"{number} dollars"
