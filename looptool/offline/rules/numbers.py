"""Numbers as people write them: digits, words, scales, percent, units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from looptool.offline.rules import weights
from looptool.offline.rules.words import ranked

_UNITS = ranked("numbers", 0)
_TENS = {word: 10 * count for word, count in ranked("tens", 2).items()}
_ORDINALS = {w: n for w, n in ranked("ordinals", 1).items() if "-" not in w}
_SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "dozen": 12,
    "grand": 1e3,
}
_SHORT_SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "mn": 1e6, "bn": 1e9, "B": 1e9, "m": 1e6}

_WORDS = "|".join(sorted([*_UNITS, *_TENS], key=len, reverse=True))
_ONES = "|".join(sorted(_UNITS, key=len, reverse=True))
_AND = r"(?:\s+and\s+(?:a\s+)?|[\s-]+|\s+of\s+)"
_ORDS = "|".join(sorted(_ORDINALS, key=len, reverse=True))
_SCALE = r"(?:hundred|thousand|million|billion|trillion|dozen|grand)s?"
_DIGITS = re.compile(
    r"(?<![\w.])(?P<sign>(?:minus|negative)\s+|[-−](?=[\d.$€£]))?(?:[$€£¥]\s?)?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    rf"(?:(?P<short>k|K|M|mn|bn|B|m)(?![\w])|\s?(?P<scale>{_SCALE})\b"
    r"|(?P<percent>\s?%|\s?percent\b|\s?per cent\b)|(?P<ordinal>st|nd|rd|th)\b)?",
    re.IGNORECASE,
)
_DIE = re.compile(r"\b[dD](\d{1,3})\b")
_FRACTION = re.compile(r"(?<![\w./])(?:(\d+)\s+)?(\d{1,3})/(\d{1,3})(?![\w/])")
_SPELLED = re.compile(
    rf"\b(?:(?:(?:minus|negative)\s+)?(?:half\s+an?\s+|quarter\s+of\s+an?\s+|a\s+(?={_SCALE}\b)"
    rf"|an?\s+(?=couple)|a\s+(?:half|quarter)\b\s*)?"
    rf"(?:\b(?:{'|'.join(_TENS)}|{_SCALE}|couple|half|quarter)\b"
    rf"(?:{_AND}(?=(?:{_WORDS}|{_SCALE}|half|quarter)\b))?"
    rf"|\b(?:{_ONES})\b(?:{_AND}(?=(?:{_SCALE}|half|quarter)\b))?)+"  # no sum: "two six-sided"
    rf"(?:\s+point(?:\s+(?:{_WORDS}))+)?(?:\s+percent|\s+per cent)?)|\b(?:{_ORDS})\b"
    r"|\bonce\b|\btwice\b|\bthrice\b|\bsingle\b|\bpair\b",
    re.IGNORECASE,
)
_PART_OF = {"third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_PARTS = re.compile(
    rf"\b(?:(?P<whole>{_WORDS})\s+and\s+)?(?P<over>an?|{_WORDS})[\s-]"
    rf"(?P<part>(?:{'|'.join(_PART_OF)})s?)\b(?!\s+of\s+an?\b)",
    re.IGNORECASE,
)
_FIXED = {"once": 1.0, "twice": 2.0, "thrice": 3.0, "single": 1.0, "pair": 2.0}
_ARTICLE = re.compile(
    r"\b(an?)\s+(?!half|couple|quarter|dozen|hundred|few|lot)(\w+)", re.IGNORECASE
)
_NEXT_WORD = re.compile(r"[\s-]*([A-Za-z]+)")

# unit -> (dimension, factor to the dimension's base unit)
_MEASURES: dict[str, tuple[str, float]] = {}
for _dimension, _table in {
    "time": "second sec s 1, minute min mins 60, hour hr hrs h 3600, day 86400, week 604800",
    "span": "month 1, year yr annum 12, quarter 3",
    "length": "millimeter mm 0.001, centimeter cm 0.01, meter metre m 1, kilometer kilometre km "
    "1000, mile mi 1609.344, foot feet ft 0.3048, inch inches 0.0254, yard 0.9144",
    "mass": "gram gramme g 1, kilogram kilo kg 1000, tonne ton 1000000, pound lb lbs 453.59237, "
    "ounce oz 28.349523",
    "volume": "milliliter millilitre ml 0.001, liter litre l 1",
    "data": "kilobyte kb 0.001, megabyte mb 1, gigabyte gb 1000, terabyte tb 1000000",
    "money": "cent 0.01, dollar euro pound usd eur 1",
}.items():
    for _entry in _table.split(","):
        *_names, _factor = _entry.split()
        for _name in _names:
            _MEASURES[_name] = _MEASURES[_name + "s"] = (_dimension, float(_factor))
_BASE_NAMES: dict[str, list[tuple[str, float]]] = {}
for _name, (_dimension, _value) in _MEASURES.items():
    if len(_name) > 2 and not _name.endswith("s"):
        _BASE_NAMES.setdefault(_dimension, []).append((_name, _value))


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a text mentions.

    Attributes:
        values: its possible readings: (value, strength from 0 to 1).
        unit: the word after it in lower case, or "" if there is none.
        converted: the same amount in other units: (value, unit).
    """

    start: int
    end: int
    values: tuple[tuple[float, float], ...]
    unit: str = ""
    converted: tuple[tuple[float, str], ...] = ()


