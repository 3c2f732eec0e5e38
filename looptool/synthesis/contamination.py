"""Contamination check: refuse texts that overlap a benchmark or the held-out split.

Two texts overlap if they share 13 consecutive words or are equal as a whole, since many questions
are shorter than 13 words. Case, punctuation and Unicode form are ignored (docs/design.md,
section 1).
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
    """Texts that must not appear in training data.

    Attributes:
        ngrams: word n-gram → name of its source.
        wholes: normalised whole text → name of its source.
    """

    ngrams: Mapping[str, str]
    wholes: Mapping[str, str]

    @staticmethod
    def build(sources: Mapping[str, Iterable[str]]) -> Index:
        """Build the index from texts, keyed by the name of their source (`bfcl`, `heldout`)."""
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
        """Return for each text the reason why it is refused, or None if it overlaps nothing."""
        return [self._reason(text) for text in texts]

    def _reason(self, text: str) -> str | None:
        words = normalised_words(text)
        # A dialogue is one text with one line per turn (`user_text`), and no single turn may be a
        # benchmark question either.
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
    """Return the index of the texts that training data must not contain: BFCL and held-out.

    Args:
        heldout: `tables.Samples`.

    Raises:
        ConfigError: if the BFCL package is missing.
    """
    requests = [user_text(canonical.loads(messages)) for messages in heldout["messages"]]
    return Index.build({"bfcl": bfcl.questions(), "heldout": requests})


def user_text(messages: Sequence[Message]) -> str:
    """Return the user's messages of a conversation, one line per message."""
    return "\n".join(
        " ".join((message.get("content") or "").split())
        for message in messages
        if message["role"] == "user"
    )


def normalised_words(text: str) -> list[str]:
    """Return the words of a text in NFKC form, case-folded and without punctuation."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(text.casefold())


def refused_in_data_files(index: Index, folder: Path | str) -> dict[str, str]:
    """Check all texts in the YAML files under `folder`.

    Single words are skipped: they are names and values, and some benchmark questions are just one
    word, such as "on".

    Returns:
        The reason for each refused text, by file and place: `phrases/city.yaml: wordings.3`.

    Raises:
        ConfigError: if there are no YAML files, or one cannot be read.
    """
    folder = Path(folder)
    paths = sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")])
    if not paths:
        raise ConfigError(f"{folder}: has no YAML files to check against the benchmarks")
    places: dict[str, str] = {}
    for path in paths:
        try:
            data = YAML(typ="safe").load(path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not valid YAML: {error}") from error
        name = path.relative_to(folder).as_posix()
        texts = _texts(data)
        places.update({f"{name}: {at}": t for at, t in texts if len(normalised_words(t)) > 1})
    reasons = index.refuse(list(places.values()))
    return {
        place: reason for place, reason in zip(places, reasons, strict=True) if reason is not None
    }


def _texts(value: Any, place: str = "") -> list[tuple[str, str]]:
    """Return (place, text) for every text in parsed YAML, including keys."""
    if isinstance(value, str):
        return [(place, value)]
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    texts = []
    for key, item in items:
        inner = f"{place}.{key}" if place else str(key)
        if isinstance(key, str):
            texts.append((f"{inner} (key)", key))
        texts += _texts(item, inner)
    return texts


def _ngrams(words: Sequence[str]) -> Iterable[str]:
    return (" ".join(words[start : start + NGRAM]) for start in range(len(words) - NGRAM + 1))
