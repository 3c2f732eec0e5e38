"""Spans of a text."""

from __future__ import annotations

from collections.abc import Collection, Iterable

Span = tuple[int, int]
"""Where a part of a text starts, and where it ends: the index after its last character."""


def overlap(ones: Iterable[Span], others: Collection[Span]) -> bool:
    """Whether one of some spans overlaps with one of the others."""
    return any(a < end and start < b for a, b in ones for start, end in others)
