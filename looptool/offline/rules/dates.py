"""Dates and times as people write them, absolute and relative to today."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from looptool.offline.rules import weights
from looptool.offline.rules.spans import Span, overlap
from looptool.offline.rules.words import ranked

Day = tuple[int | None, int, int]
"""Year (None if not said), month, day."""

_MONTHS = {name.lower(): index for index, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): index for index, name in enumerate(calendar.month_abbr) if name}
_MONTHS["sept"] = 9
_WEEKDAYS = {name.lower(): index for index, name in enumerate(calendar.day_name)}
_WEEKDAYS |= {name.lower(): index for index, name in enumerate(calendar.day_abbr)}
_WEEKDAYS |= {"tues": 1, "thur": 3, "thurs": 3}
_NUMBERS = ranked("numbers", 0) | {"a": 1, "an": 1, "couple": 2, "twenty": 20, "thirty": 30}
_ORDINALS = ranked("ordinals", 1)
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_WEEKDAY = "|".join(sorted(_WEEKDAYS, key=len, reverse=True))
_DAY = r"(?:\d{1,2}(?:st|nd|rd|th)?|" + "|".join(sorted(_ORDINALS, key=len, reverse=True)) + ")"
_COUNT = r"(?:\d{1,9}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + r")(?:\s+of)?"
_UNIT = r"(?:days?|weeks?|fortnights?|months?|years?)"
_FLAGS = re.IGNORECASE

_ISO = re.compile(r"(?<![\d/-])(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?=T|\b)(?![-/]\d)")
_SLASHED = re.compile(r"(?<![\d/.-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/-])")
_SHORT = re.compile(r"(?<![\d/.-])(\d{1,2})/(\d{1,2})(?![\d/])")
_MONTH_DAY = re.compile(
    rf"\b({_MONTH})\b\.?,?\s+(?:the\s+)?({_DAY})\b(?!:)(?:,?\s+(?:of\s+)?(\d{{4}})\b)?", _FLAGS
)
_DAY_MONTH = re.compile(
    rf"\b({_DAY})(?:\s+day)?\s+(?:of\s+)?({_MONTH})\b\.?,?(?:\s+(?:of\s+)?(\d{{4}})\b)?", _FLAGS
)
_NAMED = re.compile(
    r"\b(christmas eve|christmas(?: day)?|new year'?s eve|new year'?s day|valentine'?s day"
    r"|halloween|boxing day|independence day)\b",
    _FLAGS,
)
_NAMED_DAYS = {
    "christmas eve": (12, 24),
    "christmas": (12, 25),
    "christmas day": (12, 25),
    "new years eve": (12, 31),
    "new years day": (1, 1),
    "valentines day": (2, 14),
    "halloween": (10, 31),
    "boxing day": (12, 26),
    "independence day": (7, 4),
}
_RELATIVE = re.compile(
    rf"\b(?:(?P<plain>the day after tomorrow|day after tomorrow|the day before yesterday"
    rf"|day before yesterday|today|tonight|tomorrow|yesterday|this (?:morning|afternoon|evening))"
    rf"|(?:(?P<which>next|this coming|this|coming|on|last|past|following|by|until|for)\s+)?"
    rf"\b(?P<weekday>{_WEEKDAY})\b(?P<week> week| after next)?"
    rf"|(?P<in>in|within) (?P<count>{_COUNT}) (?P<unit>{_UNIT})(?: time)?\b"
    rf"|(?P<count2>{_COUNT}) (?P<unit2>{_UNIT}) "
    rf"(?P<way>from (?:now|today)|later|hence|ago|earlier)\b"
    rf"|(?P<span>next|last|this) (?P<spanunit>week|month|year)\b"
    rf"|(?P<edge>end|start|beginning|first|last day|first day) of (?:the )?"
    rf"(?P<edgewhich>this |next |last )?(?P<edgeunit>month|year)\b"
    rf"|the (?P<dom>\d{{1,2}})(?:st|nd|rd|th)\b)",
    _FLAGS,
)
_OFFSET = re.compile(
    rf"\b(?:the\s+)?(?P<count>{_COUNT}\s+)?(?P<unit>{_UNIT})\s+(?P<way>after|before|from|following)"
    rf"\s+(?:the\s+)?$",
    _FLAGS,
)
_TODAY = re.compile(
    r"\b(?:today(?:'s date)?|current date|now|date today|the date)\b[^.\n]{0,40}", _FLAGS
)

_CLOCK = re.compile(
    r"(?<![\d:.])(?P<hour>\d{1,2})(?:[:.h](?P<minute>\d{2})(?::(?P<second>\d{2}))?)?"
    r"\s*(?P<half>a\.?m\b\.?|p\.?m\b\.?|o'?clock|h\b(?!\w))",
    _FLAGS,
)
_COLON = re.compile(r"(?:(?<![\d:.])|(?<=T))(\d{1,2}):(\d{2})(?::(\d{2}))?(?![\d:])")
_SAID = re.compile(
    r"\b(?P<part>half past|quarter past|quarter to|(?:\w+) (?:minutes )?(?:past|to)) "
    r"(?P<hour>\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b",
    _FLAGS,
)
_AT = re.compile(
    r"\b(?:at|by|around|from|until|till|to|before|after) "
    r"(?P<hour>\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
    r"(?: (?P<minute>thirty|fifteen|forty-five))?\b(?![:.,]?\d|\s*%)",
    _FLAGS,
)
_WHOLE = re.compile(r"\b(noon|midday|midnight)\b", _FLAGS)
_DAYTIME = re.compile(r"\b(morning|afternoon|evening|tonight|night)\b", _FLAGS)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date or time that a text mentions.

    Attributes:
        days: the days that it may mean.
        minutes: the times that it may mean, in minutes after midnight.
        weak: whether it may be something else, such as "at 5" or "3/4".
    """

    start: int
    end: int
    days: frozenset[Day] = frozenset()
    minutes: frozenset[int] = frozenset()
    weak: bool = False

    @property
    def span(self) -> Span:
        """Return where the moment is in the text."""
        return self.start, self.end


