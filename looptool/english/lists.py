"""Lists and articles in English: "a, b and c", "an apple"."""

from __future__ import annotations

import re
from collections.abc import Sequence

_VOWEL = re.compile(r"(?!eu|one\b|once)[aeio]|(?!uni|uno|us|ur[ai])u|8|1[18]\b", re.IGNORECASE)


def coordinate(texts: Sequence[str], last: str = " and ") -> str:
    """Join texts as "a, b and c"."""
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + last + texts[-1]


def needs_an(text: str) -> bool:
    """Whether the text takes "an" instead of "a"."""
    return bool(_VOWEL.match(text))


def correct_articles(text: str) -> str:
    """Turn each "a" before a vowel into "an"."""
    return re.sub(r"\b([Aa]) (?=(\w+))", lambda m: f"{m[1]}{'n' * needs_an(m[2])} ", text)


def with_article(text: str) -> str:
    """Return the text with "a" or "an" before it."""
    return f"{'an' if needs_an(text) else 'a'} {text}"
