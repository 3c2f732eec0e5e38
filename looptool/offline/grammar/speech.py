"""Values as a user says them: "half a million", "next Friday", "20 cm", "noon".

A `Voice` holds what must stay the same within one request.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from looptool.english.dates import (
    AUTHOR_DATES,
    NAMED_DATES,
    coming_weekday,
    days_from_today,
    read_named_date,
    write_date,
)
from looptool.english.forms import yes_or_no
from looptool.english.lists import coordinate
from looptool.english.numbers import (
    DOZENS,
    FRACTIONS,
    MILLIONS,
    decimal,
    dollars,
    duration_words,
    grouped,
    minus,
    percent,
    scaled,
    short_number_words,
)
from looptool.english.times import (
    NAMED_TIMES,
    clock,
    clock_words,
    dotted,
    half_of_day,
    part_of_day,
    read_time,
)
from looptool.offline.grammar.slots import Slot, choices, record_slots
from looptool.offline.grammar.trees import pools

# The durations that are sometimes said in words, by unit.
_WORDED_DURATIONS = {"minutes": (30, 45, 60, 90, 120), "hours": (1.5, 24)}
# Dates are mostly said as in the system message.
_DATE_STYLES = (NAMED_DATES["YYYY-MM-DD"], *AUTHOR_DATES)


@dataclass(eq=False)
class Voice:
    """The choices that stay the same within one request.

    Attributes:
        today: the date in the system message; dates are said relative to it only if it is given.
        tight: whether lists and texts are delimited, because several values stand side by side.
        tails: what follows numbers of a measure ("length", "money"); None if that is not fixed.
        covered: the names of slots that a tail already says (the unit in "10 cm").
        doubled: the generators that more than one slot of the tool uses.
        memory: choices that were made once (spelling of units, wording of similar parameters).
    """

    rng: random.Random
    split: str = "train"
    today: dt.date | None = None
    tight: bool = False
    tails: dict[str, str | None] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    memory: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str, options: Sequence[Any]) -> Any:
        """Return a random option; the same `name` gives the same choice again."""
        if name not in self.memory:
            self.memory[name] = self.rng.randrange(1 << 30)
        return options[self.memory[name] % len(options)]

    def listen(self, slots: Mapping[str, Slot], arguments: Mapping[str, Any]) -> None:
        """Fix what follows numbers, from the unit and currency arguments of a call."""
        self.tails, self.covered = {"length": None, "money": None}, set()
        draws = [slot.kind.draw for slot in slots.values()]
        self.doubled = {draw for draw in draws if draws.count(draw) > 1 and draw != "flag"}
        for name, slot in slots.items():
            measure = slot.kind.options.get("measure") or (
                "money" if slot.kind.draw == "currency" else None
            )
            if measure is None or slot.kind.draw not in ("choice", "currency"):
                continue
            self.tails[measure] = ""
            numbers = [
                other
                for key, other in slots.items()
                if other.kind.options.get("measure") == measure
                and other.kind.draw in ("number", "amount")
                and key in arguments
            ]
            currencies = [s for s in slots.values() if s.kind.draw == "currency"]
            if (
                name in arguments
                and numbers
                and len(currencies) < 2
                and self.keep("attach", (1, 1, 0))
            ):
                self.tails[measure] = surface(slot, arguments[name], self.rng, voice=self)
                self.covered.add(name)


def surface(
    slot: Slot,
    value: Any,
    rng: random.Random,
    today: dt.date | None = None,
    *,
    voice: Voice | None = None,
    bare: bool = False,
) -> str:
    """Return `value` as a user says it.

    Args:
        bare: whether to leave out the unit and the currency.
    """
    voice = voice or Voice(rng, today=today)
    if slot.kind.draw == "identifier":
        return str(value)
    if slot.kind.draw == "schema" and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if slot.kind.draw in _INDIRECT and not isinstance(value, bool):
        return _INDIRECT[slot.kind.draw](slot, value, voice, bare)
    if isinstance(value, bool):
        return yes_or_no(value)
    if isinstance(value, int | float):
        return _said_number(slot, value, voice, bare)
    if isinstance(value, list):
        return _said_list(slot, value, voice)
    if isinstance(value, dict):
        return _said_record(slot, value, voice)
    text = str(value)
    if slot.form and (day := read_named_date(text, slot.form)):
        return _said_date(day, voice)
    speaker = _SPEAKERS.get(slot.kind.draw)
    return speaker(slot, text, voice) if speaker else text


def _plain(value: int | float, voice: Voice, spoken: float = 0.1) -> str:
    """Return a number without unit: in digits, with thousands separators, or in words."""
    rng = voice.rng
    if isinstance(value, float):
        return decimal(value)
    if value < 0:
        return minus(value) if rng.random() < 0.2 else str(value)
    if value >= 100_000 and value % 100_000 == 0 and rng.random() < 0.5:
        return MILLIONS[value] if value == 500_000 else scaled(value, 1_000_000, "million")
    if value >= 1000 and value % 1000 == 0 and value < 1_000_000 and rng.random() < 0.15:
        return scaled(value, 1000, "thousand")
    if rng.random() < spoken and (words := short_number_words(value)):
        return words
    if value >= 10_000 and not voice.tight and rng.random() < 0.5:
        return grouped(value)
    return str(value)


def _said_number(slot: Slot, value: int | float, voice: Voice, bare: bool) -> str:
    """Return a number as its kind is said: with unit, currency or mark unless it is to be bare."""
    kind, rng, options = slot.kind, voice.rng, slot.kind.options
    draw = kind.draw
    if draw == "year":
        return str(value)
    if draw == "count":
        said = _plain(value, voice, 0.2)
        if value in (12, 24) and not options.get("unit") and rng.random() < 0.4:
            said = DOZENS[value]
        if options.get("unit") == "years" and not bare:
            return f"{said} years"
        return said
    if draw == "percent":
        return percent(value, "" if bare else voice.keep("%", ("%", "%", " percent")))
    if draw == "fraction":
        return _said_fraction(float(value), voice)
    if draw == "duration":
        return (
            decimal(float(value))
            if bare
            else _said_duration(value, options.get("unit", "minutes"), voice)
        )
    if draw == "amount":
        return _said_amount(value, voice, bare)
    said = _plain(value, voice, 0.0 if draw == "coordinate" else 0.06)
    if bare or draw in ("coordinate", "large"):
        return said
    return f"{said}{_tail(slot, voice)}"


def _tail(slot: Slot, voice: Voice) -> str:
    """Return the unit after a number with a space before it, or ""."""
    options = slot.kind.options
    if options.get("measure") == "length":
        fixed = voice.tails.get("length")
        text = voice.keep("length", options["tails"]) if fixed is None else fixed
        if fixed == "":
            text = voice.keep("units", ("", "", "units"))
    elif "unit" in options:
        text = voice.keep(
            f"unit:{options['unit']}", ("", *(options.get("units") or (options["unit"],)) * 4)
        )
    else:
        return ""
    return text if text.startswith("°") else f" {text}" if text else ""


def _said_amount(value: int | float, voice: Voice, bare: bool) -> str:
    """Return an amount of money, with its currency unless it is to be bare."""
    said = _plain(value, voice, 0.04)
    if isinstance(value, float) and said[-3:-2] != ".":
        said = f"{value:.2f}"
    tail = voice.tails.get("money")
    if bare or tail == "":
        return said
    if tail:
        return f"{said} {tail}"
    style = voice.keep("money", ("$", "$", "$", "dollars", ""))
    return dollars(said, style) if style else said


def _said_fraction(value: float, voice: Voice) -> str:
    roll = voice.rng.random()
    if value in FRACTIONS and roll < 0.5:
        return FRACTIONS[value]
    return percent(round(value * 100, 4)) if roll > 0.55 else decimal(value)


def _said_duration(value: int | float, unit: str, voice: Voice) -> str:
    if voice.rng.random() < 0.3 and value in _WORDED_DURATIONS.get(unit, ()):
        return str(duration_words(value, unit))
    if value == 1:
        return f"1 {unit[:-1]}"
    if isinstance(value, float):
        return f"{decimal(value)} {unit}"
    return f"{_plain(value, voice, 0.12)} {unit}"


def _said_date(day: dt.date, voice: Voice) -> str:
    rng = voice.rng
    if voice.today:
        days = (day - voice.today).days
        if days in (0, 1, 14) or (days == 2 and rng.random() < 0.5):
            return days_from_today(days)
        if weekday := coming_weekday(day, voice.today):
            return weekday
        if 7 < days <= 13 and rng.random() < 0.4:
            return days_from_today(days)
    return write_date(day, voice.keep("date", _DATE_STYLES))


def _said_time(slot: Slot, text: str, voice: Voice) -> str:
    time = read_time(text)
    if not time:
        return text
    style = voice.keep("time", range(5))
    if style < 2:
        return text
    if time in NAMED_TIMES:
        return NAMED_TIMES[time]
    hour, minute = time
    if minute == 30 and style == 4:
        return f"{clock_words(hour, minute)} {part_of_day(hour)}"
    half = half_of_day(hour)
    return f"{clock(hour, minute or None)} {dotted(half) if style == 2 else half}"


def _said_choice(slot: Slot, text: str, voice: Voice) -> str:
    """Return a choice as a user says it; synonyms only if the schema lists the values."""
    options = slot.kind.options
    table = options.get("enum") or (
        pools().get(options["synonyms"]) if "synonyms" in options else None
    )
    spoken = (table or {}).get(text) or []
    if not spoken and text not in choices_or_empty(slot):
        return text
    if "_" not in text and (not spoken or options.get("strict")):
        return text
    if not spoken:
        return text.replace("_", " ")
    whole = re.fullmatch(r"[A-Za-z0-9.]+", text) and len(text) > 2
    plain = [text] if whole and not options.get("plural") else []
    choice: str = voice.keep(f"choice:{text}", [*spoken, *plain])
    return choice


def choices_or_empty(slot: Slot) -> list[Any]:
    """Return the values of an enumerated slot; none if it is not enumerated."""
    has = "enum" in slot.schema or "enum" in slot.kind.options or "synonyms" in slot.kind.options
    return choices(slot) if has else []


def _said_currency(slot: Slot, text: str, voice: Voice) -> str:
    spoken = pools()["currencies"].get(text)
    choice: str = voice.keep(f"currency:{text}", spoken) if spoken else text
    return choice


def _said_text(slot: Slot, text: str, voice: Voice) -> str:
    """Return a text in quotation marks."""
    mark = voice.keep("quote", ('"', '"', "'"))
    if mark == "'" and "'" in text:
        mark = '"'
    return f"{mark}{text}{mark}"


def _said_title(slot: Slot, text: str, voice: Voice) -> str:
    """Return a title, in quotation marks or not."""
    return _said_text(slot, text, voice) if voice.tight or voice.keep("quoted", (1, 1, 0)) else text


def _said_query(slot: Slot, text: str, voice: Voice) -> str:
    """Return a search query, in quotation marks or not."""
    return _said_text(slot, text, voice) if voice.tight or voice.keep("query", (1, 0)) else text


def _said_the(slot: Slot, text: str, voice: Voice) -> str:
    """Return an entry of a pool with the "the" that its name has there."""
    return f"the {text}" if f"the {text}" in _articled() else text


@lru_cache(maxsize=1)
def _articled() -> frozenset[str]:
    """Return the places and events whose names in the pools begin with "the"."""
    names = (*pools()["landmarks"], *pools()["events"])
    return frozenset(name for name in names if name.startswith("the "))


def _said_list(slot: Slot, values: list[Any], voice: Voice) -> str:
    parts = [decimal(v) if isinstance(v, float) else str(v) for v in values]
    numbers = all(isinstance(v, int | float) for v in values)
    if slot.kind.options.get("whole"):
        return f"({', '.join(parts)})" if voice.keep("pair", (0, 1)) else f"[{', '.join(parts)}]"
    beside = voice.tight or slot.kind.draw in voice.doubled
    if beside or len(parts) < 2 or any(", " in part or " and " in part for part in parts):
        if numbers:
            return f"[{', '.join(parts)}]"
        return f"[{', '.join(_said_text(slot, part, voice) for part in parts)}]"
    style = voice.keep("list", range(4))
    if slot.kind.options.get("ranges") and len(values) > 3 and _ascending_by_one(values):
        return f"{parts[0]} {'to' if style < 2 else 'through'} {parts[-1]}"
    if style == 0 and numbers:
        return f"[{', '.join(parts)}]"
    return coordinate(parts) if style < 3 or not numbers else ", ".join(parts)


def _said_record(slot: Slot, value: Mapping[str, Any], voice: Voice) -> str:
    """Return the fields of an object, each after its name."""
    fields = record_slots(slot) if slot.kind.options.get("fields") else {}
    return coordinate(
        [
            f"{name.replace('_', ' ')} "
            + (surface(fields[name], part, voice.rng, voice=voice) if name in fields else str(part))
            for name, part in value.items()
        ]
    )


_SPEAKERS = {
    "time": _said_time,
    "choice": _said_choice,
    "currency": _said_currency,
    "message": _said_text,
    "title": _said_title,
    "label": _said_title,
    "query": _said_query,
    "place": _said_the,
    "pool": _said_the,
    "passage": _said_text,
}

_OTHER_UNIT = re.compile(
    r"\b(ms|milli\w+|micro\w+|kilo\w+|centi\w+|km|kg|seconds?|minutes?|hours?|days?|weeks?|months?)\b",
    re.IGNORECASE,
)

# Shapes that need more than their letters, and values that follow from what is said.


def _asked_for(slot: Slot) -> bool:
    """Whether a document says the form of a value that users say in another form."""
    cue = re.escape(slot.kind.options.get("cue", ""))
    name = re.sub(r"_|(?=[A-Z])", " ", slot.name)
    text = f"{name} {slot.schema.get('description', '')}".casefold()
    return re.search(rf"(?<!\w){cue}", text) is not None


def _said_coded(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    """Return what a code stands for ("Germany" for DE), or the code."""
    spoken = pools()[slot.kind.options["table"]].get(value)
    if not spoken or not _asked_for(slot):
        return str(value)
    said: str = voice.keep(f"coded:{value}", spoken)
    return said


def _said_scaled(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    """Return an amount in the document's unit, or in a larger one: "2 hours", "1.5 km"."""
    options = slot.kind.options
    if not isinstance(value, int | float):
        return str(value)
    asked, factor = _asked_for(slot), options["factor"]
    if not asked and _OTHER_UNIT.search(str(slot.schema.get("description", ""))):
        return str(value)
    if asked and value >= factor and value * 2 % factor == 0:
        amount = value / factor
        unit: str = voice.keep(f"scaled:{factor}", options["larger"])
        return f"{decimal(amount)} {unit.removesuffix('s') if amount == 1 else unit}"
    return f"{_plain(value, voice, 0.0)} {voice.keep('scaled', options['units'])}"


