"""ACEBench's overall score by the official formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from looptool.evaluation.acebench.rows import DIALOGUES, GROUPS, Group, Language, dialogue_of
from looptool.evaluation.acebench.scoring import BENCHMARK

WEIGHTS: dict[Group, float] = {"normal": 0.578, "special": 0.2676, "agent": 0.1545}
PLACES = 3  # the official runner rounds at each step, but for the `special` categories


@dataclass(frozen=True, slots=True)
class Overall:
    """The official figures.

    Attributes:
        categories: the share that is right of each category that ran; of dialogues in
            `normal_multi_turn_*`, where all turns must be.
        groups: the plain mean of each group's categories, for groups that ran whole.
        overall: their weighted sum, or None.
        missing: the categories for want of which there is none.
    """

    categories: dict[str, float]
    groups: dict[Group, float]
    overall: float | None
    missing: tuple[str, ...]


def overall(
    evaluated: pl.DataFrame, language: Language, verdict: Literal["valid", "strict"] = "valid"
) -> Overall:
    """Return the figures of one language, rounded as the official runner does.

    A category counts as run if any of its rows did: of a run with a limit, the overall is the same
    formula over fewer rows.

    Args:
        evaluated: `tables.Eval`; rows of other benchmarks and languages are left out.
    """
    ours = evaluated.filter(
        (pl.col("benchmark") == BENCHMARK) & pl.col("id").str.starts_with(f"{language}/")
    )
    categories = {}
    for names in GROUPS.values():
        for category in names:
            part = ours.filter(pl.col("category") == category)
            if len(part):
                right = _right(part, verdict) if category in DIALOGUES else part[verdict].to_list()
                share = sum(right) / len(right)
                special = category in GROUPS["special"]
                categories[category] = share if special else round(share, PLACES)
    groups = {
        group: round(sum(categories[name] for name in names) / len(names), PLACES)
        for group, names in GROUPS.items()
        if all(name in categories for name in names)
    }
    missing = tuple(name for names in GROUPS.values() for name in names if name not in categories)
    total = None if missing else sum(WEIGHTS[group] * share for group, share in groups.items())
    return Overall(categories, groups, None if total is None else round(total, PLACES), missing)


def _right(turns: pl.DataFrame, verdict: str) -> list[bool]:
    dialogues: dict[str, bool] = {}
    for row_id, right in zip(turns["id"], turns[verdict], strict=True):
        dialogue = dialogue_of(row_id)
        dialogues[dialogue] = dialogues.get(dialogue, True) and right
    return list(dialogues.values())
