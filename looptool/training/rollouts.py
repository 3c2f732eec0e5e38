"""A record of the rollouts of a training: each answer, its reward, and the step that drew it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from looptool.core import canonical, tables
from looptool.training.rewards import Example

if TYPE_CHECKING:
    from looptool.training.objective import Group


def recorder(scratch: Path, examples: Sequence[Example]) -> Callable[[int, Sequence[Group]], None]:
    """Return a function that writes the groups of one step to the folder `rollouts` in `scratch`.

    One file holds one step, so a training that was killed and resumes writes a step anew.
    """

    def record(step: int, groups: Sequence[Group]) -> None:
        rows = []
        numbers: Counter[str] = Counter()
        for group in groups:
            example = examples[group.number]
            for place, answer in enumerate(group.answers, start=1):
                rows.append(
                    {
                        "sample_id": example.sample_id,
                        "step": step,
                        "number": numbers[example.sample_id],
                        "completion": answer.text,
                        "reward": answer.reward,
                        "parts": canonical.dumps(dict(answer.parts)),
                        "tokens": len(answer.ids),
                        "origin": example.origin,
                        "anchored": group.anchored and place == len(group.answers),
                    }
                )
                numbers[example.sample_id] += 1
        frame = tables.frame(tables.Rollouts, rows)
        tables.write(frame, tables.Rollouts, scratch / "rollouts" / f"{step}.parquet")

    return record


def recorded(scratch: Path) -> pl.DataFrame:
    """Return all rollouts that `recorder` wrote, as `tables.Rollouts`."""
    files = sorted((scratch / "rollouts").glob("*.parquet"))
    return pl.concat([tables.read(file, tables.Rollouts) for file in files])
