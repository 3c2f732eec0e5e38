"""train — trains models/j from models/j−1 on D_j with GRPO (the paper's training stage)."""

from pathlib import Path

from looptool.core import machine, runs, tables
from looptool.engines.syntax import format_of
from looptool.training import memory, processes
from looptool.training.rewards import make_reward


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("train", iteration) as run:
        base, target = Path(f"models/{iteration - 1}"), Path(f"models/{iteration}")
        data = Path(f"data/iterations/{iteration}/train.parquet")
        samples = tables.read(data, tables.Samples)
        train = run.params.train
        if train.vllm in ("colocate", "server") and not machine.gpus():
            raise run.error("train.vllm", "needs a GPU, and there is none here; set it to off")
        make_reward(train.reward)
        processes.check(train)
        memory.check(base, "train.lora_rank", run.dtype, train.lora_rank)
        config = train.accelerate_config
        inputs: list[Path | str] = [base, data, *([config] if config else [])]
        scratch = run.scratch(inputs, ["model", "match", "vllm", "train"])
        run.prepare_torch()
        from looptool.training import grpo
        from looptool.training.left_out import left_out

        rolled_out_by_vllm = grpo.rollout_mode(train) != "off"
        limits = [train.max_tokens, run.params.vllm.max_model_len if rolled_out_by_vllm else None]
        with run.bar("samples checked", len(samples)) as on_progress:
            unfit = left_out(
                base, samples, max_tokens=min(filter(None, limits), default=None),
                new_tokens=train.max_new_tokens, on_progress=on_progress,
            )  # fmt: skip
        if len(unfit):
            run.say(f"{len(unfit)} of {len(samples)} samples are left out: {unfit['reason'][0]}")
        tables.write(unfit, tables.LeftOut, data.with_name("left_out.parquet"))
        data = scratch / "samples.parquet"
        tables.write(samples.join(unfit, on="sample_id", how="anti"), tables.Samples, data)
        if config:
            history = processes.train_in_processes(config, iteration, base, data, target, scratch)
        else:
            with run.bar("steps", train.steps) as on_progress:
                history = grpo.train_on(run, base, data, target, scratch, on_progress)
        runs.write_json(f"metrics/iterations/{iteration}/steps.json", history)
        chosen = {
            "dtype": run.dtype,
            "vllm": grpo.rollout_mode(train),
            "left_out": tables.counts(unfit, "check"),
            "prompt": format_of(target),
        }
        runs.write_json(
            f"metrics/iterations/{iteration}/train.json", grpo.training_metrics(history) | chosen
        )
        run.note(
            steps=len(history),
            tokens=int(max(row.get("tokens", 0) for row in history)),
        )


if __name__ == "__main__":
    main()
