"""Records of a file with JSON lines or one JSON array, one after the other, with their lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from looptool.errors import ConfigError

LARGEST = 16_000_000  # bytes of one record
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Raw:
    """The JSON text of one record, or why it cannot be read (`text` is then its start)."""

    line: int
    text: str
    reason: str = ""


def read_records(path: Path) -> Iterator[Raw]:
    """Yield the records of a file in order. Lines are counted from 1; empty ones are passed over.

    Raises:
        ConfigError: if the file cannot be opened, is empty, or is an array that breaks off.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_BLOCK)
            start = head.removeprefix(_BOM).lstrip()[:1]
            file.seek(len(_BOM) if head.startswith(_BOM) else 0)
            if not start:
                raise ConfigError(f"{path}: is empty")
            yield from (_array(file, path) if start == b"[" else _lines(file))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


def _lines(file: BinaryIO) -> Iterator[Raw]:
    number = 0
    while line := file.readline(LARGEST + 1):
        number += 1
        if len(line) > LARGEST and not line.endswith(b"\n"):
            start, size = line[:200], len(line)
            while rest := file.readline(LARGEST):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
            why = f"is {size / 1e6:.0f} MB long; at most {LARGEST // 10**6} MB are read"
            yield Raw(number, start.decode("utf-8", "replace"), why)
        elif line.strip():
            yield _decoded(number, line)


def _decoded(number: int, line: bytes) -> Raw:
    try:
        return Raw(number, line.decode("utf-8").strip())
    except UnicodeDecodeError as error:
        return Raw(number, line[:200].decode("utf-8", "replace"), f"is no UTF-8: {error.reason}")


def _array(file: BinaryIO, path: Path) -> Iterator[Raw]:
    """Yield the elements of an array without holding the whole of it."""
    decoder = json.JSONDecoder()
    decode = codecs.getincrementaldecoder("utf-8")().decode

    def read() -> str:
        try:
            block = file.read(_BLOCK)
            return decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: after line {line}: is no UTF-8: {error.reason}") from None

    line = 1
    text = read()
    place = text.index("[") + 1
    line += text.count("\n", 0, place)
    ended = False
    while True:
        after = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]
        line += text.count("\n", place, after)
        place = after
        if text.startswith("]", place):
            if rest := (text[place + 1 :] + read()).strip():
                raise ConfigError(
                    f"{path}: line {line}: something follows the array: {rest[:40]!r}"
                )
            return
        problem = "the array breaks off"
        try:
            _, end = decoder.raw_decode(text, place)
            if end < len(text) or ended:  # a number at the end may go on
                yield Raw(line, text[place:end])
                line += text.count("\n", place, end)
                place = end
                continue
        except json.JSONDecodeError as error:
            problem = error.msg
        except (ValueError, RecursionError) as error:
            problem = str(error)
        if len(text) - place > LARGEST:
            problem = f"a record of more than {LARGEST // 10**6} MB, or one that is none: {problem}"
        if ended or len(text) - place > LARGEST:
            raise ConfigError(f"{path}: line {line}: no valid JSON: {problem}")
        more = read()
        text, place, ended = text[place:] + more, 0, not more
