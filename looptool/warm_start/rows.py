"""Rows of tokens: one prefix, which is read once, and the requests and labels that follow it.

Each token of a label has a weight. The first one decides between a call and a text, and names and
values decide whether a call is right; the rest of a label follows from them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from looptool.core import canonical
from looptool.engines import prompts_of
from looptool.engines.syntax import label_text
from looptool.engines.templates import render

FIRST, NAME, VALUE = 5.0, 2.0, 2.5  # weights of tokens; others have 1
_NAME = re.compile(r'\{"name": "((?:[^"\\]|\\.)*)", "arguments": ')


@dataclass(frozen=True)
class Branch:
    """One request and its label after a prefix.

    Attributes:
        tokens: their token ids.
        weights: the weight of each token in the loss; 0 for the request.
    """

    tokens: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Row:
    """A prefix of token ids, and the branches that follow it."""

    prefix: list[int]
    branches: list[Branch]

    @property
    def length(self) -> int:
        return len(self.prefix) + sum(len(branch.tokens) for branch in self.branches)


def make_rows(samples: pl.DataFrame, tokenizer: Any, group_size: int) -> list[Row]:
    """Return the rows of samples (`tables.Samples`), in their order.

    Samples with the same tools and system message share a row, at most `group_size` of them.
    """
    groups: dict[str, list[tuple[list[int], Branch]]] = {}
    labels = map(canonical.loads, samples["label"])
    for prompt, label in zip(prompts_of(samples), labels, strict=True):
        tokens = tokenizer(render(tokenizer, prompt), add_special_tokens=False).input_ids
        system = [turn["content"] for turn in prompt.messages if turn["role"] == "system"]
        key = canonical.dumps([prompt.tools, system])
        branch = weighted_label(tokenizer, label_text(tokenizer, prompt, label))
        groups.setdefault(key, []).append((tokens, branch))
    return [
        _row(members[start : start + group_size])
        for members in groups.values()
        for start in range(0, len(members), group_size)
    ]


def _row(members: Sequence[tuple[list[int], Branch]]) -> Row:
    """Return the row of prompts that begin alike, with what they have in common as its prefix."""
    prompts = [tokens for tokens, _ in members]
    shared = 0  # the last token of a prompt predicts the label, so it stays in the branch
    while shared < min(map(len, prompts)) - 1 and len({p[shared] for p in prompts}) == 1:
        shared += 1
    return Row(
        prompts[0][:shared],
        [
            Branch(
                tokens[shared:] + label.tokens, [0.0] * (len(tokens) - shared) + label.weights
            )
            for tokens, label in members
        ],
    )  # fmt: skip


def weighted_label(tokenizer: Any, text: str) -> Branch:
    """Return the tokens of a label's text and their weights."""
    read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    weights = [1.0] * len(read.input_ids)
    for start, end, weight in _spans(text):
        for place, (first, last) in enumerate(read.offset_mapping):
            if first < end and last > start:
                weights[place] = max(weights[place], weight)
    weights[0] = FIRST
    return Branch(list(read.input_ids), weights)


def _spans(text: str) -> Iterator[tuple[int, int, float]]:
    """Yield (start, end, weight) of the names and argument values of a label's calls."""
    decoder = json.JSONDecoder()
    for match in _NAME.finditer(text):
        yield match.start(1), match.end(1), NAME
        place = match.end() + 1
        while place < len(text) and text[place] == '"':
            _, place = decoder.raw_decode(text, place)
            start = place + 2  # after ": "
            _, end = decoder.raw_decode(text, start)
            yield start, end, VALUE
            place = end + 2  # after ", "


def in_batches(
    rows: Sequence[Row], batch_size: int, tokens: int, seed: int
) -> list[list[list[Row]]]:
    """Return the batches of one pass over the rows: for each step, its parts of like length.

    Args:
        batch_size: samples in a step, at least.
        tokens: the most tokens in a part, with padding.
    """
    random_state = random.Random(seed)
    shuffled = random_state.sample(list(rows), len(rows))
    window = max(1, 32 * batch_size // max(1, len(rows[0].branches)))
    parts: list[list[Row]] = []
    for start in range(0, len(shuffled), window):
        ordered = sorted(shuffled[start : start + window], key=lambda row: -row.length)
        chunk: list[list[Row]] = []
        for row in ordered:
            if not chunk or (len(chunk[-1]) + 1) * chunk[-1][0].length > tokens:
                chunk.append([])
            chunk[-1].append(row)
        parts += random_state.sample(chunk, len(chunk))
    batches: list[list[list[Row]]] = [[]]
    for part in parts:
        if sum(len(row.branches) for each in batches[-1] for row in each) >= batch_size:
            batches.append([])
        batches[-1].append(part)
    return batches
