"""Values and parameters in words: surfaces ("half a million", "next Friday") and phrases.

A *surface* is a value as a user says it. A *phrase* is a surface with its preposition or its
parameter's word. A `Voice` holds what must stay the same within one request.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from looptool.samples import Message
from looptool.synthesis.trees import Kind, pools
from looptool.synthesis.values import Slot, choices, parse_date, record_slots

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SYSTEM_DATE = re.compile(r"Today is \w+, (\d{4}-\d\d-\d\d)")
_ON_RELATIVE = re.compile(
    r"\b(?:on the date|on) (?=(?:today|tomorrow|the day after|two weeks from|\d+ days from|"
    r"(?:this|next) (?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)\b)"
)
_HELDOUT_SHARE = 0.6
_CLAUSAL = frozenset("where when if given assuming supposing taking".split())
_SHARED = frozenset("with using given where when if".split())
_PREPOSITIONS = frozenset(
    "in on at for from to with of by near about until under over after during within without into "
    "around through across saying called named titled starting between that".split()
)


@dataclass(eq=False)
class Voice:
    """What stays the same within one request.

    Attributes:
        today: the date in the system message; relative dates are said only where it is given.
        tight: lists and texts are marked off, because several values stand side by side.
        tails: what follows a number of a measure ("length", "money"); None for nothing fixed.
        covered: names of slots that a tail says already (the unit in "10 cm").
        doubled: generators that more than one argument of the call uses.
        memory: choices made once (unit spelling, wording of similar parameters).
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
        """Return a random option, the same one whenever `name` is asked again."""
        if name not in self.memory:
            self.memory[name] = self.rng.randrange(1 << 30)
        return options[self.memory[name] % len(options)]

    def listen(self, slots: Mapping[str, Slot], arguments: Mapping[str, Any]) -> None:
        """Fix the tails that follow numbers, from the unit and currency arguments of a call."""
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
            if name in arguments and numbers and len(currencies) < 2 and self.keep("attach", (1, 1, 0)):
                self.tails[measure] = surface(slot, arguments[name], self.rng, voice=self)
                self.covered.add(name)


def system_date(day: dt.date) -> str:
    """Return the sentence that tells an assistant what day it is."""
    return f"Today is {_DAYS[day.weekday()]}, {day.isoformat()}."


def today_of(messages: Sequence[Message]) -> dt.date | None:
    """Return the date that a system message gives, or None."""
    for message in messages:
        if message.get("role") == "system":
            found = _SYSTEM_DATE.search(message.get("content") or "")
            if found:
                return dt.date.fromisoformat(found[1])
    return None


def surface(
    slot: Slot,
    value: Any,
    rng: random.Random,
    today: dt.date | None = None,
    *,
    voice: Voice | None = None,
    bare: bool = False,
) -> str:
    """Return `value` as a user says it; `bare` leaves unit and currency out."""
    voice = voice or Voice(rng, today=today)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _said_number(slot, value, voice, bare)
    if isinstance(value, list):
        return _said_list(slot, value, voice)
    if isinstance(value, dict):
        return _said_record(slot, value, voice)
    text = str(value)
    if slot.form and (day := parse_date(text, slot.form)):
        return _said_date(day, voice)
    speaker = _SPEAKERS.get(slot.kind.draw)
    return speaker(slot, text, voice) if speaker else text


def phrase(
    slot: Slot,
    value: Any,
    rng: random.Random,
    split: str = "train",
    today: dt.date | None = None,
    *,
    voice: Voice | None = None,
) -> str:
    """Return a value with its preposition or word; a capital letter starts a sentence."""
    voice = voice or Voice(rng, split, today)
    text = wording(slot, value, voice)
    said = "" if "{v}" not in text else surface(slot, value, rng, voice=voice)
    if "{word}" not in text:
        return text.replace("{v}", said)
    return worded(text, slot.word, said)


