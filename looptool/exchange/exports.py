"""Export of a data set (`tables.Samples`) to the formats of other trainers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from looptool.core import canonical
from looptool.core.errors import ConfigError
from looptool.core.files import replacing
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.exchange.formats import Record, Refused, formats
from looptool.exchange.formats.syntaxes import check_texts

_ROWS = 20_000  # processed at a time


def export_samples(data: Path, target: Path, form: str) -> tuple[int, int]:
    """Write each sample of a table as one JSON line, sorted by sample_id.

    Samples that the format cannot represent go to `<target>.rejected.jsonl` with the reason.

    Returns:
        The numbers of written and of rejected samples.

    Raises:
        ConfigError: if the file cannot be written.
    """
    rejected = target.with_name(f"{target.name}.rejected.jsonl")
    written = left_out = 0
    try:
        with replacing(rejected) as partial_rejected, replacing(target) as partial:
            with (
                open(partial, "w", encoding="utf-8") as file,
                open(partial_rejected, "w", encoding="utf-8") as refused,
            ):
                for row in _rows(data):
                    tools, messages, label = (
                        canonical.loads(row[name]) for name in ("tools", "messages", "label")
                    )
                    try:
                        _line(file, record_of(form, tools, messages, label))
                        written += 1
                    except Refused as error:
                        _line(refused, {"sample_id": row["sample_id"], "reason": str(error)})
                        left_out += 1
            if not left_out:
                partial_rejected.unlink()
        if not left_out:
            rejected.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from None
    return written, left_out


def record_of(
    form: str, tools: Sequence[Tool], messages: Sequence[Message], label: Label
) -> Record:
    """Convert a sample to a record of a format.

    Raises:
        Refused: if the format cannot represent it, or its import would give a different sample.
    """
    check_texts(tools, messages, label)
    return formats()[form].write(tools, messages, label)


def _rows(data: Path) -> Iterator[dict[str, Any]]:
    columns = ["sample_id", "tools", "messages", "label"]
    frame = pl.scan_parquet(data).select(columns).sort("sample_id").collect()
    for part in frame.iter_slices(_ROWS):
        yield from part.iter_rows(named=True)


def _line(file: TextIO, value: Any) -> None:
    file.write(json.dumps(value, ensure_ascii=False) + "\n")
