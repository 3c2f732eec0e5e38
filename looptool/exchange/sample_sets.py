"""Import of your own samples into `data/samples/<name>/`.

`samples.parquet` (`tables.Imported`) has one row for each assistant turn that became a sample.
`rejected.parquet` (`tables.Refusals`) has one row for each record or turn that did not. Both give
the line of the source and keep its order. `description.json` names the source, a file or a data set
of the hub at its commit, and counts the changes made to its records.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import re
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from looptool.core import canonical, tables
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.files import replacing
from looptool.exchange.formats import Changes, Format, Refused, formats
from looptool.exchange.formats.cutting import Cut, cut
from looptool.exchange.records import Raw, read_files, read_records, stem
from looptool.hub.data import DataFiles, download

FOLDER = Path("data/samples")
SAMPLES, REJECTED = "samples.parquet", "rejected.parquet"
DESCRIPTION = "description.json"
PROCESSES = 2
_BATCH = 2000  # maximum records converted at a time
_CHARACTERS = 8_000_000  # maximum characters converted at a time
_PROBED = 20  # records from which the format is detected
_KEPT = 2000  # characters stored of a rejected record

Columns = dict[str, list[Any]]
Rows = tuple[Columns, Columns, Changes]


@dataclass(slots=True)
class Outcome:
    """Counts of an import: records read, samples, changes, and rejections by check."""

    format: str
    records: int = 0
    samples: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    changes: Changes = field(default_factory=Changes)
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[int, str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "records": self.records,
            "samples": self.samples,
            "categories": dict(sorted(self.categories.items())),
            "changes": dict(sorted(self.changes.items())),
            "rejected": dict(sorted(self.rejected.items())),
        }


Source = Path | DataFiles
"""A file or folder, or the files of a data set of the hub."""


def place_of(source: Source) -> Path:
    """Return the default folder for the samples of a source.

    It is `data/samples/<name>`, or `data/samples/<parent>-<name>` if the first holds the samples of
    another source. For the hub, the parent is the owner.

    Raises:
        ConfigError: if both hold the samples of other sources.
    """
    parent, last = _names(source)
    for name in (last, f"{parent}-{last}"):
        place = FOLDER / _plain(name)
        there = origin_of(_source(place))
        if not (place / SAMPLES).exists() or there == origin_of(source_of(source)):
            return place
    raise ConfigError(
        f"{place}: contains the samples of another source; name a folder with --output"
    )


def name_of(source: Source) -> str:
    """Return a name for the samples of a source: of the file, or of the data set on the hub."""
    return _plain(_names(source)[1])


def _names(source: Source) -> tuple[str, str]:
    """Return the names of a source's parent and of itself."""
    if isinstance(source, Path):
        return source.absolute().parent.name, stem(source.absolute())
    parent, last = source.name.repository.split("/")
    more = [part for part in (source.config, source.split) if part not in ("default", "train")]
    return parent, "-".join([last, *more])


def _plain(name: str) -> str:
    return (re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "samples")[:64]


def origin_of(source: str | None) -> str | None:
    """Return a source without its commit, since a newer commit replaces the samples."""
    return source and re.sub(r"^(hf:[^@]+)@[0-9a-f]{40}", r"\1", source)


def source_of(source: Source) -> str:
    """Return a portable identity: for the hub, its name with the commit; for a file, its path in
    the project, or else the last three parts.
    """
    if isinstance(source, DataFiles):
        return str(source)
    full = source.absolute()
    if full.is_relative_to(Path.cwd()):
        return full.relative_to(Path.cwd()).as_posix()
    return Path(*full.parts[-3:]).as_posix().lstrip("/")


