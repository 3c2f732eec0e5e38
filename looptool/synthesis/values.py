"""Fresh values for parameters: one generator per `draw` of the constraint tree.

Pools are large and many values are invented on the spot, so that a small model learns to copy
what was said rather than to recall what it has seen.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looptool import canonical
from looptool.synthesis.trees import Kind, kinds, pools

DATE_FORMATS = {"YYYY-MM-DD": "%Y-%m-%d", "MM/DD/YYYY": "%m/%d/%Y", "DD.MM.YYYY": "%d.%m.%Y"}
_FIRST_DAY = dt.date(2023, 1, 1).toordinal()
_DAYS = 1200
_DISTINCT_TRIES = 12


@dataclass(frozen=True, eq=False)
class Slot:
    """One parameter of one tool document.

    Attributes:
        name: as the document calls it.
        key: as the leaf calls it; `name` where the trees do not know the tool.
        word: how people name it ("launch speed").
        form: the date format, or "".
    """

    name: str
    key: str
    kind: Kind
    schema: Mapping[str, Any]
    required: bool
    word: str
    form: str = ""

    @property
    def type(self) -> str:
        """Return the JSON Schema type; the first of several, "string" where none is given."""
        kind = self.schema.get("type", "string")
        return kind if isinstance(kind, str) else next((k for k in kind if k != "null"), "string")


def draw(slot: Slot, rng: random.Random, today: dt.date | None = None) -> Any:
    """Return a fresh value for `slot` that fits its schema; dates stay near `today` if given."""
    if slot.kind.draw in ("date",):
        return _date(slot, rng, today)
    if "enum" in slot.schema:
        return rng.choice(slot.schema["enum"])
    return _DRAW[slot.kind.draw](slot, rng)


def draw_arguments(
    slots: Mapping[str, Slot],
    rng: random.Random,
    *,
    mention: float = 0.45,
    fixed: Mapping[str, Any] | None = None,
    order: Sequence[str] = (),
    today: dt.date | None = None,
) -> dict[str, Any]:
    """Return arguments: every required parameter, each optional one with chance `mention`.

    Values of one kind differ from each other (two cities, two masses). `fixed` is taken as it is;
    `order` names keys of date slots that must ascend.
    """
    arguments: dict[str, Any] = {}
    for name, slot in slots.items():
        if fixed and name in fixed:
            arguments[name] = fixed[name]
        elif slot.required or rng.random() < mention:
            taken = [arguments[other] for other in arguments if slots[other].kind.draw == slot.kind.draw]
            arguments[name] = _distinct(slot, rng, today, taken)
    ordered = [name for name, slot in slots.items() if slot.key in order and name in arguments]
    if len(ordered) > 1 and not fixed:
        found = sorted(
            (arguments[name] for name in ordered),
            key=lambda text: parse_date(text, slots[ordered[0]].form) or dt.date.min,
        )
        arguments.update(zip(ordered, found, strict=True))
    return arguments


def _distinct(slot: Slot, rng: random.Random, today: dt.date | None, taken: list[Any]) -> Any:
    value = draw(slot, rng, today)
    if slot.type != "boolean":
        for _ in range(_DISTINCT_TRIES):
            if value not in taken:
                break
            value = draw(slot, rng, today)
    return value


def parse_date(text: str, form: str) -> dt.date | None:
    """Return the date that `text` says in `form`, or None."""
    try:
        return dt.datetime.strptime(text, DATE_FORMATS[form]).date()
    except (KeyError, ValueError, TypeError):
        return None


def invented(rng: random.Random, low: int = 2, high: int = 3) -> str:
    """Return an invented name such as "Velkora"."""
    syllables = pools()["syllables"]
    return "".join(rng.choice(syllables) for _ in range(rng.randint(low, high))).capitalize()


def _number(slot: Slot, rng: random.Random) -> int | float:
    options = slot.kind.options
    low, high = options.get("low", 1), options.get("high", 100)
    low, high = max(low, slot.schema.get("minimum", low)), min(high, slot.schema.get("maximum", high))
    if slot.type == "integer" or (slot.type == "number" and high - low >= 4 and rng.random() < 0.5):
        first, last = math.ceil(low), math.floor(high)
        if last - first > 40 and rng.random() < 0.3:
            return round(rng.randint(first, last) / 5) * 5 or 5
        return rng.randint(first, max(first, last))
    decimals = options.get("decimals") or rng.choice((1, 1, 2))
    value = round(rng.uniform(low, high), decimals)
    return value if value else round(low + 10**-decimals, decimals)


def _large(slot: Slot, rng: random.Random) -> int:
    high = slot.kind.options.get("high", 9_000_000)
    value = rng.choice(
        (
            lambda: 500_000,
            lambda: 100_000 * rng.randint(1, 90),
            lambda: 1000 * rng.randint(2, 999),
            lambda: rng.randint(1000, 999_999),
        )
    )()
    return min(value, high)


def _coordinate(slot: Slot, rng: random.Random) -> float:
    options = slot.kind.options
    return round(rng.uniform(options["low"], options["high"]), rng.choice((1, 2, 4)))


def _percent(slot: Slot, rng: random.Random) -> int | float:
    low, high = slot.kind.options.get("low", 1), slot.kind.options.get("high", 60)
    if slot.type == "integer" or rng.random() < 0.65:
        return rng.randint(low, high)
    return rng.randint(low, high - 1) + rng.choice((0.5, 0.25, 0.75, 0.2, 0.8))


def _fraction(slot: Slot, rng: random.Random) -> float:
    if rng.random() < 0.12:
        return rng.choice((0.5, 0.25, 0.75))
    return rng.choice((rng.randint(1, 30) / 100, rng.randint(10, 95) / 1000, rng.randint(1, 9) / 10))


def _count(slot: Slot, rng: random.Random) -> int:
    low, high = slot.kind.options.get("low", 2), slot.kind.options.get("high", 12)
    return rng.randint(low, high)


def _duration(slot: Slot, rng: random.Random) -> int | float:
    if slot.kind.options.get("unit") == "hours":
        low, high = slot.kind.options.get("low", 1), slot.kind.options.get("high", 24)
        half = slot.type == "number" and rng.random() < 0.25
        return rng.randint(low, high - 1) + 0.5 if half else rng.randint(max(low, 2), high)
    high = slot.kind.options.get("high", 240)
    if rng.random() < 0.6:
        return rng.choice([m for m in (5, 10, 15, 20, 25, 30, 40, 45, 60, 75, 90, 120) if m <= high])
    return rng.randint(2, high)


def _amount(slot: Slot, rng: random.Random) -> int | float:
    low, high = slot.kind.options.get("low", 20), slot.kind.options.get("high", 20000)
    value = math.exp(rng.uniform(math.log(low), math.log(high)))
    if slot.type == "number" and value < 2000 and rng.random() < 0.35:
        return round(value, 2)
    step = 1 if value < 50 else 5 if value < 500 else 50 if value < 5000 else 500
    if rng.random() < 0.2:
        step = 1
    return max(step, round(value / step) * step)


def _date(slot: Slot, rng: random.Random, today: dt.date | None) -> str:
    if today:
        day = today + dt.timedelta(days=rng.randint(0, 13) if rng.random() < 0.8 else rng.randint(14, 300))
    else:
        day = dt.date.fromordinal(_FIRST_DAY + rng.randrange(_DAYS))
    return day.strftime(DATE_FORMATS[slot.form or "YYYY-MM-DD"])


def _time(slot: Slot, rng: random.Random) -> str:
    minute = rng.choice((0, 0, 0, 30, 30, 15, 45, 5 * rng.randrange(12)))
    return f"{rng.randint(6, 23):02d}:{minute:02d}"


def _year(slot: Slot, rng: random.Random) -> int:
    return rng.randint(slot.kind.options.get("low", 1900), slot.kind.options.get("high", 2024))


def _pool(slot: Slot, rng: random.Random) -> str:
    return from_pool(slot.kind.options["pool"], rng)


def from_pool(name: str, rng: random.Random) -> str:
    """Return an entry of a pool or an invented one of its sort; "person" and "first" are names."""
    if name == "person":
        return f"{_pick('first_names', rng)} {_last_name(rng)}"
    if name == "first":
        return _pick("first_names", rng)
    invent = _INVENT.get(name)
    if invent and rng.random() < 0.4:
        return invent(rng)
    return _pick(name, rng).removeprefix("the ")


def _pick(name: str, rng: random.Random) -> str:
    pool = pools()[name]
    choice: str = rng.choice(pool if isinstance(pool, tuple) else list(pool))
    return choice


def _last_name(rng: random.Random) -> str:
    return invented(rng) if rng.random() < 0.25 else _pick("last_names", rng)


def _city(slot: Slot, rng: random.Random) -> str:
    if rng.random() < 0.12:
        return ", ".join(rng.choice(pools()["city_tails"]))
    return _pick("cities", rng)


def _place(slot: Slot, rng: random.Random) -> str:
    return from_pool(rng.choice(("landmarks", "landmarks", "hotels", "streets")), rng)


def _address(slot: Slot, rng: random.Random) -> str:
    street = f"{rng.randint(1, 240)} {_pick('streets', rng)}"
    return f"{street}, {_pick('cities', rng)}" if rng.random() < 0.6 else street


def _person(slot: Slot, rng: random.Random) -> str:
    return from_pool("person", rng)


def _contact(slot: Slot, rng: random.Random) -> str:
    return from_pool(rng.choice(("first", "first", "person")), rng)


def _email(slot: Slot, rng: random.Random) -> str:
    name = rng.choice(
        (
            _pick("first_names", rng).lower(),
            f"{_pick('first_names', rng)}.{_pick('last_names', rng)}".lower(),
            f"{invented(rng).lower()}{rng.randint(1, 99)}",
        )
    )
    return f"{name}@{_pick('websites', rng)}"


def _team(slot: Slot, rng: random.Random) -> str:
    return f"{_pick('cities', rng)} {_pick('team_names', rng)}"


def _company(slot: Slot, rng: random.Random) -> str:
    name = invented(rng)
    return f"{name} {_pick('company_tails', rng)}" if rng.random() < 0.6 else name


def _title(slot: Slot, rng: random.Random) -> str:
    return _invent_title(rng)


def _invent_title(rng: random.Random) -> str:
    adjective, noun, other = _pick("adjectives", rng), _pick("nouns", rng), _pick("nouns", rng)
    return rng.choice(
        (
            lambda: f"The {adjective} {noun}".title(),
            lambda: f"{adjective} {noun}".title(),
            lambda: f"{noun.title()} of {invented(rng)}",
            lambda: f"A {noun.title()} for {_pick('first_names', rng)}",
            lambda: f"{invented(rng)} {rng.randint(2, 9)}",
            lambda: f"The {noun.title()} and the {other.title()}",
        )
    )()


def _code(slot: Slot, rng: random.Random) -> str:
    letters = "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.choice((2, 3))))
    digits = "".join(rng.choice(string.digits) for _ in range(rng.choice((3, 4, 5))))
    lower = "".join(rng.choice(string.ascii_lowercase) for _ in range(2))
    return rng.choice((f"{letters}-{digits}", f"{letters}{digits}", digits + lower, f"{lower}_{digits}",
                       f"{letters}-{digits[:2]}-{rng.randint(10, 99)}"))


def _label(slot: Slot, rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: f"{_pick('adjectives', rng)} {_pick('nouns', rng)}".title(),
            lambda: invented(rng),
            lambda: f"{_pick('weekdays', rng)} {_pick('nouns', rng).title()}",
            lambda: f"{invented(rng)} {rng.randint(2, 99)}",
        )
    )()


def _file(slot: Slot, rng: random.Random) -> str:
    stem = rng.choice((_pick("files", rng), f"{_pick('files', rng)}_{rng.randint(2, 2025)}",
                       f"{_pick('files', rng)}-{invented(rng).lower()}"))
    return f"{stem}.{_pick('extensions', rng)}"


def _url(slot: Slot, rng: random.Random) -> str:
    path = rng.choice(("", f"/{_pick('nouns', rng)}", f"/{invented(rng).lower()}/{rng.randint(1, 900)}"))
    return f"https://{_pick('websites', rng)}{path}"


def _message(slot: Slot, rng: random.Random) -> str:
    name, day, task = _pick("first_names", rng), _pick("weekdays", rng), _pick("tasks", rng)
    return rng.choice(
        (
            lambda: f"I'll be {5 * rng.randint(1, 12)} minutes late",
            lambda: f"Please {task} before {day}",
            lambda: f"{name} says hello from {_pick('cities', rng)}",
            lambda: f"Can you bring the {_pick('nouns', rng)} on {day}?",
            lambda: f"The {_pick('meetings', rng)} moved to {day}",
            lambda: f"Thanks for the {_pick('dishes', rng)}!",
            lambda: f"Don't forget to {task}",
            lambda: f"We need {rng.randint(2, 40)} more {_pick('nouns', rng)}s",
            lambda: f"See you at {_pick('landmarks', rng)}",
            lambda: f"Where is the {_pick('adjectives', rng)} {_pick('nouns', rng)}?",
        )
    )()


def _query(slot: Slot, rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: f"{_pick('adjectives', rng)} {_pick('nouns', rng)}",
            lambda: _pick("topics", rng),
            lambda: f"{invented(rng)} {_pick('files', rng)}",
            lambda: f"{_pick('products', rng)} problems",
            lambda: f"{_pick('files', rng)} for {_pick('weekdays', rng)}",
            lambda: f"{_pick('meetings', rng)}",
        )
    )()


def _formula(slot: Slot, rng: random.Random) -> str:
    a, b, c, n = rng.randint(2, 9), rng.randint(1, 12), rng.randint(1, 20), rng.randint(2, 5)
    return rng.choice((f"{a}x^{n} + {b}x", f"x^{n} - {b}", f"{a}x + {c}", f"sin({a}x)", f"{a}*x**{n} + {c}",
                       f"x**{n} + {b}*x - {c}", f"e^({a}x)", f"cos(x) + {b}x", f"ln({a}x)"))


def _choice(slot: Slot, rng: random.Random) -> Any:
    return rng.choice(choices(slot))


def choices(slot: Slot) -> list[Any]:
    """Return the values of an enumerated slot: its schema's, else its kind's."""
    if "enum" in slot.schema:
        return list(slot.schema["enum"])
    options = slot.kind.options
    return list(options.get("enum") or pools()[options["synonyms"]])


def _currency(slot: Slot, rng: random.Random) -> str:
    return _pick("currencies", rng)


def _flag(slot: Slot, rng: random.Random) -> bool:
    return rng.random() < 0.65


def _numbers(slot: Slot, rng: random.Random) -> list[int | float]:
    options = slot.kind.options
    size = options.get("size") or rng.randint(3, 5)
    whole = slot.schema.get("items", {}).get("type") == "integer" or rng.random() < 0.6
    low = -9 if rng.random() < 0.15 else 1
    high = rng.choice((12, 100))
    return [rng.randint(low, high) if whole else round(rng.uniform(low, high), 1) for _ in range(size)]


def _items(slot: Slot, rng: random.Random) -> list[str]:
    options = slot.kind.options
    size = options.get("size") or rng.randint(2, 3)
    found: list[str] = []
    while len(found) < size:
        value = rng.choice(options["choices"]) if "choices" in options else from_pool(options["pool"], rng)
        if value not in found:
            found.append(value)
    return found


def _record(slot: Slot, rng: random.Random) -> dict[str, Any]:
    found = {name: draw(part, rng) for name, part in record_slots(slot).items()}
    return found


def record_slots(slot: Slot) -> dict[str, Slot]:
    """Return the slots of an object's fields."""
    return {
        name: Slot(name, name, kinds()[kind], slot.schema["properties"][name], True, name.replace("_", " "))
        for name, kind in slot.kind.options["fields"].items()
    }


