"""Formats of samples, one module per format for reading and writing.

A format converts a record (a JSON object) to a `Dialogue`, and a sample to a record. `cutting`
makes samples from a dialogue, one for each assistant turn. `documents` converts the record's tools
from any dialect to tool documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looptool.core.samples import Label, Message
from looptool.core.tools import Tool

Record = dict[str, Any]
Changes = Counter[str]  # what was left out, moved or read in another way → how often


class Refused(ValueError):
    """A record, or a turn of it, that cannot become a sample; the message says why."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The content of a record, not yet checked.

    Attributes:
        tools: the record's tools, in any dialect that `documents` reads.
        messages: chat messages; an assistant's calls are in `tool_calls`, with objects as
            arguments. A call may have an `id`, and a tool's message a `tool_call_id`.
        given: indices of assistant messages that are context, not labels.
        turns: for each message its number in the record, from 1; empty if the messages are the
            record's, one to one.
    """

    tools: Any
    messages: list[Message]
    given: frozenset[int] = field(default_factory=frozenset)
    turns: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        fits: whether a record looks like this format.
        read: converts a record to a dialogue and counts the changes; raises `Refused`.
        write: converts a sample to a record; raises `Refused` if the format cannot represent it.
    """

    name: str
    fits: Callable[[Record], bool]
    read: Callable[[Record, Changes], Dialogue]
    write: Callable[[Sequence[Tool], Sequence[Message], Label], Record]


def formats() -> Mapping[str, Format]:
    """Return all formats by name, in the order in which detection tries them."""
    from looptool.exchange.formats import instruction, openai, rows, sft, sharegpt, toolace, xlam

    known = (
        rows.FORMAT,
        openai.FORMAT,
        sft.FORMAT,
        xlam.FORMAT,
        instruction.FORMAT,
        toolace.FORMAT,
        sharegpt.FORMAT,
    )
    return {form.name: form for form in known}


def text_of(record: Mapping[str, Any], key: str) -> str:
    """Return a field that must be a string.

    Raises:
        Refused: if it is missing or not a string.
    """
    value = record.get(key)
    if not isinstance(value, str):
        raise Refused(f"{key}: {'is missing' if key not in record else 'must be a string'}")
    return value


def list_of(record: Mapping[str, Any], key: str) -> list[Any]:
    """Return a field that must be a non-empty list.

    Raises:
        Refused: if it is missing, empty or not a list.
    """
    value = record.get(key)
    if not isinstance(value, list) or not value:
        raise Refused(f"{key}: {'is missing' if key not in record else 'must be a non-empty list'}")
    return value
