"""probe — records model j's greedy answer to every sample of D_j and its perplexity (GCP)."""

from pathlib import Path

from looptool.core import runs, tables
from looptool.engines import Sampling, answering, prompts_of
from looptool.probing import probe, probe_metrics


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("probe", iteration) as run:
        params = run.params
        folder, model = Path(f"data/iterations/{iteration}"), Path(f"models/{iteration}")
        samples = tables.read(folder / "train.parquet", tables.Samples)
        if params.loop.mode != "loop":
            samples = samples.clear()

        completions = []
        if len(samples):
            run.prepare_torch()
            engine = answering.load(
                params.probe.engine, model, params,
                batch_size=params.probe.batch_size, server=params.probe.server,
            )  # fmt: skip
            scratch = run.scratch([model, folder / "train.parquet"], ["model", "vllm", "probe"])
            prompts = prompts_of(samples)
            with run.bar("samples", len(prompts)) as on_progress:
                sampling = Sampling(params.probe.max_new_tokens, logprobs=True)
                completions = answering.answer(engine, prompts, sampling, scratch, on_progress)
            answering.check_all_answered(completions, "samples")
            answering.warn_of_thinking(completions, "probe.max_new_tokens")
            unsure = [each for each in completions if each.logprob is None and each.error is None]
            if unsure and params.probe.keep_high_ppl:
                rule = (
                    "it gives no log probabilities, which probe.keep_high_ppl: true needs; "
                    "set probe.keep_high_ppl: false or another engine"
                )
                raise run.error("probe.engine", rule)
        unfit = tables.read(folder / "left_out.parquet", tables.LeftOut)
        share, ids = params.probe.high_ppl_share, set(unfit["sample_id"])
        table = probe(samples, completions, share, params.match, left_out=ids)
        tables.write(table, tables.Probe, folder / "probe.parquet")
        metrics = probe_metrics(samples, table) | answering.settings(params.probe.engine, run.dtype)
        runs.write_json(f"metrics/iterations/{iteration}/probe.json", metrics)
        run.note(samples=len(table), tokens=int(table["tokens"].sum()))


if __name__ == "__main__":
    main()
