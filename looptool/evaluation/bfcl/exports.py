"""Export of answers as official BFCL result files, to score them with the official runner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical
from looptool.core.answers import from_json, read_answer
from looptool.core.errors import ConfigError
from looptool.core.files import replacing
from looptool.evaluation.bfcl.rows import MULTI_TURN


def write_results(results: pl.DataFrame, folder: Path, model: str) -> list[Path]:
    """Write `result/<model>/BFCL_v3_<category>_result.json` and return the files.

    Native answers are written like those of function-calling models: a list of
    `{name: arguments as JSON}`, or the text if no calls can be parsed. The runner needs a model
    name with `-FC` handling for them (e.g. `gpt-4o-2024-11-20-FC`). Answers to BFCL's own prompt
    stay text.

    Args:
        results: `tables.Bench` of one target and one prompt style.

    Raises:
        ConfigError: if the model's name contains "_" (the official runner reads it as "/") or is
            not a valid folder name, or a file cannot be written.
    """
    if set(model) & set("_/\\") or model in ("", ".", ".."):
        raise ConfigError(f"{model!r}: the official runner accepts no '_' or '/' in a model name")
    written = []
    for (category,), part in results.group_by("category", maintain_order=True):
        path = folder / "result" / model / f"BFCL_v3_{category}_result.json"
        given = part.select("id", "prediction", "answer", "prompt").rows()
        lines = [
            json.dumps(
                {"id": row_id, "result": result_of(prediction, answer, prompt, str(category))}
            )
            for row_id, prediction, answer, prompt in sorted(given, key=lambda row: _number(row[0]))
        ]
        try:
            with replacing(path) as partial:
                partial.write_text("\n".join(lines), "utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
        written.append(path)
    return sorted(written)


def result_of(prediction: str, answer: str | None, prompt: str, category: str) -> Any:
    """Return a row of `tables.Eval` in the form of the official result files.

    Args:
        answer: None in tables of older revisions; calls are then read as Hermes.
    """
    if category not in MULTI_TURN:
        return _step(prediction, canonical.loads(answer) if answer else None, prompt)
    turns = canonical.loads(prediction)
    read = canonical.loads(answer) if answer else [[None] * len(turn) for turn in turns]
    return [
        [_step(text, each, prompt) for text, each in zip(*turn, strict=True)]
        for turn in zip(turns, read, strict=True)
    ]


def _step(text: str, answer: dict[str, Any] | None, prompt: str) -> Any:
    parsed = read_answer(text) if answer is None else from_json(answer)
    if prompt != "native" or parsed.error is not None or not parsed.calls:
        return text
    return [{call.name: json.dumps(call.arguments)} for call in parsed.calls]


def _number(row_id: str) -> int:
    return int(row_id.rpartition("_")[2].partition("-")[0])
