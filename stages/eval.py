"""eval — evaluates model j on the held-out split, BFCL-v3 and, if enabled, ACEBench.

All answers are kept. The headline figures use BFCL's *test* rows and all held-out rows. BFCL's
*development* rows (a fifth, by hash of the id) are the ones that people may inspect.
"""

from pathlib import Path

import polars as pl

from looptool.core import canonical, runs, tables
from looptool.engines import Prompt, Sampling, answering
from looptool.evaluation import heldout as heldout_benchmark
from looptool.evaluation import running, scores
from looptool.evaluation.bfcl import dialogues, scoring
from looptool.evaluation.bfcl import rows as bfcl
from looptool.evaluation.bfcl.package import check_benchmark


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("eval", iteration) as run:
        params, model = run.params, Path(f"models/{iteration}")
        check_benchmark()
        samples = tables.read("data/heldout.parquet", tables.Samples)
        samples = samples.slice(0, params.eval.heldout_limit)
        rows = bfcl.rows(params.eval.bfcl.categories, params.eval.bfcl.limit)
        ace, checkout = params.eval.acebench, params.eval.acebench.path
        acting = running.acebench_of(ace)
        single = [row for row in rows if row.category not in bfcl.MULTI_TURN]
        several = [row for row in rows if row.category in bfcl.MULTI_TURN]
        prompts = [Prompt(row.messages, row.tools) for row in single]
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
        sampling = Sampling(params.eval.max_new_tokens)
        turns = sum(len(row.turns) for row in several)  # of one step, at least
        with run.bar("answers", len(prompts) + turns) as on_progress:
            ask = running.Asker(engine, sampling, scratch, on_progress)
            texts = ask(prompts)  # with the held-out ones: two calls would make other batches
            answers = dict(zip((row.id for row in single), texts[: len(single)], strict=True))
            played = dialogues.play(several, ask)
            user = None
            if ace.user and any(row.category == "agent_multi_turn" for row in acting):
                user = running.Asker(
                    answering.load(
                        ace.user.engine, ace.user.model, params,
                        batch_size=params.eval.batch_size, server=ace.user.server,
                    ),
                    sampling, scratch,
                )  # fmt: skip
            others = running.run_acebench(acting, checkout or "", ask, user=user)
        own = heldout_benchmark.score(samples, texts[len(single) :], params.match)
        table = pl.concat([scoring.score(answers), dialogues.score(played), others, own])
        tables.write(table, tables.Eval, f"data/iterations/{iteration}/eval.parquet")
        metrics = scores.summary(table) | answering.settings(params.eval.engine, run.dtype)
        runs.write_json(f"metrics/iterations/{iteration}/eval.json", metrics)
        own_accuracy = round(metrics["heldout"]["accuracy"], 3)
        run.note(answers=ask.answers, tokens=ask.tokens, heldout=own_accuracy)


if __name__ == "__main__":
    main()
