"""Repetition of error seeds: the paper's ablation of expansion.

sample_id is unique in a data set, so an exact copy cannot be added next to its original. A
repetition therefore changes only what carries no meaning: the order of the tools and the full stops
at the end of descriptions. All words, all values and the label stay the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from looptool.core.params import Expand
from looptool.core.samples import category_of, sample_id
from looptool.core.tools import Tool
from looptool.engines.roles import Cast
from looptool.expansion import Candidate, ErrorSeed, Expander, Failure

TRIES = 8


class RepeatExpander:
    """An expander that repeats each error seed up to k times."""

    name = "repeat"
    failures: Sequence[Failure] = ()

    def expand(self, seeds: Sequence[ErrorSeed], k: int, seed: str) -> list[Candidate]:
        """Return up to `k` repetitions of each seed, fewer if no more distinct ones are found."""
        return [candidate for error_seed in seeds for candidate in _repeat(error_seed, k, seed)]


def _repeat(seed: ErrorSeed, k: int, salt: str) -> Iterator[Candidate]:
    rng = random.Random(f"repeat/{salt}/{seed.sample_id}")
    seen = {seed.sample_id}
    for _ in range(k * TRIES):
        tools = [_dotted(tool, rng) for tool in rng.sample(seed.tools, len(seed.tools))]
        identity = sample_id(tools, seed.messages)
        if identity not in seen:
            seen.add(identity)
            category = category_of(tools, seed.messages, seed.label, seed.category)
            yield Candidate(seed.sample_id, tools, seed.messages, seed.label, category, "repeat")
        if len(seen) > k:
            return


def _dotted(tool: Tool, rng: random.Random) -> Tool:
    """Add or remove the final full stop of some of the tool's descriptions."""
    parameters = tool["parameters"]
    properties = {
        name: _toggled(schema, rng) for name, schema in parameters.get("properties", {}).items()
    }
    if properties:
        parameters = {**parameters, "properties": properties}
    dotted: Tool = _toggled({**tool, "parameters": parameters}, rng)
    return dotted


def _toggled(node: Any, rng: random.Random) -> Any:
    if not isinstance(node, dict) or rng.random() < 0.5:
        return node
    text = node.get("description")
    if not isinstance(text, str) or not text.strip():
        return node
    return {**node, "description": text[:-1] if text.endswith(".") else f"{text}."}


def make_expander(settings: Expand, cast: Cast, own: Sequence[Tool]) -> Expander:
    """Return the repeating expander; see `expansion.make_expander`."""
    return RepeatExpander()
