"""Words of a request that say how often something is asked for: "twice", "3x", "two rolls"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from looptool.offline.rules import weights
from looptool.offline.rules.conversation import Conversation, Token
from looptool.offline.rules.numbers import Number
from looptool.offline.rules.spans import overlap
from looptool.offline.rules.units import find_unit
from looptool.offline.rules.words import STOPWORDS, keyed, word_set


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that give a number of times, or a number of things that may take one call each.

    Attributes:
        wanted: the number, or None if it is open ("a few times").
        times: whether it counts times.
        again: whether it is "again" or the like, which asks for one more call, equal or not.
        nouns: what it may count: (plural, singular) of the plurals after it.
        goes_on: whether it may count the same things as an earlier number.
    """

    start: int
    end: int
    wanted: int | None
    times: bool
    again: bool = False
    nouns: tuple[tuple[str, str], ...] = ()
    goes_on: bool = False


QUALIFIERS = word_set("before_counted")
"""Words that may stand between a number and what it counts."""

_TIMES = re.compile(r"(?:\s+of)?(?:\s+(?:(more)|separate|different))?\s+times?\b")
_CROSS = re.compile(
    r"(?<![\w.])(?:(\d{1,4})\s?x(?!\w)|(?:×\s?|x)(\d{1,4})(?!\w)|(\d{1,4})\s?×)(?!\s*[=\d])"
)
_UNIT = re.compile(r"\s*([a-z]+)")
_BOTH = re.compile(r"\bboth times\b")
_AGAIN = re.compile(
    r"\b(?:again|repeat|another (?:one|time)|(?:once|one) (?:more|again)|a second time)\b"
)
_JOINED = re.compile(r"(?:\b(?:and|then)\b|,)(?:\s+[\w'’-]+){0,6}?\s+$")
# "three times a day", "twice as long", "2 times 7"
_NO_COUNT = re.compile(
    r"\s*(?:a|an|per|for (?:each|every)|you|we|all|every|each (?=second|minute|hour|day|week|month)"
    r"|daily|weekly|monthly|yearly|as|the|its|\d|\w+er than|more than|bigger|faster|speed|zoom)\b"
)
_PAST = re.compile(
    r"(?:\b(?:have|has|had)|['’]ve)\s+(?:(?:already|now|just|also)\s+)?"
    r"(?:\w+ed|been|done|seen|gone|made|told|sent)\b"
    r"|\b(?:i|we|they|he|she)\s+(?:(?!need)\w+ed|went|was|were|did|rang|sent)\b"
    r"|\b(?:already|ago|yesterday)\b"
)
_SENTENCE_END = re.compile(r"[.;!?\n]")
_GOES_ON = word_set("after_count")
_SINGULARS = {word: one for one, words in keyed("plurals") for word in words}
_ENDINGS = (("ies", "y"), ("shes", "sh"), ("ches", "ch"), ("sses", "ss"), ("xes", "x"))
_ORDINALS = word_set("ordinals")


def find_cues(conversation: Conversation) -> list[Cue]:
    """Return the cues of the user's unanswered messages, by position."""
    if "cues" not in conversation.memo:
        numbered = [
            *filter(None, (_number_cue(number, conversation) for number in conversation.numbers)),
            *_crosses(conversation),
        ]
        if not any(cue.times for cue in numbered):
            numbered += _repetitions(conversation)
        conversation.memo["cues"] = sorted(numbered, key=lambda cue: cue.start)
    return conversation.memo["cues"]


def many_times(conversation: Conversation) -> bool:
    """Whether the unanswered messages say "times" without a number, as in "many times"."""
    return any(
        token.word == "times" and conversation.is_pending(token.start)
        for token in conversation.tokens
    ) and not any(_TIMES.match(conversation.lower, n.end) for n in conversation.numbers)


