"""Where the grammar's tools come from: the two trees, or the user's own tools."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from looptool.core import canonical
from looptool.core.tools import Tool
from looptool.offline.grammar import planner
from looptool.offline.grammar.toolbox import Action, action_of, distractors
from looptool.synthesis.tool_split import tools_of_split


class Shelf(Protocol):
    """A source of tools.

    Attributes:
        chained: whether it has plans in which one call needs the response of another.
    """

    @property
    def chained(self) -> bool: ...

    def pick(self, count: int, rng: random.Random, split: str) -> list[Action]:
        """Return up to `count` different tools that a request of the split may be about."""
        ...

    def others(
        self, tools: Sequence[Tool], count: int, rng: random.Random, split: str
    ) -> list[Tool]:
        """Return up to `count` distractors for these tools, which cannot do what these do."""
        ...

    def foreign(self, rng: random.Random, split: str) -> Action:
        """Return a tool whose requests none of its `others` can answer."""
        ...


@dataclass(frozen=True)
class Trees:
    """Tools from paths through both trees."""

    chained: bool = True

    def pick(self, count: int, rng: random.Random, split: str) -> list[Action]:
        return planner.pick_actions(count, rng, split)

    def others(
        self, tools: Sequence[Tool], count: int, rng: random.Random, split: str
    ) -> list[Tool]:
        return distractors(tools, count, rng, split)

    def foreign(self, rng: random.Random, split: str) -> Action:
        return self.pick(1, rng, split)[0]


@dataclass(frozen=True)
class UserTools:
    """The user's tools, as canonical JSON; `tools_of_split` says which of them a split uses."""

    tools: tuple[str, ...]
    chained: bool = field(default=False, init=False)

    def pick(self, count: int, rng: random.Random, split: str) -> list[Action]:
        pool = _known(self.tools, split)
        return [_readable(text) for text in rng.sample(pool, min(count, len(pool)))]

    def others(
        self, tools: Sequence[Tool], count: int, rng: random.Random, split: str
    ) -> list[Tool]:
        taken = {tool["name"] for tool in tools}
        documents = map(canonical.loads, _known(self.tools, split))
        pool = [tool for tool in documents if tool["name"] not in taken]
        return rng.sample(pool, min(count, len(pool)))

    def foreign(self, rng: random.Random, split: str) -> Action:
        if len(_known(self.tools, split)) > 1 and rng.random() < 0.5:
            return self.pick(1, rng, split)[0]
        return Trees().foreign(rng, split)


@lru_cache(maxsize=8)
def _known(tools: tuple[str, ...], split: str) -> tuple[str, ...]:
    """Return the tools that a split uses."""
    return tuple(map(canonical.dumps, tools_of_split(split, list(map(canonical.loads, tools)))))


@lru_cache(maxsize=4096)
def _readable(text: str) -> Action:
    """Read a tool; optional parameters that nobody would say in words are left out."""
    action = action_of(canonical.loads(text))
    slots = {
        name: slot
        for name, slot in action.slots.items()
        if slot.required or _sayable(name, slot.schema)
    }
    return Action(action.tool, action.leaf, slots)


def _sayable(name: str, schema: Mapping[str, Any]) -> bool:
    """Whether a user would give a value of this parameter in words."""
    plain = {"string", "integer", "number", "boolean"}
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    items = schema.get("items")
    listed = "array" in kinds and isinstance(items, Mapping) and items.get("type") in plain
    return not name.startswith("_") and bool(plain & set(kinds) or listed or "enum" in schema)
