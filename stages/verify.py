"""verify — who is wrong, the model or the label (JGLV). A judge sees every mismatch."""

from pathlib import Path

from looptool import runs, tables
from looptool.judging import JUDGES
from looptool.judging.verify import verify


def main() -> None:
    iteration = runs.iteration_argument()
    with runs.stage("verify", iteration) as run:
        folder = Path(f"data/iterations/{iteration}")
        samples = tables.read(folder / "train.parquet", tables.Samples)
        probe = tables.read(folder / "probe.parquet", tables.Probe)
        if not run.params.verify.enabled:
            probe = probe.clear()
        verdicts = verify(samples, probe, [JUDGES[name]() for name in run.params.verify.judges])
        tables.write(verdicts, tables.Verdicts, folder / "verdicts.parquet")
        found = tables.counts(verdicts, "verdict")
        runs.write_json(
            f"metrics/iterations/{iteration}/verify.json",
            {name: found.get(name, 0) for name in tables.VERDICTS},
        )
        run.note(judged=len(verdicts), **found)


if __name__ == "__main__":
    main()
