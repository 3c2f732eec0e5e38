"""train — trains models/j from models/j−1 on D_j with GRPO (the paper's training stage)."""

import json
from pathlib import Path

from looptool.core import machine, runs, tables
from looptool.engines.syntax import format_of
from looptool.training import memory, processes, trackers
from looptool.training.rewards import make_reward


def main() -> None:
    iteration = runs.iteration_argument()
    if processes.joins(iteration):  # this is a further machine; the first one writes the outputs
        return
    with runs.stage("train", iteration) as run:
        base, target = Path(f"models/{iteration - 1}"), Path(f"models/{iteration}")
        data = Path(f"data/iterations/{iteration}/train.parquet")
        train = run.params.train
        layout = processes.layout(train)
        samples = tables.read(data, tables.Samples)  # before torch is loaded
        if train.vllm in ("colocate", "server") and not machine.gpus():
            raise run.error("train.vllm", "needs a GPU, and there is none here; set it to off")
        make_reward(train.reward)
        trackers.tracker(run.label)
        processes.check(train, machine.rollout_mode(train.vllm))
        memory.check(base, run.params, run.dtype, layout.sharing, layout.processes)
        config = train.accelerate_config
        inputs: list[Path | str] = [base, data, *([config] if config else [])]
        scratch = run.scratch(inputs, ["model", "match", "vllm", "train"])
        run.prepare_torch()
        from looptool.training import grpo, rollouts
        from looptool.training.left_out import split

        fit, unfit = split(
            run, base, samples,
            max_tokens=grpo.length_limit(run.params), new_tokens=train.max_new_tokens,
        )  # fmt: skip
        tables.write(unfit, tables.LeftOut, data.with_name("left_out.parquet"))
        fitting = scratch / "samples.parquet"
        tables.write(fit, tables.Samples, fitting)
        if config:
            processes.train_in_processes(config, iteration, layout, scratch)
            history = json.loads((scratch / "history.json").read_text("utf-8"))
        else:
            with run.bar("steps", train.steps) as on_progress:
                history = grpo.train_on(run, base, fitting, target, scratch, on_progress)
        drawn = rollouts.recorded(scratch)
        tables.write(drawn, tables.Rollouts, data.with_name("rollouts.parquet"))
        runs.write_json(f"metrics/iterations/{iteration}/steps.json", history)
        chosen = {
            "dtype": run.dtype,
            "vllm": machine.rollout_mode(train.vllm),
            "left_out": tables.counts(unfit, "check"),
            "prompt": format_of(target),
        }
        runs.write_json(
            f"metrics/iterations/{iteration}/train.json", grpo.training_metrics(history) | chosen
        )
        if warning := grpo.text_warning(history):
            run.say(warning)
        run.note(steps=len(history), tokens=int(max(row.get("tokens", 0) for row in history)))


if __name__ == "__main__":
    main()
