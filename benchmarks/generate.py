"""Measure `make_seeds`: samples per second and peak memory for 10,000 and 100,000 samples.

    python -m benchmarks.generate [--counts 10000 100000]

Each count runs in its own process and includes ids, data frames and label noise. The last line
gives the ratio of the rates; 1.0 means that the time is linear in the count.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time


def measure(count: int) -> dict[str, float]:
    """Make `count` samples in this process (and its workers); return seconds and peak memory."""
    from looptool.core import params
    from looptool.offline.grammar.author import GrammarAuthor
    from looptool.synthesis.seeds import PROCESSES, Recipe, make_seeds

    start = time.perf_counter()
    shares = params.load().generate.shares
    recipe = Recipe(count, "benchmark", "train", shares, "generate", iteration=1, label_noise=0.15)
    seeds = make_seeds(recipe, GrammarAuthor())
    seconds = time.perf_counter() - start
    parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "samples": len(seeds.samples),
        "rejected": len(seeds.rejected),
        "noise": seeds.truth["noise"].is_not_null().mean(),
        "seconds": round(seconds, 2),
        "rate": round(count / seconds),
        "peak_gib": round((parent + PROCESSES * worker) / 2**20, 3),  # as if all peaked at once
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    rates = []
    for count in arguments.counts:
        command = [sys.executable, "-m", "benchmarks.generate", "--one", str(count)]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        rates.append(figures["rate"])
        print(
            f"{count:>7} samples: {figures['seconds']:6.1f} s, {figures['rate']} samples/s, "
            f"peak {figures['peak_gib']} GiB, {figures['rejected']} rejected, "
            f"noise {figures['noise']:.4f}"
        )
    if len(rates) > 1:
        print(f"rate of the last over the first: {rates[-1] / rates[0]:.2f}")


if __name__ == "__main__":
    main()
