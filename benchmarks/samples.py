"""Measure `looptool data import` on generated samples in xLAM's format, by default 1,000,000.

    python -m benchmarks.samples --count 1000000

1 % of the records call a tool that is not in their list and 1 % are not JSON; exactly these must be
refused. The baseline parses the same lines and the JSON texts inside them, without checking or
writing anything.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from looptool.core import runs
from looptool.exchange.sample_sets import PROCESSES, import_samples

TOOLS = 4000
_VALUES: dict[str, Any] = {
    "str": lambda rng: f"value {rng.randrange(10**6)}",
    "int": lambda rng: rng.randrange(1000),
    "float": lambda rng: round(rng.random() * 100, 2),
    "bool": lambda rng: rng.random() < 0.5,
    "List[int]": lambda rng: [rng.randrange(9) for _ in range(3)],
    "List[str]": lambda rng: ["a", f"b {rng.randrange(99)}"],
    "dict": lambda rng: {"k": rng.randrange(9)},
}


def main(count: int | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1_000_000)
    count = count or parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "xlam.jsonl")
        broken, strange = write_samples(path, count)
        size = path.stat().st_size / 1e9
        start = time.perf_counter()
        parse(path)
        baseline = time.perf_counter() - start
        start = time.perf_counter()
        outcome = import_samples(path, Path(folder, "set"))
        seconds = time.perf_counter() - start
    exact = dict(outcome.rejected) == {"json": broken, "turn": strange}
    assert exact and outcome.samples == count - broken - strange, outcome.to_json()
    print(
        f"import of {count:,} xLAM samples ({size:.1f} GB) by {PROCESSES} processes: "
        f"{seconds:.0f} s, {seconds / baseline:.1f} times as long as parsing alone in one "
        f"({baseline:.1f} s); peak {runs.peak_rss() / 2**30:.2f} GiB; "
        f"{broken + strange:,} refused, exactly those made so"
    )


def write_samples(path: Path, count: int) -> tuple[int, int]:
    """Write samples; return how many are not JSON and how many call a missing tool."""
    rng = random.Random(1)
    tools = [_tool(number, rng) for number in range(TOOLS)]
    broken = strange = 0
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            offered = rng.sample(tools, rng.randint(1, 4))
            called = rng.sample(offered, rng.randint(1, min(2, len(offered))))
            answers = [
                {"name": tool["name"], "arguments": _arguments(tool, rng)} for tool in called
            ]
            if number % 100 == 7:
                answers[0]["name"] = "no_such_tool"
                strange += 1
            record = {
                "id": number,
                "query": f"Please do number {number} with {answers[0]['arguments']}",
                "tools": json.dumps(offered),
                "answers": json.dumps(answers),
            }
            line = json.dumps(record)
            if number % 100 == 13:
                line, broken = line[:-1], broken + 1
            file.write(line + "\n")
    return broken, strange


def parse(path: Path) -> None:
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            json.loads(record["tools"])
            json.loads(record["answers"])


def _tool(number: int, rng: random.Random) -> dict[str, Any]:
    parameters = {}
    for place in range(rng.randint(1, 5)):
        kind = rng.choice(list(_VALUES))
        optional = ", optional" if rng.random() < 0.3 else ""
        described = f"What the parameter {place} of the tool number {number} means in a sentence."
        parameters[f"param_{place}"] = {"description": described, "type": kind + optional}
    description = f"Fetches the thing number {number} from the remote service and returns it."
    return {"name": f"tool_{number}", "description": description, "parameters": parameters}


def _arguments(tool: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    return {
        name: _VALUES[part["type"].split(",")[0]](rng)
        for name, part in tool["parameters"].items()
        if "optional" not in part["type"] or rng.random() < 0.5
    }


if __name__ == "__main__":
    main()
