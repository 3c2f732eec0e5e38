"""Commands for a whole run: setup, init, unroll, check, plan, summary, results."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer

from looptool.cli.options import MODEL, Json, check_in_project, console, print_json
from looptool.core.errors import ConfigError

app = typer.Typer()


@app.command()
def setup(
    extra: Annotated[
        Literal["vllm"] | None,
        typer.Option("--with", help="vllm: also install the environment for `engine: vllm`."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Also set model.base: hf:owner/name@revision, a model folder, or embedded.",
        ),
    ] = None,
) -> None:
    """Install the benchmark, and make or download the models that params.yaml names.

    The base model becomes models/base. Of a model of the hub, the commit is written to params.yaml.

    Example: looptool setup --base hf:Qwen/Qwen3-0.6B
    """
    from looptool.core import runs
    from looptool.engines.template_check import check_template
    from looptool.workspace import base as bases
    from looptool.workspace import setup as installing

    check_in_project()
    loaded, source = bases.fetch_models(base)
    runs.quiet()  # after the downloads, which it would forbid
    if extra == "vllm":
        installing.install_vllm()
    installing.install_packages()
    bases.make_base(loaded.model.base, source)
    installing.write_plots_page()
    check_template(loaded.model, loaded.warmup.steps)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    tools: Annotated[
        list[str] | None,
        typer.Option(help="Tools to import: a source of `looptool tools import`; repeatable."),
    ] = None,
) -> None:
    """Create a project folder with dvc.yaml, params.yaml and stages, under git and DVC.

    Example: looptool init weather --tools openapi.yaml
    """
    from looptool.exchange.tool_sets import place_of
    from looptool.reporting import imports
    from looptool.workspace import init as starting

    tool_set = starting.start(folder, tools or ())
    if tool_set is not None and tools:
        imports.show_tools(tool_set, folder / place_of(tools[0]), console())
    typer.echo(f"{folder}: ready. Next: cd {folder} && looptool setup && dvc repro")


@app.command()
def unroll(
    iterations: Annotated[int, typer.Argument(min=1, help="Number of iterations.")],
    print_overrides: Annotated[
        bool,
        typer.Option(help="Print `-S` options for `dvc exp run` instead of changing the file."),
    ] = False,
) -> None:
    """Set the number of iterations of the loop in params.yaml."""
    from looptool.workspace import unroll as unrolling

    if print_overrides:
        typer.echo(" ".join(f"-S '{value}'" for value in unrolling.overrides(iterations)))
    else:
        unrolling.unroll(iterations)


def _check_model(model: str, as_json: bool) -> None:
    from looptool.engines.folders import model_folder
    from looptool.reporting.prompts import describe_template

    name, folder = model_folder(model)
    described = describe_template(folder)
    if as_json:
        print_json(described)
    else:
        typer.echo(f"{name}: " + (described["reason"] or "its chat template can be used"))
        for case, outcome in described["round_trip"].items():
            typer.echo(f"  {case}: {'ok' if outcome is True else outcome}")
    if not described["usable"]:
        raise typer.Exit(1)


@app.command()
def check(
    model: Annotated[
        str | None,
        typer.Option(help=f"Check only whether this model can be used: {MODEL}."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that everything a run needs is present and valid, or whether a model can be used."""
    if model is not None:
        return _check_model(model, as_json)
    from looptool.auditing.unread import unread_shares
    from looptool.core import machine, params
    from looptool.core.registry import load
    from looptool.core.tools import read_tools
    from looptool.engines import answering
    from looptool.engines.folders import check_base
    from looptool.engines.template_check import check_template
    from looptool.evaluation import running
    from looptool.evaluation.bfcl import rows as bfcl
    from looptool.evaluation.bfcl.package import check_benchmark
    from looptool.synthesis.own import FILE, check_own
    from looptool.terminal import percent
    from looptool.training import processes
    from looptool.workspace.base import check_adapter

    loaded = params.load()
    check_base(loaded.model)
    check_adapter(loaded.model.base)
    check_template(loaded.model, loaded.warmup.steps)
    check_benchmark()
    bfcl.rows(loaded.eval.bfcl.categories, loaded.eval.bfcl.limit)
    for field, address in loaded.addresses:
        load(address, field)
    running.acebench_of(loaded.eval.acebench)
    answering.check(loaded)
    processes.check(loaded.train, machine.rollout_mode(loaded.train.vllm))
    if loaded.generate.tools:
        read_tools(loaded.generate.tools)
    if loaded.generate.own:
        check_own(loaded.generate.own)
    check_in_project()
    if not any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents)):
        raise ConfigError("no git repository here, but DVC needs one; run `git init`")
    if not shutil.which("dvc"):
        raise ConfigError("command not found: dvc; add this environment's bin folder to PATH")
    if loaded.generate.own and "rules" in loaded.verify.judges:
        shares = unread_shares(Path(loaded.generate.own) / FILE)
        if shares:
            reasons = ", ".join(f"{reason} {percent(share)} %" for reason, share in shares.items())
            typer.echo(
                f"{loaded.generate.own}: {percent(sum(shares.values()))} % of the labels cannot be "
                f"checked by the judge rules ({reasons}); a large model can (docs/models.md)"
            )
    dtype = machine.number_type(loaded.model.dtype)
    typer.echo(f"ready: {loaded.loop.last} iterations, mode {loaded.loop.mode}")
    typer.echo(f"{dtype.name}: {dtype.reason}")
    if dtype.warning:
        typer.echo(f"warning: {dtype.warning}")


@app.command()
def plan(
    gpus: Annotated[
        str | None,
        typer.Option(metavar="COUNTxGB", help="Plan for these GPUs, such as 8x80."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Estimate what a run takes: requests, tokens, disk, memory, hours; list what is missing.

    Times the base model for a few seconds if it is present and small enough, unless --gpus is
    given.

    Example: looptool config use qwen3-8b && looptool plan --gpus 8x80
    """
    from looptool.core import params, runs
    from looptool.reporting import planned
    from looptool.workspace import plan as planning

    runs.quiet()
    estimate = planning.plan(params.load(), planning.parse_gpus(gpus) if gpus else None)
    if as_json:
        print_json(dataclasses.asdict(estimate))
    else:
        planned.show(estimate, console())


@app.command()
def summary() -> None:
    """Write metrics/summary.json and print it with standard errors."""
    from looptool.reporting.summary import summarize_run

    summarize_run()


@app.command()
def results(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]", help="Arms and ablations in configs/results.yaml."),
    ] = None,
) -> None:
    """Run or resume the long experiment of docs/results.md, or parts of it.

    Example: looptool results loop no-verify
    """
    from looptool.workspace.trials import run_results

    run_results(names or [])
