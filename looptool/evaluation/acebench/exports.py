"""ACEBench's own result files, for its own runner to score."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from looptool.core.errors import ConfigError
from looptool.evaluation.acebench.agent import Outcome
from looptool.evaluation.acebench.rows import Row
from looptool.evaluation.acebench.scoring import official_text


def write_results(
    folder: Path | str,
    model: str,
    rows: Sequence[Row],
    texts: Mapping[str, str],
    outcomes: Mapping[str, Outcome],
) -> list[Path]:
    """Write `result_all/result_<language>/<model>/data_<category>_result.json` under a folder.

    The official runner pairs lines by number with those of its data files, and stops where their
    numbers differ: it wants whole categories. A row without an answer gets an empty one.

    Args:
        model: the name of the folder that the runner is given as `--model`.
        texts: answers to `normal` and `special` rows by row id.
        outcomes: dialogues of `agent` rows by row id.

    Returns:
        The files, sorted.

    Raises:
        ConfigError: if the model's name cannot be used, or a file cannot be written.
    """
    if not model or model in (".", "..") or "FC" in model or set(model) & set("/\\"):
        raise ConfigError(
            f"{model!r} cannot be a model's name here: it names a folder, and the official runner "
            'reads results of models with "FC" in their name as another format'
        )
    files: dict[Path, list[Row]] = {}
    for row in rows:
        name = f"data_{row.category}_result.json"
        path = Path(folder) / "result_all" / f"result_{row.language}" / model / name
        files.setdefault(path, []).append(row)
    for path, inside in files.items():
        lines = [
            json.dumps(_line(row, texts, outcomes), ensure_ascii=False)
            for row in sorted(inside, key=lambda row: row.place)
        ]
        _write(path, "".join(f"{line}\n" for line in lines))
    return sorted(files)


def _line(row: Row, texts: Mapping[str, str], outcomes: Mapping[str, Outcome]) -> dict[str, object]:
    name = row.entry["id"]
    if row.group != "agent":
        return {"id": name, "result": official_text(texts.get(row.id, ""))}
    outcome = outcomes.get(row.id)
    states, process = (outcome.states, outcome.process) if outcome else ([], [])
    return {"id": name, "result": states, "process": process}


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except (OSError, UnicodeEncodeError) as error:
        raise ConfigError(f"{path}: could not be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