def _said_cents(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    if not isinstance(value, int) or not _asked_for(slot):
        return str(value)
    return f"${value / 100:.2f}" if value % 100 else f"${value // 100}"


def _said_scientific(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    if not isinstance(value, float):
        return str(value)
    mantissa, _, exponent = f"{value:e}".partition("e")
    sign = voice.keep("exponent", ("e", "", " x 10^"))
    text = f"{decimal(float(mantissa))}{sign or 'e'}{int(exponent)}"
    if not sign and value < 1:
        text = f"{value:.{1 - int(exponent)}f}".rstrip("0")
    return text if bare else f"{text}{_tail(slot, voice)}"


def _said_code(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    """Return code in backticks, or in quotation marks if it has none."""
    mark = "`" if '"' in str(value) or voice.keep("backticks", (1, 1, 0)) else '"'
    return f"{mark}{value}{mark}"


def _said_condition(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    if not voice.tight and voice.keep("condition", (1, 0)):
        return str(value)
    return _said_code(slot, value, voice, bare)


def _said_matrix(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    return json.dumps(value) if isinstance(value, list) else str(value)


def _said_mapping(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    """Return the entries of an object: "Math 85 and English 90"."""
    if not isinstance(value, Mapping):
        return str(value)
    mark = voice.keep("mapping", (" ", " ", ": "))
    parts = [f"{name}{mark}{part}" for name, part in value.items()]
    return ", ".join(parts) if mark == ": " else coordinate(parts)


def _said_objects(slot: Slot, value: Any, voice: Voice, bare: bool) -> str:
    """Return a list of objects: "2 pens and 3 notebooks", or each field after its name."""
    if not isinstance(value, list):
        return str(value)
    if not all(isinstance(item, Mapping) for item in value):
        return _said_list(slot, value, voice)
    fields = slot.kind.options["fields"]
    described = str(slot.schema.get("description", "")).casefold()
    short = slot.kind.options.get("short")
    whole = all(set(item) == set(fields) for item in value)
    if (
        short
        and whole
        and all(name in described for name in fields)
        and (voice.tight or voice.keep("objects", (1, 1, 0)))
    ):
        return coordinate([short.format(**item) for item in value])
    text = "; ".join(
        ", ".join(f"{name.replace('_', ' ')} {part}" for name, part in item.items())
        for item in value
    )
    return f"[{text}]" if voice.tight else text


def _ascending_by_one(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int) for v in values) and list(values) == list(
        range(values[0], values[0] + len(values))
    )


_INDIRECT: Mapping[str, Callable[[Slot, Any, Voice, bool], str]] = {
    "coded": _said_coded,
    "scaled": _said_scaled,
    "cents": _said_cents,
    "scientific": _said_scientific,
    "snippet": _said_code,
    "expression": _said_condition,
    "sql": _said_code,
    "condition": _said_condition,
    "cron": _said_code,
    "matrix": _said_matrix,
    "mapping": _said_mapping,
    "objects": _said_objects,
}
