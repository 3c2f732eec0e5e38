"""The set of an audit: an imported one, a D_j, or a file that `looptool data import` reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from looptool.auditing import DESCRIPTION, FOLDER
from looptool.core import canonical, tables
from looptool.core.errors import ConfigError, LooptoolError, TableError
from looptool.exchange import sample_sets
from looptool.exchange.sample_sets import origin_of
from looptool.hub.data import find_data
from looptool.lineage.diff import open_data_set

_ROWS = 5_000  # read at a time


@dataclass(frozen=True)
class AuditedSet:
    """An opened set.

    Attributes:
        source: what it is, without the path of this machine.
        place: the default folder of its audit.
        path: its Parquet file, `tables.Samples` or `tables.Imported`.
        rows: how many samples it has.
        refused: the records and turns that the import refused, by check; {} for a set that was
            imported before.
        given: the file or folder that it was opened from, if it is one; never to be overwritten.
        reference: what the user called it.
    """

    source: str
    place: Path
    path: Path
    rows: int
    refused: Mapping[str, int] = field(default_factory=dict)
    given: Path | None = None
    reference: str = ""

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the samples in their order: `tables.Samples`, and the line and turn of each."""
        scanned = pl.scan_parquet(self.path)
        imported = "line" in scanned.collect_schema()
        for start in range(0, self.rows, _ROWS):
            part = scanned.slice(start, _ROWS).collect()
            yield _as_samples(part) if imported else _with_places(part)


def open_set(
    reference: str, output: Path | None, on_progress: Callable[[int], None] = lambda _: None
) -> AuditedSet:
    """Open a set; a file in another format is first imported into the folder of its audit.

    Args:
        reference: a data set (2, main:2, exp-name:2, a .parquet file), the name or folder of an
            imported set, or what `looptool data import` reads.
        output: the folder of the audit, if it is not the default.

    Raises:
        ConfigError: if there is no such set, or the folder holds the audit of another one.
        LooptoolError: if it has no samples.
    """
    opened = _open(reference, output, on_progress)
    return replace(opened, reference=reference)


def _open(reference: str, output: Path | None, on_progress: Callable[[int], None]) -> AuditedSet:
    path = Path(reference)
    for folder in (path, sample_sets.FOLDER / reference):
        if (folder / sample_sets.SAMPLES).is_file():
            name = folder.resolve().name
            file = folder / sample_sets.SAMPLES
            return _opened(folder.as_posix(), output or FOLDER / name, file, given=folder)
    if re.fullmatch(r"(?:.+:)?\d+", reference) and not path.exists():
        opened = open_data_set(reference).path
        name = "D-" + _plain(reference)
        return _opened(f"D_{reference}", output or FOLDER / name, opened)
    if path.suffix == ".parquet" and path.is_file() and _is_table(path):
        source = sample_sets.source_of(path)
        return _opened(source, output or FOLDER / _plain(path.stem), path, given=path)
    found = find_data(reference) if reference.startswith("hf:") else path
    if isinstance(found, Path) and not found.exists():
        raise ConfigError(f"{reference}: No such file or directory")
    place, source = output or FOLDER / sample_sets.name_of(found), sample_sets.source_of(found)
    check_folder(place, source)
    imported = place / "imported"
    outcome = sample_sets.import_samples(found, imported, None, on_progress)
    if not outcome.samples:
        first = "".join(f": line {line}: {reason}" for line, _, reason in outcome.examples[:1])
        raise LooptoolError(
            f"{reference}: no samples{first}; all reasons are in {imported / sample_sets.REJECTED}"
        )
    samples = imported / sample_sets.SAMPLES
    given = found if isinstance(found, Path) else None
    return _opened(source, place, samples, dict(outcome.rejected), given)


def _opened(
    source: str,
    place: Path,
    path: Path,
    refused: Mapping[str, int] | None = None,
    given: Path | None = None,
) -> AuditedSet:
    check_folder(place, source)
    columns = pl.read_parquet_schema(path)
    tables.check_columns(path, tables.Imported if "line" in columns else tables.Samples)
    rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    if not rows:
        raise LooptoolError(f"{path}: has no samples")
    return AuditedSet(source, place, path, rows, refused or {}, given)


def _is_table(path: Path) -> bool:
    try:
        tables.check_columns(path, tables.Samples)
    except TableError:
        return False
    return True


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "set"


def _as_samples(part: pl.DataFrame) -> pl.DataFrame:
    return part.with_columns(
        label_id=pl.Series([canonical.digest(label) for label in part["label"]], dtype=pl.String),
        alternatives=pl.lit("[]"),
        origin=pl.lit("seed"),
        parent_id=pl.lit(None, pl.String),
        born_iteration=pl.lit(0, pl.Int64),
        label_iteration=pl.lit(0, pl.Int64),
        label_source=pl.lit("import"),
    )


def _with_places(part: pl.DataFrame) -> pl.DataFrame:
    return part.with_columns(line=pl.lit(None, pl.Int64), turn=pl.lit(None, pl.Int64))


def check_folder(place: Path, source: str) -> None:
    """Raise ConfigError if a folder holds the audit of another set."""
    described = read_description(place)
    if described and origin_of(str(described.get("source"))) != origin_of(source):
        raise ConfigError(
            f"{place}: holds the audit of {described.get('source')}; name a folder with --output"
        )


def read_description(place: Path) -> dict[str, object]:
    """Return the description of an audit, or {} if there is none."""
    try:
        content = json.loads((place / DESCRIPTION).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
