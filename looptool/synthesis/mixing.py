"""Division of the new samples among authors (`generate.mix`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from looptool.core import params
from looptool.core.params import name_of
from looptool.core.tools import Tool
from looptool.engines.roles import Cast
from looptool.synthesis import Author, make_author
from looptool.synthesis.own import OwnSamples


def make_authors(
    settings: params.Generate, cast: Cast, heldout: Sequence[Tool] = ()
) -> tuple[Author, Author | None]:
    """Return the author that `generate.author` names, and the author that fills up its gaps.

    Args:
        heldout: tools of the held-out split; a model writes no new tool similar to one of them.

    Raises:
        ConfigError: if `generate.tools` is not a set of tools.
    """
    author = make_author(name_of(settings.author), settings, cast, heldout)
    wanted = not author.exact and settings.fill_up
    return author, make_author("grammar", settings, cast, heldout) if wanted else None


@dataclass(frozen=True, slots=True)
class Source:
    """An author and its share of the new samples.

    Attributes:
        share: weight relative to the other sources.
        fill_up: the author of the samples that `author` could not write.
        judged: whether judges must admit the samples. Labels that are right by construction need no
            judge, and the user's own samples are taken as they are: `verify` judges them when a
            model disagrees.
    """

    author: Author
    share: float = 1.0
    fill_up: Author | None = None
    judged: bool = False


def make_sources(
    settings: params.Generate, cast: Cast, heldout: Sequence[Tool], seen: Collection[str]
) -> list[Source]:
    """Return the authors of the new samples and their shares, according to `generate.mix`.

    Args:
        heldout: tools of the held-out split; a model writes no new tool similar to one of them.
        seen: sample_ids that were in earlier data.

    Raises:
        ConfigError: if `generate.tools` or `generate.own` is not a set.
    """
    if settings.mix is None:
        author, fill_up = make_authors(settings, cast, heldout)
        return [Source(author, 1.0, fill_up, judged=not author.exact)]

    def author_of(name: str) -> Author:
        if name != "own":
            return make_author(name, settings, cast, heldout)
        assert settings.own is not None  # checked in core/params.py
        return OwnSamples(settings.own, seen)

    sources = []
    # The grammar can write any number of samples, so it comes last and makes up for the others.
    for name in ("own", "llm", "grammar"):
        if share := settings.mix.get(name):
            sources.append(Source(author_of(name), share, judged=name == "llm"))
    return sources
