"""Seed construction: tools, dialogues and labels out of two trees (DESIGN §1, `generate`).

The *context tree* (`data/contexts/<domain>.yaml`: domain > subdomain > leaf action) says what a
tool does and how people ask for it; the *constraint tree* (`data/kinds.yaml`: group > parameter
kind; `data/styles.yaml`: naming, sizes) says what its parameters look like and how their values
are put into words. A tool is one path through both. Four agents play a dialogue over the tools:
`planner` (which calls, which values, which order), `user` and `follow` (the words), `assistant`
(the label) and `responder` (what the tool answers); `grammar` plays them per category, `seeds`
admits. `data/chains.yaml` has the two-step plans, `data/rivals.yaml` the leaves that could stand
in for each other, `data/frames.yaml` how requests are dressed, `data/pools.yaml` values.

What other parts may use (all deterministic given `rng`; `split="train"` never uses a wording,
leaf or tool that is marked held-out, `split="heldout"` uses only held-out leaves):

- `toolbox.action_of(tool, example=None) -> Action`: any tool document; `.leaf` is None when the
  trees do not know it, `.slots` maps each parameter name to a `Slot` (its kind, schema, word).
- `values.draw(slot, rng, today=None) -> value`: a fresh value for one parameter, of its schema.
- `values.draw_arguments(slots, rng, mention=0.45, fixed=None, order=(), today=None) -> dict`:
  fresh arguments of a call; required parameters always, optional ones with chance `mention`.
- `toolbox.slot_of(name, schema, required, example=None) -> Slot`: a slot from a bare schema.
- `wording.surface(slot, value, rng, today=None) -> str`: the bare value as a user says it.
- `wording.phrase(slot, value, rng, split="train", today=None) -> str`: a value with its preposition
  or name ("in Oslo", "with a base of 10 cm").
- `user.request(calls, tools, rng, split="train", today=None) -> str | None`: a fresh request for
  these calls; None when a value cannot be put into words.
- `follow.change`, `follow.add`, `follow.follow_up`: later turns; `follow.resolve`: the answer to a
  question for one parameter. A request that lacks a parameter is `user.request` without it.
- `toolbox.distractors(tools, count, rng, split="train") -> list[Tool]`: other tools, similar ones
  first in half of the draws; none is able to do what `tools` do.
- `wording.today_of(messages)`, `wording.system_date(day)`: the date in a system message. A request
  says "next Friday" only where `today` is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from looptool import canonical, params
from looptool.engines.roles import Cast
from looptool.samples import Label, Message
from looptool.tools import Tool, read_tools

DATA = Path(__file__).parent / "data"

Split = Literal["train", "heldout"]

DEFAULT_SHARES: Mapping[str, float] = {
    "single": 0.22,
    "multiple": 0.20,
    "parallel": 0.16,
    "parallel_multiple": 0.14,
    "multi_step": 0.06,
    "multi_turn": 0.06,
    "clarify": 0.06,
    "irrelevant": 0.10,
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A sample before it is admitted; its label is the author's, without planted noise.

    Attributes:
        refused: (check, reason) where the author itself gave it up; its label is then empty.
    """

    tools: list[Tool]
    messages: list[Message]
    label: Label
    category: str
    refused: tuple[str, str] | None = None


class Author(Protocol):
    """Whoever writes tools and dialogues: the grammar, or a language model.

    Attributes:
        name: stands in the data as the source of the labels.
        portable: whether it may be pickled to other processes that share the work.
        exact: whether its labels are right by construction, and it can write any number.
        free: (may be left out) whether asking it again, after all that it wrote was refused, costs
            nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def portable(self) -> bool: ...

    @property
    def exact(self) -> bool: ...

    def write(
        self, count: int, *, seed: str, split: Split, shares: Mapping[str, float]
    ) -> list[Draft]:
        """Return `count` drafts, or fewer if it is not exact, and beside them any that it gave up.

        A function of the arguments, and of what it wrote before if it is not exact.

        Args:
            shares: weight of each category of `tables.CATEGORIES`; one left out is not written.
        """
        ...


def make_authors(
    settings: params.Generate, cast: Cast, heldout: Sequence[Tool] = ()
) -> tuple[Author, Author | None]:
    """Return the author that params name, and who writes what that one could not.

    Args:
        heldout: tools that training must not know.

    Raises:
        ConfigError: if `generate.tools` names no set of tools.
    """
    author = AUTHORS[settings.author.name](settings, cast, heldout)
    wanted = not author.exact and settings.author.fill_up
    return author, _grammar(settings, cast, heldout) if wanted else None


@dataclass(frozen=True, slots=True)
class Source:
    """Who writes a share of the new samples.

    Attributes:
        fill_up: who writes what `author` could not.
        judged: whether judges admit what it wrote. Labels that are right by construction need none,
            and one's own are taken as they are: verify judges them once a model disagrees.
    """

    author: Author
    share: float = 1.0
    fill_up: Author | None = None
    judged: bool = False


def make_sources(
    settings: params.Generate, cast: Cast, heldout: Sequence[Tool], seen: Collection[str]
) -> list[Source]:
    """Return who writes which share of the new samples, as `generate.mix` says.

    Args:
        heldout: tools that training must not know.
        seen: sample_ids that were in the data before.

    Raises:
        ConfigError: if `generate.tools` or `generate.own` names no set.
    """
    if settings.mix is None:
        author, fill_up = make_authors(settings, cast, heldout)
        return [Source(author, 1.0, fill_up, judged=not author.exact)]
    found = []
    for name in ("own", "llm", "grammar"):  # the one that can write any number comes last
        if share := settings.mix.get(name):
            author = (
                _own(settings, seen) if name == "own" else AUTHORS[name](settings, cast, heldout)
            )
            found.append(Source(author, share, judged=name == "llm"))
    return found


def _own(settings: params.Generate, seen: Collection[str]) -> Author:
    from looptool.synthesis.own import OwnSamples

    assert settings.own is not None  # params see to it
    return OwnSamples(settings.own, seen)


def _grammar(settings: params.Generate, cast: Cast, heldout: Sequence[Tool]) -> Author:
    """What is held out is marked in the trees; of own tools the shelf keeps some back."""
    from looptool.synthesis.grammar import GrammarAuthor
    from looptool.synthesis.shelves import Own, Trees

    if settings.tools is None:
        return GrammarAuthor(shelf=Trees())
    tools = read_tools(settings.tools)
    return GrammarAuthor(shelf=Own(tuple(map(canonical.dumps, tools))))


def _llm(settings: params.Generate, cast: Cast, heldout: Sequence[Tool]) -> Author:
    from looptool.synthesis.llm import LLMAuthor

    own = read_tools(settings.tools) if settings.tools else ()
    return LLMAuthor(cast.play(settings.author, settings.author.model), heldout, own)


AUTHORS: Mapping[str, Callable[[params.Generate, Cast, Sequence[Tool]], Author]] = {
    "grammar": _grammar,
    "llm": _llm,
}
