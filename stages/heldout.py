"""heldout — the split that nothing trains on.

The same author as `generate`, without planted noise, on leaf actions, tools and wordings that
appear nowhere in training. The stages that make training data refuse what overlaps it.
"""

from looptool import runs, tables
from looptool.synthesis.seeds import make_seeds


def main() -> None:
    with runs.stage("heldout") as run:
        params = run.params
        seeds = make_seeds(
            params.heldout.samples,
            author=params.generate.author,
            seed=run.seed,
            split="heldout",
            shares=params.generate.shares,
            label_noise=0.0,
            iteration=0,
        )
        tables.write(seeds.samples, tables.Samples, "data/heldout.parquet")
        run.note(samples=len(seeds.samples), rejected=len(seeds.rejected))


if __name__ == "__main__":
    main()
