"""The samples of the warm start: requests in groups that share their tools.

The tools are most of a prompt. Requests about the same tools are trained on in one row, which reads
the tools once (`training/scoring.py` does the same for the completions of a prompt).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from looptool.core.tools import Tool
from looptool.offline.grammar.author import SCENES, spread
from looptool.offline.grammar.shelves import Shelf, Trees
from looptool.offline.grammar.toolbox import Action, action_of
from looptool.offline.grammar.trees import rivals
from looptool.synthesis import Draft, Split
from looptool.warm_start.masking import mask

_TRIES = 20
# The categories of requests about one tool, and about several.
_ONE = ("single", "parallel", "irrelevant", "clarify", "multi_turn")
_SEVERAL = ("multiple", "parallel", "parallel_multiple", "irrelevant", "clarify", "multi_turn")


@dataclass(frozen=True)
class Offered:
    """A shelf with the tools of one group, all of which every request offers."""

    actions: tuple[Action, ...]
    chained: bool = False

    def pick(self, count: int, rng: random.Random, split: str) -> list[Action]:
        return rng.sample(self.actions, min(count, len(self.actions)))

    def others(
        self, tools: Sequence[Tool], count: int, rng: random.Random, split: str
    ) -> list[Tool]:
        taken = {tool["name"] for tool in tools}
        return [action.tool for action in self.actions if action.tool["name"] not in taken]

    def foreign(self, rng: random.Random, split: str) -> Action:
        leaves = {action.leaf.key for action in self.actions if action.leaf}
        close = leaves.union(*(rivals()[key] for key in leaves))
        while True:
            (action,) = Trees().pick(1, rng, split)
            if action.leaf and action.leaf.key not in close:
                return action


@dataclass(frozen=True)
class GroupAuthor:
    """An `Author` that writes several requests about the tools of each first one.

    Attributes:
        group_size: the number of requests about the same tools.
        masked: the share of groups whose names are masked.
    """

    group_size: int
    masked: float
    name: str = "grammar"
    portable: bool = True
    exact: bool = True

    def write(
        self, count: int, *, seed: str, split: Split, shares: Mapping[str, float]
    ) -> list[Draft]:
        """Return about `count` drafts, never more; see `Author.write`."""
        rng = random.Random(f"{self.name}:{seed}:{split}")
        left = Counter(spread(count, shares, rng))
        drafts: list[Draft] = []
        while any(value > 0 for value in left.values()):
            group = self._group(left, rng, split)
            drafts += mask(group, rng) if rng.random() < self.masked else group
        return drafts

    def _group(self, left: Counter[str], rng: random.Random, split: Split) -> list[Draft]:
        """Return drafts with the same tools, and take their categories off `left`."""
        first = _written(_drawn(left, rng), Trees(), rng, split)
        if first is None:
            return []
        left[first.category] -= 1
        group = [first]
        shelf = Offered(tuple(action_of(tool) for tool in first.tools))
        fitting = _ONE if len(first.tools) == 1 else _SEVERAL
        for _ in range(self.group_size - 1):
            possible = Counter({name: left[name] for name in fitting if left[name] > 0})
            if not possible:
                break
            category = _drawn(possible, rng)
            draft = _written(category, shelf, rng, split)
            left[category] -= 1
            if draft and {t["name"] for t in draft.tools} == {t["name"] for t in first.tools}:
                group.append(replace(draft, tools=first.tools))
        return group


def _drawn(left: Counter[str], rng: random.Random) -> str:
    """Return a category; its probability is proportional to the drafts that it still needs."""
    return rng.choices(list(left), weights=[max(0, value) for value in left.values()])[0]


def _written(category: str, shelf: Shelf, rng: random.Random, split: str) -> Draft | None:
    for _ in range(_TRIES):
        draft = SCENES[category](rng, split, shelf)
        if draft is not None and draft.category == category:
            return draft
    return None
