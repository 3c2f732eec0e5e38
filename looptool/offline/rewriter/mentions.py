"""Where a conversation says a value, so that another can be said in its place.

A mention is a place where a known value is written in some form. Writing a new value there in the
same form keeps the user's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looptool.english.forms import Form, forms_of
from looptool.english.lists import needs_an

_SCALE = r"(?!\s(?:hundred|thousand|million|billion|dozen)\b)"


@dataclass(frozen=True, slots=True)
class Mention:
    """A value as it was said.

    Attributes:
        text: the index of the text.
        start, end: where it is in the text.
        form: the form in which it is written.
    """

    text: int
    start: int
    end: int
    form: Form


def locate(value: Any, texts: Sequence[str]) -> list[Mention]:
    """Return the mentions of `value` in `texts`.

    They do not overlap; longer forms of the value take precedence.
    """
    mentions: list[Mention] = []
    for form, said in _sayings(value):
        holding = [place for place, text in enumerate(texts) if said in text]
        if not holding:
            continue
        pattern = _pattern(said)
        for place in holding:
            for match in pattern.finditer(texts[place]):
                mention = Mention(place, match.start(), match.end(), form)
                if not any(overlap(mention, other) for other in mentions):
                    mentions.append(mention)
    return mentions


def overlap(left: Mention, right: Mention) -> bool:
    """Whether two mentions share a character."""
    return left.text == right.text and left.start < right.end and right.start < left.end


def rewrite(texts: Sequence[str], changes: Sequence[tuple[Mention, str]]) -> list[str]:
    """Return `texts` with each mention replaced; an "a" or "an" before it is corrected.

    Args:
        changes: (mention, the text that replaces it).
    """
    result = list(texts)
    for mention, said in sorted(changes, key=lambda change: -change[0].start):
        text = result[mention.text]
        before = text[: mention.start]
        if article := re.search(r"\b([Aa])n?( |-)$", before):
            before = before[: article.start()] + article[1] + "n" * needs_an(said) + article[2]
        result[mention.text] = before + said + text[mention.end :]
    return result


def _sayings(value: Any) -> Iterator[tuple[Form, str]]:
    """Yield (form, text) for each way to say `value`, the longest text first."""
    said: Mapping[str, Form] = {
        text: form for form in reversed(forms_of(value)) if (text := form(value))
    }
    for text in sorted(said, key=lambda text: (-len(text), text)):
        yield said[text], text


def _pattern(said: str) -> re.Pattern[str]:
    """Return the pattern that finds a text where it is not a part of a longer word or number."""
    body = re.escape(said)
    if said[0].isdigit() or said[0] == "-":
        # Not inside another number, date or time; a unit may follow directly ("5kg", "5%").
        before = r"(?<![\w.,:/+-])"
        after = r"(?![.,:/-]?\d|[kKMB]\b|(?:st|nd|rd|th|[ap]m)\b)"
        if not said[-1].isdigit():
            after = r"(?!\w)"
        elif not said.replace(",", "").replace(".", "").lstrip("-").isdigit():
            after = r"(?!\w|[.:/-]\d)"
        return re.compile(before + body + after + _SCALE)
    return re.compile(rf"(?<![\w-]){body}(?![\w]|-\w)" + _SCALE)
