"""warmup_samples — makes the samples for `warmup`, and the empty carry-over of iteration 0.

The samples have label noise like the training data. Only `warmup` trains on them; with
`warmup.steps: 0` there are none.
"""

from pathlib import Path

from looptool.core import events, runs, tables
from looptool.engines.roles import Cast
from looptool.judging import make_judges
from looptool.synthesis import contamination
from looptool.synthesis.mixing import make_authors
from looptool.synthesis.seeds import Recipe, make_seeds, refuser, tools_of


def main() -> None:
    with runs.stage("warmup_samples") as run:
        params = run.params
        folder = Path("data/iterations/0")
        heldout = tables.read("data/heldout.parquet", tables.Samples)
        index = contamination.training_index(heldout)
        tool_files = [params.generate.tools] if params.generate.tools else []
        seed = run.seed_of(None, "warmup")  # the section of the params that both stages share
        cast = Cast(
            params,
            lambda: run.scratch(
                ["data/heldout.parquet", *tool_files],
                ["model", "warmup", "generate", "verify", "vllm"],
            ),
            runs.number_of(seed),
            run.bar,
        )
        author, fill_up = make_authors(params.generate, cast, tools_of(heldout))
        judges = [] if author.exact else make_judges(params.verify, cast)
        recipe = Recipe(
            params.warmup.samples if params.warmup.steps else 0,
            seed,
            "train",
            params.warmup.shares,
            "warmup_samples",
            iteration=0,
            label_noise=params.warmup.label_noise,
        )
        seeds = make_seeds(recipe, author, fill_up, refuse=refuser(index, judges))
        births = events.births(seeds.samples, 0, "warmup", runs.number_of(seed))
        # Unsorted: training goes through them in this order.
        tables.write(seeds.samples, tables.Samples, "data/warmup.parquet", sort=False)
        tables.write(seeds.truth, tables.Truth, folder / "truth.parquet")
        tables.write(seeds.rejected, tables.Rejected, folder / "rejected/warmup.parquet")
        tables.write(cast.frame(), tables.Requests, folder / "requests/warmup.parquet")
        tables.write(births, tables.Lineage, folder / "lineage/warmup.parquet")
        tables.write(events.seen(seeds.samples, 0), tables.Seen, folder / "seen.parquet")
        tables.write(tables.frame(tables.Samples, []), tables.Samples, folder / "carried.parquet")
        run.note(samples=len(seeds.samples), rejected=len(seeds.rejected), **cast.figures())


if __name__ == "__main__":
    main()
