"""train — models/j from models/j−1 on D_j, by GRPO (the paper's training stage)."""

from pathlib import Path

from looptool import canonical, runs, tables
from looptool.engines import Prompt

iteration = runs.iteration_argument()
with runs.stage("train", iteration) as run:
    base, data = Path(f"models/{iteration - 1}"), f"data/iterations/{iteration}/train.parquet"
    samples = tables.read(data, tables.Samples)
    run.prepare_torch()
    from looptool.training.grpo import Example, train_grpo

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
            match=run.params.match,
            seed=run.seed_number,
            scratch=run.scratch([base, data], ["model", "match", "train"]),
            on_step=reach,
        )
    runs.write_json(f"metrics/iterations/{iteration}/steps.json", history)
    first, last = history[: len(history) // 2 or 1], history[len(history) // 2 :]

    def mean(rows: list[dict[str, float]], name: str) -> float:
        return sum(row[name] for row in rows) / len(rows)

    runs.write_json(
        f"metrics/iterations/{iteration}/train.json",
        {
            "reward_first_half": mean(first, "reward"),
            "reward_second_half": mean(last, "reward"),
            "zero_variance_share": mean(history, "zero_variance_share"),
            "groups_kept": mean(history, "groups_kept"),
            "groups_anchored": mean(history, "groups_anchored"),
            "entropy": mean(history, "entropy"),
            "tokens": history[-1]["tokens"],
        },
    )
    run.note(steps=len(history), tokens=int(history[-1]["tokens"]))
