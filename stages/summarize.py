"""summarize — writes all iterations' metrics as tidy rows for `dvc plots`.

It also measures the quality of the labels, and is the only stage that reads the truth tables.
"""

from pathlib import Path

from looptool.core import runs
from looptool.reporting import labels, tidy


def main() -> None:
    with runs.stage("summarize") as run:
        data, metrics = Path("data/iterations"), Path("metrics/iterations")
        last = run.params.loop.last
        quality = labels.measure(data, last, run.params.match)
        runs.write_json("metrics/labels.json", {str(row["iteration"]): row for row in quality})
        runs.write_json("metrics/plots/accuracy.json", tidy.accuracy(metrics, last))
        runs.write_json("metrics/plots/composition.json", tidy.composition(metrics, last, quality))
        runs.write_json("metrics/plots/training.json", tidy.training(metrics, last))


if __name__ == "__main__":
    main()
