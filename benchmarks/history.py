"""Measure trace, diff, sql and report on a long history, against pandas on JSON Lines.

    python -m benchmarks.history [--counts 100000 1000000] [--iterations 4] [--folder DIR]

The history is made without a model: the pipeline's own code composes it from random outcomes. A row
is a short request with one of a few lists of tools. Whether it was answered right, and the judges'
verdicts on the others, are drawn at random. Each question is answered in a process of its own
(start-up included), once with the command and once with pandas on the same tables as JSON Lines,
the format of the paper's published scripts. The last lines show how time grows with the data.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical, events, runs, tables
from looptool.core.calls import ToolCall, render
from looptool.core.samples import VERDICTS, call_label, dataset_id, label_id, sample_id_of_json
from looptool.expansion import Candidate
from looptool.expansion.carry import compose, expanded_rows
from looptool.expansion.error_seeds import error_seeds
from looptool.judging.label_correction import outcomes

CITIES = ("Oslo", "Rome", "Lima", "Cairo", "Quito", "Hanoi", "Bergen", "Dakar")
SHARE = 0.7
CAPS = {"corrected": 0.3, "error_seed": 0.3, "expanded": 0.4, "high_ppl": 0.2}
FAILURES = ("wrong_argument", "missing_argument", "wrong_tool", "unparsable")
_LABELS = [call_label([ToolCall("get_time", {"city": city})]) for city in CITIES]
_LABEL_ROWS = [(canonical.dumps(label), label_id(label)) for label in _LABELS]


def make_history(root: Path, samples: int, iterations: int, seed: int = 0) -> None:
    """Write the tables and metrics of a history below `root`, with `samples` rows in each D_j.

    The true label of a sample is the city in its request; 15 % of the new labels name another one.
    """
    rng = random.Random(seed)
    write_table(root, 0, "carried.parquet", tables.frame(tables.Samples, []), tables.Samples)
    carried = tables.frame(tables.Samples, [])
    seen = tables.frame(tables.Seen, [])
    for iteration in range(1, iterations + 1):
        fresh, truth = _fresh(rng, samples - len(carried), iteration)
        data = pl.concat([carried, fresh])
        seen = events.seen(data, iteration, seen)
        for name, frame, table in (
            ("train.parquet", data, tables.Samples),
            ("truth.parquet", truth, tables.Truth),
            ("seen.parquet", seen, tables.Seen),
            ("rejected/generate.parquet", tables.frame(tables.Rejected, []), tables.Rejected),
            (
                "lineage/generate.parquet",
                events.births(fresh, iteration, "generate", rng.randrange(2**31), carried),
                tables.Lineage,
            ),
        ):
            write_table(root, iteration, name, frame, table)
        metrics = {
            "dataset_id": dataset_id(data),
            "samples": len(data),
            "origins": tables.counts(data, "origin"),
        }
        runs.write_json(root / f"metrics/iterations/{iteration}/generate.json", metrics)
        _steps(root, rng, iteration)
        _roll_out(root, random.Random(iteration), data, iteration)
        if iteration < iterations:
            carried = _handoff(root, rng, data, iteration, samples)
    for model in range(iterations + 1):
        _evaluate(root, rng, model)


def write_table(
    root: Path, iteration: int, name: str, frame: pl.DataFrame, table: type[tables.Table]
) -> None:
    tables.write(frame, table, root / f"data/iterations/{iteration}/{name}")


def _fresh(rng: random.Random, count: int, iteration: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    documents = _tool_documents()
    tools = [documents[rng.randrange(len(documents))] for _ in range(count)]
    cities = [rng.randrange(len(CITIES)) for _ in range(count)]
    wrong = [rng.random() < 0.15 for _ in range(count)]
    labels = [
        _LABEL_ROWS[(city + 1) % len(CITIES) if noisy else city]
        for city, noisy in zip(cities, wrong, strict=True)
    ]
    messages = [
        canonical.dumps([{"role": "user", "content": f"The time in {CITIES[city]}? ({iteration}."
                                                     f"{number}.{rng.randrange(10**9)})"}])
        for number, city in enumerate(cities)
    ]  # fmt: skip
    ids = [sample_id_of_json(*pair) for pair in zip(tools, messages, strict=True)]
    data = pl.DataFrame(
        {
            "sample_id": ids,
            "tools": tools,
            "messages": messages,
            "label": [label for label, _ in labels],
            "label_id": [identity for _, identity in labels],
            "alternatives": "[]",
            "category": [("single", "multiple", "parallel")[rng.randrange(3)] for _ in ids],
            "origin": "seed",
            "parent_id": None,
            "born_iteration": iteration,
            "label_iteration": iteration,
            "label_source": "grammar",
        },
        schema=tables.polars_schema(tables.Samples),
    )
    truth = pl.DataFrame(
        {
            "sample_id": ids,
            "label": [_LABEL_ROWS[city][0] for city in cities],
            "label_id": [_LABEL_ROWS[city][1] for city in cities],
            "noise": ["wrong_value" if noisy else None for noisy in wrong],
        },
        schema=tables.polars_schema(tables.Truth),
    )
    return data, truth


def _handoff(
    root: Path, rng: random.Random, data: pl.DataFrame, iteration: int, total: int
) -> pl.DataFrame:
    """Probe, judge and expand D_j at random; write the stages' files, return the carried rows."""
    probes, verdicts = [], []
    for row in data.select("sample_id", "label_id", "messages").iter_rows(named=True):
        matched = rng.random() < 0.3
        labelled = next(
            i for i, (_, identity) in enumerate(_LABEL_ROWS) if identity == row["label_id"]
        )
        named = next((i for i, city in enumerate(CITIES) if city in row["messages"]), labelled)
        said = (
            labelled if matched else (labelled + 1 + rng.randrange(len(CITIES) - 1)) % len(CITIES)
        )
        if not matched and named != labelled and rng.random() < 0.5:
            said = named  # the model is right, and the label is not
        label = _LABELS[said]
        probes.append(
            {
                "sample_id": row["sample_id"],
                "prediction": render([ToolCall(**call) for call in label["calls"]]),
                "calls": canonical.dumps(label["calls"]),
                "text": "",
                "thinking": "",
                "parse_error": None,
                "matched": matched,
                "ppl": 1 + rng.random(),
                "high_ppl": matched and rng.random() < 0.2,
                "tokens": 20,
                "error_type": None if matched else rng.choice(FAILURES),
            }
        )
        if not matched:
            verdicts.append(_verdict(rng, row, _LABEL_ROWS[said][1]))
    probe = tables.frame(tables.Probe, probes)
    verdict = tables.frame(tables.Verdicts, verdicts)
    rows = outcomes(data, probe, verdict, iteration=iteration, keep_high_ppl=True)
    accepted = [
        Candidate(
            each.sample_id,
            each.tools,
            [{"role": "user", "content": f"Once more {iteration}.{rng.randrange(10**12)}"}],
            each.label,
            each.category,
            "lot",
        )
        for each in error_seeds(rows)
        if rng.random() < 0.6
    ]
    expanded = expanded_rows(accepted, iteration, "rewriter")
    carry = compose(rows, expanded, total=total, share=SHARE, caps=CAPS, seed=f"{iteration}")
    model = canonical.digest(f"model {iteration}")
    log = events.stamped(carry.lineage, "expand", iteration, iteration, model, dataset_id(data))
    for name, frame, table in (
        ("probe.parquet", probe, tables.Probe),
        ("verdicts.parquet", verdict, tables.Verdicts),
        ("carried.parquet", carry.carried, tables.Samples),
        ("lineage/expand.parquet", log, tables.Lineage),
        ("rejected/expand.parquet", carry.rejected, tables.Rejected),
    ):
        write_table(root, iteration, name, frame, table)
    return carry.carried


