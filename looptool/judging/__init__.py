"""Judgement-guided label verification (JGLV): the `Judge` protocol, verdicts and the registry.

A judge sees the tools, the conversation and the two answers. It never sees the true label or who
wrote the sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

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


def likely_wrong(verdict: str, confidence: float) -> float:
    """Return how likely a label is wrong by one judge's verdict on it."""
    if verdict == "NO_CONSENSUS":
        return 0.5
    return confidence if verdict in ("LABEL_WRONG", "BOTH_WRONG") else 1 - confidence


Unread = Literal["language", "knowledge"]
"""Why a judge cannot check a label: the request's language, or a value that is knowledge."""


@dataclass(frozen=True)
class Impression:
    """One judge's view of a label without a prediction.

    Attributes:
        wrong: how likely the label is wrong, from 0 to 1.
        rationale: the reason, for human readers; "" if nothing speaks against the label.
        unread: why the judge could not check the label, or None if it could.
        instead: a label that fits better, or None.
        argument: the argument that is at fault, as `tool.argument`, if it is one.
    """

    wrong: float
    rationale: str = ""
    unread: Unread | None = None
    instead: Label | None = None
    argument: str | None = None


class Judge(Protocol):
    """Compares the label and the prediction of mismatches, and admits or refuses new samples.

    A judge may also have `inspect`, with the arguments of `admit`, which returns an `Impression` of
    each label; `impressions` is what every judge can do.
    """

    name: str

    def compare(self, cases: Sequence[Case]) -> list[Opinion]:
        """Return one opinion per case, in order."""
        ...

    def admit(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[str | None]:
        """Return None for each sound (tools, messages, label), else the reason it is refused."""
        ...


def impressions(
    judge: Judge, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
) -> list[Impression]:
    """Return a judge's view of labels without predictions: by `inspect`, or else by `admit`."""
    if inspect := getattr(judge, "inspect", None):
        return list(inspect(samples))
    return [Impression(float(reason is not None), reason or "") for reason in judge.admit(samples)]


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
