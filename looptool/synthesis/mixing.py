"""Who writes which share of the new samples (`generate.mix`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from looptool.core import params
from looptool.core.tools import Tool
from looptool.engines.roles import Cast
from looptool.synthesis import Author, make_author
from looptool.synthesis.own import OwnSamples


def make_authors(
    settings: params.Generate, cast: Cast, heldout: Sequence[Tool] = ()
) -> tuple[Author, Author | None]:
    """Return the author that params name, and who writes what that one could not.

    Args:
        heldout: tools that training must not know.

    Raises:
        ConfigError: if `generate.tools` names no set of tools.
    """
    author = make_author(settings.author.name, settings, cast, heldout)
    wanted = not author.exact and settings.author.fill_up
    return author, make_author("grammar", settings, cast, heldout) if wanted else None


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

    def author_of(name: str) -> Author:
        if name != "own":
            return make_author(name, settings, cast, heldout)
        assert settings.own is not None  # params see to it
        return OwnSamples(settings.own, seen)

    found = []
    for name in ("own", "llm", "grammar"):  # the one that can write any number comes last
        if share := settings.mix.get(name):
            found.append(Source(author_of(name), share, judged=name == "llm"))
    return found