def _verdict(rng: random.Random, row: dict[str, str], said: str) -> dict[str, Any]:
    verdict = rng.choices(VERDICTS, [78, 9, 3, 8, 2])[0]
    return {
        "sample_id": row["sample_id"],
        "verdict": verdict,
        "rationale": "The label gives another city than the request.",
        "judge": "rules",
        "votes": canonical.dumps({"rules": {"verdict": verdict, "confidence": 0.9}}),
        "consensus": 1.0,
        "old_label_id": row["label_id"],
        "new_label_id": said if verdict in ("LABEL_WRONG", "BOTH_CORRECT") else None,
        "new_label": None,
        "proposed": verdict,
    }


def _evaluate(root: Path, rng: random.Random, model: int) -> None:
    rows = [
        {
            "benchmark": benchmark,
            "category": category,
            "id": f"{category}_{number}",
            "split": "test",
            "prediction": "?",
            "answer": None,
            "valid": (valid := rng.random() < 0.4 + 0.1 * model),
            "strict": valid,
            "error_type": None if valid else rng.choice(FAILURES),
            "error": None,
        }
        for benchmark in ("heldout", "bfcl")
        for category in ("single", "multiple")
        for number in range(20)
    ]
    write_table(root, model, "eval.parquet", tables.frame(tables.Eval, rows), tables.Eval)
    parts = {}
    for benchmark in ("heldout", "bfcl"):
        validity = [row["valid"] for row in rows if row["benchmark"] == benchmark]
        share = sum(validity) / len(validity)
        parts[benchmark] = {"accuracy": share, "standard_error": 0.05, "categories": {}}
    runs.write_json(root / f"metrics/iterations/{model}/eval.json", parts)


