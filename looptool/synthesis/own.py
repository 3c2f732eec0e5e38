"""The user's own samples as an author: it hands out what `looptool data import` has read."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from pathlib import Path

import polars as pl

from looptool.core import canonical, tables
from looptool.core.errors import ConfigError
from looptool.synthesis import Draft, Split

FILE = "samples.parquet"


class OwnSamples:
    """Hands out imported samples in random order, each once, with their original labels.

    Args:
        folder: a sample set under `data/samples`.
        seen: sample_ids that were in earlier data; they are not handed out again.

    Raises:
        ConfigError: if the set does not exist.
        TableError: if it is not a sample set.
    """

    portable = False
    exact = False
    free = True

    def __init__(self, folder: str, seen: Collection[str] = ()) -> None:
        self.name = f"own:{Path(folder).name}"
        self.path = Path(folder) / FILE
        check_own(folder)
        ids = pl.read_parquet(self.path, columns=["sample_id"])["sample_id"].sort()
        self._left = ids.filter(~ids.is_in(list(seen))).to_list() if seen else ids.to_list()
        self._shuffled = False

    def write(
        self, count: int, *, seed: str, split: Split, shares: Mapping[str, float]
    ) -> list[Draft]:
        """Return the next `count` samples of the set, or all that are left.

        `shares` is ignored: the samples have the categories that the set has.
        """
        if not self._shuffled:
            random.Random(f"own:{seed}").shuffle(self._left)
            self._shuffled = True
        ids, self._left = self._left[:count], self._left[count:]
        order = pl.DataFrame({"sample_id": ids}, schema={"sample_id": pl.String})
        rows = (
            pl.scan_parquet(self.path)
            .filter(pl.col("sample_id").is_in(ids))
            .select("sample_id", "tools", "messages", "label", "category")
            .collect()
        )
        rows = order.join(rows, on="sample_id", how="left", maintain_order="left")
        return [
            Draft(
                canonical.loads(tools), canonical.loads(messages), canonical.loads(label), category
            )
            for _, tools, messages, label, category in rows.rows()
        ]


def check_own(folder: str) -> None:
    """Check that `folder` is a sample set written by `looptool data import`.

    Raises:
        ConfigError: if its table does not exist.
        TableError: if the table is not Parquet or lacks a column.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise ConfigError(
            f"params.yaml: generate.own: {path} does not exist; create it with `looptool data "
            "import`, or restore it with `dvc checkout` or `dvc pull`"
        )
    tables.check_columns(path, tables.Imported)
