"""Models that answer: what all engines share.

An engine gets prompts as messages and tools, renders them by its own model's chat template, and
returns one completion a prompt, in order. `answering` loads engines and is how stages ask them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from looptool.core.samples import Message
from looptool.core.tools import Tool


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is put to a model: the messages so far and the tools on offer."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw tokens. Temperature 0 is greedy; `seed` fixes all other draws.

    Attributes:
        schema: a JSON Schema that the answer must keep to, for engines that can enforce one. The
            others write freely, so whoever asks checks the answer in any case.
        logprobs: whether `Completion.logprob` is wanted.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    schema: Mapping[str, Any] | None = None
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer, or why there is none.

    Attributes:
        tokens: how many the model wrote, the closing one included.
        logprob: the sum of log p of these tokens under the model's own distribution (temperature
            1), in nats; None where it was not asked for or the engine cannot tell.
        finish_reason: `stop`, `length`; `refused` where the prompt itself cannot be answered (too
            long, say), so that asking again is of no use; `failed` where the machine is to blame.
        error: what was wrong, for these last two.
    """

    text: str
    tokens: int
    logprob: float | None
    finish_reason: Literal["stop", "length", "refused", "failed"]
    error: str | None = None


Arrived = Callable[[Sequence[tuple[int, Completion]]], None]
"""Takes (place of the prompt, its completion) of each group of answers as it comes in."""


class Engine(Protocol):
    """A model that answers.

    Attributes:
        identity: all that an answer depends on beside prompt and sampling: model, settings.
        independent: whether an answer is as good whatever other prompts are asked with it, so that
            it may be reused wherever the same is asked.
    """

    @property
    def identity(self) -> str: ...

    @property
    def independent(self) -> bool: ...

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        """Return one completion a prompt, in the order of the prompts.

        Args:
            arrived: called with every group of answers as soon as it is there. What it raises
                ends the work, as Ctrl-C does: nothing more is asked.
        """
        ...
