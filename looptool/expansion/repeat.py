"""Error seeds once more, as they are: the paper's ablation of expansion by repetition.

sample_id is unique in a data set, so an exact copy cannot stand beside its original. A repetition
therefore differs in what carries no meaning: the order of the tools and the full stops that end
descriptions. Every word, every value and the label stay.
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
    """Repeats each error seed up to k times."""

    name = "repeat"
    failures: Sequence[Failure] = ()

    def expand(self, seeds: Sequence[ErrorSeed], k: int, seed: str) -> list[Candidate]:
        """Return up to `k` repetitions of each seed: fewer where no more can be told apart."""
        return [candidate for each in seeds for candidate in _repeat(each, k, seed)]


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
    """Return `tool` with a full stop added to, or taken from, some of its descriptions."""
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
    """Return the expander of this name in params; see `expansion.make_expander`."""
    return RepeatExpander()
