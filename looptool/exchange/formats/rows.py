"""Rows of a data set of this project, as `looptool data export --format hf` writes them.

`tools`, `messages` and `label` are JSON texts. Only the label is an answer to learn from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from looptool.core import canonical
from looptool.core.answers import label_message
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.exchange.formats import Changes, Dialogue, Format, Record, Refused, openai, text_of


def read(record: Record, changes: Changes) -> Dialogue:
    """Convert a record to a dialogue; see the module docstring."""
    tools, messages, label = (_parsed(record, key) for key in ("tools", "messages", "label"))
    try:
        answer = label_message(label)
        context = [{**each, "weight": 0} for each in messages]
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"messages or label: not of their form: {error}") from None
    return openai.read({"tools": tools, "messages": [*context, answer]}, changes)


def write(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Record:
    """Convert a sample to a record."""
    values = {"tools": list(tools), "messages": list(messages), "label": dict(label)}
    return {name: canonical.dumps(value) for name, value in values.items()}


def _parsed(record: Record, key: str) -> Any:
    try:
        return json.loads(text_of(record, key))
    except ValueError as error:
        raise Refused(f"{key}: not valid JSON: {error}") from None


def _fits(record: Record) -> bool:
    return all(isinstance(record.get(key), str) for key in ("tools", "messages", "label"))


FORMAT = Format("hf", _fits, read, write)
