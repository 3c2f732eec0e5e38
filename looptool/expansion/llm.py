"""The LLM expander: writes new samples from an error seed, its error and a random scenario."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from looptool.core.packaged import read_yaml
from looptool.core.params import LLM, Expand
from looptool.core.samples import Label, Message, category_of
from looptool.core.tools import Tool
from looptool.engines.dialogues import ANSWER, TURN, messages_of, object_schema
from looptool.engines.roles import Cast, Question, Role, load_template
from looptool.expansion import Candidate, ErrorSeed, Expander, Failure

SCHEMA = object_schema(
    messages={"type": "array", "items": TURN, "minItems": 1, "maxItems": 12}, answer=ANSWER
)


class LLMExpander:
    """An expander that asks a large language model; `failures` holds its failed attempts."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.name = f"llm:{role.model}"
        self.failures: list[Failure] = []

    def expand(self, seeds: Sequence[ErrorSeed], k: int, seed: str) -> list[Candidate]:
        """Return up to `k` candidates for each seed; see `Expander`."""
        attempts = [(error_seed, number) for error_seed in seeds for number in range(k)]
        questions = [
            Question(
                error_seed.sample_id,
                {
                    "tools": error_seed.tools,
                    "messages": error_seed.messages,
                    "wrong": error_seed.wrong,
                    "right": error_seed.label,
                    "analysis": error_seed.rationale or f"error type: {error_seed.error_type}",
                    "scenario": scenario(f"{seed}/{error_seed.sample_id}/{number}"),
                },
                _sample,
            )
            for error_seed, number in attempts
        ]
        replies = self.role.ask(load_template("expansion", "expand"), questions, SCHEMA)
        candidates = []
        for (error_seed, _), reply in zip(attempts, replies, strict=True):
            if reply.value is None:
                self.failures.append(Failure(error_seed, reply.error or ""))
                continue
            messages, label = reply.value
            system = [m for m in error_seed.messages[:1] if m["role"] == "system"]
            known = error_seed.category if "text" in label else ""
            candidates.append(
                Candidate(
                    error_seed.sample_id,
                    error_seed.tools,
                    [*system, *messages],
                    label,
                    category_of(error_seed.tools, messages, label, known),
                    "llm",
                )
            )
        return candidates


def scenario(seed: str) -> dict[str, str]:
    """Return a random entry of each list in data/scenarios.yaml; `seed` determines the choice."""
    rng = random.Random(f"scenario/{seed}")
    return {name: rng.choice(entries) for name, entries in _scenarios().items()}


def _sample(data: Any) -> tuple[list[Message], Label]:
    messages = messages_of(data["messages"])
    if messages[-1]["role"] == "assistant":
        raise ValueError("messages: the last one must be the user's or a tool's")
    return messages, data["answer"]


@lru_cache
def _scenarios() -> Mapping[str, Sequence[str]]:
    scenarios: Mapping[str, Sequence[str]] = read_yaml(__package__, "data/scenarios.yaml")
    return scenarios


def make_expander(settings: Expand, cast: Cast, own: Sequence[Tool]) -> Expander:
    """Return the LLM expander; see `expansion.make_expander`."""
    assert isinstance(settings.expander, LLM)  # by the registry
    return LLMExpander(cast.play(settings.expander))
