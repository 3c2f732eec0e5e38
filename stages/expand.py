"""expand — makes hard samples from verified failures (EDDE) and hands data to iteration j+1."""

from collections import Counter
from pathlib import Path

import polars as pl

from looptool.core import events, runs, tables
from looptool.core.fingerprints import hash_path
from looptool.core.samples import dataset_id
from looptool.core.tools import read_tools
from looptool.engines.roles import Cast
from looptool.expansion import make_expander
from looptool.expansion.accept import accept, failed
from looptool.expansion.carry import compose, expanded_rows
from looptool.expansion.error_seeds import error_seeds
from looptool.judging import make_judges
from looptool.judging.label_correction import outcomes
from looptool.synthesis import contamination
from looptool.synthesis.tool_split import tools_of_split


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("expand", iteration) as run:
        params = run.params
        folder = Path(f"data/iterations/{iteration}")
        samples = tables.read(folder / "train.parquet", tables.Samples)
        probe = tables.read(folder / "probe.parquet", tables.Probe)
        verdicts = tables.read(folder / "verdicts.parquet", tables.Verdicts)
        seen = tables.read(folder / "seen.parquet", tables.Seen)
        index = contamination.training_index(tables.read("data/heldout.parquet", tables.Samples))
        if params.loop.mode != "loop":
            samples = samples.clear()

        inputs = [folder / f"{name}.parquet" for name in ("train", "probe", "verdicts")]
        sections = ["model", "expand", "verify", "vllm"]
        cast = Cast(params, lambda: run.scratch(inputs, sections), run.seed_number, run.bar)
        rows = outcomes(
            samples,
            probe,
            verdicts,
            iteration=iteration,
            keep_high_ppl=params.probe.keep_high_ppl,
        )
        candidates = []
        own = read_tools(params.generate.tools) if params.generate.tools else []
        expander = make_expander(params.expand, cast, tools_of_split("train", own))
        if params.expand.mode != "off":
            candidates = expander.expand(error_seeds(rows), params.expand.per_seed, run.seed)
        accepted, rejected = accept(
            candidates,
            make_judges(params.verify, cast),
            set(seen["sample_id"]),
            samples,
            index,
            params.expand.max_similarity if params.expand.mode == "generate" else None,
        )
        carry = compose(
            rows,
            expanded_rows(accepted, iteration, expander.name),
            total=params.generate.samples,
            share=params.expand.carry.share,
            caps=params.expand.carry.caps,
            seed=run.seed,
        )
        model = hash_path(f"models/{iteration}")
        lineage = events.stamped(
            carry.lineage, "expand", iteration, run.seed_number, model, dataset_id(samples)
        )

        tables.write(carry.carried, tables.Samples, folder / "carried.parquet")
        tables.write(lineage, tables.Lineage, folder / "lineage/expand.parquet")
        refused = pl.concat([failed(expander), rejected, carry.rejected])
        tables.write(refused, tables.Rejected, folder / "rejected/expand.parquet")
        tables.write(cast.frame(), tables.Requests, folder / "requests/expand.parquet")
        runs.write_json(
            f"metrics/iterations/{iteration}/expand.json",
            {
                **carry.metrics,
                "ways": dict(sorted(Counter(each.how for each in accepted).items())),
                "candidates": len(candidates),
                "accepted": len(accepted),
                "failed": len(expander.failures),
                "rejected": tables.counts(rejected, "check"),
            },
        )
        run.note(
            candidates=len(candidates),
            accepted=len(accepted),
            carried=len(carry.carried),
            **cast.figures(),
        )


if __name__ == "__main__":
    main()
