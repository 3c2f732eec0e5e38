"""Models that answer: one protocol, a registry, and generation that survives a kill.

An engine gets prompts as messages and tools, renders them by its own model's chat template, and
returns one completion a prompt, in order. `generate_resumable` is how stages call one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from looptool.samples import Message
from looptool.tools import Tool


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is put to a model: the messages so far and the tools on offer."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw tokens. Temperature 0 is greedy; `seed` fixes all other draws."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. `logprob` is the sum of log p of its tokens, the closing one included, under
    the model's own distribution (temperature 1), in nats."""

    text: str
    tokens: int
    logprob: float
    finish_reason: Literal["stop", "length"]


class Engine(Protocol):
    """A model that answers. `batch_size` is the number of prompts that it takes at once."""

    batch_size: int

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Return each rendered prompt's length in tokens."""
        ...

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """Return one completion a prompt, in the order of the prompts."""
        ...


def load(name: str, model: Path | str, batch_size: int, dtype: str) -> Engine:
    """Load the engine `name` (`transformers` or `replay`) on the model folder `model`."""
    if name == "replay":
        from looptool.engines.replay import FILE, ReplayEngine

        return ReplayEngine.load(FILE, batch_size)
    from looptool.engines.transformers import TransformersEngine

    return TransformersEngine.load(model, batch_size, dtype)


def generate_resumable(
    engine: Engine,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    scratch: Path,
    reach: Callable[[int], Any] = lambda count: None,
) -> list[Completion]:
    """Answer all prompts, keeping each finished batch in `scratch`.

    Batches are fixed by (length in tokens, position) before work starts, and a killed run goes on
    with the first batch that is not there: in bf16 an answer depends on its batch's make-up.

    Args:
        reach: called after each batch with the number of prompts done so far.
    """
    lengths = engine.count_tokens(prompts)
    order = sorted(range(len(prompts)), key=lambda index: (lengths[index], index))
    completions: dict[int, Completion] = {}
    for number, start in enumerate(range(0, len(order), engine.batch_size)):
        batch = order[start : start + engine.batch_size]
        path = scratch / f"batch-{number:05d}.json"
        if path.exists():
            done = [Completion(**item) for item in json.loads(path.read_text("utf-8"))]
        else:
            done = engine.generate(
                [prompts[index] for index in batch],
                replace(sampling, seed=sampling.seed + number),
            )
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps([asdict(item) for item in done]), "utf-8")
            os.replace(partial, path)
        completions.update(zip(batch, done, strict=True))
        reach(len(completions))
    return [completions[index] for index in range(len(prompts))]
