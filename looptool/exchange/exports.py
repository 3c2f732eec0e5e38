"""Export of a data set (`tables.Samples`) to the formats of other trainers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from looptool.core import canonical
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.files import replacing
from looptool.core.samples import Label, Message, prediction_label
from looptool.core.tools import Tool
from looptool.exchange.formats import Record, Refused, formats
from looptool.exchange.formats.syntaxes import check_texts
from looptool.lineage.revisions import Snapshot

_ROWS = 20_000  # processed at a time


def export_samples(data: Path, target: Path, form: str) -> tuple[int, int]:
    """Write each sample of a table as one JSON line, sorted by sample_id.

    Samples that the format cannot represent go to `<target>.rejected.jsonl` with the reason.

    Returns:
        The numbers of written and of rejected samples.

    Raises:
        ConfigError: if the file cannot be written.
    """
    columns = ["sample_id", "tools", "messages", "label"]

    def convert(row: Mapping[str, Any]) -> Record:
        return record_of(form, *(canonical.loads(row[name]) for name in columns[1:]))

    return _export(
        pl.scan_parquet(data).select(columns).sort("sample_id").collect(), target, convert
    )


def export_pairs(snapshot: Snapshot, iteration: int, target: Path) -> tuple[int, int]:
    """Write the verified mismatches of an iteration as pairs for TRL's `DPOTrainer`.

    A line has the fields prompt, chosen, rejected and tools, in the form of `formats.sft`. After
    PRED_WRONG the label is preferred to the model's answer, after LABEL_WRONG the new label to the
    old one. Other verdicts prefer neither. Pairs that cannot be written, such as those with a
    broken call, go to `<target>.rejected.jsonl` with the reason.

    Returns:
        The numbers of written and of rejected pairs.

    Raises:
        LooptoolError: if the iteration was not verified.
        ConfigError: if the file cannot be written.
    """
    verified = snapshot.tables("verdicts.parquet")
    if iteration not in verified:
        known = ", ".join(map(str, verified)) or "none"
        raise LooptoolError(
            f"{iteration}: {snapshot.where} has no verdicts of this iteration, so no pairs; it has "
            f"those of {known}"
        )
    train, probe, verdicts = (
        pl.scan_parquet(snapshot.path(f"data/iterations/{iteration}/{name}.parquet"))
        for name in ("train", "probe", "verdicts")
    )
    pairs = (
        verdicts.filter(pl.col("verdict").is_in(["PRED_WRONG", "LABEL_WRONG"]))
        .select("sample_id", "new_label", by_model=pl.col("verdict") == "PRED_WRONG")
        .join(train.select("sample_id", "tools", "messages", "label"), on="sample_id")
        .join(probe.select("sample_id", "calls", "text", "parse_error"), on="sample_id")
        .sort("sample_id")
        .collect()
    )
    return _export(pairs, target, _pair)


def record_of(
    form: str, tools: Sequence[Tool], messages: Sequence[Message], label: Label
) -> Record:
    """Convert a sample to a record of a format.

    Raises:
        Refused: if the format cannot represent it, or its import would give a different sample.
    """
    check_texts(tools, messages, label)
    return formats()[form].write(tools, messages, label)


def _pair(row: Mapping[str, Any]) -> Record:
    tools, messages, label = (canonical.loads(row[name]) for name in ("tools", "messages", "label"))
    if row["new_label"] is not None:  # people wrote it
        better, worse = canonical.loads(row["new_label"]), label
    else:
        prediction = prediction_label(row["text"], row["calls"], row["parse_error"])
        if prediction is None:
            raise Refused(f"the model's answer has a broken call: {row['parse_error']}")
        better, worse = (label, prediction) if row["by_model"] else (prediction, label)
    chosen, rejected = (record_of("sft", tools, messages, each) for each in (better, worse))
    return {
        "prompt": chosen["prompt"],
        "chosen": chosen["completion"],
        "rejected": rejected["completion"],
        "tools": chosen["tools"],
    }


def _export(
    rows: pl.DataFrame, target: Path, convert: Callable[[Mapping[str, Any]], Record]
) -> tuple[int, int]:
    refusals = target.with_name(f"{target.name}.rejected.jsonl")
    written = left_out = 0
    try:
        with replacing(refusals) as partial_refusals, replacing(target) as partial:
            with (
                open(partial, "w", encoding="utf-8") as file,
                open(partial_refusals, "w", encoding="utf-8") as refused,
            ):
                for row in _one_by_one(rows):
                    try:
                        _line(file, convert(row))
                        written += 1
                    except Refused as error:
                        _line(refused, {"sample_id": row["sample_id"], "reason": str(error)})
                        left_out += 1
            if not left_out:
                partial_refusals.unlink()
        if not left_out:
            refusals.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from None
    return written, left_out


def _one_by_one(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    for part in rows.iter_slices(_ROWS):
        yield from part.iter_rows(named=True)


def _line(file: TextIO, value: Any) -> None:
    file.write(json.dumps(value, ensure_ascii=False) + "\n")
