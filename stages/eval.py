"""eval — model j on the held-out split and on BFCL-v3, every answer kept.

Headline figures come from BFCL's *test* rows and all held-out rows; the *development* rows (a
fifth, by hash of the id) are those that people may look at.
"""

from pathlib import Path

import polars as pl

from looptool import canonical, installing, runs, tables
from looptool.benchmarks import bfcl, scores
from looptool.benchmarks import heldout as heldout_benchmark
from looptool.engines import Prompt, Sampling, answering


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("eval", iteration) as run:
        params, model = run.params, Path(f"models/{iteration}")
        installing.check_benchmark()
        samples = tables.read("data/heldout.parquet", tables.Samples)
        samples = samples.slice(0, params.eval.heldout_limit)
        rows = bfcl.rows(params.eval.categories, params.eval.limit)
        prompts = [Prompt(row.messages, row.tools) for row in rows]
        prompts += [
            Prompt(canonical.loads(messages), canonical.loads(tools))
            for messages, tools in samples.select("messages", "tools").rows()
        ]

        run.prepare_torch()
        engine = answering.load(
            params.eval.engine, model, params,
            batch_size=params.eval.batch_size, server=params.eval.server,
        )  # fmt: skip
        scratch = run.scratch([model, "data/heldout.parquet"], ["model", "vllm", "eval"])
        with run.bar("answers", len(prompts)) as reach:
            sampling = Sampling(params.eval.max_new_tokens)
            completions = answering.answer(engine, prompts, sampling, scratch, reach)
        answering.check_all_answered(completions, "rows")
        texts = [completion.text for completion in completions]
        answers = dict(zip((row.id for row in rows), texts[: len(rows)], strict=True))
        own = heldout_benchmark.score(samples, texts[len(rows) :], params.match)
        table = pl.concat([bfcl.score(answers), own])
        tables.write(table, tables.Eval, f"data/iterations/{iteration}/eval.parquet")
        metrics = scores.summary(table)
        runs.write_json(f"metrics/iterations/{iteration}/eval.json", metrics)
        tokens = sum(completion.tokens for completion in completions)
        run.note(
            answers=len(prompts), tokens=tokens, heldout=round(metrics["heldout"]["accuracy"], 3)
        )


if __name__ == "__main__":
    main()
