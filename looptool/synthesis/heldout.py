"""Which of the user's own tools training must not know."""

from __future__ import annotations

from collections.abc import Sequence

from looptool.core import canonical
from looptool.core.tools import Tool

LEFT_OUT_FROM = 10  # tools of one's own from which on some are kept for the held-out split
_LEFT_OUT = 8  # one tool of so many


def known_to(split: str, tools: Sequence[Tool]) -> list[Tool]:
    """Return the user's tools that a split may be about.

    Held-out requests are about all of them, in wordings that training does not use; of ten tools
    and more, one in eight, by its name's hash, is left out of training altogether.
    """
    if split == "heldout" or len(tools) < LEFT_OUT_FROM:
        return list(tools)
    by_hash = sorted((tool["name"] for tool in tools), key=canonical.digest)
    left_out = set(by_hash[: len(tools) // _LEFT_OUT])
    return [tool for tool in tools if tool["name"] not in left_out]
