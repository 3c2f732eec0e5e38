"""English words for the rules judge: splitting, stemming, synonyms, cue words, codes.

The word lists are in english.yaml.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from looptool.core.packaged import read_yaml
from looptool.offline.rules import weights

_WORD = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?|[^\x00-\x7f\W]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_ENGLISH: dict[str, str] = read_yaml(__package__, "english.yaml")


def lines(name: str) -> list[list[str]]:
    """Return the words of each line of a list in english.yaml."""
    return [line.split() for line in _ENGLISH[name].splitlines() if line.strip()]


def word_set(name: str) -> frozenset[str]:
    """Return all words of a list in english.yaml."""
    return frozenset(_ENGLISH[name].split())


def ranked(name: str, start: int) -> dict[str, int]:
    """Return the rank of each word of a list in english.yaml, counted from `start`."""
    return {word: rank for rank, word in enumerate(_ENGLISH[name].split(), start)}


def keyed(name: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield (text before the colon, words after it) for each line of a list in english.yaml."""
    for line in _ENGLISH[name].splitlines():
        key, _, words = line.partition(":")
        yield key.strip(), frozenset(words.split())


STOPWORDS = word_set("stopwords")
NEGATIONS = word_set("negations")


def split_words(text: str) -> list[str]:
    """Split a text or an identifier (snake_case, camelCase, dotted) into lower-case words."""
    return [word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text))]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a crude stem: the same for a verb, its forms and most nouns derived from it."""
    word = word.lower().replace("'s", "")
    if len(word) <= 3 or word[0].isdigit():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: len(word) - len(ending)] + instead
            break
    if len(word) > 4 and word.endswith(("ate", "ion")):
        word = word[:-3]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "ey" else word


_ENDINGS = (
    ("ations", ""),
    ("ation", ""),
    ("ators", ""),
    ("ator", ""),
    ("ingly", ""),
    ("ments", ""),
    ("ment", ""),
    ("ities", ""),
    ("ity", ""),
    ("ings", ""),
    ("ing", ""),
    ("ated", ""),
    ("ates", ""),
    ("ies", "y"),
    ("ied", "y"),
    ("ions", ""),
    ("ion", ""),
    ("sses", "ss"),
    ("ers", ""),
    ("er", ""),
    ("ors", ""),
    ("ed", ""),
    ("es", ""),
    ("ly", ""),
    ("al", ""),
    ("s", ""),
)


@lru_cache(maxsize=65536)
def content_stems(text: str) -> tuple[str, ...]:
    """Return the stems of the words of `text` that are not stopwords, in order."""
    return tuple(stem(word) for word in split_words(text) if word not in STOPWORDS)


def _synonym_groups() -> dict[str, frozenset[int]]:
    """Return the numbers of the lines of synonyms that each stem is in."""
    groups: dict[str, set[int]] = {}
    for index, words in enumerate(lines("synonyms")):
        for word in words:
            groups.setdefault(stem(word), set()).add(index)
    return {word: frozenset(indices) for word, indices in groups.items()}


_GROUPS = _synonym_groups()


@lru_cache(maxsize=262144)
def likeness(left: str, right: str) -> float:
    """Return how similar in meaning two stems are, from 0 to 1.

    This is 1 for equal stems; else the first that applies of: synonyms, one begins with the other
    (four letters or more), the first five letters are the same.
    """
    if left == right:
        return 1.0
    if _GROUPS.get(left, frozenset()) & _GROUPS.get(right, frozenset()):
        return weights.LIKE_SYNONYM
    shorter = min(len(left), len(right))
    if shorter >= 4 and (left.startswith(right) or right.startswith(left)):
        return weights.LIKE_BEGINNING
    if shorter >= 5 and left[:5] == right[:5]:
        return weights.LIKE_FIVE_LETTERS
    return 0.0


@lru_cache(maxsize=16384)
def role_cues(name: str, description: str) -> frozenset[str]:
    """Return the function words (from, to, under, …) that announce a parameter's value.

    If the parameter's name says which end of a direction it is, such as origin or destination, the
    description is not asked for it. Stopwords in the description are ignored.
    """
    named = frozenset(stem(word) for word in split_words(name))
    described = frozenset(content_stems(description))
    announcing: set[str] = set()
    direction = next((i for i in (0, 1) if named & _CUES[i][0]), None)
    for index, (roles, cues) in enumerate(_CUES):
        if named & roles or (described & roles and (index > 1 or direction is None)):
            announcing |= cues
    return frozenset(announcing)


_CUES = tuple(
    (frozenset(stem(word) for word in roles.split()), cues) for roles, cues in keyed("roles")
)
MONTHS = {word: rank for rank, words in enumerate(lines("months"), 1) for word in words}
"""The number of each month by its name."""
CUE_WORDS = frozenset[str]().union(*(cues for _, cues in _CUES))
CODES: dict[str, frozenset[str]] = {}
for _code, _said in keyed("codes"):
    CODES[_code] = CODES.get(_code, frozenset()) | _said

_SAID_FOR = Counter(word for words in CODES.values() for word in words)
SHARED_CODE_WORDS = frozenset(word for word, count in _SAID_FOR.items() if count > 1)
"""Words that several codes share, such as "dollars"."""
FIRST_CODES = {
    shared: next(code for code, words in CODES.items() if shared in words)
    for shared in SHARED_CODE_WORDS
}
"""For each shared word the first code that lists it: the meaning of the word by itself."""