def wording(slot: Slot, value: Any, voice: Voice) -> str:
    """Choose a wording of the slot's kind; similar parameters of a request share one.

    A parameter with wordings of its own, or beside another of the same sort, takes from its kind
    only wordings that name it: "for {v}" alone would leave open which of the two is meant.
    """
    named = slot.kind.draw in voice.doubled
    shy = voice.split == "heldout" and voice.rng.random() < _HELDOUT_SHARE
    options = _wordings(slot.kind, value is False, named, shy)
    if slot.kind.group == "measured":
        return str(voice.keep(f"say:{slot.kind.name}:{shy}", options))
    return voice.rng.choice(options)


@lru_cache(maxsize=None)
def _wordings(kind: Kind, denied: bool, named: bool, heldout: bool) -> tuple[str, ...]:
    own = kind.own_deny if denied else kind.own
    shared = kind.deny if denied else kind.say
    if heldout:
        shared = kind.deny_heldout if denied else kind.heldout
    if own or named:
        shared = tuple(text for text in shared if "{word}" in text)
    if kind.options.get("strict") or (heldout and not shared):
        shared = ()
    if heldout and shared:
        return shared
    return (*own, *own, *shared) or ("with the {word} {v}",)


@lru_cache(maxsize=65536)
def worded(text: str, word: str, said: str) -> str:
    """Fill {word} and {v}; "a" becomes "an" where the word begins with a vowel."""
    if word[:1].lower() in "aeio" and "a {word}" in text:
        text = re.sub(r"\ba \{word\}", "an {word}", text)
    return text.replace("{word}", word).replace("{v}", said)


def attach(core: str, phrases: Sequence[str]) -> tuple[str, list[str]]:
    """Append phrases to a clause: (clause, sentences of their own)."""
    sentences = [text for text in phrases if text[-1] in ".!?" and text[:1].isupper()]
    clauses = [text for text in phrases if text not in sentences]
    clauses.sort(key=lambda text: text.partition(" ")[0] in _CLAUSAL)
    last = ""
    for text in clauses:
        first, _, rest = text.partition(" ")
        if first == last and first in _SHARED:
            core += f" and {rest}"
        elif first in _PREPOSITIONS or text[0] == "(":
            core += f" {text}"
        else:
            core += f", {text}"
        last = first
    return core, sentences


def mend_dates(text: str) -> str:
    """Drop the "on" before a relative date: "on next Friday", "on tomorrow"."""
    return _ON_RELATIVE.sub("", text)


def coordinate(texts: Sequence[str], last: str = " and ") -> str:
    """Join texts as "a, b and c"."""
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + last + texts[-1]