def find_today(text: str) -> dt.date | None:
    """Return the date that `text` gives as today's, or None."""
    for match in _TODAY.finditer(text):
        for moment in _absolute(match[0]):
            for year, month, day in sorted(moment.days, key=str):
                if year is not None and 1900 <= year <= 2200:
                    return dt.date(year, month, day)
    return None


def find_days(text: str, today: dt.date | None) -> list[Moment]:
    """Return the dates that `text` mentions, by position.

    Relative dates count only if `today` is given.
    """
    days: list[Moment] = []
    for moment in [*_absolute(text), *(_relative(text, today) if today else ())]:
        if not overlap([moment.span], [day.span for day in days]):
            days.append(_shifted(moment, text))
    return sorted(days, key=lambda m: m.start)


def find_times(text: str) -> list[Moment]:
    """Return the times of day that `text` mentions, by position."""
    times: list[Moment] = []
    for moment in _times(text):
        if not overlap([moment.span], [time.span for time in times]):
            times.append(moment)
    return sorted(times, key=lambda m: m.start)


def read_value(value: str) -> tuple[frozenset[Day], frozenset[int]]:
    """Read an argument as a date, a time or both.

    Returns:
        The days and the minutes after midnight that it may mean; both empty if it is neither.
    """
    if len(value) > 40 or not any(char.isdigit() for char in value):
        return frozenset(), frozenset()
    days = [m for m in _absolute(value) if not m.weak]
    times = list(_times(value, bare=False))
    rest = value
    for moment in sorted([*days, *times], key=lambda m: -m.start):
        rest = rest[: moment.start] + " " + rest[moment.end :]
    if re.sub(r"[\s,TtZz]|\b(?:at|on)\b|[+-]\d\d:?\d\d|:00|\.000", "", rest):
        return frozenset(), frozenset()
    return (
        frozenset().union(*(m.days for m in days)),
        frozenset().union(*(m.minutes for m in times)),
    )


def means(value: frozenset[Day], said: frozenset[Day], today: dt.date | None) -> float:
    """Return how well the days that an argument means match those that were said, from 0 to 1."""
    best = 0.0
    for year, month, day in value:
        if (year, month, day) in said:
            return 1.0
        if year is None:
            if any((m, d) == (month, day) for _, m, d in said):
                best = max(best, 1.0)
        elif (None, month, day) in said:
            distance = (dt.date(year, month, day) - today).days if today else 0
            near = abs(distance) <= weights.DAY_NEAR_DAYS
            best = max(best, weights.DAY_NEAR if near else weights.DAY_FAR)
    return best


