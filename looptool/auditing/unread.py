"""The share of a set that the rules judge cannot read, from a sample of its rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl

from looptool.core import canonical
from looptool.core.registry import load
from looptool.judging import JUDGES, impressions

_ROWS = 300  # a second's work


def unread_shares(path: Path) -> dict[str, float]:
    """Return the share of labels that the rules cannot check, by reason; {} if there are none.

    Args:
        path: `tables.Imported` or `tables.Samples`; of more rows than `_ROWS`, every n-th is read.
    """
    scanned = pl.scan_parquet(path).select("tools", "messages", "label")
    rows = scanned.select(pl.len()).collect().item()
    part = scanned.gather_every(max(1, rows // _ROWS)).head(_ROWS).collect()
    samples = [
        (canonical.loads(tools), canonical.loads(messages), canonical.loads(label))
        for tools, messages, label in part.iter_rows()
    ]
    judge = load(JUDGES["rules"])("rules", None)
    counts = Counter(view.unread for view in impressions(judge, samples) if view.unread)
    return {reason: count / len(samples) for reason, count in sorted(counts.items())}