def _like(slot: Slot, rng: random.Random) -> Any:
    """A value like the example: for parameters that no kind fits."""
    return like(slot.kind.options.get("example"), rng)


def like(example: Any, rng: random.Random) -> Any:
    """Return a JSON value of the same type and size as `example`, with other content."""
    if isinstance(example, bool):
        return not example
    if isinstance(example, int):
        return rng.randint(min(example // 2, example * 2), max(example // 2, example * 2) + 9)
    if isinstance(example, float):
        return round(rng.uniform(0.5, 2) * example + rng.choice((0, 0.5)), 2)
    if isinstance(example, list):
        return [like(item, rng) for item in example]
    if isinstance(example, dict):
        return {key: like(item, rng) for key, item in example.items()}
    if isinstance(example, str) and any(letter.isdigit() for letter in example):
        return "".join(
            rng.choice(string.digits) if c.isdigit() else c for c in example
        )
    return rng.choice((invented(rng), _invent_title(rng)))


_INVENT: dict[str, Callable[[random.Random], str]] = {
    "games": lambda rng: f"{invented(rng)} {rng.choice(('Quest', 'Arena', 'Rally', 'Online', 'II'))}",
    "artists": lambda rng: rng.choice((f"The {invented(rng)}s", f"{_pick('first_names', rng)} {invented(rng)}")),
    "hotels": lambda rng: f"Hotel {invented(rng)}",
    "restaurants": lambda rng: f"{rng.choice(('Casa', 'Cafe', 'Bistro', 'Chez'))} {invented(rng)}",
    "streets": lambda rng: f"{invented(rng)} {rng.choice(('Street', 'Road', 'Avenue', 'Lane'))}",
    "rivers": lambda rng: invented(rng),
    "genes": lambda rng: "".join(rng.choice(string.ascii_uppercase) for _ in range(3)) + str(rng.randint(1, 29)),
    "stocks": lambda rng: "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.choice((3, 4)))),
    "medicines": lambda rng: f"{invented(rng).lower()}ol",
}

_DRAW: dict[str, Callable[[Slot, random.Random], Any]] = {
    "number": _number,
    "large": _large,
    "coordinate": _coordinate,
    "percent": _percent,
    "fraction": _fraction,
    "count": _count,
    "duration": _duration,
    "amount": _amount,
    "time": _time,
    "year": _year,
    "pool": _pool,
    "city": _city,
    "place": _place,
    "address": _address,
    "person": _person,
    "contact": _contact,
    "email": _email,
    "team": _team,
    "company": _company,
    "title": _title,
    "code": _code,
    "label": _label,
    "file": _file,
    "url": _url,
    "message": _message,
    "query": _query,
    "formula": _formula,
    "choice": _choice,
    "currency": _currency,
    "flag": _flag,
    "numbers": _numbers,
    "items": _items,
    "record": _record,
    "like": _like,
}


def fits(kind: Kind, value: Any) -> bool:
    """Whether `value` could be one of `kind`, judged by its JSON type."""
    if isinstance(value, bool):
        return "boolean" in kind.types
    if isinstance(value, int):
        return "integer" in kind.types or "number" in kind.types
    if isinstance(value, float):
        return "number" in kind.types
    if isinstance(value, list):
        strings = all(isinstance(item, str) for item in value)
        numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in value)
        return (kind.draw == "items" and strings) or (kind.draw == "numbers" and numbers)
    if isinstance(value, dict):
        return kind.draw == "record" and set(value) == set(kind.options.get("fields", ()))
    return value is not None and "string" in kind.types


def same(first: Any, second: Any) -> bool:
    """Whether two JSON values are the same."""
    return canonical.dumps(first) == canonical.dumps(second)
