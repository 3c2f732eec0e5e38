"""The LLM expander: an error seed, what went wrong with it, and a scenario for something new."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from looptool.core.params import Expand
from looptool.core.samples import Label, Message, category_of
from looptool.core.tools import Tool
from looptool.engines.dialogues import ANSWER, TURN, messages_of
from looptool.engines.roles import Cast, Question, Role, load_template
from looptool.expansion import Candidate, ErrorSeed, Expander, Failure

SCHEMA = {
    "type": "object",
    "properties": {
        "messages": {"type": "array", "items": TURN, "minItems": 1, "maxItems": 12},
        "answer": ANSWER,
    },
    "required": ["messages", "answer"],
    "additionalProperties": False,
}


class LLMExpander:
    """An expander played by a large model. What it could not make stands in `failures`."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.name = f"llm:{role.model}"
        self.failures: list[Failure] = []

    def expand(self, seeds: Sequence[ErrorSeed], k: int, seed: str) -> list[Candidate]:
        """Return up to `k` candidates for each seed; see `Expander`."""
        asked = [(each, number) for each in seeds for number in range(k)]
        questions = [
            Question(
                each.sample_id,
                {
                    "tools": each.tools,
                    "messages": each.messages,
                    "wrong": each.wrong,
                    "right": each.label,
                    "analysis": each.rationale or f"failure type: {each.failure_type}",
                    "scenario": scenario(f"{seed}/{each.sample_id}/{number}"),
                },
                _sample,
            )
            for each, number in asked
        ]
        replies = self.role.ask(load_template("expansion", "expand"), questions, SCHEMA)
        candidates = []
        for (each, _), reply in zip(asked, replies, strict=True):
            if reply.value is None:
                self.failures.append(Failure(each, reply.error or ""))
                continue
            messages, label = reply.value
            system = [m for m in each.messages[:1] if m["role"] == "system"]
            candidates.append(
                Candidate(
                    each.sample_id,
                    each.tools,
                    [*system, *messages],
                    label,
                    category_of(
                        each.tools, messages, label, each.category if "text" in label else ""
                    ),
                    "llm",
                )
            )
        return candidates


def scenario(seed: str) -> dict[str, str]:
    """Return one entry of each list in data/scenarios.yaml."""
    rng = random.Random(f"scenario/{seed}")
    return {name: rng.choice(entries) for name, entries in _scenarios().items()}


def _sample(data: Any) -> tuple[list[Message], Label]:
    messages = messages_of(data["messages"])
    if messages[-1]["role"] == "assistant":
        raise ValueError("messages: the last one must be the user's or a tool's")
    return messages, data["answer"]


@lru_cache
def _scenarios() -> Mapping[str, Sequence[str]]:
    path = Path(__file__).parent / "data" / "scenarios.yaml"
    scenarios: Mapping[str, Sequence[str]] = YAML(typ="safe", pure=True).load(path)
    return scenarios


def make_expander(settings: Expand, cast: Cast, own: Sequence[Tool]) -> Expander:
    """Return the expander of this name in params; see `expansion.make_expander`."""
    return LLMExpander(cast.play(settings, settings.model))
