"""ACEBench's overall score by the official formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from looptool.evaluation.acebench.rows import DIALOGUES, GROUPS, Group, Language, dialogue_of
from looptool.evaluation.acebench.scoring import BENCHMARK

WEIGHTS: dict[Group, float] = {"normal": 0.578, "special": 0.2676, "agent": 0.1545}
PLACES = 3  # the official runner rounds at each step, except in `special` categories


@dataclass(frozen=True, slots=True)
class Overall:
    """The official figures.

    Attributes:
        categories: accuracy of each category that was run; in `normal_multi_turn_*`, of whole
            dialogues, which are right if all their turns are.
        groups: unweighted mean over each group's categories, for groups that were run completely.
        overall: weighted sum of the groups; None if a category is missing.
        missing: categories that were not run.
    """

    categories: dict[str, float]
    groups: dict[Group, float]
    overall: float | None
    missing: tuple[str, ...]


def overall(
    evaluated: pl.DataFrame, language: Language, verdict: Literal["valid", "strict"] = "valid"
) -> Overall:
    """Compute the figures of one language, rounded as by the official runner.

    A category counts as run if any of its rows was. For a run with a limit, the same formula is
    applied to fewer rows.

    Args:
        evaluated: `tables.Eval`; rows of other benchmarks and languages are ignored.
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
