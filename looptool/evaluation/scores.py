"""Accuracies with standard errors, and confidence intervals of differences between models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from looptool.evaluation.acebench import overall as acebench_overall
from looptool.evaluation.acebench.rows import LANGUAGES
from looptool.evaluation.bfcl import overall as bfcl_overall

_ROW = ("benchmark", "category", "id")


@dataclass(frozen=True, slots=True)
class Score:
    """An accuracy with its standard error; both are None if there are no rows."""

    accuracy: float | None
    standard_error: float | None
    rows: int


@dataclass(frozen=True, slots=True)
class Difference:
    """`after - before` on the same rows, with bootstrap standard error and 95 % interval."""

    difference: float
    standard_error: float
    low: float
    high: float
    rows: int


def by_category(results: pl.DataFrame) -> pl.DataFrame:
    """Compute accuracy and binomial standard error per benchmark and category.

    Args:
        results: rows of `tables.Eval`.

    Returns:
        Columns benchmark, category, rows, accuracy, standard_error, sorted by the first two.
    """
    accuracy = pl.col("accuracy")
    return (
        results.group_by("benchmark", "category")
        .agg(rows=pl.len().cast(pl.Int64), accuracy=pl.col("valid").cast(pl.Float64).mean())
        .with_columns(standard_error=(accuracy * (1 - accuracy) / pl.col("rows")).sqrt())
        .sort("benchmark", "category")
    )


def headline(results: pl.DataFrame) -> pl.DataFrame:
    """Return `tables.Eval` with broken calls as wrong in BFCL's irrelevance categories.

    The official checker accepts them, so a model that cannot write a call would seem to decline.
    """
    declining = pl.col("category").is_in(["irrelevance", "live_irrelevance"])
    return results.with_columns(valid=pl.when(declining).then("strict").otherwise("valid"))


def overall(results: pl.DataFrame, *, macro: bool) -> Score:
    """Return the accuracy over all rows, or with `macro` the unweighted mean over categories."""
    categories = by_category(results)
    rows = int(categories["rows"].sum())
    if not rows:
        return Score(None, None, 0)
    if macro:
        errors = categories["standard_error"].to_numpy()
        error = float(np.sqrt((errors**2).sum())) / len(categories)
        return Score(float(categories["accuracy"].to_numpy().mean()), error, rows)
    accuracy = float(np.average(categories["accuracy"], weights=categories["rows"]))
    return Score(accuracy, float(np.sqrt(accuracy * (1 - accuracy) / rows)), rows)


def paired_difference(
    before: pl.DataFrame,
    after: pl.DataFrame,
    *,
    macro: bool,
    seed: int,
    resamples: int = 10_000,
) -> Difference:
    """Compare two models on the same rows by a paired bootstrap, stratified by category.

    A row that occurs several times in a frame (several seeds of one arm) counts as its mean.

    Args:
        before, after: rows of `tables.Eval`.
        macro: compare unweighted means over categories instead of means over rows.

    Raises:
        ValueError: if the frames are empty or contain different rows.
    """
    left, right = _mean_by_row(before), _mean_by_row(after)
    if left.select(_ROW).rows() != right.select(_ROW).rows() or left.is_empty():
        raise ValueError("a paired comparison needs the same rows on both sides, at least one")
    gains = left.select("benchmark", "category", gain=right["valid"] - left["valid"])
    generator = np.random.default_rng(seed)
    drawn = np.zeros(resamples)
    difference = 0.0
    groups = gains.partition_by("benchmark", "category", maintain_order=True)
    for group in groups:
        values = group["gain"].to_numpy()
        weight = 1 / len(groups) if macro else len(values) / len(gains)
        difference += weight * float(values.mean())
        drawn += weight * _resampled_means(values, resamples, generator)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Difference(difference, float(drawn.std(ddof=1)), float(low), float(high), len(gains))


def summary(results: pl.DataFrame) -> dict[str, Any]:
    """Return the metrics of `eval`: accuracies with standard errors, overall and by category.

    `bfcl` is the unweighted mean over the categories that were run, on *test* rows only, in the
    form of `headline`.
    `bfcl_averages` holds the official averages over all rows that were run, by the official and
    the strict verdict; `acebench` the same for ACEBench, by language. `refused` is the number of
    rows that are wrong because the model could not take a prompt.
    """

    def plain(score: Score) -> dict[str, Any]:
        return {
            "accuracy": score.accuracy,
            "standard_error": score.standard_error,
            "rows": score.rows,
        }

    def parts(rows: pl.DataFrame) -> dict[str, Any]:
        return {
            row["category"]: {key: row[key] for key in ("accuracy", "standard_error", "rows")}
            for row in by_category(rows).iter_rows(named=True)
        }

    heldout = results.filter(benchmark="heldout")
    official = results.filter(benchmark="bfcl")
    test = headline(official.filter(split="test"))
    return {
        "refused": len(results.filter(error_type="refused")),
        "heldout": {**plain(overall(heldout, macro=False)), "categories": parts(heldout)},
        "bfcl": {**plain(overall(test, macro=True)), "categories": parts(test)},
        "bfcl_all_rows": parts(official),
        "bfcl_averages": {
            column: {
                key: value
                for key, value in asdict(bfcl_overall.overall(official, column)).items()
                if isinstance(value, float)
            }
            for column in ("valid", "strict")
        },
        "acebench": {
            language: {
                column: {**ace.groups, **({"overall": ace.overall} if ace.overall else {})}
                for column, ace in (
                    ("valid", acebench_overall.overall(results, language, "valid")),
                    ("strict", acebench_overall.overall(results, language, "strict")),
                )
            }
            for language in LANGUAGES
            if results.filter(benchmark="acebench")["id"].str.starts_with(f"{language}/").any()
        },
    }


def _mean_by_row(results: pl.DataFrame) -> pl.DataFrame:
    return results.group_by(_ROW).agg(valid=pl.col("valid").cast(pl.Float64).mean()).sort(_ROW)


def _resampled_means(
    values: np.ndarray, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the means of bootstrap samples, drawn as counts of the distinct values."""
    kinds, counts = np.unique(values, return_counts=True)
    draws = generator.multinomial(len(values), counts / len(values), size=resamples)
    return np.asarray(draws @ kinds / len(values))
