"""Samples as other people's files hold them: one module a format, each reads and writes.

A format turns a record (a JSON object) into a `Dialogue`, and a sample into a record. `cutting`
makes samples of a dialogue, one for each turn of the assistant, and `documents` makes tool
documents of whatever dialect the record's tools are in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looptool.core.samples import Label, Message
from looptool.core.tools import Tool

Record = dict[str, Any]
Changes = Counter[str]  # what was left out, moved or read in another way, and how often


class Refused(ValueError):
    """A record, or a turn of one, that no sample can be made of; the message says why."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What a record says, before anything in it is checked.

    Attributes:
        tools: as the record has them, in any dialect that `documents` reads.
        messages: chat messages; an assistant's calls are `tool_calls`, their arguments objects.
            A call may have an `id`, and a tool's message a `tool_call_id`.
        given: places of assistant turns that are context and no label.
        turns: which message of the record each is, from 1; empty where they are the same.
    """

    tools: Any
    messages: list[Message]
    given: frozenset[int] = field(default_factory=frozenset)
    turns: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        fits: whether a record looks like it.
        read: makes a dialogue of a record and counts what it changed; raises `Refused`.
        write: raises `Refused` for a sample that the format cannot hold.
    """

    name: str
    fits: Callable[[Record], bool]
    read: Callable[[Record, Changes], Dialogue]
    write: Callable[[Sequence[Tool], Sequence[Message], Label], Record]


def formats() -> Mapping[str, Format]:
    """Return all formats by name, in the order in which a file is held against them."""
    from looptool.exchange.formats import instruction, openai, sharegpt, toolace, xlam

    found = (openai.FORMAT, xlam.FORMAT, instruction.FORMAT, toolace.FORMAT, sharegpt.FORMAT)
    return {form.name: form for form in found}


def text_of(record: Mapping[str, Any], key: str) -> str:
    """Return a field that must be a text.

    Raises:
        Refused: if it is missing or something else.
    """
    value = record.get(key)
    if not isinstance(value, str):
        raise Refused(f"{key}: {'is missing' if key not in record else 'must be a text'}")
    return value


def list_of(record: Mapping[str, Any], key: str) -> list[Any]:
    """Return a field that must be a list of something.

    Raises:
        Refused: if it is missing, empty or something else.
    """
    value = record.get(key)
    if not isinstance(value, list) or not value:
        raise Refused(
            f"{key}: {'is missing' if key not in record else 'must be a list, not empty'}"
        )
    return value
