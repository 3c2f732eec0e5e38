"""What a model's greedy answers say about each sample: right or wrong, how, and how sure (GCP).

The paper's greedy capability probing (arXiv 2511.09148): samples that the model answers rightly
and surely are mastered; those it answers rightly but unsurely stay worth training on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import polars as pl

from looptool.core import canonical, tables
from looptool.core.calls import MatchMode, parse
from looptool.core.samples import failure_type, is_correct


class Completion(Protocol):
    """What probing needs of an engine's completion."""

    @property
    def text(self) -> str:
        """What the model wrote."""
        ...

    @property
    def tokens(self) -> int:
        """How many tokens it wrote, the one that ended it included."""
        ...

    @property
    def logprob(self) -> float | None:
        """The sum of the log probabilities of these tokens, None where nobody can tell."""
        ...

    @property
    def error(self) -> str | None:
        """Why there is no answer, or None."""
        ...


def probe(
    samples: pl.DataFrame,
    predictions: Sequence[Completion],
    high_ppl_share: float,
    mode: MatchMode = "schema",
) -> pl.DataFrame:
    """Hold each prediction against its sample.

    Args:
        samples: a tables.Samples frame.
        predictions: one for each row, in the order of the rows.
        high_ppl_share: which share of the matched rows, those of highest perplexity, is marked
            `high_ppl`: 0.25 marks a quarter, rounded down; ties are broken by sample_id. Rows
            without a perplexity are never marked.
        mode: of ToolMatch.

    Returns:
        A tables.Probe frame, rows in the order of `samples`.

    Raises:
        ValueError: if there are not as many predictions as samples, the share is not within 0 to 1,
            or a log probability is no number.
    """
    if not 0 <= high_ppl_share <= 1:
        raise ValueError(f"high_ppl_share: must lie between 0 and 1, not {high_ppl_share}")
    rows = [
        _judge(row, prediction, mode)
        for row, prediction in zip(samples.iter_rows(named=True), predictions, strict=True)
    ]
    result = tables.frame(tables.Probe, rows)
    marked = int(len(result.filter("matched")) * high_ppl_share + 1e-9)
    high = (
        result.filter("matched")
        .drop_nulls("ppl")
        .sort("ppl", "sample_id", descending=[True, False])
        .head(marked)["sample_id"]
    )
    return result.with_columns(high_ppl=pl.col("sample_id").is_in(high.implode()))


def probe_metrics(samples: pl.DataFrame, probed: pl.DataFrame) -> dict[str, Any]:
    """Sum a probe up: counts, shares of matched rows, median perplexities; null of no rows.

    Args:
        samples: tables.Samples.
        probed: tables.Probe of these samples.
    """
    rows = samples.select("sample_id", "category", "origin").join(probed, on="sample_id")
    matched, missed = rows.filter("matched"), rows.filter(~pl.col("matched"))
    return {
        "samples": len(rows),
        "matched": rows["matched"].mean(),
        "high_ppl": len(rows.filter("high_ppl")),
        "matched_by_category": _shares(rows, "category"),
        "matched_by_origin": _shares(rows, "origin"),
        "failures": tables.counts(missed, "failure_type"),
        "median_ppl_matched": matched["ppl"].median(),
        "median_ppl_missed": missed["ppl"].median(),
        "tokens": int(rows["tokens"].sum()),
    }


def _shares(rows: pl.DataFrame, column: str) -> dict[str, float]:
    return dict(rows.group_by(column).agg(pl.col("matched").mean()).sort(column).iter_rows())


def perplexity(logprob: float | None, tokens: int) -> float | None:
    """Return exp(-mean log p) of an answer, at least 1 and finite; 1 if it has no token.

    Raises:
        ValueError: if `logprob` is NaN.
    """
    if logprob is None:
        return None
    if math.isnan(logprob):
        raise ValueError("the log probability of a completion is NaN")
    return math.exp(min(max(0.0, -logprob / tokens), 700.0)) if tokens else 1.0


def _judge(row: Mapping[str, Any], prediction: Completion, mode: MatchMode) -> dict[str, Any]:
    text = prediction.text.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
    parsed = parse(text)
    if prediction.error is not None:
        parsed = replace(parsed, error=f"no answer: {prediction.error}")
    tools, label = canonical.loads(row["tools"]), canonical.loads(row["label"])
    matched = is_correct(parsed, label, canonical.loads(row["alternatives"]), tools, mode)
    return {
        "sample_id": row["sample_id"],
        "prediction": text,
        "calls": canonical.dumps([call.to_json() for call in parsed.calls]),
        "parse_error": parsed.error,
        "matched": matched,
        "ppl": perplexity(prediction.logprob, prediction.tokens),
        "high_ppl": False,
        "tokens": prediction.tokens,
        "failure_type": None if matched else failure_type(parsed, label, tools),
    }
