"""The summary of a run: metrics/summary.json and a table on the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from looptool.core import runs
from looptool.core.errors import ConfigError
from looptool.core.params import load
from looptool.reporting import capabilities, tidy
from looptool.terminal import make_console, percent

DATA, METRICS = Path("data/iterations"), Path("metrics")
SUMMARY = METRICS / "summary.json"


def summarize_run() -> dict[str, Any]:
    """Write `metrics/summary.json` from the metrics of the stages, print it, and return it.

    Its form is `{"iterations": {"0": {"heldout", "heldout_se", "bfcl": {category: accuracy},
    "bfcl_se", "bfcl_mean", "bfcl_mean_se", "label_error", "label_error_carried", …}},
    "minutes"}`. Values of stages that did not run are null.

    Raises:
        ConfigError: if there is no metrics/labels.json yet.
    """
    last = load().loop.last
    if not (METRICS / "labels.json").exists():
        raise ConfigError(f"{METRICS / 'labels.json'}: does not exist; run `dvc repro` first")
    quality = json.loads((METRICS / "labels.json").read_text("utf-8"))
    iterations = {
        str(j): _iteration(METRICS / "iterations", j, quality.get(str(j), {}), j < last)
        for j in range(last + 1)
    }
    summary = {"iterations": iterations, "minutes": minutes()}
    runs.write_json(SUMMARY, summary)
    console = make_console()
    show(summary, console)
    capabilities.show(DATA, last, console)
    console.print(f"{summary['minutes']:.1f} minutes in stages; {SUMMARY}")
    return summary


def minutes() -> float:
    """Return the total minutes of all stages, counting the latest run of each."""
    return round(sum(row["seconds"] for row in runs.timings().values()) / 60, 2)


def show(summary: dict[str, Any], console: Console) -> None:
    """Print the summary, with accuracies and standard errors in percent."""
    rows = summary["iterations"]
    categories = sorted({name for row in rows.values() for name in row["bfcl"]})
    table = Table(title="Accuracy in %, ± standard error; BFCL on its test rows")
    table.add_column("model")
    for name in ["held-out", "BFCL mean", *categories]:
        table.add_column(name, justify="right")
    for iteration, row in rows.items():
        table.add_row(
            iteration,
            percent(row["heldout"], row["heldout_se"]),
            percent(row["bfcl_mean"], row["bfcl_mean_se"]),
            *(percent(row["bfcl"].get(name), row["bfcl_se"].get(name)) for name in categories),
        )
    data = Table(
        title="Data: wrong labels in %, what verification did, and groups with signal in %"
    )
    columns = {
        "samples": "samples",
        "label_error": "in D",
        "label_error_carried": "carried",
        "corrected": "corrected",
        "replaced_wrongly": "replaced_wrongly",
        "dropped": "dropped",
        "missed": "missed",
        "memorised": "memorised",
        "precision": "precision",
        "recall": "recall",
        "signal": "groups with signal",
    }
    data.add_column("D")
    for title in columns.values():
        data.add_column(title, justify="right")
    for iteration, row in rows.items():
        if row["samples"] is not None:
            data.add_row(iteration, *(_cell(name, row[name]) for name in columns))
    console.print(table, data)


def _iteration(
    metrics: Path, iteration: int, quality: dict[str, Any], handed_on: bool
) -> dict[str, Any]:
    scores = tidy.read(metrics, iteration, "eval") or {}
    heldout, official = scores.get("heldout", {}), scores.get("bfcl", {})
    categories = official.get("categories", {})
    verdicts = tidy.read(metrics, iteration, "verify") if handed_on else None
    generated = tidy.read(metrics, iteration, "generate") or {}
    trained = tidy.read(metrics, iteration, "train") or {}
    measured = ("corrected", "replaced_wrongly", "dropped", "missed", "memorised")
    return {
        "heldout": heldout.get("accuracy"),
        "heldout_se": heldout.get("standard_error"),
        "bfcl": {name: part["accuracy"] for name, part in categories.items()},
        "bfcl_se": {name: part["standard_error"] for name, part in categories.items()},
        "bfcl_mean": official.get("accuracy"),
        "bfcl_mean_se": official.get("standard_error"),
        "samples": generated.get("samples"),
        "origins": generated.get("origins"),
        "dataset_id": generated.get("dataset_id"),
        "verdicts": verdicts,
        **{
            name: quality.get(name)
            for name in ("label_error", "label_error_carried", *measured, "precision", "recall")
        },
        "reward": trained.get("reward_second_half"),
        "zero_variance_share": trained.get("zero_variance_share"),
        "signal": None if (still := trained.get("zero_variance_share")) is None else 1 - still,
    }


def _cell(name: str, value: float | int | None) -> str:
    if value is None:
        return "–"
    if name.startswith("label_error") or name in ("precision", "recall", "signal"):
        return f"{100 * value:.1f}"
    return str(value)
