"""generate — makes D_j: the samples that expand@j−1 carried over, plus fresh seeds.

D_j has the same size in every iteration and mode, so that runs can be compared. In the mode
`static` (the paper's baseline) every iteration has the seeds of iteration 1; in `fresh` every
iteration has new seeds. Neither carries samples over.
"""

from pathlib import Path

import polars as pl

from looptool.core import events, runs, tables
from looptool.core.params import load
from looptool.core.samples import dataset_id, share_of
from looptool.engines.roles import Cast
from looptool.judging import make_judges
from looptool.synthesis import contamination
from looptool.synthesis.mixing import make_sources
from looptool.synthesis.seeds import Recipe, mix_seeds, tools_of


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("generate", iteration) as run:
        params = run.params
        before = Path(f"data/iterations/{iteration - 1}")
        folder = Path(f"data/iterations/{iteration}")
        carried = tables.read(before / "carried.parquet", tables.Samples)
        seen = tables.read(before / "seen.parquet", tables.Seen)
        heldout = tables.read("data/heldout.parquet", tables.Samples)
        index = contamination.training_index(heldout)

        room = share_of(params.generate.samples, 1 - params.generate.min_fresh)
        if len(carried) > room:
            rule = (
                f"{len(carried)} samples are carried over, but min_fresh leaves room for {room}; "
                "lower generate.min_fresh or expand.carry.share"
            )
            raise run.error("generate.samples", rule)
        static = params.loop.mode == "static"
        known = seen.filter(pl.col("iteration") == 0) if static else seen
        inputs: list[Path | str] = [
            before / "carried.parquet",
            before / "seen.parquet",
            "data/heldout.parquet",
        ]
        sections = ["model", "generate", "verify", "vllm", "loop"]
        seed = run.seed_of(1) if static else run.seed
        cast = Cast(params, lambda: run.scratch(inputs, sections), runs.number_of(seed), run.bar)
        used = set(known["sample_id"]) | set(carried["sample_id"])
        sources = make_sources(params.generate, cast, tools_of(heldout), used)
        judged = any(source.judged for source in sources)
        recipe = Recipe(
            params.generate.samples - len(carried),
            seed,
            "train",
            params.generate.shares,
            "generate",
            iteration=1 if static else iteration,
            label_noise=params.generate.label_noise,
        )
        # Admission ignores the overrides of handoff j, which are for verify@j.
        judges = make_judges(load().verify, cast) if judged else []
        seeds = mix_seeds(recipe, sources, seen=used, index=index, judges=judges)
        data = pl.concat([carried, seeds.samples])
        if data.is_empty():
            raise run.error("generate.samples", "the data set is empty")

        tables.write(data, tables.Samples, folder / "train.parquet")
        tables.write(seeds.truth, tables.Truth, folder / "truth.parquet")
        tables.write(events.seen(data, iteration, seen), tables.Seen, folder / "seen.parquet")
        tables.write(seeds.rejected, tables.Rejected, folder / "rejected/generate.parquet")
        tables.write(cast.frame(), tables.Requests, folder / "requests/generate.parquet")
        tables.write(
            events.births(seeds.samples, iteration, "generate", run.seed_number, carried),
            tables.Lineage,
            folder / "lineage/generate.parquet",
        )
        runs.write_json(
            f"metrics/iterations/{iteration}/generate.json",
            {
                "dataset_id": dataset_id(data),
                "samples": len(data),
                "rejected": len(seeds.rejected),
                "origins": tables.counts(data, "origin"),
                "sources": tables.counts(seeds.samples, "label_source"),
                "categories": tables.counts(data, "category"),
            },
        )
        run.note(
            samples=len(data), carried=len(carried), fresh=len(seeds.samples), **cast.figures()
        )


if __name__ == "__main__":
    main()
