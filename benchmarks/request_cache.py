"""Measure look-ups in the request cache with 100,000 and 1,000,000 answers in it.

    python -m benchmarks.request_cache [--answers N N]

Looks up 20,000 random existing keys, after a first pass that warms up the file cache. The baseline
is a Python dict of the same texts with the same decoding.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from dataclasses import astuple
from pathlib import Path

from looptool.core import canonical
from looptool.engines import Completion
from looptool.engines.request_cache import RequestCache

LOOK_UPS = 20_000
ANSWER = Completion("word " * 60, 64, -12.5, "stop")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, nargs="+", default=[100_000, 1_000_000])
    rates = []
    for size in parser.parse_args().answers:
        with tempfile.TemporaryDirectory() as folder, RequestCache(Path(folder, "a.db")) as cache:
            keys = [canonical.digest(str(number)) for number in range(size)]
            start = time.perf_counter()
            for first in range(0, size, 10_000):
                cache.store("model", [(key, ANSWER) for key in keys[first : first + 10_000]])
            stored = size / (time.perf_counter() - start)
            asked = random.Random(0).sample(keys, LOOK_UPS)
            for _ in range(2):
                start = time.perf_counter()
                answers = dict(cache.look_up(asked))
                rate = LOOK_UPS / (time.perf_counter() - start)
            assert len(answers) == LOOK_UPS
            texts = {key: json.dumps(astuple(ANSWER)) for key in keys}
            start = time.perf_counter()
            for key in asked:
                Completion(*json.loads(texts[key]))
            plain = LOOK_UPS / (time.perf_counter() - start)
            size_mb = Path(folder, "a.db").stat().st_size / 1e6
        rates.append(rate)
        print(
            f"{size:,} answers, {size_mb:.0f} MB: {rate:,.0f} look-ups/s "
            f"({rate / plain:.2f} of a dict's), stored at {stored:,.0f}/s"
        )
    if len(rates) == 2:
        print(f"the larger takes {rates[0] / rates[1]:.2f} times as long")


if __name__ == "__main__":
    main()
