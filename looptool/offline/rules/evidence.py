"""The rules judge's unit of evidence: a fault of one answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from looptool.offline.rules import weights
from looptool.offline.rules.answers import Answer


@dataclass(frozen=True, slots=True)
class Fault:
    """One piece of evidence against an answer.

    Attributes:
        side: `label` or `prediction`: the answer that it speaks against.
        weight: the strength of the evidence, roughly in log odds.
        reason: the explanation, for human readers.
        hard: whether this alone shows that the answer is wrong, whatever the other answer is.
    """

    side: str
    weight: float
    reason: str
    hard: bool = False


def limited(weight: float, most: float) -> float:
    """Return a weight, limited to `most` in either direction."""
    return max(-most, min(most, weight))


def balance(
    left: Answer, right: Answer, advantage: float, reasons: tuple[str, str]
) -> Iterator[Fault]:
    """Yield a fault of the weaker answer, or nothing if the two are about equal.

    Args:
        advantage: how much better `left` is, roughly in log odds; negative if `right` is better.
        reasons: the fault's reason if it is the left answer's, and if it is the right answer's.
    """
    if advantage > weights.ABOUT_EQUAL:
        yield Fault(right.side, advantage, reasons[1])
    elif advantage < -weights.ABOUT_EQUAL:
        yield Fault(left.side, -advantage, reasons[0])
