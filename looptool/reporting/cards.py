"""Cards: the README.md of a published data set or model, with its lineage.

They are cards of Hugging Face's hub.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from looptool.core import tables
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import hash_path
from looptool.core.hub_name import HubName, hub_name
from looptool.core.params import EMBEDDED, Params, load
from looptool.core.samples import CATEGORIES, dataset_id
from looptool.core.syntaxes import SYNTAXES
from looptool.engines.folders import field_of_record
from looptool.engines.syntax import format_of
from looptool.lineage.diff import DataSet
from looptool.lineage.history import recorded_dataset_id
from looptool.lineage.revisions import Snapshot, open_workspace
from looptool.lineage.views import read_json

if TYPE_CHECKING:  # importing it takes half a second
    from huggingface_hub import CardData, RepoCard

_MARK = "<!-- written by looptool -->"
_PROJECTS = ("data", "metrics", "models", "stages", ".dvc", ".git")
_TAGS = ["tool-calling", "function-calling", "looptool"]
_EMBEDDED = HubName("HuggingFaceTB/SmolLM2-135M-Instruct")
_COLUMNS = {
    "sample_id": "BLAKE2b-128 of tools and messages",
    "tools": "JSON text: a list of `{name, description, parameters}`, parameters a JSON Schema",
    "messages": "JSON text: chat messages up to the assistant's turn",
    "label": 'JSON text: `{"calls": [{name, arguments}, …]}` or `{"text": …}`',
    "label_id": "BLAKE2b-128 of the label",
    "alternatives": "JSON text: other labels that count as right",
    "category": f"one of {', '.join(CATEGORIES)}",
    "origin": "how the sample came into this data set",
    "parent_id": "of an expanded sample: the error seed that it was made from",
    "born_iteration": "the iteration that the sample was made in",
    "label_iteration": "the iteration that its label is from",
    "label_source": "who gave it its label",
}


def write_data_set(data: DataSet, target: Path, license_: str) -> int:
    """Write a folder that `datasets.load_dataset` can open: `data/train.parquet` and a card.

    Returns:
        The number of samples.

    Raises:
        ConfigError: if the folder belongs to the project, or cannot be written.
        LooptoolError: if the folder already contains other files.
    """
    from huggingface_hub import DatasetCard, DatasetCardData

    frame = tables.read(data.path, tables.Samples)
    _make_room(target, {"data/train.parquet", "README.md"})
    tables.write(frame, tables.Samples, target / "data/train.parquet")
    error = "not known" if data.label_error is None else f"{100 * data.label_error:.1f} %"
    origins = (
        frame.group_by("origin", "label_source", "born_iteration", "label_iteration")
        .agg(samples=pl.len())
        .sort(pl.all())
    )
    facts = DatasetCardData(
        license=license_,
        task_categories=["text-generation"],
        tags=_TAGS,
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "data/train.parquet"}],
            }
        ],
    )
    lines = [
        f"# Tool-calling samples: data set {data.name}",
        f"{len(frame):,} samples of [looptool](https://arxiv.org/abs/2511.09148)'s closed loop. "
        f"`dataset_id` {dataset_id(frame)}: the hash of all samples, labels and alternatives, "
        "whatever their order.",
        f"Share of wrong labels, where the truth is known: {error}.",
        "## Lineage",
        _table(origins.columns, origins.rows()),
        "`looptool trace SAMPLE_ID` in the project shows the whole history of a sample.",
        "## Categories",
        _table(("category", "samples"), tables.counts(frame, "category").items()),
        "## Columns",
        _table(("column", "meaning"), _COLUMNS.items()),
    ]
    _write(DatasetCard, facts, lines, target)
    return len(frame)


def write_model(iteration: int, target: Path, license_: str) -> None:
    """Write a folder with the weights of an iteration and a card with data lineage and scores.

    Files are hard links where possible.

    Raises:
        ConfigError: if the folder belongs to the project, or cannot be written.
        LooptoolError: if there is no such model, or the folder already contains other files.
    """
    from huggingface_hub import ModelCard, ModelCardData

    params, snapshot = load(), open_workspace()
    source = Path(f"models/{iteration}")
    if not (source / "config.json").is_file():
        raise LooptoolError(f"{source}: contains no model; run `dvc repro train@{iteration}`")
    names = {path.name for path in source.iterdir() if path.is_file()}
    _make_room(target, {*names, "README.md"})
    for name in sorted(names - {"README.md"}):
        _hand_over(source / name, target / name)
    made = "metrics/iterations/0/warmup.json"  # by another base perhaps than params name now
    warmup = read_json(snapshot, made) if made in snapshot.files else {}
    base = warmup.get("base") or params.model.base
    published = hub_name(base) or (_EMBEDDED if base == EMBEDDED else None)
    facts = ModelCardData(
        license=license_, library_name="transformers", pipeline_tag="text-generation", tags=_TAGS,
        base_model=published.repository if published else None,
    )  # fmt: skip
    start = f"`{published or Path(base).name}`"
    if base == EMBEDDED and (adapter := field_of_record("meta", "adapter")):
        start += f" with looptool's warm start (adapter `{adapter}`)"
    loop = "the closed loop of [LoopTool](https://arxiv.org/abs/2511.09148)"
    if iteration:
        origin = f"Trained from {start} by {loop}, mode {params.loop.mode}."
    else:
        changed = "after a warm-up" if warmup.get("samples") else "unchanged"
        origin = f"{start}, {changed}: the model that {loop} starts from."
    lines = [
        f"# A tool-calling model: iteration {iteration}",
        origin,
        f"Weights: BLAKE2b-128 `{hash_path(source / 'model.safetensors')}`"
        if (source / "model.safetensors").exists()
        else f"Weights: BLAKE2b-128 of the folder `{hash_path(source)}`",
        _format(source),
        "## Data",
        _table(
            ("iteration", "dataset_id", "samples", "origins", "sources of new samples"),
            _data_rows(snapshot, iteration),
        ),
        "## Verification",
        _table(
            ("iteration", "judges", "verdicts", "judged model"),
            _verdict_rows(snapshot, iteration),
        ),
        "## Scores",
        _table(("benchmark", "category", "rows", "accuracy"), _score_rows(snapshot, iteration)),
        f"By `dvc repro eval@{iteration}`; BFCL-v3 rows are the test split of "
        "`bfcl-eval==2025.7.9`, held-out rows are about tools and wordings outside of training.",
        "## Params",
        f"```json\n{json.dumps(_training(params), indent=2)}\n```",
    ]
    _write(ModelCard, facts, lines, target)


def _format(model: Path) -> str:
    """Return how the model is prompted, in which syntax it calls, and how to serve it."""
    found = format_of(model)
    parser = next(each.vllm_parser for each in SYNTAXES if each.name == found["syntax"])
    options = f", with the options `{json.dumps(found['options'])}`" if found["options"] else ""
    return (
        f"Prompts are those of its chat template{options}. Calls are in the syntax "
        f"`{found['syntax']}`; vLLM reads them with `--tool-call-parser {parser}`."
    )


def _data_rows(snapshot: Snapshot, last: int) -> Iterator[Sequence[Any]]:
    for j in range(1, last + 1):
        name = f"metrics/iterations/{j}/generate.json"
        if name in snapshot.files:
            made = read_json(snapshot, name)
            yield (
                j,
                f"`{recorded_dataset_id(snapshot, j)}`",
                made["samples"],
                _counts(made["origins"]),
                _counts(made.get("sources", {})),
            )


def _verdict_rows(snapshot: Snapshot, last: int) -> Iterator[Sequence[Any]]:
    for j, path in snapshot.tables("verdicts.parquet").items():
        if j < last:
            data = pl.read_parquet(path, columns=["judge", "verdict"])
            judges = ", ".join(sorted(set(data["judge"]))) or "none"
            yield j, judges, _counts(tables.counts(data, "verdict")), f"iteration {j}"


def _score_rows(snapshot: Snapshot, iteration: int) -> Iterator[Sequence[Any]]:
    name = f"metrics/iterations/{iteration}/eval.json"
    scores = read_json(snapshot, name) if name in snapshot.files else {}
    for benchmark in ("heldout", "bfcl"):
        part = scores.get(benchmark) or {}
        rows = [("all", part)] if part else []
        for category, score in [*rows, *part.get("categories", {}).items()]:
            if score.get("accuracy") is not None:
                accuracy = f"{100 * score['accuracy']:.1f} ± {100 * score['standard_error']:.1f} %"
                yield benchmark, category, score.get("rows", "–"), accuracy


def _training(params: Params) -> dict[str, Any]:
    return {"seed": params.seed, "train": params.train.model_dump(mode="json")}


def _counts(numbers: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in numbers.items() if count) or "none"


def _table(names: Sequence[str], rows: Any) -> str:
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) if len(lines) > 2 else "None."


def _make_room(target: Path, written: set[str]) -> None:
    """Create a folder, or clear one that holds only files written with an earlier card.

    Args:
        written: the files that will be written, by path within the folder.

    Raises:
        ConfigError: if the folder belongs to the project, or cannot be written.
        LooptoolError: if the folder contains other files.
    """
    place = target.resolve()
    taken = [name for name in _PROJECTS if place.is_relative_to(Path(name).resolve())]
    if taken or Path.cwd().is_relative_to(place):
        raise ConfigError(f"{target}: belongs to the project; name another folder")
    try:
        files = {
            path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()
        }
        if others := files - written:
            raise LooptoolError(f"{target}: already contains {min(others)}; name another folder")
        card = target / "README.md"
        if files and not (card.is_file() and _MARK in card.read_text("utf-8", "replace")):
            raise LooptoolError(f"{target}: already contains {min(files)}; name another folder")
        for name in files:
            (target / name).unlink()
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from None


def _hand_over(source: Path, target: Path) -> None:
    """Hard-link a file that DVC has made read-only, copy any other file."""
    if not source.stat().st_mode & 0o222:
        with contextlib.suppress(OSError):
            os.link(source.resolve(), target)
            return
    shutil.copyfile(source, target)


def _write(kind: type[RepoCard], facts: CardData, parts: Sequence[str], target: Path) -> None:
    text = "\n\n".join([*parts, _MARK])
    kind(f"---\n{facts.to_yaml()}\n---\n\n{text}\n").save(target / "README.md")