def _steps(root: Path, rng: random.Random, iteration: int) -> None:
    steps = [{"step": n, "reward": rng.random(), "loss": rng.random()} for n in range(1, 6)]
    runs.write_json(root / f"metrics/iterations/{iteration}/steps.json", steps)


def _roll_out(root: Path, rng: random.Random, data: pl.DataFrame, iteration: int) -> None:
    """Draw four answers to half of the samples, as training does."""
    rows = [
        {
            "sample_id": sample_id,
            "step": 1 + place // 8,
            "number": number,
            "completion": "?",
            "reward": float(rng.random() < 0.5),
            "parts": "{}",
            "tokens": 20,
            "origin": origin,
            "anchored": False,
        }
        for place, (sample_id, origin) in enumerate(data.select("sample_id", "origin").rows()[::2])
        for number in range(4)
    ]
    frame = tables.frame(tables.Rollouts, rows)
    write_table(root, iteration, "rollouts.parquet", frame, tables.Rollouts)


def _tool_documents() -> list[str]:
    """Return a few lists of tools with documents of realistic length."""
    documents = []
    for number in range(16):
        properties = {
            f"argument_{place}": {"type": "string", "description": f"What to do, part {place}."}
            for place in range(number % 5)
        }
        tool = {
            "name": "get_time",
            "description": "The local time in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, **properties},
                "required": ["city"],
            },
        }
        other = {**tool, "name": f"other_{number}"}
        documents.append(canonical.dumps([tool, other]))
    return documents


# The pandas side: the same questions, each answered from JSON Lines files.
BASELINES = {
    "trace": """
import glob, sys, pandas as pd
for name in sorted(set(glob.glob("lines/*.jsonl")) - set(glob.glob("lines/*-eval.jsonl"))):
    for part in pd.read_json(name, lines=True, chunksize=100_000, dtype=False):
        found = part[part["sample_id"] == sys.argv[1]]
        if len(found):
            print(name, found.to_dict("records"))
""",
    "diff": """
import pandas as pd
a, b = (pd.concat(part[["sample_id", "label_id", "origin", "category"]] for part in
        pd.read_json(f"lines/{j}-train.jsonl", lines=True, chunksize=100_000, dtype=False))
        for j in (LAST - 1, LAST))
both = a.merge(b, on="sample_id", how="outer", suffixes=("_a", "_b"), indicator=True)
print(both["_merge"].value_counts(), (both["label_id_a"] != both["label_id_b"]).sum(),
      (both["origin_a"] != both["origin_b"]).sum())
""",
    "sql": """
import glob, pandas as pd
counts = [part.groupby(["category", "origin"]).size() for name in glob.glob("lines/*-train.jsonl")
          for part in pd.read_json(name, lines=True, chunksize=100_000, dtype=False)]
print(pd.concat(counts).groupby(level=[0, 1]).sum())
""",
    "report": """
import glob, pandas as pd
for kind, key in (("train", "origin"), ("verdicts", "verdict"), ("lineage-expand", "event")):
    for name in sorted(glob.glob(f"lines/*-{kind}.jsonl")):
        parts = pd.read_json(name, lines=True, chunksize=100_000, dtype=False)
        print(name, pd.concat(part.groupby(key).size() for part in parts).groupby(level=0).sum())
""",
}
SQL = "select iteration, category, origin, count(*) from samples group by all"


