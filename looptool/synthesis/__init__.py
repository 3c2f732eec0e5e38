"""Seed construction (docs/design.md, `generate`): who writes samples, and who admits them.

An `Author` writes tools, dialogues and labels: a large model (`llm`, on a context tree and a
constraint tree), or the offline grammar. `seeds` admits what it wrote, `mixing` says who writes
which share, `heldout` what training must not know.
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

Split = Literal["train", "heldout"]


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


AUTHORS: Mapping[str, str] = {
    "grammar": "looptool.offline.grammar.author:make_author",
    "llm": "looptool.synthesis.llm:make_author",
}
"""What makes an author of (settings, cast, held-out tools), by the name that params give it."""


def make_author(
    name: str, settings: params.Generate, cast: Cast, heldout: Sequence[Tool]
) -> Author:
    """Return the author of this name, or an instance of the user's class that it addresses.

    Args:
        heldout: tools that training must not know.

    Raises:
        ConfigError: if `generate.tools` names no set of tools.
    """
    author: Author = (
        load(AUTHORS[name])(settings, cast, heldout)
        if name in AUTHORS
        else load(name, "generate.author.name")()
    )
    return author
