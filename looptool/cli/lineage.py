"""Commands that ask the history: trace, diff, sql, status, report, verify-lineage."""

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
        str, typer.Argument(metavar="ID", help="A sample_id, a label_id, or six characters of one.")
    ],
    rev: Rev = None,
    as_json: Json = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
) -> None:
    """Tell the whole life of a sample: seeds, labels, probes, verdicts, expansions.

    Example: looptool trace 03f02b
    """
    from looptool.lineage import history
    from looptool.reporting import tracing

    found = history.trace(snapshot_of(rev), identity)
    if as_json:
        print_json(dataclasses.asdict(found))
    elif mermaid:
        typer.echo(tracing.mermaid(found))
    else:
        console().print(tracing.tree(found))


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="2, main:2, exp-name:2, or a .parquet file.")],
    after: Annotated[str, typer.Argument(help="Likewise.")],
    rows: Annotated[int, typer.Option(min=0, help="Examples of each kind of change.")] = 0,
    as_json: Json = False,
) -> None:
    """Show what became of the samples from one data set to another.

    Example: looptool diff 1 2 --rows 3
    """
    from looptool.lineage.diff import compare, open_data_set
    from looptool.reporting import differences

    found = compare(open_data_set(before), open_data_set(after), rows)
    if as_json:
        print_json(found.to_json())
    else:
        differences.show(found, console())


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="A statement that reads; none opens a prompt.")
    ] = None,
    rev: Rev = None,
    output: Annotated[
        Literal["table", "csv", "json", "parquet"],
        typer.Option("--format", help="How to print the answer."),
    ] = "table",
) -> None:
    """Ask all iterations' tables by SQL (DuckDB); it can change no file.

    Views: samples, carried, probes, verdicts, lineage, rejected, requests, evals, metrics, truth,
    warmup, heldout, each with the column iteration.

    Example: looptool sql "select iteration, verdict, count(*) from verdicts group by all"
    """
    from looptool.lineage import views
    from looptool.reporting import answers

    connection = views.connect(snapshot_of(rev), guarded=True)
    try:
        if query is None:
            answers.prompt(connection, console())
        else:
            answers.write(connection, query, output, console())
    finally:
        views.close(connection)


@app.command()
def status(as_json: Json = False) -> None:
    """Say what is done, running or stale, and what `dvc repro` would run next and why.

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
        list[str] | None, typer.Option(help="Experiments or revisions to stand beside this run.")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[EXP]...", help="Further ones to compare.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The file; else reports/report.html.")] = None,
) -> None:
    """Write a report on the run: one file that needs no network.

    Example: looptool report --compare exp-static exp-fresh
    """
    from looptool.reporting.report import REPORT, write_report

    target = write_report([*(compare or ()), *(more or ())], (output or REPORT).absolute())
    typer.echo(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


@app.command()
def verify_lineage(rev: Rev = None) -> None:
    """Check that tables and event log add up; names file, row and what does not.

    Example: looptool verify-lineage --rev main
    """
    from looptool.lineage.checks import verify_lineage

    snapshot = snapshot_of(rev)
    problems = list(verify_lineage(snapshot))
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise LooptoolError(f"{len(problems)} things do not add up in {snapshot.where}")
    told = ", ".join(map(str, snapshot.iterations))
    bytes_of = "" if snapshot.hashes else "; there is no dvc.lock to compare the files' bytes with"
    typer.echo(f"{snapshot.where}: iterations {told} add up{bytes_of}")
