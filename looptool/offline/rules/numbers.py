"""Numbers as people write them: digits, words, scales, percent, units."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from looptool.offline.rules import weights
from looptool.offline.rules.spans import Span, overlap
from looptool.offline.rules.units import conversions, find_unit
from looptool.offline.rules.words import ranked

_BELOW_TWENTY = ranked("numbers", 0)
_TENS = {word: 10 * count for word, count in ranked("tens", 2).items()}
_VALUES = _BELOW_TWENTY | _TENS
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

_WORDS = "|".join(sorted(_VALUES, key=len, reverse=True))
_ONES = "|".join(sorted(_BELOW_TWENTY, key=len, reverse=True))
_AND = r"(?:\s+and\s+(?:a\s+)?|[\s-]+|\s+of\s+)"
_ORDS = "|".join(sorted(_ORDINALS, key=len, reverse=True))
_SCALE = r"(?:hundred|thousand|million|billion|trillion|dozen|grand)s?"
_DIGITS = re.compile(
    r"(?<![\w.])(?P<sign>(?:minus|negative)\s+|[-−](?=[\d.$€£]))?(?:[$€£¥]\s?)?"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"(?:e(?P<exponent>[-+]?\d{1,2})(?!\w)|\s?[x×*]\s?10\^(?P<power>-?\d{1,2})(?!\w))?"
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
_SHARES = {"half": 0.5, "quarter": 0.25}
_AND_SHARE = re.compile(r"\s+and\s+a\s+(half|quarter)\b", re.IGNORECASE)
_UNIT_AND_SHARE = re.compile(r"\s+\w+\s+and\s+a\s+(half|quarter)\b", re.IGNORECASE)
_OF_A = re.compile(r"\s+(?:of\s+)?an?\b")
_OFTEN_NO_NUMBER = frozenset({"one", "half", "quarter", "hundred", "thousand"})
_NEXT_WORD = re.compile(r"[\s-]*([A-Za-z]+)")
_COMMAS = re.compile(
    r"(?<![\w.,])(\d{1,3}(?:[.’'\u00a0\u202f ]\d{3})+|\d+(?=,\d))(,\d{1,2}|,\d{4,})?(?![\w])"
    r"(?![.,]\d)"
)
_JOIN = re.compile(r"[\s-]*[A-Za-z]+[\s,]*(?:and\s+)?")


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

    @property
    def span(self) -> Span:
        """Return where the number is in the text."""
        return self.start, self.end


def find_numbers(text: str) -> list[Number]:
    """Return the numbers that `text` mentions, by position, and after them the sums.

    The sums are compound amounts, such as "5 feet 10 inches". The article "a" counts as a weak 1.
    Too many digits for a float are not a number.
    """
    numbers: list[Number] = []
    for reader in (_fractions, _parts, _dice, _digits, _spelled, _articles):
        taken = [number.span for number in numbers]
        numbers += [
            number
            for number in reader(text)
            if all(math.isfinite(value) for value, _ in number.values)
            and not overlap([number.span], taken)
        ]
    measured = sorted((_with_unit(n, text) for n in numbers), key=lambda n: (n.start, n.end))
    return measured + list(_sums(measured, text))


def with_commas(numbers: list[Number], text: str) -> list[Number]:
    """Add the numbers of `text` with decimal commas or grouping points: 12,5 and 1.450,00.

    A number with a decimal comma replaces those in `numbers` that begin inside it.
    """
    more = []
    for match in _COMMAS.finditer(text):
        whole = float(re.sub(r"\D", "", match[1]) + (match[2] or "").replace(",", "."))
        if math.isfinite(whole):
            more.append(Number(match.start(), match.end(), ((whole, 1.0),)))
        if match[2]:
            numbers = [n for n in numbers if not match.start() <= n.start < match.end()]
    return sorted([*numbers, *more], key=lambda n: (n.start, n.end))


def _sums(numbers: list[Number], text: str) -> Iterator[Number]:
    """Yield compound amounts as one: "5 feet 10 inches", "an hour and 20 minutes"."""
    for one, two in pairwise(numbers):
        large, small = find_unit(one.unit), find_unit(two.unit)
        if not large or not small or large.dimension != small.dimension:
            continue
        if large.size > small.size and _JOIN.fullmatch(text[one.end : two.start]):
            amount = one.values[0][0] * large.size + two.values[0][0] * small.size
            sums = ((value, name) for value, name, _ in conversions(amount, large.dimension))
            yield Number(one.start, two.end, (), "", tuple(sums))


def _digits(text: str) -> Iterator[Number]:
    """Yield numbers in digits, with what belongs to them: "-3", "$1,250", "5k", "7 %", "30th"."""
    for match in _DIGITS.finditer(text):
        exponent = match["exponent"] or match["power"] or "0"
        value = float(f"{match['number'].replace(',', '')}e{exponent}")
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
    """Yield fractions in digits: "3/4", "1 1/2"."""
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
    """Yield numbers in words: "twice", "third", "two hundred and fifty", "minus four"."""
    for match in _SPELLED.finditer(text):
        words = match[0].lower()
        if words in _FIXED:
            yield Number(match.start(), match.end(), ((_FIXED[words], weights.READ_FIXED),))
        elif words in _ORDINALS:
            strength = weights.READ_SECOND if words == "second" else weights.READ_ORDINAL
            yield Number(match.start(), match.end(), ((float(_ORDINALS[words]), strength),))
        elif (value := _read_words(words)) is not None:
            yield _cardinal(match, value, words)


def _cardinal(match: re.Match[str], value: float, words: str) -> Number:
    """Return the number for a cardinal in words, with "of a" or "… and a half" behind it."""
    text, end = match.string, match.end()
    values = [(value, weights.READ_ALONE if words in _OFTEN_NO_NUMBER else 1.0)]
    if "percent" in words or "per cent" in words:
        values.append((round(value / 100, 10), 1.0))
    if words in _SHARES and (of := _OF_A.match(text, end)):
        end = of.end()
    if tail := _UNIT_AND_SHARE.match(text, end):  # "two hours and a half"
        values = [
            (value + _SHARES[tail[1].lower()], 1.0),
            (value, weights.READ_WITHOUT_HALF),
        ]
    return Number(match.start(), end, tuple(values))


def _articles(text: str) -> Iterator[Number]:
    """Yield the "a" in "a week" as a weak 1, or as 1.5 if "and a half" follows."""
    for match in _ARTICLE.finditer(text):
        if tail := _AND_SHARE.match(text, match.end()):
            value, strength = 1 + _SHARES[tail[1].lower()], 1.0
        elif find_unit(match[2].lower()):
            value, strength = 1.0, weights.READ_ARTICLE_UNIT
        else:
            value, strength = 1.0, weights.READ_ARTICLE
        yield Number(match.start(), match.end(1), ((value, strength),))


def _read_words(text: str) -> float | None:
    """Return the number that words say ("two hundred and fifty", "half a million"), or None."""
    words = re.findall(r"[a-z]+", text)
    sign = -1.0 if words[:1] in (["minus"], ["negative"]) else 1.0
    if "point" in words:
        cut = words.index("point")
        whole = _read_whole(words[:cut]) or 0.0
        decimals = "".join(str(_VALUES.get(word, "")) for word in words[cut + 1 :])
        return sign * float(f"{int(whole)}.{decimals}") if decimals else None
    value = _read_whole(words)
    return None if value is None else sign * value


def _read_whole(words: list[str]) -> float | None:
    """Return the number that words say, without sign and decimals, or None.

    Words add up to a part, which "hundred" multiplies; a larger scale multiplies the part and ends
    it. A half counts for itself, or for the scale after it if it comes first ("half a million").
    """
    total = part = fraction = 0.0
    seen = False
    for index, word in enumerate(words):
        scale = _SCALES.get(word.rstrip("s"))
        if word in _VALUES:
            part += _VALUES[word]
        elif word == "couple":
            part = 2.0
        elif word in _SHARES:
            if seen or not any(later.rstrip("s") in _SCALES for later in words[index + 1 :]):
                fraction += _SHARES[word]
            else:
                part = _SHARES[word]
        elif word in ("hundred", "hundreds"):
            part = (part or 1) * _SCALES["hundred"]
        elif scale:
            total += (part + fraction or 1) * scale
            part = fraction = 0.0
        else:
            continue
        seen = True
    value = total + part + fraction
    return value if seen and math.isfinite(value) else None


def _scale(word: str) -> float:
    """Return the factor of a scale word such as "million" or "millions"."""
    return _SCALES[word.lower().rstrip("s")]


def _with_unit(number: Number, text: str) -> Number:
    """Return a number with the word after it and, if that is a unit, in the other units."""
    match = _NEXT_WORD.match(text, number.end)
    if not match:
        return number
    word = match[1].lower()
    converted: list[tuple[float, str]] = []
    if unit := find_unit(word):
        surest = max(number.values, key=lambda pair: pair[1])[0]
        converted = [
            (amount, name)
            for amount, name, other in conversions(surest * unit.size, unit.dimension)
            if other.size != unit.size
        ]
    return Number(number.start, number.end, number.values, word, tuple(converted))
