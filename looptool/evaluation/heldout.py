"""The held-out split as a benchmark, scored by `core.samples.is_correct`."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from looptool.core import canonical, tables
from looptool.core.answers import to_json
from looptool.core.samples import error_type, is_correct
from looptool.core.tool_match import MatchMode
from looptool.engines import Completion


def score(
    samples: pl.DataFrame, predictions: Sequence[Completion], match: MatchMode
) -> pl.DataFrame:
    """Return one row of `tables.Eval` per sample; all held-out rows have the split `test`.

    Args:
        samples: `tables.Samples`.
        predictions: the model's answer to each sample, in the order of the rows.
    """
    rows = []
    for sample, prediction in zip(samples.iter_rows(named=True), predictions, strict=True):
        parsed = prediction.answer
        label, tools = canonical.loads(sample["label"]), canonical.loads(sample["tools"])
        accepted = canonical.loads(sample["alternatives"])
        valid = is_correct(parsed, label, accepted, tools, match)
        rows.append(
            {
                "benchmark": "heldout",
                "category": sample["category"],
                "id": sample["sample_id"],
                "split": "test",
                "prediction": prediction.text,
                "answer": canonical.dumps(to_json(parsed)),
                "valid": valid,
                "strict": valid and is_correct(parsed, label, accepted, tools, "strict"),
                "error_type": None
                if valid
                else prediction.error_type or error_type(parsed, label, tools),
                "error": parsed.error,
            }
        )
    return tables.frame(tables.Eval, rows)
