"""Differences between two answers that leave both of them correct."""

from __future__ import annotations

import re

from looptool.offline.rules import dates, weights
from looptool.offline.rules.answers import Answer, Leaf, pairs
from looptool.offline.rules.faults import states_default

_FORMAT = re.compile(r"yyyy|iso|format|dd|hh|pattern|e\.g", re.IGNORECASE)


def both_fine(left: Answer, right: Answer) -> bool:
    """Whether two answers differ only in ways that plainly do not matter.

    These are an optional argument at its stated default, the letter case or outer punctuation of a
    free text, and the format of a date if the tool leaves it open.
    """
    if len(left.calls) != len(right.calls) or not left.calls:
        return False
    for i, j in pairs(left, right):
        if i is None or j is None or left.calls[i].name != right.calls[j].name:
            return False
        ones = {leaf.path: leaf for leaf in left.leaves[i]}
        twos = {leaf.path: leaf for leaf in right.leaves[j]}
        for path in ones.keys() ^ twos.keys():
            leaf = ones.get(path) or twos[path]
            if leaf.required or not states_default(leaf.schema, leaf.value):
                return False
        for path in ones.keys() & twos.keys():
            if ones[path].text != twos[path].text and not _same(ones[path], twos[path]):
                return False
    return True


def _same(one: Leaf, two: Leaf) -> bool:
    """Whether two values are forms of one text or date."""
    a, b = one.value, two.value
    if not isinstance(a, str) or not isinstance(b, str):
        return False
    if {"enum", "pattern", "format"} & one.schema.keys():
        return False
    if min(one.ground.strength, two.ground.strength) < weights.HARMLESS_STRENGTH:
        return False
    if a.casefold().strip(" .!?,\"'") == b.casefold().strip(" .!?,\"'"):
        return not re.search(r"\d", a)
    if _FORMAT.search(str(one.schema.get("description", ""))):
        return False
    read_a, read_b = dates.read_value(a), dates.read_value(b)
    return bool(read_a[0]) and read_a == read_b and len(read_a[0]) == 1
