"""Scores of the adapter: held-out samples of the grammar, and BFCL's development rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from looptool.core.machine import NumberTypeName
from looptool.engines import Sampling, prompts_of
from looptool.engines.transformers import TransformersEngine
from looptool.evaluation import heldout, running
from looptool.evaluation.bfcl import rows as bfcl
from looptool.offline.grammar.author import GrammarAuthor
from looptool.synthesis.seeds import Recipe, make_seeds
from looptool.terminal import counting
from looptool.warm_start.recipe import WarmStart

_CATEGORIES = ("simple", "multiple", "parallel", "parallel_multiple", "irrelevance")
_MOST_TOKENS = 256


def evaluate(
    folder: Path,
    recipe: WarmStart,
    dtype: NumberTypeName,
    scratch: Path,
) -> dict[str, Any]:
    """Return the accuracies of a model folder, in %, by benchmark and category.

    A broken call counts as wrong in BFCL's irrelevance (the strict form).

    Args:
        scratch: a folder for answers, from which a killed run resumes.
    """
    shares = {str(name): value for name, value in recipe.shares.items()}
    samples = make_seeds(
        Recipe(recipe.heldout_rows, f"{recipe.seed}:held out", "heldout", shares, "warm_start", 0),
        GrammarAuthor(),
    ).samples
    rows = bfcl.rows(_CATEGORIES, recipe.bfcl_rows, split="development")
    engine = TransformersEngine.load(folder, None, dtype)
    with counting("answers", recipe.heldout_rows + len(rows)) as on_progress:
        asker = running.Asker(engine, Sampling(_MOST_TOKENS), scratch, on_progress)
        official, answers = running.run_bfcl(rows, asker, others=prompts_of(samples))
    own = heldout.score(samples, answers, "schema")
    right = own["valid"].sum() / len(own)
    return {
        "heldout": _percentages(own, "valid") | {"all": round(100 * right, 1)},
        "bfcl_development": _percentages(official, "strict"),
    }


def _percentages(results: pl.DataFrame, column: str) -> dict[str, float]:
    return {
        row["category"]: round(100 * row["share"], 1)
        for row in results.group_by("category", maintain_order=True)
        .agg(share=pl.col(column).cast(pl.Float64).mean())
        .sort("category")
        .iter_rows(named=True)
    }