def spell(number: int) -> str | None:
    """Spell a small or round number out, or None."""
    if 0 <= number < 20:
        return _SMALL[number]
    if 20 <= number < 100:
        tens = _TENS[number // 10 - 2]
        return tens if number % 10 == 0 else f"{tens}-{_SMALL[number % 10]}"
    if number in (100, 1000):
        return "a hundred" if number == 100 else "a thousand"
    if number < 1000 and number % 100 == 0:
        return f"{_SMALL[number // 100]} hundred"
    if number < 20000 and number % 1000 == 0:
        return f"{_SMALL[number // 1000]} thousand"
    return None


def _plain(value: int | float, voice: Voice, spoken: float = 0.1) -> str:
    """A number without unit: digits, thousands commas, or words."""
    rng = voice.rng
    if isinstance(value, float):
        return _decimal(value)
    if value < 0:
        return f"minus {-value}" if rng.random() < 0.2 else str(value)
    if value >= 100_000 and value % 100_000 == 0 and rng.random() < 0.5:
        millions = _decimal(value / 1_000_000)
        return "half a million" if value == 500_000 else f"{millions} million"
    if value >= 1000 and value % 1000 == 0 and value < 1_000_000 and rng.random() < 0.15:
        return f"{value // 1000} thousand"
    if rng.random() < spoken and (word := spell(value)):
        return word
    if value >= 10_000 and not voice.tight and rng.random() < 0.5:
        return f"{value:,}"
    return str(value)


def _decimal(value: float) -> str:
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def _said_number(slot: Slot, value: int | float, voice: Voice, bare: bool) -> str:
    kind, rng, options = slot.kind, voice.rng, slot.kind.options
    draw = kind.draw
    if draw == "year":
        return str(value)
    if draw == "count":
        said = _plain(value, voice, 0.2)
        if value in (12, 24) and not options.get("unit") and rng.random() < 0.4:
            said = "a dozen" if value == 12 else "two dozen"
        if options.get("unit") == "years" and not bare:
            return f"{said} years"
        return said
    if draw == "percent":
        return _decimal(float(value)) if bare else f"{_decimal(float(value))}{voice.keep('%', ('%', '%', ' percent'))}"
    if draw == "fraction":
        return _said_fraction(float(value), voice)
    if draw == "duration":
        return _decimal(float(value)) if bare else _said_duration(value, options.get("unit", "minutes"), voice)
    if draw == "amount":
        return _said_amount(value, voice, bare)
    said = _plain(value, voice, 0.0 if draw == "coordinate" else 0.06)
    if bare or draw in ("coordinate", "large"):
        return said
    return f"{said}{_tail(slot, voice)}"


def _tail(slot: Slot, voice: Voice) -> str:
    options = slot.kind.options
    if options.get("measure") == "length":
        fixed = voice.tails.get("length")
        text = voice.keep("length", options["tails"]) if fixed is None else fixed
        if fixed == "":
            text = voice.keep("units", ("", "", "units"))
    elif "unit" in options:
        text = voice.keep(f"unit:{options['unit']}", ("", *(options.get("units") or (options["unit"],)) * 4))
    else:
        return ""
    return text if text.startswith("°") else f" {text}" if text else ""


def _said_amount(value: int | float, voice: Voice, bare: bool) -> str:
    said = _plain(value, voice, 0.04)
    if isinstance(value, float) and not said[-3:-2] == ".":
        said = f"{value:.2f}"
    tail = voice.tails.get("money")
    if bare or tail == "":
        return said
    if tail:
        return f"{said} {tail}"
    style = voice.keep("money", ("$", "$", "$", "dollars", ""))
    if style == "$" and said[0].isdigit():
        return f"${said}"
    return f"{said} dollars" if style else said


def _said_fraction(value: float, voice: Voice) -> str:
    named = {0.5: ("a half", "50%"), 0.25: ("a quarter", "25%"), 0.75: ("three quarters", "75%")}
    roll = voice.rng.random()
    if value in named and roll < 0.5:
        return named[value][0]
    return f"{_decimal(round(value * 100, 4))}%" if roll > 0.55 else _decimal(value)


def _said_duration(value: int | float, unit: str, voice: Voice) -> str:
    if voice.rng.random() < 0.3:
        named = {
            ("minutes", 30): "half an hour",
            ("minutes", 60): "an hour",
            ("minutes", 90): "an hour and a half",
            ("minutes", 45): "three quarters of an hour",
            ("minutes", 120): "two hours",
            ("hours", 1.5): "an hour and a half",
            ("hours", 24): "a whole day",
        }.get((unit, value))
        if named:
            return named
    if value == 1:
        return f"1 {unit[:-1]}"
    if isinstance(value, float):
        return f"{_decimal(value)} {unit}"
    return f"{_plain(value, voice, 0.12)} {unit}"


def _said_date(day: dt.date, voice: Voice) -> str:
    rng = voice.rng
    if voice.today:
        ahead = (day - voice.today).days
        name = _DAYS[day.weekday()]
        if ahead in (0, 1):
            return ("today", "tomorrow")[ahead]
        if ahead == 2 and rng.random() < 0.5:
            return "the day after tomorrow"
        if 1 < ahead < 7 and day.weekday() > voice.today.weekday():
            return f"this {name}"
        if 1 < ahead <= 7 and day.weekday() <= voice.today.weekday():
            return f"next {name}"
        if ahead == 14:
            return "two weeks from today"
        if 7 < ahead <= 13 and rng.random() < 0.4:
            return f"{ahead} days from now"
    month = day.strftime("%B")
    style = voice.keep("date", range(7))
    if style < 2:
        return day.isoformat()
    if style == 2:
        return f"{month} {day.day}, {day.year}"
    if style == 3:
        return f"{day.day} {month} {day.year}"
    if style == 4:
        return f"{month} {_ordinal(day.day)}, {day.year}"
    if style == 5:
        return f"{month[:3]} {day.day}, {day.year}"
    return f"the {_ordinal(day.day)} of {month} {day.year}"


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _said_time(slot: Slot, text: str, voice: Voice) -> str:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", text)
    if not found:
        return text
    hour, minute = int(found[1]), int(found[2])
    style = voice.keep("time", range(5))
    if style < 2:
        return text
    if text == "12:00":
        return "noon"
    if text == "00:00":
        return "midnight"
    half, shown = ("am" if hour < 12 else "pm"), (hour % 12 or 12)
    if style == 2:
        half = "a.m" if half == "am" else "p.m"
        half += "."
    if minute == 30 and style == 4:
        part = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
        return f"half past {_SMALL[shown]} {part}"
    return f"{shown} {half}" if minute == 0 else f"{shown}:{minute:02d} {half}"


def _said_choice(slot: Slot, text: str, voice: Voice) -> str:
    """Synonyms only where the schema lists the values."""
    options = slot.kind.options
    table = options.get("enum") or (pools().get(options["synonyms"]) if "synonyms" in options else None)
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
    """Return an enumerated slot's values, none where it has no enumeration."""
    has = "enum" in slot.schema or "enum" in slot.kind.options or "synonyms" in slot.kind.options
    return choices(slot) if has else []


def _said_currency(slot: Slot, text: str, voice: Voice) -> str:
    spoken = pools()["currencies"].get(text)
    choice: str = voice.keep(f"currency:{text}", spoken) if spoken else text
    return choice


def _said_text(slot: Slot, text: str, voice: Voice) -> str:
    mark = voice.keep("quote", ('"', '"', "'"))
    if mark == "'" and "'" in text:
        mark = '"'
    return f"{mark}{text}{mark}"


def _said_title(slot: Slot, text: str, voice: Voice) -> str:
    return _said_text(slot, text, voice) if voice.tight or voice.keep("quoted", (1, 1, 0)) else text


def _said_query(slot: Slot, text: str, voice: Voice) -> str:
    return _said_text(slot, text, voice) if voice.tight or voice.keep("query", (1, 0)) else text


def _said_the(slot: Slot, text: str, voice: Voice) -> str:
    return f"the {text}" if f"the {text}" in _articled() else text


@lru_cache(maxsize=1)
def _articled() -> frozenset[str]:
    found = (*pools()["landmarks"], *pools()["events"])
    return frozenset(text for text in found if text.startswith("the "))


def _said_list(slot: Slot, values: list[Any], voice: Voice) -> str:
    parts = [_decimal(v) if isinstance(v, float) else str(v) for v in values]
    numbers = all(isinstance(v, int | float) for v in values)
    if slot.kind.options.get("whole"):
        return f"({', '.join(parts)})" if voice.keep("pair", (0, 1)) else f"[{', '.join(parts)}]"
    if voice.tight or len(parts) < 2 or any(", " in part or " and " in part for part in parts):
        if numbers:
            return f"[{', '.join(parts)}]"
        return f"[{', '.join(_said_text(slot, part, voice) for part in parts)}]"
    style = voice.keep("list", range(4))
    if style == 0 and numbers:
        return f"[{', '.join(parts)}]"
    return coordinate(parts) if style < 3 or not numbers else ", ".join(parts)


def _said_record(slot: Slot, value: Mapping[str, Any], voice: Voice) -> str:
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
}