def measure(count: int, iterations: int, folder: Path) -> dict[str, float]:
    """Make a history of `iterations` data sets of `count` rows; print seconds and ratios."""
    root = folder / f"history-{count}"
    if not (root / "done").exists():  # in its own process, so that this one stays small
        arguments = ["--make", str(count), "--iterations", str(iterations), "--folder", str(folder)]
        subprocess.run([sys.executable, "-m", "benchmarks.history", *arguments], check=True)
    identity = _deepest(root, iterations)
    commands = {
        "trace": ["trace", identity],
        "diff": ["diff", str(iterations - 1), str(iterations), "--json"],
        "sql": ["sql", SQL, "--format", "csv"],
        "report": ["report"],
    }
    print(f"{count:,} samples x {iterations} iterations")
    seconds = {}
    for name, command in commands.items():
        ours, memory = _timed([sys.executable, "-m", "looptool", *command], root)
        code = BASELINES[name].replace("LAST", str(iterations))
        theirs, their_memory = _timed([sys.executable, "-c", code, identity], root)
        seconds[name] = ours
        print(
            f"  {name:7} {ours:6.2f} s, {memory:.2f} GiB; pandas and JSON lines {theirs:7.2f} s, "
            f"{their_memory:.2f} GiB; ratio {theirs / ours:.1f}",
            flush=True,
        )
    unknown, _ = _timed([sys.executable, "-m", "looptool", "trace", "f" * 32], root, status=1)
    print(f"  an unknown id is reported in {unknown:.2f} s")
    size = (root / "reports/report.html").stat().st_size / 1e6
    print(f"  report.html {size:.1f} MB")
    return seconds


def _make(root: Path, count: int, iterations: int) -> None:
    """Write a history and the same tables as JSON Lines, unless they exist."""
    if (root / "done").exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    make_history(root, count, iterations)
    _json_lines(root)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(name, root / name)
    (root / "done").touch()


def _json_lines(root: Path) -> None:
    (root / "lines").mkdir()
    for path in sorted(root.glob("data/iterations/*/**/*.parquet")):
        name = "-".join(path.relative_to(root / "data/iterations").with_suffix(".jsonl").parts)
        data = pl.read_parquet(path)
        if len(data):
            data.write_ndjson(root / "lines" / name)


def _deepest(root: Path, iterations: int) -> str:
    """Return the sample_id with the most ancestors; trace makes one query for each."""
    import duckdb

    depth = "SELECT sample_id, 0 AS depth FROM read_parquet('{}/1/train.parquet')"
    for iteration in range(2, iterations + 1):
        depth = (
            f"WITH before AS ({depth}) SELECT s.sample_id, max(coalesce(b.depth + 1, 0)) AS depth "
            f"FROM read_parquet('{{}}/{iteration}/train.parquet') s LEFT JOIN before b "
            "ON b.sample_id = s.parent_id GROUP BY s.sample_id"
        )
    sql = f"SELECT sample_id FROM ({depth}) ORDER BY depth DESC, sample_id LIMIT 1"
    return str(duckdb.sql(sql.replace("{}", f"{root}/data/iterations")).fetchall()[0][0])


def _timed(command: list[str], root: Path, status: int = 0) -> tuple[float, float]:
    """Run a process; return its seconds and its peak memory in GiB."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL if status else None)  # fmt: skip
    _, ended, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(ended) != status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument(
        "--folder", type=Path, help="where to keep the history, which takes minutes"
    )
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        root = arguments.folder / f"history-{arguments.make}"
        _make(root, arguments.make, arguments.iterations)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        times = [measure(count, arguments.iterations, folder) for count in arguments.counts]
    if len(times) > 1:
        growth = arguments.counts[-1] / arguments.counts[0]
        for name in times[0]:
            grown = times[-1][name] / times[0][name]
            print(f"{name}: {grown:.1f} times the time for {growth:.0f} times the data")


if __name__ == "__main__":
    main()
