"""heldout — makes the evaluation split, on which nothing is trained.

The author is that of `generate`, without planted noise. It uses leaf actions, tools and wordings
that do not appear in training. The stages that make training data refuse samples that overlap this
split.
"""

from pathlib import Path

from looptool.core import runs, tables
from looptool.engines.folders import check_base
from looptool.engines.roles import Cast
from looptool.judging import make_judges
from looptool.synthesis.mixing import make_authors
from looptool.synthesis.seeds import Recipe, make_seeds, refuser


def main() -> None:
    with runs.stage("heldout") as run:
        params = run.params
        check_base(params.model)  # of the whole run, before a large model works for it
        sections = ["model", "heldout", "generate", "verify", "vllm"]
        cast = Cast(params, lambda: run.scratch([], sections), run.seed_number, run.bar)
        author, fill_up = make_authors(params.generate, cast)
        judges = [] if author.exact else make_judges(params.verify, cast)
        shares = params.generate.shares
        recipe = Recipe(params.heldout.samples, run.seed, "heldout", shares, "heldout", iteration=0)
        seeds = make_seeds(recipe, author, fill_up, refuse=refuser(None, judges))
        folder = Path("data/iterations/0")
        tables.write(seeds.samples, tables.Samples, "data/heldout.parquet")
        tables.write(seeds.rejected, tables.Rejected, folder / "rejected/heldout.parquet")
        tables.write(cast.frame(), tables.Requests, folder / "requests/heldout.parquet")
        run.note(samples=len(seeds.samples), rejected=len(seeds.rejected), **cast.figures())


if __name__ == "__main__":
    main()
