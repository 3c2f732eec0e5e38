"""warmup — models/0, and the empty carry-over of iteration 0.

The paper starts from a model that calls tools. The embedded base never does, so a few SFT steps on
`data/warmup.parquet` come first (same noise as the training data; no later stage uses these
samples). `warmup.steps: 0` takes the base as it is.
"""

from pathlib import Path

from looptool import canonical, installing, runs, tables
from looptool.benchmarks import contamination
from looptool.engines import Prompt
from looptool.engines.roles import Cast
from looptool.judging import make_judges
from looptool.lineage import events
from looptool.synthesis import DATA, make_authors
from looptool.synthesis.seeds import make_seeds, refuser, tools_of
from looptool.training import memory


def main() -> None:
    with runs.stage("warmup") as run:
        params = run.params
        installing.check_base(params)
        base = Path(params.model.base)
        if params.warmup.steps:
            memory.check(base, "warmup.steps", run.dtype)
        folder = Path("data/iterations/0")
        heldout = tables.read("data/heldout.parquet", tables.Samples)
        index = contamination.training_index(heldout)
        own = [params.generate.tools] if params.generate.tools else []
        scratch = run.scratch(
            [base, "data/heldout.parquet", DATA, *own],
            ["model", "warmup", "generate", "verify", "vllm"],
        )
        cast = Cast(params, lambda: scratch, run.seed_number, run.bar)
        author, fill_up = make_authors(params.generate, cast, tools_of(heldout))
        judges = [] if author.exact else make_judges(params.verify, cast)
        seeds = make_seeds(
            params.warmup.samples,
            author=author,
            fill_up=fill_up,
            seed=run.seed,
            split="train",
            shares=params.warmup.shares,
            label_noise=params.warmup.label_noise,
            iteration=0,
            refuse=refuser(index, judges),
        )

        from looptool.training.checkpoints import copy_base
        from looptool.training.warmup import train_sft

        history = []
        if params.warmup.steps:
            run.prepare_torch()
            examples = [
                (Prompt(canonical.loads(row["messages"]), canonical.loads(row["tools"])),
                 canonical.loads(row["label"]))
                for row in seeds.samples.iter_rows(named=True)
            ]  # fmt: skip
            with run.bar("steps", params.warmup.steps) as reach:
                history = train_sft(
                    base,
                    examples,
                    Path("models/0"),
                    steps=params.warmup.steps,
                    batch_size=params.warmup.batch_size,
                    learning_rate=params.warmup.learning_rate,
                    schedule=params.warmup.schedule,
                    dtype=run.dtype,
                    save_steps=10,
                    seed=run.seed_number,
                    scratch=scratch,
                    on_step=reach,
                )
        else:
            copy_base(base, Path("models/0"))

        tables.write(seeds.samples, tables.Samples, "data/warmup.parquet")
        tables.write(seeds.truth, tables.Truth, folder / "truth.parquet")
        tables.write(seeds.rejected, tables.Rejected, folder / "rejected/warmup.parquet")
        tables.write(cast.frame(), tables.Requests, folder / "requests/warmup.parquet")
        tables.write(events.births(seeds.samples, 0, "warmup", run.seed_number), tables.Lineage,
                     folder / "lineage/warmup.parquet")  # fmt: skip
        tables.write(events.seen(seeds.samples, 0), tables.Seen, folder / "seen.parquet")
        tables.write(tables.frame(tables.Samples, []), tables.Samples, folder / "carried.parquet")
        metrics = {"samples": len(seeds.samples), "dtype": run.dtype if history else None}
        runs.write_json("metrics/iterations/0/warmup.json", metrics)
        runs.write_json("metrics/iterations/0/steps.json", history)
        run.note(samples=len(seeds.samples), steps=params.warmup.steps, **cast.figures())


if __name__ == "__main__":
    main()
