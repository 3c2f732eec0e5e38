"""`looptool bench tools`: accuracy by tool and parameter for one or more models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from looptool.core import canonical, runs, tables
from looptool.core.errors import LooptoolError
from looptool.core.params import Params, load
from looptool.engines import Completion, Prompt, Sampling, answering
from looptool.engines.folders import model_folder, named_of_hub
from looptool.evaluation import heldout, own_tools, scores
from looptool.lineage.revisions import Snapshot, open_workspace
from looptool.terminal import shown

Measured = dict[str, tuple[pl.DataFrame, pl.DataFrame]]  # model → (results, by_tool)


def stored(iterations: Sequence[str] = (), snapshot: Snapshot | None = None) -> Measured:
    """Return the stored results of `eval` on the held-out split; no model is run.

    Raises:
        LooptoolError: if an iteration has not been evaluated.
    """
    snapshot = snapshot or open_workspace()
    files = {str(j): path for j, path in snapshot.tables("eval.parquet").items()}
    for j in iterations or [*files][-1:] or ["0"]:
        if j not in files:
            raise LooptoolError(f"iteration {j} is not evaluated; run `dvc repro eval@{j}`")
    samples = tables.read(snapshot.path("data/heldout.parquet"), tables.Samples)
    measured = {}
    for j in iterations or files:
        results = tables.read(files[j], tables.Eval).filter(pl.col("benchmark") == "heldout")
        measured[j] = results, own_tools.by_tool(samples, results)
    return measured


def ask(requests: Path, models: Sequence[str]) -> Measured:
    """Send a file's requests to models, with the settings of `eval`.

    Args:
        models: iteration numbers or model folders; default: all iterations.

    Raises:
        LooptoolError: if `generate.tools` names no tool set, or a model cannot be used.
        ConfigError: if a request or one of its calls is invalid.
    """
    from looptool.core.tools import read_tools

    params = load()
    if params.generate.tools is None:
        raise LooptoolError(
            "params.yaml: generate.tools: is null, but --requests needs a tool set; "
            "name one that `looptool tools import` wrote"
        )
    samples = own_tools.read_requests(requests, read_tools(params.generate.tools))
    prompts = [
        Prompt(canonical.loads(messages), canonical.loads(offered))
        for messages, offered in samples.select("messages", "tools").rows()
    ]
    folders = {}
    for text in models or _trained():
        name, folder = model_folder(text)
        folders[name if named_of_hub(text) else text] = folder
    runs.quiet()  # after the downloads, which it would forbid
    measured = {}
    for name, folder in folders.items():
        results = heldout.score(samples, _answers(folder, prompts, params), params.match)
        measured[name] = results, own_tools.by_tool(samples, results)
    return measured


def _trained() -> list[str]:
    numbers = [path.name for path in Path("models").glob("*") if path.name.isdecimal()]
    if not numbers:
        raise LooptoolError("models: no trained model; run `dvc repro` first")
    return sorted(numbers, key=int)


def _answers(folder: Path, prompts: Sequence[Prompt], params: Params) -> list[Completion]:
    settings = params.eval
    engine = answering.load(
        settings.engine, folder, params, batch_size=settings.batch_size, server=settings.server
    )
    completions = engine.generate(prompts, Sampling(settings.max_new_tokens))
    answering.check_all_answered(completions, "requests")
    return completions


def to_json(measured: Measured) -> list[dict[str, Any]]:
    """Return one object per model: accuracy, number of rows, and the rows of `by_tool`."""
    return [
        {"model": name, **_overall(results), "tools": table.to_dicts()}
        for name, (results, table) in measured.items()
    ]


def show(measured: Measured, console: Console) -> None:
    """Print a table with one row per tool and one per parameter."""
    table = Table("tool", "parameter", "n", *map(_called, measured), box=None)
    cells: dict[tuple[str, str | None], dict[str, str]] = {}
    rows: dict[tuple[str, str | None], int] = {}
    for j, (_, table_of_tools) in measured.items():
        for row in table_of_tools.iter_rows(named=True):
            key = row["tool"], row["parameter"]
            rows[key] = row["rows"]
            cells.setdefault(key, {})[j] = _percent(row["accuracy"], row["standard_error"])
    for key in sorted(cells, key=lambda key: (key[0], key[1] or "")):
        tool, parameter = key
        accuracies = [cells[key].get(j, "–") for j in measured]
        name = shown("", "") if parameter else shown(tool)
        table.add_row(name, shown(parameter or ""), str(rows[key]), *accuracies)
    console.print(table)
    for j, (results, _) in measured.items():
        whole = _overall(results)
        kinds = scores.by_category(results).iter_rows(named=True)
        parts = ", ".join(f"{row['category']} {100 * row['accuracy']:.0f} %" for row in kinds)
        exact = _percent(whole["accuracy"], whole["standard_error"])
        console.print(f"{_called(j)}: {exact} % of {whole['rows']} exactly right: {parts}")


def _called(name: str) -> str:
    return f"models/{name}" if name.isdecimal() else name


def _overall(results: pl.DataFrame) -> dict[str, Any]:
    score = scores.overall(results, macro=False)
    return {
        "accuracy": score.accuracy,
        "standard_error": score.standard_error,
        "rows": score.rows,
    }


def _percent(accuracy: float, error: float) -> str:
    return f"{100 * accuracy:.0f} ± {100 * error:.0f}"
