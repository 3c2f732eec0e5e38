"""The decisions of one reviewer: a file in `data/reviews`, on the disk after each of them."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
from filelock import FileLock, Timeout

from looptool.core import canonical, machine, tables
from looptool.core.errors import ConfigError, LooptoolError, TableError
from looptool.core.samples import Decision, Label, label_id
from looptool.judging.human import FOLDER
from looptool.review.verdicts import Reviewed

_OF_VERDICT: dict[str | None, Decision] = {
    "LABEL_WRONG": "take", "PRED_WRONG": "keep", "BOTH_CORRECT": "both", "BOTH_WRONG": "drop",
    None: "keep",
}  # fmt: skip
"""What accepting a verdict means."""


class Decisions:
    """Appends a reviewer's decisions, and knows those that were made before.

    Use it in a `with` block: one process at a time can write for a reviewer.

    Raises:
        ConfigError: if the name cannot be a reviewer's, or another process writes for this one.
        TableError: if the file is not a table of reviews.
    """

    def __init__(self, reviewer: str, folder: Path = FOLDER) -> None:
        if not re.fullmatch(tables.REVIEWER, reviewer):
            raise ConfigError(
                f"--reviewer: {reviewer}: must have 1 to 40 letters, digits, dots, hyphens or "
                "underscores, the first a letter or digit"
            )
        self.reviewer = reviewer
        self.folder = folder
        self.path = folder / f"{reviewer}.parquet"
        name = canonical.digest(str(self.path.resolve()))
        locks = machine.scratch_root() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(locks / f"review-{name}.lock")
        self._others: dict[Path, tuple[int, pl.DataFrame]] = {}

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(
                f"--reviewer: {self.reviewer}: another `looptool review` runs under this name; "
                "close it, or choose another name"
            ) from None
        for left in self.folder.glob(f".{self.path.name}.*.partial"):
            left.unlink()  # of a process that was killed
        found = tables.read(self.path, tables.Reviews) if self.path.exists() else None
        self.rows = found if found is not None else tables.frame(tables.Reviews, [])
        self._last: dict[tuple[str, str, str], dict[str, Any]] = {
            (row["source"], row["sample_id"], row["label_id"]): row
            for row in self.rows.sort("number").iter_rows(named=True)
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self._lock.release()

    def decided(self, reviewed: Reviewed) -> set[tuple[str, str]]:
        """Return the (sample_id, label_id) that this reviewer has decided on.

        In a random sample, rows that were decided outside of it are still to be decided: the
        reviewer chose them.
        """
        sampled = not reviewed.table["weight"].is_null().all()
        return {
            (sample, label)
            for (source, sample, label), row in self._last.items()
            if source == reviewed.source and (row["weight"] is not None or not sampled)
        }

    def mine(self, reviewed: Reviewed, row: int) -> dict[str, Any] | None:
        """Return this reviewer's last decision on a row, as the page shows it."""
        values = reviewed.table.row(row, named=True)
        found = self._last.get((reviewed.source, values["sample_id"], values["label_id"]))
        return found and shown(found)

    def of_others(self, reviewed: Reviewed, row: int) -> list[dict[str, Any]]:
        """Return the last decision of each other reviewer on a row."""
        values = reviewed.table.row(row, named=True)
        found = []
        for path in sorted(self.folder.glob("*.parquet")):
            if path == self.path:
                continue
            try:
                stamp = path.stat().st_mtime_ns
                if self._others.get(path, (None,))[0] != stamp:
                    self._others[path] = stamp, tables.read(path, tables.Reviews)
            except (TableError, OSError) as error:
                problem = str(error).splitlines()[0]
                found.append({"reviewer": path.stem, "decision": "unreadable", "note": problem})
                continue
            rows = self._others[path][1].filter(
                source=reviewed.source, sample_id=values["sample_id"], label_id=values["label_id"]
            )
            if len(rows):
                last = rows.sort("number").row(-1, named=True)
                found.append({"reviewer": last["reviewer"], **shown(last)})
        return found

    def add(
        self, reviewed: Reviewed, row: int, decision: str, text: str | None, note: str,
        seconds: float,
    ) -> dict[str, Any]:  # fmt: skip
        """Append a decision and write the file. Return it as the page shows it.

        Args:
            decision: one of DECISIONS, or `accept`.
            text: the label that the reviewer wrote, for `edit`.

        Raises:
            ValueError: says on one line why this cannot be decided here.
        """
        values = reviewed.table.row(row, named=True)
        chosen, new = _resolved(reviewed, row, decision, text)
        key = reviewed.source, values["sample_id"], values["label_id"]
        weight = values["weight"]
        if weight is None and key in self._last:
            weight = self._last[key]["weight"]  # it was drawn before, and stays part of the sample
        made = {
            "number": len(self.rows),
            "reviewer": self.reviewer,
            "source": reviewed.source,
            **{name: values[name]
               for name in ("sample_id", "label_id", "prediction_id", "verdict")},
            "weight": weight,
            "decision": chosen,
            "new_label": None if new is None else canonical.dumps(new),
            "new_label_id": None if new is None else label_id(new),
            "note": " ".join(note.split())[:1000],
            "seconds": round(seconds, 1) if 0 <= seconds < math.inf else 0.0,
        }  # fmt: skip
        rows = pl.concat([self.rows, tables.frame(tables.Reviews, [made])])
        tables.write(rows, tables.Reviews, self.path)  # before anything else knows of it
        self.rows = rows
        self._last[key] = made
        return shown(made)

    def track(self) -> None:
        """Track the file with DVC, so that git and other machines can have it.

        Raises:
            LooptoolError: if `dvc add` fails.
        """
        if not Path(".dvc").is_dir() or not self.path.exists() or self.folder != FOLDER:
            return
        command = [sys.executable, "-m", "dvc", "add", "--quiet", str(self.path)]
        if subprocess.run(command).returncode:
            raise LooptoolError(f"`dvc add {self.path}` failed; see its message above")


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a decision as the page shows it."""
    return {"decision": row["decision"], "note": row["note"], "label": row["new_label"]}


def _resolved(
    reviewed: Reviewed, row: int, decision: str, text: str | None
) -> tuple[Decision, Label | None]:
    """Return the decision that is stored, and the new label that it gives."""
    values = reviewed.table.row(row, named=True)
    if decision == "accept":
        if values["verdict"] == "NO_CONSENSUS":
            raise ValueError("there is no verdict to accept")
        decision = _OF_VERDICT[values["verdict"]]
    prediction = values["prediction"] and canonical.loads(values["prediction"])
    if decision == "edit":
        if text is None:
            raise ValueError("an edit needs a label")
        written = reviewed.read_label(row, text)
        if label_id(written) == values["label_id"]:
            return "keep", None
        return ("take" if label_id(written) == values["prediction_id"] else "edit"), written
    if decision in ("take", "both"):
        if prediction is None:
            raise ValueError("there is no prediction")
        if values["prediction_id"] == values["label_id"]:
            return "keep", None
        return ("take" if decision == "take" else "both"), prediction
    if decision == "keep":
        return "keep", None
    if decision == "drop":
        return "drop", None
    if decision == "unsure":
        return "unsure", None
    raise ValueError(f"{decision} is no decision")