def is_measure(unit: str) -> bool:
    """Whether a word is a unit of time, length, mass, volume, data or money."""
    return unit in _MEASURES


def find_numbers(text: str) -> list[Number]:
    """Return the numbers that `text` mentions, by position, and after them the sums ("5 ft 10 in").

    The article "a" counts as a weak 1.
    """
    found = [*_fractions(text)]
    for reader in (_parts, _dice, _digits, _spelled, _articles):
        taken = [(number.start, number.end) for number in found]
        found += [
            number
            for number in reader(text)
            if not any(number.start < end and start < number.end for start, end in taken)
        ]
    measured = sorted((_with_unit(n, text) for n in found), key=lambda n: (n.start, n.end))
    return measured + list(_sums(measured, text))


def with_commas(found: list[Number], text: str) -> list[Number]:
    """Add the numbers of `text` with decimal commas or grouping points: 12,5 and 1.450,00.

    A number with a decimal comma replaces those in `found` that begin inside it.
    """
    more = []
    for match in _COMMAS.finditer(text):
        whole = float(re.sub(r"\D", "", match[1]) + (match[2] or "").replace(",", "."))
        sure = bool(match[2])
        more.append(Number(match.start(), match.end(), ((whole, 1.0),)))
        found = [n for n in found if not (sure and match.start() <= n.start < match.end())]
    return sorted([*found, *more], key=lambda n: (n.start, n.end))


_COMMAS = re.compile(
    r"(?<![\w.,])(\d{1,3}(?:[.’'\u00a0\u202f ]\d{3})+|\d+(?=,\d))(,\d{1,2}|,\d{4,})?(?![\w])"
    r"(?![.,]\d)"
)


def _sums(found: list[Number], text: str) -> Iterator[Number]:
    """Yield compound amounts as one: "5 ft 10 in", "an hour and 20 minutes"."""
    for one, two in pairwise(found):
        first, second = _MEASURES.get(one.unit), _MEASURES.get(two.unit)
        if not first or not second or first[0] != second[0] or first[1] <= second[1]:
            continue
        if not _JOIN.fullmatch(text[one.end : two.start]):
            continue
        amount = one.values[0][0] * first[1] + two.values[0][0] * second[1]
        sums = [(round(amount / factor, 6), name) for name, factor in _BASE_NAMES[first[0]]]
        yield Number(one.start, two.end, (), "", tuple(sums))


_JOIN = re.compile(r"[\s-]*[A-Za-z]+[\s,]*(?:and\s+)?")


def _digits(text: str) -> Iterator[Number]:
    for match in _DIGITS.finditer(text):
        value = float(match["number"].replace(",", ""))
        sign = -1.0 if match["sign"] else 1.0
        if match["percent"]:
            values = [(value, 1.0), (round(value / 100, 10), 1.0)]
        elif match["scale"]:
            values = [(value * _scale(match["scale"]), 1.0), (value, weights.READ_BARE_SCALE)]
        elif match["short"]:
            factor = _SHORT_SCALES.get(match["short"], 1e6)
            metres = match["short"] == "m"
            bare = weights.READ_METRES if metres else weights.READ_BARE_SCALE
            values = [(value * factor, 1.0), (value, bare)]
        else:
            values = [(value, 1.0)]
        if "," in match["number"] and "." not in match["number"]:
            values += [(float(part), weights.READ_GROUP) for part in match["number"].split(",")]
        yield Number(
            match.start(), match.end(), tuple((sign * v, strength) for v, strength in values)
        )


def _fractions(text: str) -> Iterator[Number]:
    for match in _FRACTION.finditer(text):
        whole, over, under = (float(part or 0) for part in match.groups())
        if under:
            values = (
                (round(whole + over / under, 10), weights.READ_FRACTION),
                (over, weights.READ_FRACTION_PART),
                (under, weights.READ_FRACTION_PART),
            )
            yield Number(match.start(), match.end(), values)


def _dice(text: str) -> Iterator[Number]:
    """Yield the number of sides of a die: 20 for "d20"."""
    for match in _DIE.finditer(text):
        yield Number(match.start(), match.end(), ((float(match[1]), weights.READ_DIE),))


