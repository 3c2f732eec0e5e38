"""eval — evaluates model j on the held-out split, BFCL-v3 and, if enabled, ACEBench.

All answers are kept. The headline figures use BFCL's *test* rows and all held-out rows. BFCL's
*development* rows (a fifth, by hash of the id) are the ones that people may inspect.
"""

from pathlib import Path

import polars as pl

from looptool.core import runs, tables
from looptool.engines import Sampling, answering, prompts_of
from looptool.evaluation import heldout, running, scores
from looptool.evaluation.bfcl import rows as bfcl
from looptool.evaluation.bfcl.package import check_benchmark


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("eval", iteration) as run:
        params, model = run.params, Path(f"models/{iteration}")
        check_benchmark()
        samples = tables.read("data/heldout.parquet", tables.Samples)
        samples = samples.slice(0, params.eval.heldout_limit)
        bfcl_rows = bfcl.rows(params.eval.bfcl.categories, params.eval.bfcl.limit)
        acebench = params.eval.acebench
        acebench_rows = running.acebench_of(acebench)

        run.prepare_torch()
        engine = answering.load(
            params.eval.engine, model, params,
            batch_size=params.eval.batch_size, server=params.eval.server,
        )  # fmt: skip
        scratch = run.scratch([model, "data/heldout.parquet"], ["model", "vllm", "eval"])
        sampling = Sampling(params.eval.max_new_tokens)
        total = len(samples) + running.least_prompts(bfcl_rows)
        with run.bar("answers", total) as on_progress:
            ask = running.Asker(engine, sampling, scratch, on_progress)
            official, answers = running.run_bfcl(bfcl_rows, ask, others=prompts_of(samples))
            user = running.simulated_user(params, acebench_rows, sampling, scratch)
            others = running.run_acebench(acebench_rows, acebench.path or "", ask, user=user)
        answering.warn_of_thinking(answers, "eval.max_new_tokens")
        heldout_scores = heldout.score(samples, answers, params.match)
        table = pl.concat([official, others, heldout_scores])
        tables.write(table, tables.Eval, f"data/iterations/{iteration}/eval.parquet")
        metrics = scores.summary(table) | answering.settings(params.eval.engine, run.dtype)
        runs.write_json(f"metrics/iterations/{iteration}/eval.json", metrics)
        accuracy = round(metrics["heldout"]["accuracy"], 3)
        run.note(answers=ask.answers, tokens=ask.tokens, heldout=accuracy)


if __name__ == "__main__":
    main()
