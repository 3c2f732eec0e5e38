"""What judges are worth where people decided: precision, recall, agreement, and what reviews cost.

A person's decision is the truth. If rows of a random sample were decided (`looptool review
--sample`), only these count, each with its weight; otherwise all decided rows count, which were
chosen and so are no fair sample. Intervals are Wilson's at 95 %, with Kish's effective number of
rows where weights differ.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import duckdb
import polars as pl

from looptool.core import canonical, tables
from looptool.core.samples import VERDICTS
from looptool.judging.human import Merged, merged
from looptool.lineage.revisions import Snapshot

_TRUTH = {"keep": "PRED_WRONG", "take": "LABEL_WRONG", "both": "BOTH_CORRECT",
          "edit": "BOTH_WRONG", "drop": "BOTH_WRONG"}  # fmt: skip
_CHANGES = ("take", "edit", "drop")  # decisions that rid the set of a wrong label
_Z = 1.96


@dataclass(frozen=True)
class Source:
    """What was reviewed.

    Attributes:
        size: the number of samples in the set.
        verdicts: (sample_id, label_id) → the judges' verdict, and each judge's; a label against
            which nothing speaks counts as right.
        decided: what people decided together.
    """

    name: str
    size: int
    verdicts: Mapping[tuple[str, str], tuple[str, Mapping[str, str]]]
    decided: Mapping[tuple[str, str], Merged]


def sources(snapshot: Snapshot) -> Iterator[Source]:
    """Yield each iteration and audit on which people decided something."""
    reviews = read_reviews(snapshot)
    if reviews.is_empty():
        return
    together = merged(reviews)
    files = {str(j): path for j, path in snapshot.tables("verdicts.parquet").items()}
    for name, path in files.items():
        table = tables.read(path, tables.Verdicts).with_columns(
            verdict=pl.coalesce("proposed", "verdict"), label_id="old_label_id"
        )
        train = snapshot.path(f"data/iterations/{name}/train.parquet")
        size = pl.scan_parquet(train).select(pl.len()).collect().item()
        yield from _source(name, size, table, together)
    for file, path in snapshot.files.items():
        if file.startswith("data/audits/") and file.endswith("/audit.parquet"):
            audit = tables.read(path, tables.Audit)
            yield from _source(file.split("/")[2], len(audit), audit, together)


def read_reviews(snapshot: Snapshot) -> pl.DataFrame:
    """Return all decisions of a snapshot, `tables.Reviews` but for `number`."""
    parts = [
        tables.read(path, tables.Reviews).sort("number")
        for file, path in sorted(snapshot.files.items())
        if file.startswith("data/reviews/") and file.endswith(".parquet") and path.exists()
    ]
    return pl.concat([tables.frame(tables.Reviews, []), *parts])


def _source(
    name: str, size: int, table: pl.DataFrame, together: Mapping[tuple[str, str], Merged]
) -> Iterator[Source]:
    verdicts = {
        (sample, label): (
            verdict or "PRED_WRONG",
            {
                judge: vote["verdict"] or "PRED_WRONG"
                for judge, vote in canonical.loads(votes).items()
                if not judge.startswith("human:")
            },
        )
        for sample, label, verdict, votes in table.select(
            "sample_id", "label_id", "verdict", "votes"
        ).iter_rows()
    }
    decided = {key: found for key, found in together.items() if key in verdicts}
    if decided:
        yield Source(name, size, verdicts, decided)


def qualities(source: Source) -> list[dict[str, Any]]:
    """Return precision and recall of each judge and verdict, with intervals and numbers of rows."""
    sampled = any(found.row["weight"] is not None for found in source.decided.values())
    rows = []
    for key, found in source.decided.items():
        truth, weight = _TRUTH.get(found.decision), found.row["weight"]
        if truth is not None and (weight is not None or not sampled):
            verdict, votes = source.verdicts[key]
            together = {"all judges": verdict} if len(votes) > 1 else {}
            rows.append((truth, weight or 1.0, {**votes, **together}))
    names = dict.fromkeys(name for _, _, votes in rows for name in votes)
    result = []
    for judge in names:
        said = [(votes[judge], truth, weight) for truth, weight, votes in rows if judge in votes]
        for verdict in VERDICTS:
            claimed = [(true == verdict, weight) for vote, true, weight in said if vote == verdict]
            due = [(vote == verdict, weight) for vote, true, weight in said if true == verdict]
            if claimed or due:
                result.append(
                    {
                        "source": source.name,
                        "judge": judge,
                        "verdict": verdict,
                        "decided": len(claimed),
                        **_estimate("precision", claimed),
                        "true": len(due),
                        **_estimate("recall", due),
                        "sampled": sampled,
                    }
                )
    return result


def _estimate(name: str, rows: Sequence[tuple[bool, float]]) -> dict[str, float | None]:
    """Return a weighted share with its Wilson interval."""
    total = sum(weight for _, weight in rows)
    if not total:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    share = sum(weight for hit, weight in rows if hit) / total
    effective = total**2 / sum(weight**2 for _, weight in rows)
    low, high = wilson(share, effective)
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def wilson(share: float, rows: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    scale = 1 + _Z**2 / rows
    middle = (share + _Z**2 / (2 * rows)) / scale
    half = _Z * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def agreements(reviews: pl.DataFrame) -> list[dict[str, Any]]:
    """Return Cohen's kappa of each pair of reviewers on what both decided."""
    last = reviews.unique(["sample_id", "label_id", "reviewer"], keep="last", maintain_order=True)
    by_reviewer: dict[str, dict[tuple[str, str], str]] = {}
    for reviewer, sample, label, decision in last.select(
        "reviewer", "sample_id", "label_id", "decision"
    ).iter_rows():
        by_reviewer.setdefault(reviewer, {})[sample, label] = decision
    result = []
    for one, two in combinations(sorted(by_reviewer), 2):
        both = by_reviewer[one].keys() & by_reviewer[two].keys()
        if both:
            pairs = [(by_reviewer[one][key], by_reviewer[two][key]) for key in both]
            result.append(
                {"one": one, "two": two, "rows": len(pairs),
                 "agreement": sum(a == b for a, b in pairs) / len(pairs), "kappa": kappa(pairs)}
            )  # fmt: skip
    return result


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa: agreement beyond that of chance; None if chance explains all."""
    ones, twos = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(ones[key] * twos[key] for key in ones) / len(pairs) ** 2
    agreed = sum(a == b for a, b in pairs) / len(pairs)
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def next_percent(source: Source) -> dict[str, Any]:
    """Return how many more reviews rid the set of wrong labels that are 1 % of its samples.

    Reviews go on with the verdict that changed the largest share of labels so far. `reviews` is
    None if what is left does not suffice; `reachable` is the share of samples that it can reach.
    """
    decided: dict[str, list[bool]] = {}
    left: Counter[str] = Counter()
    for key, (verdict, _) in source.verdicts.items():
        if found := source.decided.get(key):
            decided.setdefault(verdict, []).append(found.decision in _CHANGES)
        else:
            left[verdict] += 1
    shares = {verdict: sum(hits) / len(hits) for verdict, hits in decided.items()}
    wanted = 0.01 * source.size
    reached, reviews = 0.0, 0.0
    for verdict, share in sorted(shares.items(), key=lambda item: -item[1]):
        if share > 0 and reached < wanted:
            take = min(left[verdict], (wanted - reached) / share)
            reached, reviews = reached + take * share, reviews + take
    enough = reached >= wanted * (1 - 1e-9)
    return {
        "source": source.name,
        "samples": source.size,
        "decided": len(source.decided),
        "reviews": math.ceil(reviews - 1e-9) if enough else None,
        "reachable": reached / source.size,
    }


def add_views(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    """Add the tables `judges`, `agreement` and `review_costs` to a connection."""
    found = list(sources(snapshot))
    for name, rows, columns in (
        ("judges", [row for each in found for row in qualities(each)],
         {"source": "VARCHAR", "judge": "VARCHAR", "verdict": "VARCHAR", "decided": "BIGINT",
          **dict.fromkeys(("precision", "precision_low", "precision_high"), "DOUBLE"),
          "true": "BIGINT", **dict.fromkeys(("recall", "recall_low", "recall_high"), "DOUBLE"),
          "sampled": "BOOLEAN"}),
        ("agreement", agreements(read_reviews(snapshot)),
         {"one": "VARCHAR", "two": "VARCHAR", "rows": "BIGINT", "agreement": "DOUBLE",
          "kappa": "DOUBLE"}),
        ("review_costs", [next_percent(each) for each in found],
         {"source": "VARCHAR", "samples": "BIGINT", "decided": "BIGINT", "reviews": "BIGINT",
          "reachable": "DOUBLE"}),
    ):  # fmt: skip
        typed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        connection.execute(f"CREATE TABLE {name} ({typed})")
        for row in rows:
            marks = ", ".join("?" * len(columns))
            connection.execute(
                f"INSERT INTO {name} VALUES ({marks})", [row[column] for column in columns]
            )
