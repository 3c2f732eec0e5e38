"""Commands that query the history: trace, diff, sql, status, report, verify-lineage."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import typer

from looptool.cli.options import Json, Rev, console, print_json, snapshot_of
from looptool.core.errors import LooptoolError

app = typer.Typer()


@app.command()
def trace(
    identity: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A sample_id or label_id, or at least its first six characters."
        ),
    ],
    rev: Rev = None,
    as_json: Json = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
) -> None:
    """Show the whole history of a sample: seeds, labels, probes, verdicts, expansions.

    Example: looptool trace 03f02b
    """
    from looptool.lineage import history
    from looptool.reporting import tracing

    traced = history.trace(snapshot_of(rev), identity)
    if as_json:
        print_json(dataclasses.asdict(traced))
    elif mermaid:
        typer.echo(tracing.mermaid(traced))
    else:
        console().print(tracing.tree(traced))


@app.command()
def diff(
    before: Annotated[
        str, typer.Argument(help="A data set: 2, main:2, exp-name:2, or a .parquet file.")
    ],
    after: Annotated[str, typer.Argument(help="Another data set, named the same way.")],
    rows: Annotated[
        int, typer.Option(min=0, help="Number of examples to show of each kind of change.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Show how the samples changed from one data set to another.

    Example: looptool diff 1 2 --rows 3
    """
    from looptool.lineage.diff import compare, open_data_set
    from looptool.reporting import differences

    differing = compare(open_data_set(before), open_data_set(after), rows)
    if as_json:
        print_json(differing.to_json())
    else:
        differences.show(differing, console())


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="A read-only statement. Default: open a prompt.")
    ] = None,
    rev: Rev = None,
    output: Annotated[
        Literal["table", "csv", "json", "parquet"],
        typer.Option("--format", help="Output format."),
    ] = "table",
) -> None:
    """Query the tables of all iterations with SQL (DuckDB). No statement can change a file.

    Views: samples, carried, probes, verdicts, misfits, lineage, rejected, requests, evals, metrics,
    truth, warmup, heldout, each with the column iteration; bench, the answers of `looptool bench`;
    audits and reviews; and judges, agreement and review_costs, what judges and reviews are worth.
    `looptool sql "describe samples"` lists the columns of a view.

    Example: looptool sql "select iteration, verdict, count(*) from verdicts group by all"
    """
    from looptool.lineage import views
    from looptool.reporting import answers, judges

    snapshot = snapshot_of(rev)
    connection = views.connect(snapshot, guarded=True)
    try:
        judges.add_views(connection, snapshot)
        if query is None:
            answers.prompt(connection, console())
        else:
            answers.write(connection, query, output, console())
    finally:
        views.close(connection)


@app.command()
def status(as_json: Json = False) -> None:
    """Show what is done, running or stale, and what `dvc repro` would run next and why.

    Example: looptool status
    """
    from looptool.reporting import status as standing

    stages = standing.read_status()
    if as_json:
        print_json(standing.to_json(stages))
    else:
        standing.show(stages, console())


@app.command()
def report(
    compare: Annotated[
        list[str] | None, typer.Option(help="Experiments or revisions to compare with this run.")
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXP]...", help="More experiments or revisions to compare."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Output file. Default: reports/report.html.")
    ] = None,
) -> None:
    """Write a report on the run as one HTML file that needs no network.

    Example: looptool report --compare exp-static exp-fresh
    """
    from looptool.reporting.report import REPORT, write_report

    target = write_report([*(compare or ()), *(more or ())], (output or REPORT).absolute())
    typer.echo(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


@app.command()
def verify_lineage(rev: Rev = None) -> None:
    """Check that tables and event log are consistent. Problems name the file, row and rule.

    Example: looptool verify-lineage --rev main
    """
    from looptool.lineage.checks import verify_lineage

    snapshot = snapshot_of(rev)
    problems = list(verify_lineage(snapshot))
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise LooptoolError(f"{snapshot.where}: {len(problems)} inconsistencies in the lineage")
    iterations = ", ".join(map(str, snapshot.iterations))
    no_lock = "" if snapshot.hashes else "; file hashes not checked: there is no dvc.lock"
    typer.echo(f"{snapshot.where}: iterations {iterations} are consistent{no_lock}")
