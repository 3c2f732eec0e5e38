"""Measure the review page in Chromium with many rows: first paint, next item, a decision.

    python -m benchmarks.review [--rows 100000] [--decisions 2000]

The rows are an audit of samples of the grammar. The ratio is that of the page with all rows to the
page with 1,000 of them. Needs the extra `browser`, and chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.audit import make_set
from looptool.auditing import AUDIT, SAMPLES
from looptool.core import canonical, tables
from looptool.core.samples import label_id
from looptool.review.decisions import Decisions
from looptool.review.verdicts import open_reviewed

STEPS = 40
FEW = 1_000
PREDICTION = {"text": "None of the tools can do that."}


def make_audit(folder: Path, rows: int) -> None:
    """Write an audit in which every label has a verdict; samples repeat under other ids."""
    samples, _ = make_set(min(rows, 5000), 0.15, 0)
    copies = [
        samples.with_columns(
            sample_id=pl.Series([canonical.digest(str(copy), one) for one in samples["sample_id"]])
        )
        for copy in range(-(-rows // len(samples)))
    ]
    many = pl.concat(copies).head(rows)
    folder.mkdir(parents=True)
    tables.write(many, tables.Samples, folder / SAMPLES)
    audit = [
        {
            "sample_id": identity, "label_id": label, "category": category, "tool": "",
            "arguments": "[]", "verdict": "LABEL_WRONG", "suspicion": 0.9, "confidence": 0.9,
            "judge": "rules", "votes": '{"rules":{"confidence":0.9,"verdict":"LABEL_WRONG"}}',
            "rationale": "Measured.", "unread": None, "prediction": canonical.dumps(PREDICTION),
            "prediction_id": label_id(PREDICTION), "answers": "{}", "agreement": None, "ppl": None,
            "label_ppl": None, "line": None, "turn": None,
        }
        for identity, label, category in many.select(
            "sample_id", "label_id", "category"
        ).iter_rows()
    ]  # fmt: skip
    tables.write(tables.frame(tables.Audit, audit), tables.Audit, folder / AUDIT, sort=False)


def measure(root: Path, name: str, decided: int) -> dict[str, float]:
    """Return milliseconds to the first item, to the next one, and to the next after a decision."""
    import os

    from playwright.sync_api import sync_playwright

    from tests.review.test_app import serving

    os.chdir(root)
    reviewed = open_reviewed(name)
    with Decisions("ada", root / "data/reviews") as decisions:
        for row in range(max(0, decided - 1)):
            made = _row(reviewed.table.row(row, named=True), row, name)
            decisions._last[made["sample_id"], made["label_id"]] = made
        rows = list(decisions._last.values())
        if rows:
            tables.write(tables.frame(tables.Reviews, rows), tables.Reviews, decisions.path)
    with serving(root, name) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        start = time.perf_counter()
        page.goto(f"{server.root}?token={server.token}")
        page.wait_for_selector("body[data-row]")
        first = 1000 * (time.perf_counter() - start)
        nexts, saved = [_timed(page, "j") for _ in range(STEPS)], []
        for _ in range(STEPS):
            page.wait_for_timeout(100)
            saved.append(_timed(page, "l"))
        browser.close()
    return {"first": first, "next": max(nexts), "decide and next": statistics.median(saved),
            "decide, worst": max(saved)}  # fmt: skip


def _row(values: dict[str, Any], number: int, source: str) -> dict[str, Any]:
    return {
        "number": number, "reviewer": "ada", "source": source, "sample_id": values["sample_id"],
        "label_id": values["label_id"], "prediction_id": values["prediction_id"],
        "verdict": "LABEL_WRONG", "decision": "keep", "new_label": None, "new_label_id": None,
        "note": "", "seconds": 1.0, "weight": None,
    }  # fmt: skip


def _timed(page: Any, key: str) -> float:
    """Return the milliseconds, measured in the page, until another item is shown after a key."""
    return float(page.evaluate(
        """key => new Promise(done => {
            const at = document.body.dataset.row, start = performance.now();
            const next = () => document.body.dataset.row && document.body.dataset.row !== at;
            const painted = () => requestAnimationFrame(() => done(performance.now() - start));
            const look = () => next() ? painted() : setTimeout(look, 1);
            document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
            look();
        })""", key,
    ))  # fmt: skip


def main() -> None:
    """Measure both sizes and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=2_000, help="decided before")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        for rows in (FEW, options.rows):
            root = Path(temporary, str(rows))
            make_audit(root / "data/audits/rows", rows)
            found[rows] = measure(root, "rows", min(options.decisions, rows // 4))
    for name, many in found[options.rows].items():
        few = found[FEW][name]
        print(f"{name:18}{many:8.0f} ms with {options.rows:,} rows, {few:6.0f} ms with {FEW:,}, "
              f"ratio {many / few:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
