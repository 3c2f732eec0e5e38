"""Judgement-guided label verification (JGLV): the `Judge` protocol, verdicts and the registry.

A judge sees the tools, the conversation and the two answers. It never sees the true label or who
wrote the sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from looptool.core.params import Verify
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
    "rules": "looptool.offline.rules.judge:make_judges",
    "llm": "looptool.judging.llm:make_judges",
}
"""Factories `(settings, cast) -> list[Judge]`, by their names in `verify.judges`."""


def make_judges(settings: Verify, cast: Cast) -> list[Judge]:
    """Return the judges that `verify.judges` names: one for `rules`, one per model for `llm`, and
    an instance of each class that is named as `package.module:name`.

    Raises:
        ConfigError: if such a class does not exist.
    """
    judges: list[Judge] = []
    for place, name in enumerate(settings.judges):
        if name in JUDGES:
            judges += load(JUDGES[name])(settings.judge, cast)
        else:
            judges.append(load(name, f"verify.judges.{place}")())
    return judges
