"""Export of answers as official ACEBench result files, to score them with the official runner."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from looptool.core.errors import ConfigError
from looptool.core.files import replacing
from looptool.engines import Completion
from looptool.evaluation.acebench.agent import Outcome
from looptool.evaluation.acebench.rows import Row
from looptool.evaluation.acebench.scoring import official_text


def write_results(
    folder: Path | str,
    model: str,
    rows: Sequence[Row],
    answers: Mapping[str, Completion],
    outcomes: Mapping[str, Outcome],
) -> list[Path]:
    """Write `result_all/result_<language>/<model>/data_<category>_result.json` below `folder`.

    The official runner matches lines with those of its data files by number and stops if the
    numbers of lines differ, so it needs whole categories. A row without an answer gets an empty
    one.

    Args:
        model: the folder's name, which the runner takes as `--model`.
        answers: answers to `normal` and `special` rows by row id.
        outcomes: outcomes of `agent` rows by row id.

    Returns:
        The paths of the files, sorted.

    Raises:
        ConfigError: if the model's name is not usable, or a file cannot be written.
    """
    if not model or model in (".", "..") or "FC" in model or set(model) & set("/\\"):
        raise ConfigError(
            f'{model!r} cannot be a model\'s name here: it must be a folder name without "FC", '
            "since the official runner reads the results of such models in another format"
        )
    files: dict[Path, list[Row]] = {}
    for row in rows:
        name = f"data_{row.category}_result.json"
        path = Path(folder) / "result_all" / f"result_{row.language}" / model / name
        files.setdefault(path, []).append(row)
    for path, inside in files.items():
        lines = [
            json.dumps(_line(row, answers, outcomes), ensure_ascii=False)
            for row in sorted(inside, key=lambda row: row.place)
        ]
        _write(path, "".join(f"{line}\n" for line in lines))
    return sorted(files)


def _line(
    row: Row, answers: Mapping[str, Completion], outcomes: Mapping[str, Outcome]
) -> dict[str, object]:
    name = row.entry["id"]
    if row.group != "agent":
        answer = answers.get(row.id)
        return {"id": name, "result": official_text(answer) if answer else ""}
    outcome = outcomes.get(row.id)
    states, process = (outcome.states, outcome.process) if outcome else ([], [])
    return {"id": name, "result": states, "process": process}


def _write(path: Path, text: str) -> None:
    try:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except (OSError, UnicodeEncodeError) as error:
        raise ConfigError(f"{path}: cannot be written: {error}") from error