def _source(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / DESCRIPTION).read_text("utf-8"))["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def import_samples(
    source: Source,
    target: Path,
    form: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Import the samples of a source into `target`.

    Memory use does not grow with the source, except for one id per sample. The files of a data set
    of the hub are downloaded one by one, into the hub's cache, as their turn comes.

    Args:
        form: name of the format; default: detected from the first records.
        on_progress: called with the number of records done.

    Raises:
        ConfigError: if a file cannot be read, or the format of its records is unknown.
        LooptoolError: if a download fails; `target` is as before.
    """
    if isinstance(source, Path):
        records = read_records(source)
    else:
        records = read_files(download(source), f"{source}: ")
    first = next(_batches(records), [])
    format_ = _format_of(source, first, form)
    done = Outcome(format_.name)
    seen: dict[bytes, tuple[int, int]] = {}
    with (
        _folder(target),
        replacing(target / SAMPLES) as kept,
        replacing(target / REJECTED) as refused,
    ):
        with (
            tables.Writer(kept, tables.Imported, target / SAMPLES) as samples,
            tables.Writer(refused, tables.Refusals, target / REJECTED) as rejected,
        ):
            for count, (good, bad, changes) in _converted(first, records, format_.name):
                done.records += count
                _take_out_repeated(good, bad, seen)
                done.samples += len(good["line"])
                done.categories.update(good["category"])
                done.changes.update(changes)
                done.rejected.update(bad["check"])
                for row in zip(bad["line"], bad["check"], bad["reason"], strict=True):
                    if len(done.examples) < 20:
                        done.examples.append(row)
                samples.add(good)
                rejected.add(bad)
                on_progress(done.records)
        if not done.samples:
            kept.unlink()  # do not overwrite an existing set
    if done.samples:
        described = {"source": source_of(source), **done.to_json()}
        text = json.dumps(described, indent=2, ensure_ascii=False) + "\n"
        with replacing(target / DESCRIPTION) as partial:
            partial.write_text(text, "utf-8")
    return done


@contextlib.contextmanager
def _folder(target: Path) -> Iterator[None]:
    """Create a folder, and remove it at the end if nothing was written."""
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{target}: is not a writable folder: {error.strerror}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            target.rmdir()


def track(folder: Path) -> None:
    """Track a set in `data/samples` with DVC.

    Queued and `--temp` experiments can then find it, and it is not stored in git.

    Raises:
        LooptoolError: if `dvc add` fails.
    """
    if not Path(".dvc").is_dir() or folder.parent != FOLDER:
        return
    command = [sys.executable, "-m", "dvc", "add", "--quiet", str(folder)]
    if subprocess.run(command).returncode:
        raise LooptoolError(f"`dvc add {folder}` failed; see its message above")


def _format_of(source: Source, first: list[Raw], name: str | None) -> Format:
    known = formats()
    if name is not None:
        return known[name]
    for raw in first[:_PROBED]:
        try:
            record = json.loads(raw.text)
        except (ValueError, RecursionError):
            continue
        for form in known.values():
            if isinstance(record, dict) and form.fits(record):
                return form
    if broken := next((raw for raw in first if raw.reason), None):
        raise ConfigError(f"{source}: line {broken.line}: {broken.reason}")
    raise ConfigError(
        f"{source}: the format of its first records is unknown; name one with --format: "
        f"{', '.join(known)}"
    )


def _converted(first: list[Raw], records: Iterator[Raw], form: str) -> Iterator[tuple[int, Rows]]:
    """Yield (number of records, converted rows) of each batch, in the file's order."""
    more = next(records, None)
    if more is None:
        yield len(first), convert(first, form)
        return
    everything = chain(first, [more], records)
    context = multiprocessing.get_context("spawn")
    waiting: deque[tuple[int, Future[Rows]]] = deque()
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        for batch in _batches(everything):
            waiting.append((len(batch), pool.submit(convert, batch, form)))
            if len(waiting) > 2 * PROCESSES:
                count, future = waiting.popleft()
                yield count, future.result()
        for count, future in waiting:
            yield count, future.result()


def _batches(records: Iterable[Raw]) -> Iterator[list[Raw]]:
    """Yield records in lists of limited length and size."""
    batch: list[Raw] = []
    size = 0
    for raw in records:
        batch.append(raw)
        size += len(raw.text)
        if len(batch) == _BATCH or size > _CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def convert(batch: Iterable[Raw], form: str) -> Rows:
    """Convert records of one format.

    Returns:
        The columns of `tables.Imported`, those of `tables.Refusals`, and counts of the changes made
        to records that gave samples.
    """
    read = formats()[form].read
    changes = Changes()
    good: dict[str, list[Any]] = {name: [] for name in tables.polars_schema(tables.Imported)}
    bad: dict[str, list[Any]] = {name: [] for name in tables.polars_schema(tables.Refusals)}
    for raw in batch:
        if raw.reason:
            _refuse(bad, raw, None, "record", raw.reason)
            continue
        try:
            record = canonical.loads(raw.text)
            if not isinstance(record, dict):
                raise Refused("must be an object")
        except ValueError as error:
            _refuse(bad, raw, None, "json", _first_line(error))
            continue
        changed = Changes()
        try:
            cuts = list(cut(read(record, changed), changed))
        except Refused as error:
            _refuse(bad, raw, None, "record", str(error))
            continue
        for each in cuts:
            if each.reason:
                _refuse(bad, raw, each.turn, "turn", each.reason)
            else:
                _add(good, raw.line, each)
        if changed and not all(each.reason for each in cuts):
            changes.update(changed)
    return good, bad, changes


def _add(good: dict[str, list[Any]], line: int, each: Cut) -> None:
    good["sample_id"].append(each.sample_id)
    good["tools"].append(each.tools)
    good["messages"].append(each.messages)
    good["label"].append(each.label)
    good["category"].append(each.category)
    good["line"].append(line)
    good["turn"].append(each.turn)


def _refuse(bad: dict[str, list[Any]], raw: Raw, turn: int | None, check: str, reason: str) -> None:
    bad["line"].append(raw.line)
    bad["turn"].append(turn)
    bad["check"].append(check)
    bad["reason"].append(reason)
    bad["text"].append(raw.text[:_KEPT])


def _first_line(error: Exception) -> str:
    return f"not valid JSON: {str(error).splitlines()[0]}"


def _take_out_repeated(
    good: dict[str, list[Any]], bad: dict[str, list[Any]], seen: dict[bytes, tuple[int, int]]
) -> None:
    """Move rows whose tools and messages occurred earlier in the file to `bad`."""
    repeated = []
    for place, identity in enumerate(good["sample_id"]):
        key, label = bytes.fromhex(identity), hash(good["label"][place])
        if key not in seen:
            seen[key] = good["line"][place], label
            continue
        line, other = seen[key]
        how = "the same label" if label == other else "another label"
        raw = Raw(good["line"][place], good["messages"][place])
        why = f"line {line} has the same tools and messages, with {how}"
        _refuse(bad, raw, good["turn"][place], "duplicate", why)
        repeated.append(place)
    for column in good.values() if repeated else ():
        for place in reversed(repeated):
            del column[place]
