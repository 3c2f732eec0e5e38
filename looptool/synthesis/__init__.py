"""Seed construction: authors write samples, checks admit them (docs/design.md, section 1).

An `Author` writes tools, dialogues and labels. It is a large language model (`llm`, with a context
tree and a constraint tree) or the offline grammar. `seeds` admits the drafts, `mixing` divides the
work among authors, and `heldout` says which of the user's own tools training leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from looptool.core import params
from looptool.core.registry import load
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.engines.roles import Cast

# `warm_start` is a part of `train`: the samples of the warm start leave out a quarter of the
# leaf actions and of some wordings, so that the loop has something to learn.
Split = Literal["train", "heldout", "warm_start"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A sample before admission, with the author's label, before noise is planted.

    Attributes:
        refused: (check, reason) if the author itself gave the draft up; the label is then empty.
    """

    tools: list[Tool]
    messages: list[Message]
    label: Label
    category: str
    refused: tuple[str, str] | None = None


class Author(Protocol):
    """Writes tools, dialogues and labels.

    Attributes:
        name: recorded in the data as `label_source`.
        portable: whether it can be pickled and sent to worker processes.
        exact: whether its labels are right by construction and it can write any number of drafts.
        free: optional; whether asking again costs nothing. Such an author is asked again even
            after all its drafts were refused.
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
        """Return `count` drafts, plus any drafts that the author gave up.

        An author that is not exact may return fewer. The result depends only on the arguments and,
        if the author is not exact, on what it wrote before.

        Args:
            shares: weights of the categories in `samples.CATEGORIES`; a category without a weight
                is not written.
        """
        ...


AUTHORS: Mapping[str, str] = {
    "grammar": "looptool.offline.grammar.author:make_author",
    "llm": "looptool.synthesis.llm:make_author",
}
"""Factories `(settings, cast, held-out tools) -> Author`, by their names in params."""


def make_author(
    name: str, settings: params.Generate, cast: Cast, heldout: Sequence[Tool]
) -> Author:
    """Return the author of this name, or an instance of the user's class that it addresses.

    Args:
        heldout: tools of the held-out split; a model writes no new tool similar to one of them.

    Raises:
        ConfigError: if `generate.tools` is not a set of tools.
    """
    author: Author = (
        load(AUTHORS[name])(settings, cast, heldout)
        if name in AUTHORS
        else load(name, "generate.author")()
    )
    return author
