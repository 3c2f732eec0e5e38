"""Grounding: where the conversation states the value of an argument, and how surely."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looptool.core import canonical
from looptool.offline.rules import dates, weights
from looptool.offline.rules.conversation import Conversation
from looptool.offline.rules.languages import bare, joined, plain
from looptool.offline.rules.numbers import Number
from looptool.offline.rules.spans import Span, overlap
from looptool.offline.rules.words import (
    CODES,
    FIRST_CODES,
    MONTHS,
    NEGATIONS,
    SHARED_CODE_WORDS,
    STOPWORDS,
    content_stems,
    likeness,
    split_words,
    stem,
    word_set,
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the conversation states a value, and how surely (0–1)."""

    strength: float
    spans: tuple[Span, ...] = ()


NOWHERE = Ground(0.0)
_LIMITS = word_set("limits")
_PUNCTUATION = re.compile(r"[\W_]+")
_FILLERS = frozenset(map(stem, word_set("boolean_fillers")))


def ground(value: Any, schema: Mapping[str, Any], about: str, conversation: Conversation) -> Ground:
    """Return where `conversation` states `value`.

    Args:
        schema: the JSON Schema of the parameter.
        about: the parameter's name and description.
    """
    key = ("ground", canonical.dumps(value), about, "enum" in schema)
    if key not in conversation.memo:
        conversation.memo[key] = _ground(value, schema, about, conversation)
    return conversation.memo[key]


def _ground(
    value: Any, schema: Mapping[str, Any], about: str, conversation: Conversation
) -> Ground:
    """Return the ground of `ground` without the cache."""
    if isinstance(value, bool):
        return _ground_boolean(value, about, conversation)
    if isinstance(value, int | float):
        if abs(value) > 1e100:  # nobody says such numbers, and their products could overflow
            return NOWHERE
        return _ground_number(float(value), about, conversation)
    if isinstance(value, str):
        return _ground_text(value, schema, about, conversation)
    if isinstance(value, list):
        items = schema.get("items")
        inner = items if isinstance(items, Mapping) else {}
        return _together([ground(item, inner, about, conversation) for item in value])
    if isinstance(value, dict):
        properties = schema.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        return _together(
            [
                ground(
                    item,
                    known.get(name, {}),
                    f"{name} {known.get(name, {}).get('description', '')}",
                    conversation,
                )
                for name, item in value.items()
            ]
        )
    return Ground(weights.GROUND_EMPTY)


def _together(grounds: Sequence[Ground]) -> Ground:
    """Return the ground of a list or object from those of its items."""
    if not grounds:
        return Ground(weights.GROUND_EMPTY)
    weakest = min(ground.strength for ground in grounds)
    mean = sum(ground.strength for ground in grounds) / len(grounds)
    strength = weights.LIST_WEAKEST * weakest + weights.LIST_MEAN * mean
    return Ground(strength, tuple(span for ground in grounds for span in ground.spans))


