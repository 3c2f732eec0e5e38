"""The rule-based expander: it keeps what was hard in an error seed and renews the rest."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looptool.core.params import Expand
from looptool.core.samples import Label, Message, category_of, sample_id
from looptool.core.tools import Tool
from looptool.engines.roles import Cast
from looptool.expansion import Candidate, ErrorSeed, Expander, Failure
from looptool.offline.rewriter.rewriting import (
    incomplete_request,
    other_request,
    other_tools,
    rewrite_request,
)
from looptool.offline.rewriter.substitution import substitute

Way = Callable[[ErrorSeed, random.Random], tuple[list[Message], Label] | None]

SUBSTITUTE: tuple[str, Way] = ("substitute", substitute)
REWRITE: tuple[str, Way] = ("rewrite", rewrite_request)
INCOMPLETE: tuple[str, Way] = ("incomplete", incomplete_request)
OTHER: tuple[str, Way] = ("other_request", other_request)
TRIES = 3

# In these failures the user's wording was hard, so the first attempt changes nothing but values.
HARD_IN_WORDS = ("missing_argument", "wrong_argument", "wrong_type", "extra_argument")


@dataclass(frozen=True)
class RewritingExpander:
    """Keeps what was hard in an error seed and changes the rest.

    Attributes:
        user_tools: the user's tools, from which the distractors then come too.
    """

    user_tools: Sequence[Tool] = ()
    name: str = field(default="rewriter", init=False)
    failures: Sequence[Failure] = field(default=(), init=False)

    def expand(self, seeds: Sequence[ErrorSeed], k: int, seed: str) -> list[Candidate]:
        """Return up to `k` candidates for each seed; see `Expander`."""
        return [
            made for error_seed in seeds for made in _expand(error_seed, k, seed, self.user_tools)
        ]


def _expand(seed: ErrorSeed, k: int, salt: str, user_tools: Sequence[Tool]) -> Iterator[Candidate]:
    """Yield up to `k` candidates for one seed."""
    if not all(isinstance(schema, Mapping) for tool in seed.tools for schema in _properties(tool)):
        return  # `true` is a schema too, but no value can be drawn from it
    ways = _ways(seed)
    rng = random.Random(f"expand/{salt}/{seed.sample_id}")
    seen = {seed.sample_id}
    for attempt in range(k * TRIES):
        how, way = ways[attempt % len(ways)]
        made = way(seed, rng)
        if made is None:
            continue
        messages, label = made
        tools = other_tools(seed, rng, user_tools)
        identity = sample_id(tools, messages)
        if identity not in seen:
            seen.add(identity)
            category = category_of(tools, messages, label, seed.category)
            yield Candidate(seed.sample_id, tools, messages, label, category, how)
        if len(seen) > k:
            return


def _properties(tool: Tool) -> Iterable[Any]:
    properties: Mapping[str, Any] = tool["parameters"].get("properties") or {}
    return properties.values()


def _ways(seed: ErrorSeed) -> list[tuple[str, Way]]:
    """Return the methods to try in turn for a failure of this type."""
    if "text" in seed.label:
        return [INCOMPLETE] if seed.category == "clarify" else [OTHER]
    if seed.category in ("multi_step", "multi_turn"):
        return [SUBSTITUTE]  # the label answers only a part of what the user says
    if seed.error_type in HARD_IN_WORDS:
        return [SUBSTITUTE, REWRITE]
    return [REWRITE, SUBSTITUTE]


def make_expander(settings: Expand, cast: Cast, user_tools: Sequence[Tool]) -> Expander:
    """Return the expander `rewriter`; see `expansion.make_expander`."""
    return RewritingExpander(user_tools)
