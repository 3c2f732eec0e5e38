"""train — models/j from models/j−1 on D_j, by GRPO (the paper's training stage)."""

from pathlib import Path

from looptool import canonical, runs, tables
from looptool.engines import Prompt


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("train", iteration) as run:
        base, data = Path(f"models/{iteration - 1}"), f"data/iterations/{iteration}/train.parquet"
        samples = tables.read(data, tables.Samples)
        if run.params.train.vllm != "off" and not runs.gpus():
            raise run.error("train.vllm", "needs a GPU, and there is none here; set it to off")
        run.prepare_torch()
        from looptool.training.grpo import Example, train_grpo, training_metrics

        examples = [
            Example(
                Prompt(canonical.loads(row["messages"]), canonical.loads(row["tools"])),
                canonical.loads(row["label"]),
                canonical.loads(row["alternatives"]),
            )
            for row in samples.iter_rows(named=True)
        ]
        with run.bar("steps", run.params.train.steps) as reach:
            history = train_grpo(
                base,
                examples,
                Path(f"models/{iteration}"),
                run.params.train,
                vllm=run.params.vllm,
                match=run.params.match,
                seed=run.seed_number,
                scratch=run.scratch([base, data], ["model", "match", "vllm", "train"]),
                on_step=reach,
            )
        runs.write_json(f"metrics/iterations/{iteration}/steps.json", history)
        runs.write_json(f"metrics/iterations/{iteration}/train.json", training_metrics(history))
        run.note(steps=len(history), tokens=int(max(row.get("tokens", 0) for row in history)))


if __name__ == "__main__":
    main()
