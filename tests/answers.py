"""Answers and samples, for tests."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from looptool.core import canonical, tables
from looptool.core.samples import Label, category_of, label_id, sample_id
from looptool.engines import Completion, Prompt


def said(text: str) -> Completion:
    """Return the answer of a model that wrote this text."""
    return Completion(text, 0, None, "stop")


def samples_of(examples: Iterable[tuple[Prompt, Label]]) -> pl.DataFrame:
    """Return prompts with their labels as `tables.Samples`."""
    rows = [
        {
            "sample_id": sample_id(prompt.tools, prompt.messages),
            "tools": canonical.dumps(prompt.tools),
            "messages": canonical.dumps(prompt.messages),
            "label": canonical.dumps(label),
            "label_id": label_id(label),
            "alternatives": "[]",
            "category": category_of(prompt.tools, prompt.messages, label),
            "origin": "seed",
            "parent_id": None,
            "born_iteration": 1,
            "label_iteration": 1,
            "label_source": "test",
        }
        for prompt, label in examples
    ]
    return tables.frame(tables.Samples, rows)