def _parts(text: str) -> Iterator[Number]:
    """Yield fractions in words: "three quarters", "one and two thirds", "a fifth"."""
    for match in _PARTS.finditer(text):
        whole = _read_words(match["whole"].lower()) if match["whole"] else 0.0
        over = _read_words(match["over"].lower()) or 1.0
        value = round((whole or 0.0) + over / _PART_OF[match["part"].lower().rstrip("s")], 10)
        strength = 1.0 if match["part"].lower().endswith("s") else weights.READ_ONE_PART
        percent = round(100 * value, 8)
        values = ((value, strength), (percent, weights.READ_PART_PERCENT))
        yield Number(match.start(), match.end(), values)


def _spelled(text: str) -> Iterator[Number]:
    for match in _SPELLED.finditer(text):
        said = match[0].lower()
        if said in _FIXED:
            yield Number(match.start(), match.end(), ((_FIXED[said], weights.READ_FIXED),))
            continue
        if said in _ORDINALS:
            strength = weights.READ_SECOND if said == "second" else weights.READ_ORDINAL
            yield Number(match.start(), match.end(), ((float(_ORDINALS[said]), strength),))
            continue
        value = _read_words(said)
        if value is None:
            continue
        alone = said in ("one", "half", "quarter", "hundred", "thousand")
        values = [(value, weights.READ_ALONE if alone else 1.0)]
        if "percent" in said or "per cent" in said:
            values.append((round(value / 100, 10), 1.0))
        end = match.end()
        if said in ("half", "quarter") and (of := re.match(r"\s+(?:of\s+)?an?\b", text[end:])):
            end += of.end()
        if tail := re.match(r"\s+\w+\s+and\s+a\s+(half|quarter)\b", text[end:], re.IGNORECASE):
            part = 0.5 if tail[1].lower() == "half" else 0.25
            values = [(value + part, 1.0), (value, weights.READ_WITHOUT_HALF)]
        yield Number(match.start(), end, tuple(values))


def _articles(text: str) -> Iterator[Number]:
    """Yield the "a" in "a week" as a weak 1, or as 1.5 if "and a half" follows."""
    for match in _ARTICLE.finditer(text):
        tail = re.match(r"\s+and\s+a\s+(half|quarter)\b", text[match.end() :], re.IGNORECASE)
        if tail:
            value = 1.5 if tail[1].lower() == "half" else 1.25
            yield Number(match.start(), match.end(1), ((value, 1.0),))
        elif match[2].lower() in _MEASURES:
            yield Number(match.start(), match.end(1), ((1.0, weights.READ_ARTICLE_UNIT),))
        else:
            yield Number(match.start(), match.end(1), ((1.0, weights.READ_ARTICLE),))


def _read_words(said: str) -> float | None:
    """Return the number that words say ("two hundred and fifty", "half a million"), or None."""
    sign = -1.0 if re.match(r"minus|negative", said) else 1.0
    words = re.findall(r"[a-z]+", said)
    total, part, seen = 0.0, 0.0, False
    words = [w for w in words if w not in ("minus", "negative", "percent", "per", "cent", "of")]
    if "point" in words:
        cut = words.index("point")
        head = _read_words(" ".join(words[:cut])) or 0.0
        decimals = "".join(str(_UNITS.get(word, _TENS.get(word, ""))) for word in words[cut + 1 :])
        return sign * float(f"{int(head)}.{decimals}") if decimals else None
    fraction = 0.0
    for index, word in enumerate(words):
        plain = word.rstrip("s") if word not in _UNITS | _TENS else word
        if word in _UNITS or word in _TENS:
            part += _UNITS.get(word, _TENS.get(word, 0))
            seen = True
        elif word == "couple":
            part, seen = 2.0, True
        elif word in ("half", "quarter"):
            share = 0.5 if word == "half" else 0.25
            following = words[index + 1 :]
            if seen or not any(w.rstrip("s") in _SCALES for w in following):
                fraction += share
            else:
                part = share
            seen = True
        elif plain in _SCALES:
            scale = _SCALES[plain]
            if plain == "hundred":
                part = (part or 1) * scale
            else:
                total += (part + fraction or 1) * scale
                part = fraction = 0.0
            seen = True
    return sign * (total + part + fraction) if seen else None


def _scale(word: str) -> float:
    return _SCALES[word.lower().rstrip("s")]


def _with_unit(number: Number, text: str) -> Number:
    match = _NEXT_WORD.match(text, number.end)
    if not match:
        return number
    unit = match[1].lower()
    converted: list[tuple[float, str]] = []
    if measure := _MEASURES.get(unit):
        dimension, factor = measure
        strong = max(number.values, key=lambda pair: pair[1])[0]
        for name, other in _BASE_NAMES.get(dimension, ()):
            if other != factor:
                converted.append((round(strong * factor / other, 6), name))
    return Number(number.start, number.end, number.values, unit, tuple(converted))
