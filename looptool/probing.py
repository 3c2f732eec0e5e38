"""Greedy capability probing (GCP): score a model's greedy answers and its confidence in them.

Source: LoopTool (arXiv 2511.09148). A sample that the model answers correctly with low perplexity
is mastered; one that it answers correctly with high perplexity is still worth training on.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.samples import error_type, is_correct, share_of
from looptool.core.tool_match import MatchMode
from looptool.engines import Completion


def probe(
    samples: pl.DataFrame,
    predictions: Sequence[Completion],
    high_ppl_share: float,
    mode: MatchMode = "schema",
    left_out: Container[str] = (),
) -> pl.DataFrame:
    """Compare each prediction with its sample.

    Args:
        samples: `tables.Samples`.
        predictions: one per row, in the order of the rows.
        high_ppl_share: the share of the matched rows to mark `high_ppl`, highest perplexity first.
            0.25 marks a quarter, rounded down. Ties are broken by sample_id. Rows without a
            perplexity are never marked.
        mode: the mode of ToolMatch.
        left_out: the sample_ids that the model could not be trained on. It is not at fault if it
            misses them, so their error type is `refused`.

    Returns:
        `tables.Probe`, rows in the order of `samples`.

    Raises:
        ValueError: if the numbers of predictions and samples differ, `high_ppl_share` is not
            between 0 and 1, or a log probability is NaN.
    """
    if not 0 <= high_ppl_share <= 1:
        raise ValueError(f"high_ppl_share: must lie between 0 and 1, not {high_ppl_share}")
    rows = [
        _probe_row(row, prediction, mode, row["sample_id"] in left_out)
        for row, prediction in zip(samples.iter_rows(named=True), predictions, strict=True)
    ]
    result = tables.frame(tables.Probe, rows)
    marked = share_of(len(result.filter("matched")), high_ppl_share)
    high = (
        result.filter("matched")
        .drop_nulls("ppl")
        .sort("ppl", "sample_id", descending=[True, False])
        .head(marked)["sample_id"]
    )
    return result.with_columns(high_ppl=pl.col("sample_id").is_in(high.implode()))


def perplexity(logprob: float | None, tokens: int) -> float | None:
    """Return exp(-mean log p) of an answer: finite and at least 1.

    An answer without tokens has perplexity 1.

    Args:
        logprob: sum of the tokens' log probabilities in nats; None gives None.
        tokens: number of tokens.

    Raises:
        ValueError: if `logprob` is NaN.
    """
    if logprob is None:
        return None
    if math.isnan(logprob):
        raise ValueError("the log probability of a completion is NaN")
    return math.exp(min(max(0.0, -logprob / tokens), 700.0)) if tokens else 1.0


def probe_metrics(samples: pl.DataFrame, probed: pl.DataFrame) -> dict[str, Any]:
    """Summarise a probe: counts, shares of matched rows, median perplexities.

    A share or median over no rows is None.

    Args:
        samples: `tables.Samples`.
        probed: `tables.Probe` of these samples.
    """
    rows = samples.select("sample_id", "category", "origin").join(probed, on="sample_id")
    matched, missed = rows.filter("matched"), rows.filter(~pl.col("matched"))
    return {
        "samples": len(rows),
        "matched": rows["matched"].mean(),
        "high_ppl": len(rows.filter("high_ppl")),
        "matched_by_category": _shares(rows, "category"),
        "matched_by_origin": _shares(rows, "origin"),
        "failures": tables.counts(missed, "error_type"),
        "median_ppl_matched": matched["ppl"].median(),
        "median_ppl_missed": missed["ppl"].median(),
        "tokens": int(rows["tokens"].sum()),
    }


def _shares(rows: pl.DataFrame, column: str) -> dict[str, float]:
    return dict(rows.group_by(column).agg(pl.col("matched").mean()).sort(column).iter_rows())


def _probe_row(
    row: Mapping[str, Any], prediction: Completion, mode: MatchMode, left_out: bool
) -> dict[str, Any]:
    parsed = prediction.answer
    tools, label = canonical.loads(row["tools"]), canonical.loads(row["label"])
    matched = is_correct(parsed, label, canonical.loads(row["alternatives"]), tools, mode)
    kind = None
    if not matched:
        refused = left_out or prediction.finish_reason == "refused"
        kind = "refused" if refused else error_type(parsed, label, tools)
    return {
        "sample_id": row["sample_id"],
        "prediction": prediction.text,
        "calls": canonical.dumps([call.to_json() for call in parsed.calls]),
        "text": parsed.text,
        "thinking": parsed.thinking,
        "parse_error": parsed.error,
        "matched": matched,
        "ppl": perplexity(prediction.logprob, prediction.tokens),
        "high_ppl": False,
        "tokens": prediction.tokens,
        "error_type": kind,
    }
