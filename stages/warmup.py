"""warmup — makes models/0.

The paper starts from a model that calls tools. So does the default, by the warm start in
models/base (docs/warm-start.md): with `warmup.steps: 0` models/0 is a copy of the base model. A
base that calls no tools is first trained with a few SFT steps on `data/warmup.parquet`.
"""

from pathlib import Path

from looptool.core import canonical, runs, tables
from looptool.core.params import BASE
from looptool.engines import prompts_of
from looptool.engines.folders import check_base
from looptool.engines.syntax import format_of
from looptool.engines.template_check import check_template
from looptool.training import memory
from looptool.training.checkpoints import copy_base


def main() -> None:
    with runs.stage("warmup") as run:
        params = run.params
        base, target = BASE, Path("models/0")
        check_base(params.model)
        check_template(params.model, params.warmup.steps)
        if params.warmup.steps:
            memory.check_warmup(base)
        samples = tables.read("data/warmup.parquet", tables.Samples)
        inputs: list[Path | str] = [base, "data/warmup.parquet"]
        if params.model.chat_template not in ("own", "looptool"):
            inputs.append(params.model.chat_template)
        unfit = tables.frame(tables.LeftOut, [])
        history = []
        if params.warmup.steps:
            run.prepare_torch()
            from looptool.training.left_out import split
            from looptool.training.warmup import train_sft

            fit, unfit = split(
                run, base, samples, chosen=params.model, max_tokens=params.train.max_tokens
            )  # fmt: skip
            labels = map(canonical.loads, fit["label"])
            examples = list(zip(prompts_of(fit), labels, strict=True))

            scratch = run.scratch(inputs, ["model", "warmup", "train.max_tokens"])
            with run.bar("steps", params.warmup.steps) as on_progress:
                history = train_sft(
                    base,
                    examples,
                    target,
                    chosen=params.model,
                    steps=params.warmup.steps,
                    batch_size=params.warmup.batch_size,
                    learning_rate=params.warmup.learning_rate,
                    schedule=params.warmup.schedule,
                    dtype=run.dtype,
                    save_steps=10,
                    seed=run.seed_number,
                    scratch=scratch,
                    on_progress=on_progress,
                )
        else:
            copy_base(base, target, params.model)
        tables.write(unfit, tables.LeftOut, "data/iterations/0/left_out.parquet")
        metrics = {
            "base": params.model.base,
            "samples": len(samples),
            "left_out": tables.counts(unfit, "check"),
            "prompt": format_of(target),
            "dtype": run.dtype if history else None,
        }
        runs.write_json("metrics/iterations/0/warmup.json", metrics)
        runs.write_json("metrics/iterations/0/steps.json", history)
        run.note(samples=len(samples), steps=params.warmup.steps)


if __name__ == "__main__":
    main()
