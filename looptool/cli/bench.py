"""`looptool bench`: evaluate models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from looptool.cli.options import Json, RowLimit, RunHere, Targets, console, print_json

app = typer.Typer(help="Evaluate models.", no_args_is_help=True)


@app.command("tools")
def bench_tools(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Iteration numbers; with --requests, also model folders and hf:owner/name. "
            "Default: all iterations.",
        ),
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option(help='JSON lines {"request", "calls"} that use the tools of generate.tools.'),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show accuracy by tool and parameter.

    Without --requests, shows the stored results of eval on the held-out samples. With --requests,
    sends your requests to the models now.

    Example: looptool bench tools models/base 0 2 --requests requests.jsonl
    """
    from looptool.evaluation import by_tool

    asked = models or []
    measured = by_tool.ask(requests, asked) if requests else by_tool.stored(asked)
    if as_json:
        print_json(by_tool.to_json(measured))
    else:
        by_tool.show(measured, console())


@app.command("bfcl")
def bench_bfcl(
    targets: Targets,
    categories: Annotated[
        list[str] | None,
        typer.Option(
            "--category", help="all, non_live, live, multi_turn or one category; repeatable."
        ),
    ] = None,
    limit: RowLimit = None,
    prompt: Annotated[
        Literal["native", "bfcl"],
        typer.Option(help="Use the model's chat template or BFCL's own prompt."),
    ] = "native",
    engine: RunHere = None,
    as_json: Json = False,
) -> None:
    """Score models on BFCL-v3, side by side. Answers are kept in data/bench for `looptool sql`.

    Example: looptool bench bfcl 0 2 --category non_live --category live
    """
    from looptool.evaluation import bench

    results = bench.run_bfcl(
        targets,
        categories or ["all"],
        limit=limit,
        style=prompt,
        engine=engine,
    )
    if as_json:
        print_json(bench.to_json(results))
    else:
        bench.show(results, console())


@app.command("acebench")
def bench_acebench(
    targets: Targets,
    path: Annotated[
        Path | None, typer.Option(help="ACEBench checkout. Default: eval.acebench.path.")
    ] = None,
    language: Annotated[
        Literal["en", "zh", "both"] | None,
        typer.Option(help="Language of the rows. Default: eval.acebench.language."),
    ] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option("--category", help="all, normal, special, agent or one category; repeatable."),
    ] = None,
    limit: RowLimit = None,
    prompt: Annotated[
        Literal["native", "acebench"],
        typer.Option(help="Use the model's chat template or ACEBench's own prompt."),
    ] = "native",
    user: Annotated[
        str | None, typer.Option(help="The target that plays the user of agent_multi_turn.")
    ] = None,
    engine: RunHere = None,
    as_json: Json = False,
) -> None:
    """Score models on ACEBench, side by side. Answers are kept in data/bench for `looptool sql`.

    Example: looptool bench acebench 0 2 --path ../ACEBench --category normal --category special
    """
    from looptool.evaluation import bench

    results = bench.run_acebench(
        targets,
        categories or ["all"],
        path=path,
        language=language,
        limit=limit,
        style=prompt,
        engine=engine,
        user=user,
    )
    if as_json:
        print_json(bench.to_json(results))
    else:
        bench.show(results, console())


@app.command("export")
def bench_export(
    target: Annotated[str, typer.Argument(help="A target that `looptool bench` was run on.")],
    form: Annotated[
        Literal["bfcl-result", "acebench-result"],
        typer.Option("--format", help="The official runner to export for."),
    ],
    name: Annotated[str, typer.Option(help="Model name in the official runner.")],
    output: Annotated[Path, typer.Option(help="Output folder.")] = Path("exports"),
    prompt: Annotated[
        str, typer.Option(help="Which run to export: native, bfcl or acebench.")
    ] = "native",
    path: Annotated[
        Path | None, typer.Option(help="ACEBench checkout. Default: eval.acebench.path.")
    ] = None,
) -> None:
    """Write a target's answers as result files that the official runner can score.

    Example: looptool bench export 2 --format bfcl-result --name looptool-2
    """
    from looptool.evaluation import bench

    benchmark: Literal["bfcl", "acebench"] = "bfcl" if form == "bfcl-result" else "acebench"
    for file in bench.export(benchmark, target, prompt, output, name, path):
        typer.echo(file)
