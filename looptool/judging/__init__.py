"""Judgement-guided label verification (JGLV): the `Judge` protocol, verdicts and the registry.

A judge sees the tools, the conversation and the two answers. It never sees the true label or who
wrote the sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from looptool.core.params import Verify, name_of
from looptool.core.registry import load
from looptool.core.samples import Label, Message, Verdict
from looptool.core.tools import Tool
from looptool.engines.roles import Cast


@dataclass(frozen=True)
class Case:
    """A sample whose prediction does not match its label.

    Attributes:
        label: the data set's current label.
        prediction: the model's answer, or None if it could not be parsed.
    """

    tools: Sequence[Tool]
    messages: Sequence[Message]
    label: Label
    prediction: Label | None


@dataclass(frozen=True)
class Opinion:
    """One judge's verdict on one case.

    Attributes:
        rationale: the reason, for human readers.
        confidence: from 0 to 1.
    """

    verdict: Verdict
    rationale: str
    confidence: float


class Judge(Protocol):
    """Compares the label and the prediction of mismatches, and admits or refuses new samples."""

    name: str

    def compare(self, cases: Sequence[Case]) -> list[Opinion]:
        """Return one opinion per case, in order."""
        ...

    def admit(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[str | None]:
        """Return None for each sound (tools, messages, label), else the reason it is refused."""
        ...


JUDGES: Mapping[str, str] = {
    "rules": "looptool.offline.rules.judge:make_judge",
    "llm": "looptool.judging.llm:make_judge",
}
"""Factories `(settings, cast) -> Judge`, by their names in `verify.judges`."""


def make_judges(settings: Verify, cast: Cast) -> list[Judge]:
    """Return the judges of `verify.judges`: built-in ones and instances of the user's classes.

    Raises:
        ConfigError: if a class that is named as `package.module:name` does not exist.
    """
    return [
        load(JUDGES[name])(judge, cast)
        if (name := name_of(judge)) in JUDGES
        else load(name, f"verify.judges.{place}")()
        for place, judge in enumerate(settings.judges)
    ]
