"""verify — judges decide for every mismatch whether the model or the label is wrong (JGLV)."""

from pathlib import Path

from looptool.core import runs, tables
from looptool.core.samples import VERDICTS
from looptool.engines.roles import Cast
from looptool.judging import make_judges
from looptool.judging.verify import verify


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("verify", iteration) as run:
        folder = Path(f"data/iterations/{iteration}")
        samples = tables.read(folder / "train.parquet", tables.Samples)
        probe = tables.read(folder / "probe.parquet", tables.Probe)
        if not run.params.verify.enabled:
            probe = probe.clear()
        inputs = [folder / "train.parquet", folder / "probe.parquet"]
        sections = ["model", "verify", "vllm"]
        cast = Cast(run.params, lambda: run.scratch(inputs, sections), run.seed_number, run.bar)
        verdicts = verify(samples, probe, make_judges(run.params.verify, cast))
        tables.write(verdicts, tables.Verdicts, folder / "verdicts.parquet")
        tables.write(cast.frame(), tables.Requests, folder / "requests/verify.parquet")
        counts = tables.counts(verdicts, "verdict")
        runs.write_json(
            f"metrics/iterations/{iteration}/verify.json",
            {name: counts.get(name, 0) for name in VERDICTS},
        )
        run.note(judged=len(verdicts), **counts, **cast.figures())


if __name__ == "__main__":
    main()
