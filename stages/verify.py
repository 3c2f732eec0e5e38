"""verify — judges decide for every mismatch whether the model or the label is wrong (JGLV)."""

from pathlib import Path

from looptool.core import runs, tables
from looptool.core.samples import VERDICTS
from looptool.engines.roles import Cast
from looptool.judging import make_judges
from looptool.judging.human import HUMAN, misfits, of_iteration, overrule, read_reviews
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
        reviews = of_iteration(read_reviews(), iteration)
        verdicts = verify(samples, probe, make_judges(run.params.verify, cast))
        verdicts = overrule(verdicts, probe, reviews, run.params.verify.review)
        if probe.is_empty():  # nothing is verified
            reviews = reviews.clear()
        stale = misfits(verdicts, samples, probe, reviews, iteration)
        for row in stale.head(10).iter_rows(named=True):
            run.say(f"{row['sample_id']}: {row['reason']}")
        if len(stale) > 10:
            run.say(f'{len(stale) - 10} more no longer fit: looptool sql "select * from misfits"')
        tables.write(verdicts, tables.Verdicts, folder / "verdicts.parquet")
        tables.write(stale, tables.Rejected, folder / "rejected/verify.parquet")
        tables.write(cast.frame(), tables.Requests, folder / "requests/verify.parquet")
        counts = tables.counts(verdicts, "verdict")
        reviewed = int(verdicts["judge"].str.starts_with(HUMAN).sum())
        runs.write_json(
            f"metrics/iterations/{iteration}/verify.json",
            {name: counts.get(name, 0) for name in VERDICTS}
            | {"reviewed": reviewed, "misfits": len(stale)},
        )
        run.note(judged=len(verdicts), reviewed=reviewed, **counts, **cast.figures())


if __name__ == "__main__":
    main()
