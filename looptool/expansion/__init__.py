"""Error-driven data expansion (EDDE; docs/design.md, section 1, `expand`).

    rows = label_correction.outcomes(samples, probe, verdicts, …)
    candidates = make_expander(params.expand, cast).expand(error_seeds(rows), k, seed="7")
    accepted, rejected = accept.accept(candidates, judges, seen, samples, index, max_similarity)
    carried = carry.compose(rows, carry.expanded_rows(accepted, …), …)

An expander works from an error seed: its tools, messages and *current* label, the model's wrong
answer and the judge's analysis. It never sees the true label, so the expansion of a wrong label is
wrong too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from looptool.core.calls import Parsed
from looptool.core.params import Expand, name_of
from looptool.core.registry import load
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.engines.roles import Cast


@dataclass(frozen=True, slots=True)
class ErrorSeed:
    """A sample with a verified error: in the prediction (PRED_WRONG) or the label (LABEL_WRONG).

    Attributes:
        label: the current label; that of a LABEL_WRONG sample was just corrected.
        error_type: one of `samples.ERROR_TYPES`: how the prediction differed from the label
            that the model was probed against.
        prediction: the model's answer; right if the label was wrong.
        wrong: the answer that was judged wrong, as the JSON of a label: the prediction or the
            previous label. A prediction that could not be read stays as the model wrote it.
        rationale: the judge's analysis of the error; empty if nothing was judged.
    """

    sample_id: str
    tools: list[Tool]
    messages: list[Message]
    label: Label
    category: str
    error_type: str
    prediction: Parsed
    wrong: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new sample made from an error seed, not yet accepted.

    Attributes:
        parent_id: sample_id of the error seed.
        how: the method that produced it; a short name for metrics.
    """

    parent_id: str
    tools: list[Tool]
    messages: list[Message]
    label: Label
    category: str
    how: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An error seed that could not be expanded, and the reason."""

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
        """The failed attempts of the last `expand` that are worth recording."""
        ...

    def expand(self, seeds: Sequence[ErrorSeed], k: int, seed: str) -> list[Candidate]:
        """Return at most `k` candidates for each seed, in the order of the seeds.

        There are fewer where no more sound ones can be made. The same arguments give the same
        candidates.
        """
        ...


EXPANDERS: Mapping[str, str] = {
    "rewriter": "looptool.offline.rewriter.expander:make_expander",
    "llm": "looptool.expansion.llm:make_expander",
    "repeat": "looptool.expansion.repeat:make_expander",
}
"""Factories `(settings, cast, own tools) -> Expander`, by their names in `expand.expander`."""


def make_expander(settings: Expand, cast: Cast, own: Sequence[Tool] = ()) -> Expander:
    """Return the expander that `expand.mode` and `expand.expander` name.

    Args:
        own: the user's own tools, if the loop trains on them.

    Raises:
        ConfigError: if params name a class that does not exist.
    """
    name = "repeat" if settings.mode == "repeat" else name_of(settings.expander)
    expander: Expander = (
        load(EXPANDERS[name])(settings, cast, own)
        if name in EXPANDERS
        else load(name, "expand.expander")()
    )
    return expander