def singular(word: str) -> str | None:
    """Return the singular of a word that looks like a plural, or None."""
    if word in _SINGULARS:
        return _SINGULARS[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return None
    for ending, instead in _ENDINGS:
        if word.endswith(ending):
            return word[: -len(ending)] + instead
    return word[:-1]


def _number_cue(number: Number, conversation: Conversation) -> Cue | None:
    """Return the cue that a number is, or None."""
    wanted = _whole(number)
    if wanted is None or not conversation.is_pending(number.start):
        return None
    times = _TIMES.match(conversation.lower, number.end)
    if times or conversation.lower[number.start : number.end] in ("once", "twice", "thrice"):
        return _times_cue(number, wanted, times, conversation)
    if wanted == 1 or _is_no_count(number, conversation):
        return None
    return _things_cue(number, wanted, conversation)


def _times_cue(
    number: Number, wanted: int, times: re.Match[str] | None, conversation: Conversation
) -> Cue | None:
    """Return the cue for a number of times, or None for "once more" and for reports of the past."""
    text = conversation.lower
    if _AGAIN.match(text, number.start) or _is_past(text, number.start):
        return None
    end = times.end() if times else number.end
    more = times is not None and times[1] and not _goes_before(conversation)
    is_open = more or _NO_COUNT.match(text, end)
    if is_open and text[number.start : number.end] == "once":
        return None
    return Cue(number.start, end, None if is_open else wanted, True)


def _things_cue(number: Number, wanted: int, conversation: Conversation) -> Cue | None:
    """Return the cue for a number of things, or None if it can count nothing."""
    first = conversation.token_index(number.end)
    behind = conversation.tokens[first : first + 5]
    goes_on = bool(behind) and behind[0].word in _GOES_ON
    nouns = tuple(_nouns(behind, number.end, conversation.text))
    if not nouns and not goes_on and not conversation.text[number.start].isalpha():
        return None
    return Cue(number.start, number.end, wanted, False, nouns=nouns, goes_on=goes_on)


def _nouns(behind: list[Token], end: int, text: str) -> Iterator[tuple[str, str]]:
    """Yield (plural, singular) of the plurals in the phrase after a number that ends at `end`."""
    for token in behind:
        if re.search(r"[.,;:!?\n]", text[end : token.start]) or (
            token.word in STOPWORDS and token.word not in QUALIFIERS
        ):
            return
        end = token.end
        if token.word not in QUALIFIERS and (one := singular(token.word)):
            yield token.word, one


def _crosses(conversation: Conversation) -> Iterator[Cue]:
    """Yield the cues for "3x" and "x3"."""
    text = conversation.lower
    for match in _CROSS.finditer(text, conversation.pending):
        unit = _UNIT.match(text, match.end(), match.end() + 12)
        if conversation.is_pending(match.start()) and not (unit and find_unit(unit[1])):
            wanted = int(match[1] or match[2] or match[3])
            is_open = _NO_COUNT.match(text, match.end())
            yield Cue(*match.span(), None if is_open else wanted, True)


def _repetitions(conversation: Conversation) -> Iterator[Cue]:
    """Yield the cues for "both times" and "again"."""
    text, start = conversation.lower, conversation.pending
    for match in _BOTH.finditer(text, start):
        yield Cue(*match.span(), 2, True)
    again = [m for m in _AGAIN.finditer(text, start) if conversation.is_pending(m.start())]
    for match in again:
        if _goes_before(conversation):
            wanted: int | None = 1
        else:  # "ring it and then again" asks for two calls; "ring it again" leaves it open
            joined = _JOINED.search(text, max(start, match.start() - 80), match.start())
            wanted = 1 + len(again) if joined else None
        yield Cue(*match.span(), wanted, True, again=True)


def _goes_before(conversation: Conversation) -> bool:
    """Whether something was answered or called before the unanswered messages."""
    return conversation.pending > 0 and any(
        role == "assistant" for start, _, role in conversation.parts if start < conversation.pending
    )


def _whole(number: Number) -> int | None:
    """Return the value of a number that is surely a whole number above 0, or None."""
    value, strength = max(number.values, key=lambda pair: pair[1], default=(0.0, 0.0))
    whole = strength >= weights.SAID and value == int(value) and value > 0
    return int(value) if whole else None


def _is_past(text: str, start: int) -> bool:
    """Whether the sentence is about the past, up to `start`."""
    begins = max((m.end() for m in _SENTENCE_END.finditer(text, 0, start)), default=0)
    return _PAST.search(text, begins, start) is not None


def _is_no_count(number: Number, conversation: Conversation) -> bool:
    """Whether a number is a date, time, rank, share or measure, and therefore counts nothing."""
    text = conversation.lower[number.start : number.end]
    moments = [*conversation.days, *(m for m in conversation.times if not m.weak)]
    return (
        len(number.values) > 1
        or find_unit(number.unit) is not None
        or text in _ORDINALS
        or re.search(r"\d(?:st|nd|rd|th)$|[$€£¥%]", text) is not None
        or overlap([number.span], [moment.span for moment in moments])
    )
