"""Inference engines: the interface that all of them share.

An engine takes prompts as messages and tools, renders them with the chat template of its model, and
returns one completion per prompt, in order. Stages load and call engines through `answering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from looptool.core import canonical
from looptool.core.answers import read_answer
from looptool.core.calls import Parsed
from looptool.core.samples import Message
from looptool.core.tools import Tool

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Prompt:
    """The input of a model: the messages so far and the tools on offer."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()


def prompts_of(samples: pl.DataFrame) -> list[Prompt]:
    """Return the prompt of each row of `tables.Samples`."""
    return [
        Prompt(canonical.loads(messages), canonical.loads(tools))
        for messages, tools in samples.select("messages", "tools").rows()
    ]


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters. Temperature 0 is greedy; at other temperatures `seed` fixes the draws.

    Attributes:
        schema: a JSON Schema for the answer. Not every engine can enforce it, so the caller must
            check the answer anyway.
        logprobs: whether to return `Completion.logprob`.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    schema: Mapping[str, Any] | None = None
    logprobs: bool = False


@dataclass(frozen=True)
class Completion:
    """One answer, or why there is none.

    Attributes:
        text: the answer as the model wrote it, without the end of its turn. Lone surrogates, which
            no table can hold, become question marks.
        tokens: the number of generated tokens, including the end token.
        logprob: the sum of log p of these tokens under the model's own distribution (temperature
            1), in nats; None if not requested or not available from the engine.
        finish_reason: `stop` or `length`; `refused` if the prompt cannot be answered (too long, for
            example), so that retrying is useless; `failed` if the machine or server is at fault.
        error: the reason for `refused` or `failed`.
        read: the calls, text, thinking and error that the engine found; None if `text` is still to
            be read as Hermes.
    """

    text: str
    tokens: int
    logprob: float | None
    finish_reason: Literal["stop", "length", "refused", "failed"]
    error: str | None = None
    read: Parsed | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", without_surrogates(self.text))

    @cached_property
    def answer(self) -> Parsed:
        """The calls, text, thinking and error of the answer."""
        if self.error is not None:
            return Parsed((), "", "", f"no answer: {self.error}")
        return read_answer(self.text) if self.read is None else self.read

    @property
    def error_type(self) -> Literal["refused"] | None:
        """`refused` if the prompt cannot be answered, else None."""
        return "refused" if self.finish_reason == "refused" else None


def without_surrogates(text: str) -> str:
    """Return a text with question marks for lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


Arrived = Callable[[Sequence[tuple[int, Completion]]], None]
"""Called with (index of the prompt, completion) pairs for each group of answers that arrives."""


class Engine(Protocol):
    """A model that answers prompts.

    Attributes:
        identity: everything that an answer depends on except prompt and sampling: model, settings.
        independent: whether an answer does not depend on the other prompts of the call, so that it
            can be reused for the same prompt anywhere.
    """

    @property
    def identity(self) -> str: ...

    @property
    def independent(self) -> bool: ...

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        """Return one completion per prompt, in the order of the prompts.

        Args:
            arrived: called with each group of answers as soon as it arrives. If it raises, the
                engine stops and raises the same exception.
        """
        ...
