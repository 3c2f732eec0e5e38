"""Judges of label and prediction (JGLV): what a judge sees, what it says, and who can judge.

A judge sees tools, conversation and the two answers, nothing else: no truth, no author.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from looptool.core.params import Verify
from looptool.core.registry import load
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.engines.roles import Cast

Verdict = Literal["PRED_WRONG", "LABEL_WRONG", "BOTH_CORRECT", "BOTH_WRONG", "NO_CONSENSUS"]
"""NO_CONSENSUS is the lack of a verdict: judges do not agree, or one cannot tell."""


@dataclass(frozen=True)
class Case:
    """A mismatch to be judged.

    Attributes:
        label: the answer that the data set holds for right.
        prediction: the model's answer, or None if it could not be parsed.
    """

    tools: Sequence[Tool]
    messages: Sequence[Message]
    label: Label
    prediction: Label | None


@dataclass(frozen=True)
class Opinion:
    """What one judge says of one case; `confidence` from 0 to 1, `rationale` for a person."""

    verdict: Verdict
    rationale: str
    confidence: float


class Judge(Protocol):
    """Compares label and prediction of mismatches, and admits or refuses new samples."""

    name: str

    def compare(self, cases: Sequence[Case]) -> list[Opinion]:
        """Return one opinion a case, in order."""
        ...

    def admit(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[str | None]:
        """Return for each (tools, messages, label) None if it is sound, else why it is not."""
        ...


JUDGES: Mapping[str, str] = {
    "rules": "looptool.offline.rules.judge:make_judges",
    "llm": "looptool.judging.llm:make_judges",
}
"""What makes judges of (settings, cast), by the name that params give them."""


def make_judges(settings: Verify, cast: Cast) -> list[Judge]:
    """Return the judges that params name: one for `rules`, one a model for `llm`, and an instance
    of each class of the user's.

    Raises:
        ConfigError: if there is no such class.
    """
    judges: list[Judge] = []
    for place, name in enumerate(settings.judges):
        if name in JUDGES:
            judges += load(JUDGES[name])(settings.judge, cast)
        else:
            judges.append(load(name, f"verify.judges.{place}")())
    return judges
