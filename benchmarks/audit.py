"""Measure an audit without a model: planted noise in samples of the grammar, found by the rules.

    python -m benchmarks.audit [--samples 2000] [--noise 0.15] [--seed 0] [--keep FOLDER]

Prints recall by kind of noise, precision, and the precision of the first suspects, beside that of a
list in random order.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from looptool.auditing import AUDIT, running
from looptool.auditing.audit import SUSPECT
from looptool.auditing.sets import open_set
from looptool.core import canonical, runs, tables
from looptool.core.samples import CATEGORIES, category_of, label_id, sample_id
from looptool.offline.grammar.author import GrammarAuthor
from looptool.synthesis import noise


def make_set(count: int, share: float, seed: int) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return samples of the grammar, `tables.Samples`, and the kind of noise in wrong labels."""
    shares = dict.fromkeys(CATEGORIES, 1 / len(CATEGORIES))
    author = GrammarAuthor()
    rows: dict[str, dict[str, Any]] = {}
    kinds: dict[str, str] = {}
    batch = 0
    while len(rows) < count:
        drafts = author.write(count, seed=f"audit/{seed}/{batch}", split="train", shares=shares)
        batch += 1
        for draft in drafts:
            identity = sample_id(draft.tools, draft.messages)
            if identity in rows or len(rows) == count:
                continue
            rng = random.Random(f"audit/{seed}/{identity}")
            planted = noise.plant(draft, rng) if rng.random() < share else None
            label = planted[0] if planted else draft.label
            if planted:
                kinds[identity] = planted[1]
            rows[identity] = {
                "sample_id": identity,
                "tools": canonical.dumps(draft.tools),
                "messages": canonical.dumps(draft.messages),
                "label": canonical.dumps(label),
                "label_id": label_id(label),
                "alternatives": "[]",
                "category": category_of(draft.tools, draft.messages, label, draft.category),
                "origin": "seed",
                "parent_id": None,
                "born_iteration": 0,
                "label_iteration": 0,
                "label_source": "grammar",
            }
    return tables.frame(tables.Samples, list(rows.values())), kinds


def main() -> None:
    """Make the set, audit it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--noise", type=float, default=0.15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the set and the audit here")
    options = parser.parse_args()
    samples, kinds = make_set(options.samples, options.noise, options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        path = folder / "planted.parquet"
        tables.write(samples, tables.Samples, path)
        del samples
        start = time.monotonic()
        opened = open_set(str(path), folder / "audit")
        running.run(opened, opened.place, None, [], engine=None, answers_file=None, judge="rules")
        seconds = time.monotonic() - start
        table = tables.read(folder / "audit" / AUDIT, tables.Audit)
    show(table, kinds, seconds)


def show(table: pl.DataFrame, kinds: dict[str, str], seconds: float) -> None:
    """Print recall by kind, precision, and the time."""
    suspects = table.filter(pl.col("verdict").is_in(SUSPECT))["sample_id"].to_list()
    found = Counter(kinds[each] for each in suspects if each in kinds)
    planted = Counter(kinds.values())
    print(f"{'kind':24}{'planted':>8}{'found':>7}{'recall':>8}")
    for kind, count in sorted(planted.items()):
        print(f"{kind:24}{count:8}{found[kind]:7}{found[kind] / count:8.2f}")
    base = len(kinds) / len(table)
    hits = sum(found.values())
    print(f"{'all':24}{len(kinds):8}{hits:7}{hits / max(1, len(kinds)):8.2f}")
    print(f"suspects {len(suspects)}: precision {hits / max(1, len(suspects)):.3f}, "
          f"{hits / max(1, len(suspects)) / base:.1f} times that of a random order")  # fmt: skip
    for first in (50, 100, 200, 300):
        right = sum(each in kinds for each in suspects[:first])
        if len(suspects) >= first:
            print(f"first {first}: precision {right / first:.3f}")
    print(f"{len(table)} labels in {seconds:.1f} s, {len(table) / seconds:.0f} a second, peak "
          f"{runs.peak_rss() / 2**30:.2f} GiB")  # fmt: skip


if __name__ == "__main__":
    main()
