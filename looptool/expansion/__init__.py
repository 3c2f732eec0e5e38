"""From what the model got wrong to the next iteration's data (EDDE, DESIGN §1 `expand`).

    seeds = carry.error_seeds(samples, probe, verdicts)
    candidates = make_expander(params.expand, cast).expand(seeds, k, seed="7")
    accepted, rejected = accept.accept(candidates, judges, seen, samples, index, max_similarity)
    carried = carry.compose(samples, probe, verdicts, accepted, …)

An expander sees tools, messages and the *current* label of an error seed, nothing else of its
history: an expansion of a wrong label is wrong, and the truth never leaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from looptool.core.params import Expand
from looptool.core.registry import load
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.engines.roles import Cast


@dataclass(frozen=True, slots=True)
class ErrorSeed:
    """A sample that the model failed, with its current (perhaps just corrected) label.

    Attributes:
        failure_type: one of tables.FAILURE_TYPES: how the prediction differed from the label
            that the model was probed against.
        prediction: what the model wrote.
        wrong: the answer that was judged wrong: the prediction, or of a corrected sample its
            former label as JSON.
        rationale: the judge's analysis of the error; empty where nothing was judged.
    """

    sample_id: str
    tools: list[Tool]
    messages: list[Message]
    label: Label
    category: str
    failure_type: str
    prediction: str
    wrong: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new sample made from an error seed, not yet accepted.

    Attributes:
        parent_id: sample_id of the error seed.
        how: which way of making it was taken; a short name for metrics.
    """

    parent_id: str
    tools: list[Tool]
    messages: list[Message]
    label: Label
    category: str
    how: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An error seed that an expander could make nothing of, and why."""

    seed: ErrorSeed
    reason: str


class Expander(Protocol):
    """Makes new samples that keep what was hard in an error seed and change the rest."""

    @property
    def name(self) -> str:
        """The name that label_source records as `expander:<name>`."""
        ...

    @property
    def failures(self) -> Sequence[Failure]:
        """What the last `expand` tried in vain, where that is worth a record."""
        ...

    def expand(self, seeds: Sequence[ErrorSeed], k: int, seed: str) -> list[Candidate]:
        """Return at most `k` candidates for each seed, in the order of the seeds.

        Fewer where no more can be made soundly. The same arguments give the same candidates.
        """
        ...


EXPANDERS: Mapping[str, str] = {
    "grammar": "looptool.offline.rewriter.expander:make_expander",
    "llm": "looptool.expansion.llm:make_expander",
    "repeat": "looptool.expansion.repeat:make_expander",
}
"""What makes an expander of (settings, cast, own tools), by the name that params give it."""


def make_expander(settings: Expand, cast: Cast, own: Sequence[Tool] = ()) -> Expander:
    """Return the expander that params name; any, where nothing is to be expanded.

    Args:
        own: the user's tools, where the loop is about these.

    Raises:
        ConfigError: if params address a class that there is not.
    """
    name = "repeat" if settings.mode == "repeat" else settings.expander
    expander: Expander = (
        load(EXPANDERS[name])(settings, cast, own)
        if name in EXPANDERS
        else load(name, "expand.expander")()
    )
    return expander