def _absolute(text: str) -> Iterator[Moment]:
    """Yield the dates that need no today: in digits, with a month's name, and holidays."""
    for match in _ISO.finditer(text):
        yield from _moment(match, [(int(match[1]), int(match[2]), int(match[3]))])
    for match in _SLASHED.finditer(text):
        year = int(match[4]) + (2000 if len(match[4]) == 2 else 0)
        one, two = int(match[1]), int(match[3])
        yield from _moment(match, [(year, one, two), (year, two, one)])
    for match in _MONTH_DAY.finditer(text):
        yield from _moment(match, [(_year(match[3]), _month(match[1]), _ordinal(match[2]))])
    for match in _DAY_MONTH.finditer(text):
        yield from _moment(match, [(_year(match[3]), _month(match[2]), _ordinal(match[1]))])
    for match in _NAMED.finditer(text):
        month, day = _NAMED_DAYS[match[1].lower().replace("'", "")]
        yield from _moment(match, [(None, month, day)])
    for match in _SHORT.finditer(text):
        one, two = int(match[1]), int(match[2])
        yield from _moment(match, [(None, one, two), (None, two, one)], weak=True)


def _moment(match: re.Match[str], days: list[Day], weak: bool = False) -> Iterator[Moment]:
    """Yield the moment of those days that exist, if any do."""
    valid = frozenset(day for day in days if _valid(day))
    if valid:
        yield Moment(match.start(), match.end(), valid, weak=weak)


def _valid(day: Day) -> bool:
    """Whether a day exists."""
    try:
        dt.date(2000 if day[0] is None else day[0], day[1], day[2])
    except ValueError:
        return False
    return True


def _year(said: str | None) -> int | None:
    """Return a year in digits as a number."""
    return int(said) if said else None


def _month(said: str) -> int:
    """Return the number of a month by its name."""
    return _MONTHS[said.lower()]


def _ordinal(said: str) -> int:
    """Return the day of the month that digits or an ordinal say."""
    return _ORDINALS.get(said.lower()) or int(re.sub(r"\D", "", said))


def _count(said: str | None) -> int:
    """Return the number that digits or words say; 1 if nothing is said."""
    words = re.sub(r"\s+of$", "", (said or "a").strip().lower())
    return int(words) if words.isdigit() else _NUMBERS.get(words, 1)


def _relative(text: str, today: dt.date) -> Iterator[Moment]:
    """Yield the dates that depend on today: "tomorrow", "next Friday", "in two weeks"."""
    for match in _RELATIVE.finditer(text):
        days = [day for day in _relative_days(match, today) if 1 < day.year < 9999]
        if days:
            yield Moment(
                match.start(), match.end(), frozenset((d.year, d.month, d.day) for d in days)
            )


def _relative_days(match: re.Match[str], today: dt.date) -> list[dt.date]:
    """Return the days that a match of `_RELATIVE` may mean."""
    if plain := match["plain"]:
        return [today + dt.timedelta(_plain_offset(plain.lower()))]
    if weekday := match["weekday"]:
        return _weekday_days(match, _WEEKDAYS[weekday.lower()], today)
    if match["in"]:
        return [_add(today, _count(match["count"]), match["unit"])]
    if match["way"]:
        sign = -1 if match["way"].lower() in ("ago", "earlier") else 1
        return [_add(today, sign * _count(match["count2"]), match["unit2"])]
    if match["span"]:
        sign = {"next": 1, "last": -1, "this": 0}[match["span"].lower()]
        return [_add(today, sign, match["spanunit"])]
    if match["edge"]:
        return [_edge(match, today)]
    day = int(match["dom"])
    months = [today, _add(today, 1, "month")]
    options = [dt.date(m.year, m.month, day) for m in months if _valid((m.year, m.month, day))]
    ahead = [option for option in options if option >= today]
    return ahead[:1] or options


def _plain_offset(plain: str) -> int:
    """Return the days from today to "tomorrow", "the day before yesterday" and the like."""
    if "after tomorrow" in plain:
        return 2
    if "before yesterday" in plain:
        return -2
    return {"tomorrow": 1, "yesterday": -1}.get(plain, 0)


def _weekday_days(match: re.Match[str], weekday: int, today: dt.date) -> list[dt.date]:
    """Return the days that a weekday may mean."""
    ahead = (weekday - today.weekday()) % 7
    which = (match["which"] or "").lower()
    if which in ("last", "past"):
        return [today - dt.timedelta((today.weekday() - weekday - 1) % 7 + 1)]
    if match["week"] == " week" or match["week"] == " after next":
        return [today + dt.timedelta((ahead or 7) + 7)]
    if which == "next":
        # People mean either the coming one or the one of next week.
        return [today + dt.timedelta(ahead or 7), *_next_week(weekday, today)]
    return [today + dt.timedelta(ahead), *([today + dt.timedelta(7)] if not ahead else [])]


