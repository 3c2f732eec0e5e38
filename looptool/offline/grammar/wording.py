"""Parameters in words. A *phrase* is a value with its preposition or its parameter's word."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from looptool.core.samples import Message
from looptool.english.dates import read_system_date, without_on
from looptool.english.lists import needs_an
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.speech import Voice, surface
from looptool.offline.grammar.trees import Kind, for_split

_STOPS = re.compile(r"([.?!])\.(?=\s|$)")
_HELDOUT_SHARE = 0.6
_CLAUSAL = frozenset(
    ["where", "when", "if", "given", "assuming", "supposing", "taking", "counting"]
)
_SHARED = frozenset(["with", "using", "given", "where", "when", "if"])
_PREPOSITIONS = frozenset(
    [
        "in",
        "on",
        "at",
        "for",
        "from",
        "to",
        "with",
        "of",
        "by",
        "near",
        "about",
        "until",
        "under",
        "over",
        "after",
        "during",
        "within",
        "without",
        "into",
        "around",
        "through",
        "across",
        "saying",
        "called",
        "named",
        "titled",
        "starting",
        "between",
        "that",
    ]
)


def today_of(messages: Sequence[Message]) -> dt.date | None:
    """Return the date that a system message gives, or None."""
    for message in messages:
        if message.get("role") == "system" and (
            day := read_system_date(message.get("content") or "")
        ):
            return day
    return None


def phrase(
    slot: Slot,
    value: Any,
    rng: random.Random,
    split: str = "train",
    today: dt.date | None = None,
    *,
    voice: Voice | None = None,
) -> str:
    """Return a value with its preposition or word; with a capital it is a sentence of its own."""
    voice = voice or Voice(rng, split, today)
    text = wording(slot, value, voice)
    said = "" if "{v}" not in text else surface(slot, value, rng, voice=voice)
    if "{word}" not in text:
        return text.replace("{v}", said)
    return worded(text, slot.word, said)


def wording(slot: Slot, value: Any, voice: Voice) -> str:
    """Choose a wording of the slot's kind; similar parameters of a request share one.

    If a parameter has wordings of its own, or another of the same kind beside it, only those of its
    kind's wordings are used that name it. "for {v}" alone would not tell which of the two is meant.
    """
    named = slot.kind.draw in voice.doubled
    heldout = voice.split == "heldout" and voice.rng.random() < _HELDOUT_SHARE
    options = for_split(_wordings(slot.kind, value is False, named, heldout), voice.split)
    if slot.kind.group == "measured":
        return str(voice.keep(f"say:{slot.kind.name}:{heldout}", options))
    return voice.rng.choice(options)


@cache
def _wordings(kind: Kind, denied: bool, named: bool, heldout: bool) -> tuple[str, ...]:
    """Return the wordings to choose from; see `wording`."""
    preferred = kind.leaf_deny if denied else kind.leaf_say
    shared = kind.deny if denied else kind.say
    if heldout:
        shared = kind.deny_heldout if denied else kind.heldout
    if preferred or named:
        shared = tuple(text for text in shared if "{word}" in text)
    if kind.options.get("strict") or (heldout and not shared):
        shared = ()
    if heldout and shared:
        return shared
    return (*preferred, *preferred, *shared) or ("with the {word} {v}",)


@lru_cache(maxsize=65536)
def worded(text: str, word: str, said: str) -> str:
    """Fill in {word} and {v}; "a" becomes "an" before a vowel."""
    if needs_an(word) and "a {word}" in text:
        text = re.sub(r"\ba \{word\}", "an {word}", text)
    if not word.endswith("s"):
        text = text.replace("{word} are ", "{word} is ")
    return text.replace("{word}", word).replace("{v}", said)


def attach(core: str, phrases: Sequence[str]) -> tuple[str, list[str]]:
    """Append phrases to a clause.

    Returns:
        The clause, and the phrases that are sentences of their own.
    """
    sentences = [text for text in phrases if text[-1] in ".!?" and text[:1].isupper()]
    clauses = [text for text in phrases if text not in sentences]
    clauses.sort(key=_weight)
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


def _weight(text: str) -> int:
    """Return a phrase's rank in a clause: prepositions, phrases with a comma, then clauses."""
    first = text.partition(" ")[0]
    return 0 if first in _PREPOSITIONS or text[0] == "(" else 2 if first in _CLAUSAL else 1


def tidy(text: str) -> str:
    """Repair a request where parts were joined: "on next Friday", "at 6 p.m.."."""
    return _STOPS.sub(r"\1", without_on(text))
