"""Values of the kinds in `api_kinds`: from examples, from templates, and by Faker."""

from __future__ import annotations

import base64
import datetime as dt
import random
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from looptool.offline.grammar import api_kinds
from looptool.offline.grammar.inventions import invented, pick
from looptool.offline.grammar.trees import Kind

if TYPE_CHECKING:
    from faker import Generator

_PART = re.compile(r"\{([A-Za-z_]\w*)\}")
_FROM_EXAMPLES = 0.4
_TRIES = 8
_FIRST_DAY = dt.date(2023, 1, 1).toordinal()
_DAYS = 1200
_BOUNDS = {
    "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf",
}  # fmt: skip
_ANY_TEXT = (
    "{noun}", "{issue}", "{hex7}", "{hex40}", "{COINED}", "{noun}-{noun}", "{noun}_{noun}",
    "{short}", "{uuid4}", "{moment}", "{day}", "{country_code}", "{currency_code}", "{version}",
    "{language_code}", "{hex_color}", "{base64}", "{project}/{project}", "{COINED}_{NOUN}",
    "{ten_digits}", "+{msisdn}", "{noun} {noun} {noun} {noun}", "https://{domain_name}/{noun}",
)  # fmt: skip


def shown(schema: Mapping[str, Any], rng: random.Random) -> Any | None:
    """Return an example of the schema, in part of the draws; else None."""
    examples = schema.get("examples")
    if not isinstance(examples, list) or not examples or rng.random() >= _FROM_EXAMPLES:
        return None
    return rng.choice(examples)


def fitting(make: Callable[[], Any], schema: Mapping[str, Any], rng: random.Random) -> Any:
    """Return a value that `make` gives and the schema's bounds allow, or another one they allow."""
    value = make()
    if not _BOUNDS & set(schema):
        return value
    for _ in range(_TRIES):
        if _is_allowed(value, schema):
            return value
        value = make()
    return value if _is_allowed(value, schema) else _other(value, schema, rng)


def draw(kind: Kind, schema: Mapping[str, Any], rng: random.Random) -> Any:
    """Return a value of a kind of `api_kinds`."""
    options = kind.options
    if "item" in options:
        return _list(options["item"], schema, rng)
    declared = schema.get("type", "string")
    if "string" in kind.types and declared not in ("integer", "number"):
        return written(rng.choice(options["values"]), rng)
    return _number(options, schema, rng)


def written(template: str, rng: random.Random) -> str:
    """Fill in the parts of a template; {Noun} has a capital, {NOUN} only capitals."""
    return _PART.sub(lambda match: _part(match[1], rng), template)


def _part(name: str, rng: random.Random) -> str:
    if name.isupper():
        return _part(name.lower(), rng).upper().replace("-", "_").replace("/", "_")
    if name[0].isupper():
        text = _part(name[0].lower() + name[1:], rng)
        return text[:1].upper() + text[1:]
    if name in api_kinds.pools():
        return rng.choice(api_kinds.pools()[name])
    if name in _PARTS:
        made = _PARTS[name]
        return made(rng) if callable(made) else written(rng.choice(made), rng)
    fake = _faker()
    fake.random = rng
    return str(getattr(fake, name)())


@lru_cache(maxsize=1)
def _faker() -> Generator:
    from faker import Factory

    return Factory.create("en_US")


def _digits(count: int, rng: random.Random) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _hex(count: int) -> Callable[[random.Random], str]:
    return lambda rng: "".join(rng.choice("0123456789abcdef") for _ in range(count))


def _within(low: int, high: int) -> Callable[[random.Random], str]:
    return lambda rng: str(rng.randint(low, high))


def _day(rng: random.Random) -> str:
    return dt.date.fromordinal(_FIRST_DAY + rng.randrange(_DAYS)).isoformat()


def _moment(rng: random.Random) -> str:
    minute = rng.choice((0, 0, 15, 30, 45, rng.randrange(60)))
    return f"{_day(rng)}T{rng.randrange(24):02d}:{minute:02d}:00Z"


def _organization(rng: random.Random) -> str:
    if rng.random() < 0.5:
        tail = rng.choice(("-labs", "-io", "hq", "-works", "", "-dev", "-team", "-cloud"))
        return f"{invented(rng).lower()}{tail}"
    words = re.findall("[a-z]+", _part("company", rng).lower())
    return "-".join(words[: rng.choice((1, 2))])


def _encoded(rng: random.Random) -> str:
    return base64.b64encode(rng.randbytes(rng.choice((9, 12, 15)))).decode()