def _next_week(weekday: int, today: dt.date) -> list[dt.date]:
    """Return a weekday of next week."""
    return [today + dt.timedelta(7 - today.weekday() + weekday)]


def _edge(match: re.Match[str], today: dt.date) -> dt.date:
    """Return the first or last day of a month or year."""
    sign = {"next ": 1, "last ": -1}.get((match["edgewhich"] or "").lower(), 0)
    base = _add(today, sign, match["edgeunit"])
    last = match["edge"].lower() in ("end", "last day")
    if match["edgeunit"].lower() == "year":
        return dt.date(base.year, 12, 31) if last else dt.date(base.year, 1, 1)
    return base.replace(day=calendar.monthrange(base.year, base.month)[1] if last else 1)


def _add(day: dt.date, count: int, unit: str) -> dt.date:
    """Return the day some days, weeks, months or years later."""
    unit = unit.lower().rstrip("s")
    if abs(count) > 1000:
        return day
    if unit in ("day", "week", "fortnight"):
        return day + dt.timedelta(count * {"day": 1, "week": 7, "fortnight": 14}[unit])
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _shifted(moment: Moment, text: str) -> Moment:
    """Return a date with "two days after" or "the day before" in front of it applied."""
    match = _OFFSET.search(text, max(0, moment.start - 40), moment.start)
    if not match or (match["unit"].endswith("s") and not match["count"]):
        return moment
    sign = -1 if match["way"].lower() == "before" else 1
    days = set()
    for year, month, day in moment.days:
        try:
            base = dt.date(2000 if year is None else year, month, day)
            shifted = _add(base, sign * _count(match["count"]), match["unit"])
        except (OverflowError, ValueError):  # before the year 1 or after 9999
            continue
        days.add((None if year is None else shifted.year, shifted.month, shifted.day))
    return Moment(match.start(), moment.end, frozenset(days))


def _times(text: str, bare: bool = True) -> Iterator[Moment]:
    """Yield times of day; without `bare`, only those that are clearly times."""
    for match in _CLOCK.finditer(text):
        hour, minute = int(match["hour"]), int(match["minute"] or 0)
        half = match["half"].lower().replace(".", "")
        if hour > 24 or minute > 59 or (half in ("am", "pm") and not 1 <= hour <= 12):
            continue
        if half in ("am", "pm"):
            minutes = [(hour % 12 + (12 if half == "pm" else 0)) * 60 + minute]
        else:
            minutes = _hours(hour, minute, text, match.end())
        yield Moment(match.start(), match.end(), minutes=frozenset(minutes))
    for match in _COLON.finditer(text):
        hour, minute = int(match[1]), int(match[2])
        if hour < 24 and minute < 60:
            minutes = [hour * 60 + minute] if not bare else _hours(hour, minute, text, match.end())
            yield Moment(match.start(), match.end(), minutes=frozenset(minutes))
    if not bare:
        return
    for match in _WHOLE.finditer(text):
        minutes = [0] if match[0].lower() == "midnight" else [720]
        yield Moment(match.start(), match.end(), minutes=frozenset(minutes))
    for match in _SAID.finditer(text):
        if (past := _minutes_said(match["part"].lower())) is not None:
            both = [(60 * (_count(match["hour"]) + half) + past) % 1440 for half in (0, 12)]
            yield Moment(match.start(), match.end(), minutes=frozenset(both))
    for match in _AT.finditer(text):
        minute = {"thirty": 30, "fifteen": 15, "forty-five": 45}.get(
            (match["minute"] or "").lower(), 0
        )
        hour = _count(match["hour"])
        if hour < 24:
            minutes = _hours(hour, minute, text, match.end())
            yield Moment(match.start("hour"), match.end(), minutes=frozenset(minutes), weak=True)


def _hours(hour: int, minute: int, text: str, end: int) -> list[int]:
    """Return the minutes of the day that an hour without am or pm may mean."""
    if hour > 12 or hour == 0:
        return [hour % 24 * 60 + minute]
    morning, later = hour % 12 * 60 + minute, (hour % 12 + 12) * 60 + minute
    part = _DAYTIME.search(text, end, end + 25)
    if not part:
        return [morning, later]
    return [morning] if part[1].lower() == "morning" else [later]


def _minutes_said(part: str) -> int | None:
    """Return the minutes that "half past" or "ten to" add to the hour, or None."""
    if part.startswith("half"):
        return 30
    count = 15 if part.startswith("quarter") else _NUMBERS.get(part.split()[0])
    if count is None and part.split()[0].isdigit():
        count = int(part.split()[0])
    if count is None:
        return None
    return -count if part.endswith("to") else count
