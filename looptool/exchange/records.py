"""Reading the records of a file or folder one by one, with their line numbers.

Supported are JSON Lines and JSON arrays (also compressed by gzip or zstd), Parquet, data sets saved
by `save_to_disk` of `datasets`, and folders of such files. The format of a file is detected from
its first bytes, not from its name.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from looptool.core.errors import ConfigError

LARGEST = 16_000_000  # bytes of one record
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
_ROWS = 1000  # of a table, processed at a time
_BETWEEN = re.compile(r"[\s,]*")
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".json")
_NO_DATA = ("dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json")


@dataclass(frozen=True, slots=True)
class Raw:
    """The JSON text of one record, or the reason why it cannot be read.

    Attributes:
        line: where it begins, from 1: the line of a text file or the row of a table. In a folder,
            numbering continues from file to file.
        text: the JSON text; only its start if the record cannot be read.
        reason: why it cannot be read; empty if it can.
    """

    line: int
    text: str
    reason: str = ""


def read_records(path: Path) -> Iterator[Raw]:
    """Yield the records of a file or folder in order; empty lines are skipped.

    If a file is truncated or an array is invalid from some place on, the records before that place
    are yielded, and then one with the reason.

    Raises:
        ConfigError: if it cannot be opened, is empty, or is a folder without such files.
    """
    try:
        if not path.is_dir():
            yield from _file(path)
        elif (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
            yield from _rows(_saved_batches(path))
        else:
            files = ((str(file.relative_to(path)), file) for file in _files(path))
            yield from read_files(files, f"{path}/")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None


def read_files(files: Iterable[tuple[str, Path]], where: str) -> Iterator[Raw]:
    """Yield the records of several files as of one, from files as (name, path).

    Args:
        where: what precedes a name in messages.

    Raises:
        ConfigError: if one cannot be read.
    """
    before = 0
    for name, file in files:
        line = 0
        try:
            for raw in _file(file):
                line = raw.line
                reason = f"{name}: {raw.reason}" if raw.reason else ""
                yield Raw(before + line, raw.text, reason)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(file), f"{where}{name}")) from None
        except OSError as error:
            raise ConfigError(f"{where}{name}: {error.strerror or error}") from None
        before += line


def stem(path: Path) -> str:
    """Return the name of a file or folder without format and compression suffixes."""
    name = path.name
    for ending in (".gz", ".zst", *_SUFFIXES):
        name = name.removesuffix(ending)
    return name


def _files(folder: Path) -> list[Path]:
    """Return the data files in a folder, which must belong to one data set.

    Raises:
        ConfigError: if there are none, or they belong to several data sets or splits.
    """
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.name not in _NO_DATA
        and file.name.removesuffix(".gz").removesuffix(".zst").endswith(_SUFFIXES)
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        raise ConfigError(f"{folder}: contains no {', '.join(_SUFFIXES)} file")
    splits = {re.split(r"-\d{5}-of-\d{5}", stem(file))[0]: file for file in files}
    if len(splits) > 1:
        one = next(iter(splits.values())).relative_to(folder)
        raise ConfigError(
            f"{folder}: contains several sets ({', '.join(splits)}); name a file, e.g. "
            f"{folder / one}"
        )
    return files


def _file(path: Path) -> Iterator[Raw]:
    with open(path, "rb") as file:
        head = file.read(4)
    if head == b"PAR1":
        yield from _rows(_parquet_batches(path))
        return
    compression = next((how for mark, how in _COMPRESSIONS.items() if head.startswith(mark)), None)
    if compression is None:
        with open(path, "rb", _BLOCK) as plain:
            yield from _texts(plain, path)
        return
    stream = _Unpacked(path, compression)
    last = None
    for raw in _texts(io.BufferedReader(stream, _BLOCK), path):
        if last:
            yield last
        last = raw
    if last and stream.broken and not _is_json(last.text):
        why = f"the file is cut off here: {stream.broken}"
        last = Raw(last.line, last.text[:200], why)
    if last:
        yield last


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class _Unpacked(io.RawIOBase):
    """The decompressed content of a file; it ends where the file is damaged, with `broken` set."""

    def __init__(self, path: Path, compression: str) -> None:
        import pyarrow as pa

        self.stream = pa.input_stream(str(path), compression=compression)
        self.broken = ""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.broken:
            return 0
        try:
            # in small pieces, since the piece that contains the damage is lost
            piece = self.stream.read(min(len(buffer), 4096))
        except OSError as error:
            self.broken = str(error)
            return 0
        buffer[: len(piece)] = piece
        return len(piece)


def _texts(file: Any, path: Path) -> Iterator[Raw]:
    head = file.peek(_BLOCK)
    if head.startswith(_BOM):
        file.read(len(_BOM))
        head = head.removeprefix(_BOM)
    start = head.lstrip()[:1]
    if not start:
        raise ConfigError(f"{path}: is empty")
    yield from (_array(file) if start == b"[" else _lines(file))


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
        return Raw(
            number, line[:200].decode("utf-8", "replace"), f"not valid UTF-8: {error.reason}"
        )


def _array(file: BinaryIO) -> Iterator[Raw]:
    """Yield the elements of an array without loading it as a whole."""
    decoder = json.JSONDecoder()
    decode = codecs.getincrementaldecoder("utf-8")().decode
    unreadable = ""

    def read() -> str:
        nonlocal unreadable
        block = b"" if unreadable else file.read(_BLOCK)
        try:
            return decode(block, final=not block)
        except UnicodeDecodeError as error:
            unreadable = f"not valid UTF-8: {error.reason}"
            return error.object[: error.start].decode("utf-8")

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
                yield Raw(line, rest[:200], "something follows the array and is not read")
            return
        problem = "the array is cut off"
        try:
            _, end = decoder.raw_decode(text, place)
            if end < len(text) or ended:  # else a number may continue in the next block
                yield Raw(line, text[place:end])
                line += text.count("\n", place, end)
                place = end
                continue
        except json.JSONDecodeError as error:
            problem = problem if ended and error.pos >= len(text) - 1 else error.msg
        except (ValueError, RecursionError) as error:
            problem = str(error)
        if len(text) - place > LARGEST:
            problem = (
                f"a record of more than {LARGEST // 10**6} MB, or one that is not valid: {problem}"
            )
        if ended or len(text) - place > LARGEST:
            why = f"not valid JSON, so nothing after it is read: {unreadable or problem}"
            yield Raw(line, text[place : place + 200], why)
            return
        more = read()
        text, place, ended = text[place:] + more, 0, not more


def _parquet_batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(_ROWS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from None


def _saved_batches(path: Path) -> Iterator[Any]:
    """Yield the batches of a data set saved by `save_to_disk`."""
    import datasets

    try:
        saved = datasets.load_from_disk(str(path))
    except (ValueError, KeyError, OSError) as error:
        raise ConfigError(f"{path}: is not a data set saved by `datasets`: {error}") from None
    if isinstance(saved, datasets.DatasetDict):
        splits = list(saved)
        if len(splits) > 1:
            names = ", ".join(splits)
            raise ConfigError(
                f"{path}: contains several splits ({names}); name one, e.g. {path / splits[0]}"
            )
        saved = saved[splits[0]]
    yield from saved.with_format("arrow").iter(_ROWS)


def _rows(batches: Iterable[Any]) -> Iterator[Raw]:
    number = 0
    for batch in batches:
        for row in batch.to_pylist(maps_as_pydicts="strict"):
            number += 1
            try:
                yield Raw(number, json.dumps(row, ensure_ascii=False))
            except (TypeError, ValueError) as error:
                yield Raw(
                    number, repr(row)[:200], f"contains a value that JSON cannot represent: {error}"
                )
