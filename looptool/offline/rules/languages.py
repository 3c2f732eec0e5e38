"""Scripts and languages: normalising text, and telling whether a text is English."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher

from looptool.offline.rules import weights
from looptool.offline.rules.words import STOPWORDS, word_set

# Scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana and Chinese characters.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
)
_NO_SPACE = re.compile(f"[{_UNSPACED}]")
_KOREAN = "\uac00-\ud7af"
_MEETS = re.compile(
    f"(?<=[{_UNSPACED}{_KOREAN}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[{_UNSPACED}{_KOREAN}])"
)
# Leaves out characters that NFKC would distort: it turns "1½" into 11⁄2 and m² into m2.
_COMPOSED = re.compile(r"[^²³¹¼-¾…´¨¯¸⁰-₟⅐-↉]+")
_LATIN = re.compile(r"[A-Za-zÀ-ɏḀ-ỿ]")
_WORDS = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|「[^」]*」|«[^»]*»")
_CHUNK = re.compile(r"(?<!\S)[^\s\d@/\\_]+(?!\S)")  # leaves out addresses, paths and codes
# The function words in names like "Rio de Janeiro" say nothing about the language of the text.
_LONG_NAMES = re.compile(r"\b[A-Z][\w’'-]* (?:de|du|des|la|le|les|el|da|di|del|al) (?=[A-Z])")

_ENGLISH = STOPWORDS.union(
    *map(word_set, ("synonyms", "roles", "numbers", "tens", "ordinals", "calendar", "pale"))
)
_SHARED = word_set("shared_words")
_OTHERS = word_set("other_languages")


def plain(text: str) -> str:
    """Normalise a text by NFKC: full-width digits become digits, combining accents are composed.

    A space is inserted where Korean or a script without spaces meets Latin letters or digits.
    """
    if text.isascii():
        return text
    composed = _COMPOSED.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text)
    return _MEETS.sub(" ", composed).replace("İ", "I")  # the only letter that lower() makes longer


def bare(text: str) -> str:
    """Return a text without the accents of Latin letters; its length stays the same."""
    if text.isascii():
        return text
    return "".join(unicodedata.normalize("NFD", c)[0] if c < "\u0250" else c for c in text)


def joined(left: str, right: str) -> bool:
    """Whether two adjacent characters belong to one word; never in scripts without spaces."""
    return left.isalnum() and right.isalnum() and not _NO_SPACE.search(left + right)


def is_foreign(text: str) -> bool:
    """Whether a text is not English, judged by its scripts and function words.

    This is a cautious stand-in for language identification. A text without evidence either way
    counts as English, unless it has many different words and none is a known English word.
    """
    said = " ".join(_CHUNK.findall(_QUOTED.sub(" ", text)))
    words = _WORDS.findall(_LONG_NAMES.sub(" ", said))
    latin = [word for word in words if _LATIN.match(word)]
    lower = [w.lower() if i == 0 else w for i, w in enumerate(latin) if i == 0 or w[0].islower()]
    english = sum(word in _ENGLISH and word not in _SHARED for word in lower)
    other = sum(word in _OTHERS or not word.isascii() for word in lower) + said.count("¿")
    letters = [word for word in words if not _LATIN.match(word) and len(word) > 1]
    other += sum(len(word) // 2 if _NO_SPACE.match(word) else 1 for word in letters)
    unknown = len(set(lower)) >= weights.LANGUAGE_WORDS and _ENGLISH.isdisjoint(lower)
    return other > english or unknown


def alike(one: str, two: str) -> bool:
    """Whether two texts may be one value in different forms or languages.

    This is so if most of their letters agree, or if they are in different scripts.
    """
    a, b = (bare(plain(text).casefold()) for text in (one, two))
    if _scripts(a).isdisjoint(_scripts(b)):
        return True
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= weights.ALIKE


def _scripts(text: str) -> set[str]:
    """Return the names of the scripts of a text's letters."""
    return {unicodedata.name(c, "?").split()[0] for c in text if c.isalpha()}
