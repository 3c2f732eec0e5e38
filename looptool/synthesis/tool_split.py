"""Which of the user's own tools training may use, and which only the held-out split."""

from __future__ import annotations

from collections.abc import Sequence

from looptool.core import canonical
from looptool.core.tools import Tool

LEFT_OUT_FROM = 10  # number of own tools from which some are kept for the held-out split alone
_LEFT_OUT = 8  # one in this many tools is left out


def tools_of_split(split: str, tools: Sequence[Tool]) -> list[Tool]:
    """Return the user's tools that a split may use.

    The held-out split uses all of them, in wordings that training does not use. If there are ten
    tools or more, training leaves out one in eight, chosen by the hash of its name.
    """
    if split == "heldout" or len(tools) < LEFT_OUT_FROM:
        return list(tools)
    by_hash = sorted((tool["name"] for tool in tools), key=canonical.digest)
    left_out = set(by_hash[: len(tools) // _LEFT_OUT])
    return [tool for tool in tools if tool["name"] not in left_out]
