"""Evidence against answers to a request that is not in English.

Schemas, and values that occur verbatim, can be checked in every language. Everything else needs a
reader of the language: translations, inflections, numbers in words, dates, which tool is meant and
how often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from looptool.offline.rules import weights
from looptool.offline.rules.answers import Answer, Leaf, fresh, pairs
from looptool.offline.rules.conversation import Conversation
from looptool.offline.rules.evidence import Fault
from looptool.offline.rules.languages import alike
from looptool.offline.rules.words import keyed

# The factors of words after a number in many languages: dozens, hours, thousands, 万, …
_FACTORS = {7, 12, 24, 30, 60, 3600, *(10**power for power in (2, 3, 4, 6, 8, 9))}
_NUMBERS = {int(value): words for value, words in keyed("other_numbers")}


def compare(left: Answer, right: Answer) -> Iterator[Fault]:
    """Yield the faults of two answers, by which of their values are in the conversation."""
    for i, j in pairs(left, right):
        if i is None or j is None:
            answer, index, other = (left, i, right) if j is None else (right, j, left)
            yield from _extra_call(answer, index or 0, other)
        elif left.calls[i].name == right.calls[j].name:
            ones = {leaf.path: leaf for leaf in left.leaves[i]}
            twos = {leaf.path: leaf for leaf in right.leaves[j]}
            for path in sorted(ones.keys() | twos.keys()):
                one, two = ones.get(path), twos.get(path)
                if one is None and two is not None:
                    yield from _extra_argument(two, left)
                elif two is None and one is not None:
                    yield from _extra_argument(one, right)
                elif one is not None and two is not None and one.text != two.text:
                    yield from _changed(left, one, right, two)
                    yield from _changed(right, two, left, one)


def _extra_call(answer: Answer, index: int, other: Answer) -> Iterator[Fault]:
    """Yield a fault of `other` if it lacks a call for a value of the request."""
    if answer.calls[index].name in {call.name for call in other.calls}:
        for leaf in answer.leaves[index]:
            if _is_news(leaf, other):
                reason = f"makes no call for {leaf}, which is in the conversation"
                yield Fault(other.side, weights.FOREIGN_CALL_MISSING, reason)
                return


def _extra_argument(leaf: Leaf, other: Answer) -> Iterator[Fault]:
    """Yield a fault of `other` if it lacks an argument that the request gives."""
    if not leaf.required and leaf.kind not in ("boolean", "enum") and _is_news(leaf, other):
        reason = f"leaves out {leaf}, which is in the conversation"
        yield Fault(other.side, weights.FOREIGN_ARGUMENT_LEFT_OUT, reason)


def _is_news(leaf: Leaf, other: Answer) -> bool:
    """Whether a value is in the last request or after it, and the other answer does not use it."""
    spans = leaf.ground.spans
    stands = leaf.ground.strength >= weights.STANDS and fresh(spans, other.conversation)
    return stands and not other.uses(spans)


def _changed(said: Answer, one: Leaf, other: Answer, two: Leaf) -> Iterator[Fault]:
    """Yield a fault if only `one` is in the conversation and `two` is not another form of it."""
    there = one.ground.strength >= weights.STANDS and two.ground.strength < weights.ABSENT
    if not there or one.kind == "boolean":
        return
    if one.kind == two.kind == "number":
        unclear = _may_be_meant(one.value, two.value, said.conversation) or any(
            _has_number(leaf, one.value)
            for answer, call in ((said, one.call), (other, two.call))
            for leaf in answer.leaves[call]
            if leaf.path != one.path
        )
    else:
        unclear = not re.search(r"\d", one.text) and alike(str(one.value), str(two.value))
    if not unclear:
        reason = f"gives {two}, which is not in the conversation, but {one} is"
        yield Fault(other.side, weights.FOREIGN_VALUE, reason)


def _may_be_meant(said: float, value: float, conversation: Conversation) -> bool:
    """Whether `value` may be derived from `said`, or be in the conversation in words."""
    if value - said == 12 or any(value == said * f or said == value * f for f in _FACTORS):
        return True
    words = {token.word for token in conversation.tokens}
    return any(
        word in words or (not word.isascii() and len(word) == 1 and word in conversation.text)
        for word in _NUMBERS.get(int(value), ())
    )


def _has_number(leaf: Leaf, value: float) -> bool:
    """Whether an argument contains a number: in a date, or as an hour in 12-hour notation."""
    parts = [float(part) for part in re.findall(r"\d{1,9}", leaf.text)]
    return any(part in (value, value + 12) for part in parts)
