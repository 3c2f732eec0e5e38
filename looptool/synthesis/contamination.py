"""Refuses texts that overlap a benchmark or the held-out split (DESIGN §1).

Two texts overlap if they share 13 words in a row, or if one is, as a whole, the other: questions
are often shorter than 13 words. Words are compared without case, punctuation and Unicode form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from looptool.core import canonical
from looptool.core.errors import ConfigError
from looptool.core.samples import Message
from looptool.evaluation.bfcl import rows as bfcl

NGRAM = 13

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Index:
    """What may not appear in training texts: word n-grams and whole texts, each → its source."""

    ngrams: Mapping[str, str]
    wholes: Mapping[str, str]

    @staticmethod
    def build(sources: Mapping[str, Iterable[str]]) -> Index:
        """Return the index of texts, given by the name of their source (`bfcl`, `heldout`)."""
        ngrams: dict[str, str] = {}
        wholes: dict[str, str] = {}
        for source, texts in sources.items():
            for text in texts:
                words = normalised_words(text)
                if words:
                    wholes.setdefault(" ".join(words), source)
                for ngram in _ngrams(words):
                    ngrams.setdefault(ngram, source)
        return Index(ngrams, wholes)

    def refuse(self, texts: Sequence[str]) -> list[str | None]:
        """Return for each text why it is refused, or None if it overlaps nothing."""
        return [self._reason(text) for text in texts]

    def _reason(self, text: str) -> str | None:
        words = normalised_words(text)
        # A dialogue is one text, a line a turn (`user_text`): no turn may be a question either.
        lines = [words]
        if "\n" in text:
            lines += [normalised_words(line) for line in text.split("\n")]
        for line in lines:
            if source := self.wholes.get(" ".join(line)):
                return f"is a whole text of {source}"
        for ngram in _ngrams(words):
            if source := self.ngrams.get(ngram):
                return f"shares {NGRAM} words with {source}: {ngram}"
        return None


def training_index(heldout: pl.DataFrame) -> Index:
    """Return the index of all that training data may not hold: BFCL and the held-out split.

    Args:
        heldout: `tables.Samples`.

    Raises:
        ConfigError: if the benchmark's package is missing.
    """
    requests = [user_text(canonical.loads(messages)) for messages in heldout["messages"]]
    return Index.build({"bfcl": bfcl.questions(), "heldout": requests})


def user_text(messages: Sequence[Message]) -> str:
    """Return what the user says in a conversation, a line a turn."""
    return "\n".join(
        " ".join((message.get("content") or "").split())
        for message in messages
        if message["role"] == "user"
    )


def normalised_words(text: str) -> list[str]:
    """Return the words of a text in one Unicode form, without case and punctuation."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(text.casefold())


def refused_in_data_files(index: Index, folder: Path | str) -> dict[str, str]:
    """Return the reason for every refused text in the YAML files under `folder`.

    A text's key is its file and its place there: `phrases/city.yaml: wordings.3`. Single words
    are not looked at: they are names and values, while some benchmark question is just "on".

    Raises:
        ConfigError: if there are no YAML files, or one cannot be read.
    """
    folder = Path(folder)
    paths = sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")])
    if not paths:
        raise ConfigError(f"{folder}: holds no YAML files to check against the benchmarks")
    places: dict[str, str] = {}
    for path in paths:
        try:
            data = YAML(typ="safe").load(path)
        except (YAMLError, OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
        name = path.relative_to(folder).as_posix()
        texts = _texts(data)
        places.update({f"{name}: {at}": t for at, t in texts if len(normalised_words(t)) > 1})
    reasons = index.refuse(list(places.values()))
    return {place: why for place, why in zip(places, reasons, strict=True) if why is not None}


def _texts(value: Any, place: str = "") -> list[tuple[str, str]]:
    """Return every text in parsed YAML, keys included, with its place."""
    if isinstance(value, str):
        return [(place, value)]
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    found = []
    for key, item in items:
        inner = f"{place}.{key}" if place else str(key)
        if isinstance(key, str):
            found.append((f"{inner} (key)", key))
        found += _texts(item, inner)
    return found


def _ngrams(words: Sequence[str]) -> Iterable[str]:
    return (" ".join(words[start : start + NGRAM]) for start in range(len(words) - NGRAM + 1))
