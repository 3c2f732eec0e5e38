"""What judges are worth where people decided: precision, recall, agreement, and what reviews cost.

A person's decision is the truth. If rows of a random sample were decided (`looptool review
--sample`), only these count; a row then stands for the rows of its verdict divided by those of them
that were drawn and decided. Otherwise all decided rows count alike, which were chosen and so are no
fair sample. Intervals are Wilson's at 95 %, with Kish's effective number of rows where weights
differ.
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

from looptool.auditing import SOURCE
from looptool.core import canonical, tables
from looptool.core.samples import VERDICTS, label_id
from looptool.judging.human import (
    HUMAN,
    Key,
    Merged,
    merged,
    outcome_of,
    predictions_of,
    read_files,
)
from looptool.lineage.revisions import Snapshot

_TRUTH = {"keep": "PRED_WRONG", "take": "LABEL_WRONG", "both": "BOTH_CORRECT",
          "edit": "BOTH_WRONG", "drop": "BOTH_WRONG"}  # fmt: skip
"""What the judges should have said. After an edit neither answer was right, though `verify` writes
LABEL_WRONG (`samples.VERDICT_OF_DECISION`), since the label is replaced.
"""
_CHANGES = ("take", "edit", "drop")  # decisions that rid the set of a wrong label
_Z = 1.96


@dataclass(frozen=True)
class Source:
    """What was reviewed.

    Attributes:
        size: the number of samples in the set.
        verdicts: (sample_id, label_id) → the judges' verdict, and each judge's; None where nothing
            speaks against the label.
        decided: what people decided together, beside the prediction that the judges saw.
        drawn: those of them that belong to a random sample.
    """

    name: str
    size: int
    verdicts: Mapping[Key, tuple[str | None, Mapping[str, str | None]]]
    decided: Mapping[Key, Merged]
    drawn: frozenset[Key]

    @property
    def weights(self) -> dict[Key, float]:
        """Return the rows that count, and how many rows each stands for."""
        if not self.drawn:
            return dict.fromkeys(self.decided, 1.0)
        sizes = Counter(verdict for verdict, _ in self.verdicts.values())
        drawn = Counter(self.verdicts[key][0] for key in self.drawn)
        return {
            key: sizes[verdict] / drawn[verdict]
            for key in self.drawn
            for verdict in [self.verdicts[key][0]]
        }


def sources(snapshot: Snapshot) -> Iterator[Source]:
    """Yield each iteration and audit on which people decided something."""
    reviews = read_reviews(snapshot)
    reviewed = set(reviews["source"])
    for j, path in snapshot.tables("verdicts.parquet").items():
        if str(j) not in reviewed:
            continue
        about = reviews.filter(source=str(j))
        table = tables.read(path, tables.Verdicts).with_columns(
            verdict=pl.coalesce("proposed", "verdict"), label_id="old_label_id"
        )
        folder = f"data/iterations/{j}"
        probe = tables.read(snapshot.path(f"{folder}/probe.parquet"), tables.Probe)
        labels = predictions_of(probe, about["sample_id"].unique())
        ids = {sample: label_id(label) if label else None for sample, label in labels.items()}
        yield from _source(str(j), len(probe), table, about, ids)
    for file, path in snapshot.files.items():
        if file.startswith("data/audits/") and file.endswith("/audit.parquet"):
            name = SOURCE + file.split("/")[2]
            if name in reviewed:
                audit = tables.read(path, tables.Audit)
                ids = dict(audit.select("sample_id", "prediction_id").iter_rows())
                yield from _source(name, len(audit), audit, reviews.filter(source=name), ids)


def read_reviews(snapshot: Snapshot) -> pl.DataFrame:
    """Return all decisions of a snapshot; see `read_files`."""
    return read_files(
        path
        for file, path in sorted(snapshot.files.items())
        if file.startswith("data/reviews/") and file.endswith(".parquet") and path.exists()
    )


def _source(
    name: str,
    size: int,
    table: pl.DataFrame,
    about: pl.DataFrame,
    predictions: Mapping[str, str | None],
) -> Iterator[Source]:
    verdicts: dict[Key, tuple[str | None, Mapping[str, str | None]]] = {
        (sample, label): (
            verdict,
            {
                judge: vote["verdict"]
                for judge, vote in canonical.loads(votes).items()
                if not judge.startswith(HUMAN)
            },
        )
        for sample, label, verdict, votes in table.select(
            "sample_id", "label_id", "verdict", "votes"
        ).iter_rows()
    }
    seen = [row["prediction_id"] == predictions.get(row["sample_id"])
            for row in about.iter_rows(named=True)]  # fmt: skip
    about = about.filter(pl.Series(seen, dtype=pl.Boolean))
    decided = {key: found for key, found in merged(about).items() if key in verdicts}
    drawn = about.drop_nulls("weight").select("sample_id", "label_id").unique().rows()
    if decided:
        sure = {key for key in decided if decided[key].decision != "unsure"}
        keys = frozenset((sample, label) for sample, label in drawn)
        yield Source(name, size, verdicts, decided, keys & sure)


def qualities(source: Source) -> list[dict[str, Any]]:
    """Return precision and recall of each judge and verdict, with intervals and numbers of rows."""
    rows = []
    for key, weight in source.weights.items():
        truth = _TRUTH.get(source.decided[key].decision)
        if truth is not None:
            verdict, votes = source.verdicts[key]
            together = {"all judges": verdict} if len(votes) > 1 else {}
            said = {name: vote or "PRED_WRONG" for name, vote in ({**votes, **together}).items()}
            rows.append((truth, weight, said))
    result = []
    for judge in dict.fromkeys(name for _, _, votes in rows for name in votes):
        of_judge = [(votes[judge], true, weight) for true, weight, votes in rows if judge in votes]
        for verdict in VERDICTS:
            claimed = [(true == verdict, weight) for v, true, weight in of_judge if v == verdict]
            due = [(v == verdict, weight) for v, true, weight in of_judge if true == verdict]
            if verdict != "NO_CONSENSUS" and (claimed or due):
                result.append(
                    {
                        "source": source.name,
                        "judge": judge,
                        "verdict": verdict,
                        "decided": len(claimed),
                        **_estimate("precision", claimed),
                        "true": len(due),
                        **_estimate("recall", due),
                        "sampled": bool(source.drawn),
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
    """Return Cohen's kappa of each pair of reviewers on what both decided.

    Two decisions agree if they come to the same verdict and the same new label.
    """
    by_reviewer: dict[str, dict[tuple[str, str, str], str]] = {}
    for row in reviews.iter_rows(named=True):
        key = row["source"], row["sample_id"], row["label_id"]
        verdict, new = outcome_of(row)
        by_reviewer.setdefault(row["reviewer"], {})[key] = f"{verdict} {new or ''}"
    result = []
    for one, two in combinations(sorted(by_reviewer), 2):
        both = by_reviewer[one].keys() & by_reviewer[two].keys()
        if both:
            pairs = [_compared(by_reviewer[one][key], by_reviewer[two][key]) for key in both]
            result.append(
                {"one": one, "two": two, "rows": len(pairs),
                 "agreement": sum(a == b for a, b in pairs) / len(pairs), "kappa": kappa(pairs)}
            )  # fmt: skip
    return result


def _compared(one: str, two: str) -> tuple[str, str]:
    """Return two outcomes as classes: the verdicts, but for two labels that differ."""
    a, b = one.split()[0], two.split()[0]
    return (a, b) if one == two or a != b else (a, f"{b}, another label")


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
    decided: dict[str | None, list[bool]] = {}
    for key in source.weights:
        changes = source.decided[key].decision in _CHANGES
        decided.setdefault(source.verdicts[key][0], []).append(changes)
    shares = {verdict: sum(hits) / len(hits) for verdict, hits in decided.items()}
    left = Counter(
        verdict for key, (verdict, _) in source.verdicts.items() if key not in source.decided
    )
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