def _ground_number(value: float, about: str, conversation: Conversation) -> Ground:
    """Find a number in digits or words, in another unit, or as part of a date or time."""
    words = frozenset(stem(word) for word in split_words(about))
    best = 0.0
    spans: list[Span] = []
    for number in conversation.numbers:
        strength = _number_strength(value, number, words, conversation)
        if strength > best + weights.NUMBER_TIED:
            spans = []
        if strength >= max(best - weights.NUMBER_TIED, weights.NUMBER_LEAST):
            spans.append((number.start, number.end))
            best = max(best, strength)
    if best > weights.SAID:
        return Ground(best, tuple(spans))
    for moment in [*conversation.times, *conversation.days]:
        hours = {float(minute // 60) for minute in moment.minutes}
        parts = {float(part) for day in moment.days for part in day if part is not None}
        if value in hours | parts:
            clear = len(moment.minutes) == 1
            strength = weights.HOUR_OR_DAY if clear else weights.HOUR_OR_DAY_UNCLEAR
            return Ground(max(best, strength), tuple(spans) or ((moment.start, moment.end),))
    if "month" in split_words(about) and best < weights.SAID:  # not a number of months
        months = [
            token
            for token in conversation.tokens
            if MONTHS.get(token.word) == value and conversation.text[token.start].isupper()
        ]
        if months:
            return Ground(weights.HOUR_OR_DAY, tuple((t.start, t.end) for t in months))
    return Ground(best, tuple(spans))


def _number_strength(
    value: float, number: Number, words: frozenset[str], conversation: Conversation
) -> float:
    """Return how surely a number of the conversation is `value`.

    Args:
        words: the stems of the parameter's name and description.
    """
    strength = max((s for reading, s in number.values if _close(reading, value)), default=0.0)
    if overlap([number.span], [day.span for day in conversation.days]):
        strength = min(strength, weights.NUMBER_IN_DATE)
    for time in conversation.times:
        if not time.weak and overlap([number.span], [time.span]):
            clear = len(time.minutes) == 1 and time.minutes != {round(60 * value)}
            most = weights.NUMBER_IN_CLEAR_TIME if clear else weights.NUMBER_IN_TIME
            strength = min(strength, most)
    if strength < weights.NUMBER_ALMOST and _just_beside(value, number, conversation):
        strength = weights.NUMBER_ALMOST
    for amount, unit in number.converted:
        if strength < weights.NUMBER_CONVERTED and _close(amount, value):
            named = stem(unit) in words
            converted = weights.NUMBER_CONVERTED if named else weights.NUMBER_CONVERTED_ODDLY
            strength = max(strength, converted)
    return strength


def _just_beside(value: float, number: Number, conversation: Conversation) -> bool:
    """Whether a number is the nearest that "less than five" or "over 10" allows: 4, 11."""
    if not any(abs(value - said) == 1.0 for said, strength in number.values if strength == 1.0):
        return False
    index = conversation.token_index(number.start)
    before = conversation.tokens[max(0, index - weights.LIMIT_WINDOW) : index]
    return any(token.word in _LIMITS for token in before)


def _close(left: float, right: float) -> bool:
    """Whether two numbers are equal but for rounding."""
    return abs(left - right) <= 1e-9 * max(1.0, abs(left), abs(right))


def _ground_boolean(value: bool, about: str, conversation: Conversation) -> Ground:
    """Find the topic of a boolean, and whether it is denied."""
    named = split_words(about.split(" ", 1)[0])
    denies = not NEGATIONS.isdisjoint(named)  # avoid_tolls
    words = {stem(word) for word in named if word not in NEGATIONS}
    cues = words - _FILLERS or words
    for index, token in enumerate(conversation.tokens):
        if conversation.role_at(token.start) == "system":
            continue
        if max((likeness(token.stem, cue) for cue in cues), default=0.0) >= weights.BOOLEAN_TOPIC:
            before = conversation.tokens[max(0, index - weights.NEGATION_WINDOW) : index]
            denied = any(t.word.replace("’", "'") in NEGATIONS for t in before)
            fits = (denied == denies) == value
            strength = weights.GROUND_NEGATION_FITS if fits else weights.GROUND_NEGATION_WRONG
            return Ground(strength, ((token.start, token.end),))
    return Ground(weights.GROUND_UNSAID_TRUE if value else weights.GROUND_UNSAID_FALSE)


def _ground_text(
    value: str, schema: Mapping[str, Any], about: str, conversation: Conversation
) -> Ground:
    """Find a text letter by letter, then as a date or number, then by its words."""
    said = plain(value.strip())
    if not said:
        return Ground(weights.GROUND_EMPTY)
    if spans := _verbatim(said.lower(), conversation):
        weak = len(said) > 1 and said.lower() in STOPWORDS and said.islower()
        return Ground(weights.GROUND_STOPWORD if weak else 1.0, spans)
    if spans := _nearly_verbatim(said.lower(), conversation):
        return Ground(weights.GROUND_NO_ACCENTS, spans)
    days, minutes = dates.read_value(said)
    if days or minutes:
        return _ground_moment(days, minutes, conversation)
    if re.fullmatch(r"[-+]?[\d,]{0,40}\.?\d{1,40}", said):
        other = _ground_number(float(said.replace(",", "")), about, conversation)
        return Ground(other.strength * weights.GROUND_DIGITS, other.spans)
    best = _ground_loosely(said, conversation)
    for other in (_ground_code(said, conversation), _ground_initials(said, conversation)):
        best = max(best, other, key=lambda g: g.strength)
    if "enum" in schema and best.strength < weights.CHOICE_SETTLED:
        best = max(best, _ground_choice(said, conversation), key=lambda g: g.strength)
    return best


def _nearly_verbatim(said: str, conversation: Conversation) -> tuple[Span, ...]:
    """Find a value that differs in accents only or, in another language, in affixes."""
    if conversation.foreign and (spans := _places(said, conversation.lower, inside=True)):
        return spans
    if said.isascii() and conversation.lower.isascii():
        return ()
    if "bare" not in conversation.memo:
        conversation.memo["bare"] = bare(conversation.lower)
    return _places(bare(said), conversation.memo["bare"])


def _verbatim(said: str, conversation: Conversation) -> tuple[Span, ...]:
    """Return where a text in lower case occurs letter by letter."""
    return _places(said, conversation.lower)


def _places(said: str, text: str, inside: bool = False) -> tuple[Span, ...]:
    """Return where a value occurs as whole words or, if `inside`, begins or ends a word."""
    spans = []
    if inside and (len(said) < (3 if said.isascii() else 2) or re.search(r"\d", said)):
        return ()
    start = text.find(said)
    while start >= 0:
        end = start + len(said)
        opens = start == 0 or not joined(text[start - 1], said[0])
        closes = end >= len(text) or not joined(said[-1], text[end])
        genitive = text[end : end + 2] in ("s ", "s.", "s,", "s?", "s\n")
        if (opens and (closes or genitive)) or (inside and (opens or closes)):
            spans.append((start, end))
        start = text.find(said, start + 1)
    return tuple(spans)


def _ground_moment(
    days: frozenset[dates.Day], minutes: frozenset[int], conversation: Conversation
) -> Ground:
    """Find a date, a time, or both."""
    strengths, spans = [], []
    if days:
        fits = [(dates.means(days, m.days, conversation.today), m) for m in conversation.days]
        best = max((fit for fit, _ in fits), default=0.0)
        strengths.append(best)
        spans += [m.span for fit, m in fits if fit == best and fit > weights.DAY_PLACE]
    if minutes:
        times = [m for m in conversation.times if m.minutes & minutes]
        midnight = bool(days) and minutes == frozenset({0})
        exact = any(len(m.minutes) == 1 for m in times)
        if times:
            strengths.append(1.0 if exact else weights.TIME_UNCLEAR)
        else:
            strengths.append(weights.TIME_MIDNIGHT if midnight else 0.0)
        spans += [m.span for m in times]
    return Ground(min(strengths), tuple(spans))


def _ground_loosely(said: str, conversation: Conversation) -> Ground:
    """Find the words of a value that does not occur verbatim."""
    words_said = _PUNCTUATION.sub(" ", said.lower()).split()
    spaced = conversation.memo.get("spaced")
    if spaced is None:
        spaced = " " + " ".join(t.word for t in conversation.tokens) + " "
        conversation.memo["spaced"] = spaced
    if f" {' '.join(words_said)} " in spaced:
        index = len(spaced[: spaced.index(f" {' '.join(words_said)} ")].split())
        tokens = conversation.tokens[index : index + len(words_said)]
        if tokens:
            return Ground(weights.GROUND_NO_PUNCTUATION, ((tokens[0].start, tokens[-1].end),))
    words = [word for word in split_words(said) if word not in STOPWORDS] or split_words(said)
    if not words:
        return NOWHERE
    by_stem: dict[str, list[Span]] = conversation.memo.get("by_stem") or {}
    if not by_stem:
        for token in conversation.tokens:
            by_stem.setdefault(token.stem, []).append((token.start, token.end))
        conversation.memo["by_stem"] = by_stem
    spans: list[Span] = []
    hits = 0.0
    for word in words:
        if occurrences := by_stem.get(stem(word)):
            hits += 1
            spans += occurrences
        elif len(word) < 20 and word.replace(".", "").isdecimal():
            number = _ground_number(float(word), "", conversation)
            hits += number.strength >= weights.SAID
            spans += number.spans
    share = hits / len(words)
    if not share:
        return NOWHERE
    if share == 1:
        short = len(words) == 1 and len(words[0]) <= weights.SHORT_WORD
        strength = weights.GROUND_ONE_SHORT_WORD if short else weights.GROUND_ALL_WORDS
        return Ground(strength, tuple(spans))
    places = tuple(spans) if share >= weights.SOME_WORDS_SHARE else ()
    return Ground(weights.GROUND_SOME_WORDS * share, places)


def _ground_code(said: str, conversation: Conversation) -> Ground:
    """Find "CAD" in "Canadian dollars"; "dollars" alone is weaker evidence."""
    words = CODES.get(said.lower().replace("-", "_"))
    if not words:
        return NOWHERE
    tokens = [token for token in conversation.tokens if token.word in words]
    if plain := [token for token in tokens if token.word not in SHARED_CODE_WORDS]:
        return Ground(weights.GROUND_CODE, tuple((token.start, token.end) for token in plain))
    first = any(FIRST_CODES[token.word] == said.lower() for token in tokens)
    strength = weights.GROUND_CODE if first else weights.GROUND_SHARED_CODE
    return Ground(strength, tuple((t.start, t.end) for t in tokens)) if tokens else NOWHERE


def _ground_initials(said: str, conversation: Conversation) -> Ground:
    """Find "UCL" in "University College London"."""
    if not 2 <= len(said) <= 5 or not said.isalpha():
        return NOWHERE
    tokens = conversation.tokens
    letters = conversation.memo.get("letters")
    if letters is None:
        letters = conversation.memo["letters"] = "".join(t.word[0] for t in tokens)
    at = letters.find(said.lower())
    if at < 0:
        return NOWHERE
    run = tokens[at : at + len(said)]
    if any(t.word in STOPWORDS for t in run) or any(len(t.word) < 3 for t in run):
        return NOWHERE
    return Ground(weights.GROUND_INITIALS, ((run[0].start, run[-1].end),))


def _ground_choice(said: str, conversation: Conversation) -> Ground:
    """Match the words of an enumerated value with similar words of the user or a tool."""
    stems = content_stems(said) or tuple(stem(word) for word in split_words(said))
    if not stems:
        return NOWHERE
    total, spans = 0.0, []
    for wanted in stems:
        best, span = 0.0, None
        for token in conversation.tokens:
            if conversation.role_at(token.start) in ("user", "tool"):
                like = likeness(wanted, token.stem)
                if like > best or (
                    like == best and like and conversation.in_request((token.start, token.end))
                ):
                    best, span = like, (token.start, token.end)
        total += best
        if span:
            spans.append(span)
    return Ground(weights.GROUND_CHOICE * total / len(stems), tuple(spans))