# Parts of templates: functions, or templates to choose from.
_PARTS: dict[str, Callable[[random.Random], str] | tuple[str, ...]] = {
    "coined": lambda rng: invented(rng).lower(),
    "first": lambda rng: _part("first_name", rng).lower(),
    "last": lambda rng: _part("last_name", rng).lower(),
    "topic": ("{doing}-{noun}", "{noun}-{noun}", "{doing}-{noun}-{noun}", "{noun}-{doing}"),
    "project": ("{noun}-{noun}", "{coined}", "{coined}-{noun}", "{noun}", "{coined}-{extension}"),
    "organization": _organization,
    "file": ("{noun}.{extension}", "{noun}_{noun}.{extension}", "{noun}-{short}.{extension}",
             "{coined}.{extension}", "README.md"),
    "path": ("{folder}/{file}", "{folder}/{noun}/{file}", "{folder}/{coined}/{file}"),
    "bug": ("{noun} fails with {error}", "{noun} is empty after {noun}",
            "{noun} hangs on {extension} files", "wrong {noun} in the {noun}",
            "{noun} ignores the {noun}", "cannot open the {noun} of {coined}"),
    "version": lambda rng: f"{rng.randint(0, 12)}.{rng.randint(0, 30)}.{rng.randint(0, 20)}",
    "issue": _within(1, 9000),
    "short": _within(1, 24),
    "byte": _within(0, 254),
    "minute": _within(0, 59),
    "hour": _within(0, 23),
    "weekday": _within(0, 6),
    "step": lambda rng: rng.choice(("2", "3", "4", "5", "6", "10", "15", "30")),
    "year": _within(1950, 2024),
    "day": _day,
    "moment": _moment,
    "hex6": _hex(6),
    "hex7": _hex(7),
    "hex40": _hex(40),
    "hex64": _hex(64),
    "base64": _encoded,
    "ten_digits": lambda rng: _digits(10, rng),
    "city_name": lambda rng: pick("cities", rng),
}  # fmt: skip


def _number(options: Mapping[str, Any], schema: Mapping[str, Any], rng: random.Random) -> int:
    """Return a number of the kind within the schema's bounds."""
    if "numbers" in options and rng.random() < 0.6:
        return int(rng.choice(options["numbers"]))
    return _between(options["low"], options["high"], schema, rng)


def _between(low: int, high: int, schema: Mapping[str, Any], rng: random.Random) -> int:
    """Return an integer between `low` and `high`; the schema's bounds count more."""
    least = schema.get("minimum", schema.get("exclusiveMinimum", -(10**12)) + 1)
    most = schema.get("maximum", schema.get("exclusiveMaximum", 10**12) - 1)
    if max(low, least) > min(high, most):  # only the schema's: keep as near as they allow
        low, high = (least, least + high - low) if low < least else (most - (high - low), most)
    low, high = int(max(low, least)), int(min(high, most))
    return rng.randint(low, max(low, high))


def _list(item: Kind, schema: Mapping[str, Any], rng: random.Random) -> list[Any]:
    """Return a list of one to three different values of a kind."""
    items = schema.get("items")
    items = api_kinds.plain(items) if isinstance(items, Mapping) else {}
    least = max(1, schema.get("minItems", 1))
    size = rng.randint(least, max(least, min(3, schema.get("maxItems", 3))))
    values: list[Any] = []
    for _ in range(size * _TRIES):
        value = shown(items, rng)
        if value is None:
            value = fitting(lambda: draw(item, items, rng), items, rng)
        if value not in values:
            values.append(value)
        if len(values) == size:
            break
    return values


def _is_allowed(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a text or number keeps the schema's bounds."""
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            return False
        return "pattern" not in schema or _matches(schema["pattern"], value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and not value <= schema.get("exclusiveMinimum", value - 1)
        and not value >= schema.get("exclusiveMaximum", value + 1)
        and (not step or abs(value / step - round(value / step)) < 1e-9)
    )


def _matches(pattern: str, text: str) -> bool:
    try:
        return bool(re.search(pattern, text))
    except re.error:  # of another dialect
        return True


def _other(value: Any, schema: Mapping[str, Any], rng: random.Random) -> Any:
    """Return another value that the bounds allow; `value` if none is found."""
    if isinstance(value, str):
        longest, shortest = schema.get("maxLength", 60), schema.get("minLength", 0)
        made = [written(text, rng) for text in rng.sample(_ANY_TEXT, len(_ANY_TEXT))]
        padded = "-".join([value, *made])[: max(shortest, len(value))]
        texts = [value[:longest].strip(), padded[:longest], *made, *(t[:longest] for t in made)]
        texts += [each for each in schema.get("examples", ()) if isinstance(each, str)]
        return next((text for text in texts if _is_allowed(text, schema)), value)
    return _other_number(value, schema, rng) if isinstance(value, int | float) else value


def _other_number(value: Any, schema: Mapping[str, Any], rng: random.Random) -> Any:
    """Return a number that the bounds allow; `value` if none is found."""
    low, high = schema.get("minimum"), schema.get("maximum")
    numbers: list[int | float] = [_between(1, 100, schema, rng)]
    if step := schema.get("multipleOf"):
        first = numbers[0] // step
        numbers = [step * (first + more) for more in (rng.randrange(4), 1, 0)]
    if low is not None and high is not None:
        numbers.append(round((low + high) / 2, 3))
    return next((number for number in numbers if _is_allowed(number, schema)), value)
