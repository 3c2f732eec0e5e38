"""Dates in English: the table of all date formats, and dates relative to today."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from looptool.english.numbers import ordinal

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class DateFormat(NamedTuple):
    """A date format.

    Attributes:
        pattern: as for `strftime`; {day} is the day without a leading zero, {ordinal} is "1st".
        uses: where it may be used:
            argument: in a call's arguments, where the rewriter and noise recognise it;
            noise: in a call's arguments, where only noise recognises it;
            author: in the requests that the grammar writes;
            text: in conversations, where the rewriter recognises it.
        name: its name in the tool documents that the grammar writes, if they use it.
    """

    pattern: str
    uses: str
    name: str = ""


# The first format that fits is used: the "May" in "May 3" is %B, not %b.
DATE_FORMATS = (
    DateFormat("%Y-%m-%d", "argument author text", "YYYY-MM-DD"),
    DateFormat("%Y/%m/%d", "argument text"),
    DateFormat("%m/%d/%Y", "argument", "MM/DD/YYYY"),
    DateFormat("%d/%m/%Y", "argument"),
    DateFormat("%d.%m.%Y", "argument", "DD.MM.YYYY"),
    DateFormat("%Y-%m-%dT%H:%M:%S", "argument"),
    DateFormat("%Y-%m-%dT%H:%M", "argument"),
    DateFormat("%Y-%m-%d %H:%M", "argument"),
    DateFormat("%d %B %Y", "noise"),
    DateFormat("%B %d, %Y", "noise"),
    DateFormat("%B {day}, %Y", "author text"),
    DateFormat("{day} %B %Y", "author text"),
    DateFormat("%B {ordinal}, %Y", "author text"),
    DateFormat("%b {day}, %Y", "author text"),
    DateFormat("the {ordinal} of %B %Y", "author text"),
    DateFormat("%B {day} %Y", "text"),
    DateFormat("{ordinal} %B %Y", "text"),
    DateFormat("{ordinal} of %B, %Y", "text"),
    DateFormat("%B {ordinal}", "text"),
    DateFormat("the {ordinal} of %B", "text"),
    DateFormat("{day} %B", "text"),
    DateFormat("%B {day}", "text"),
    DateFormat("{day} %b %Y", "text"),
    DateFormat("%b {ordinal}, %Y", "text"),
    DateFormat("the {ordinal} of %b %Y", "text"),
    DateFormat("%b {day} %Y", "text"),
    DateFormat("{ordinal} %b %Y", "text"),
    DateFormat("{ordinal} of %b, %Y", "text"),
    DateFormat("%b {ordinal}", "text"),
    DateFormat("the {ordinal} of %b", "text"),
    DateFormat("{day} %b", "text"),
    DateFormat("%b {day}", "text"),
)


def _patterns(*uses: str) -> tuple[str, ...]:
    """Return the patterns of the formats that have one of these uses."""
    return tuple(row.pattern for row in DATE_FORMATS if not {*uses}.isdisjoint(row.uses.split()))


ARGUMENT_DATES = _patterns("argument")
AUTHOR_DATES = _patterns("author")
TEXT_DATES = _patterns("text")
# Noise reads 05/03/2024 as 5 March, the rewriter as 3 May.
NOISE_DATES = tuple(sorted(_patterns("argument", "noise"), key="%m/%d/%Y".__eq__))
NAMED_DATES = {row.name: row.pattern for row in DATE_FORMATS if row.name}

ISO_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
# A date in digits inside a text.
DIGITS_DATE = re.compile(r"\b\d{4}[-/]\d\d[-/]\d\d\b|\b\d\d[./]\d\d[./]\d{4}\b")
# A day that is said relative to another one.
RELATIVE_DATE = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"(?:in|within|after) (?:\w+|\d+) (?:days?|weeks?)|(?:days?|weeks?) (?:from|after|ago|later)|"
    r"(?:next|this|last|coming) (?:week|weekend)|fortnight)\b",
    re.IGNORECASE,
)
# A day that is said by its place in a month, a quarter or a year.
MONTH_DATE = re.compile(
    r"\b(?:(?:next|this|last|coming|of the|in a|\w+) (?:month|year|quarter)s?|"
    r"(?:end|start|beginning|middle|first|last) (?:day )?of|"
    r"christmas|easter|new year|halloween|thanksgiving)\b",
    re.IGNORECASE,
)
_SYSTEM_DATE = re.compile(r"Today is \w+, (\d{4}-\d\d-\d\d)")
_ON_RELATIVE = re.compile(
    r"\b(?:on the date|on) (?=(?:today|tomorrow|the day after|two weeks from|\d+ days from|"
    r"(?:this|next) (?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)\b)"
)
_START = re.compile(r"\d|[A-Z]\w+ \d\d, ")


def read_date(value: Any, patterns: Sequence[str] = ARGUMENT_DATES) -> tuple[datetime, str] | None:
    """Return a date and its pattern, or None if `value` is written in none of the patterns."""
    if not isinstance(value, str) or not _START.match(value):
        return None
    for pattern in patterns:
        try:
            moment = datetime.strptime(value, pattern)
        except ValueError:
            continue
        if moment.strftime(pattern) == value:
            return moment, pattern
    return None


def read_named_date(text: str, name: str) -> date | None:
    """Return the date that `text` gives in a format that tool documents name, or None."""
    try:
        return datetime.strptime(text, NAMED_DATES[name]).date()
    except (KeyError, ValueError, TypeError):
        return None


def write_date(day: date, pattern: str) -> str:
    """Return a date in one of the patterns of DATE_FORMATS."""
    return day.strftime(pattern.format(day=day.day, ordinal=ordinal(day.day)))


def days_from_today(days: int) -> str:
    """Return the words for a day that is `days` after today."""
    if days in (0, 1, 2):
        return ("today", "tomorrow", "the day after tomorrow")[days]
    return "two weeks from today" if days == 14 else f"{days} days from now"


def coming_weekday(day: date, today: date) -> str | None:
    """Return "this Friday" in this week and "next Friday" in the next one.

    None if the day is less than two or more than seven days ahead.
    """
    if not 1 < (day - today).days <= 7:
        return None
    week = "this" if day.weekday() > today.weekday() else "next"
    return f"{week} {WEEKDAYS[day.weekday()]}"


def without_on(text: str) -> str:
    """Drop the "on" before a relative date: "on next Friday"."""
    return _ON_RELATIVE.sub("", text)


def system_date(day: date) -> str:
    """Return the sentence that tells the assistant today's date."""
    return f"Today is {WEEKDAYS[day.weekday()]}, {day.isoformat()}."


def read_system_date(text: str) -> date | None:
    """Return the date that such a sentence in `text` gives, or None."""
    match = _SYSTEM_DATE.search(text)
    return date.fromisoformat(match[1]) if match else None
