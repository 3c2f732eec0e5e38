"""The unit of the rules judge's evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from looptool.offline.rules.answers import Answer


@dataclass(frozen=True, slots=True)
class Fault:
    """One piece of evidence against an answer.

    Attributes:
        side: the answer's side.
        weight: how heavily it weighs, roughly in units of log odds.
        reason: for a person.
        hard: whether the answer is plainly wrong by this alone, whatever the other says.
    """

    side: str
    weight: float
    reason: str
    hard: bool = False


def balance(
    left: Answer, right: Answer, advantage: float, reasons: tuple[str, str]
) -> Iterator[Fault]:
    """Turn the advantage of `left` into a fault of the other side."""
    if advantage > 0.05:
        yield Fault(right.side, advantage, reasons[1])
    elif advantage < -0.05:
        yield Fault(left.side, -advantage, reasons[0])
