"""`looptool model`: publish trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Publish trained models.", no_args_is_help=True)


@app.command()
def card(
    iteration: Annotated[int, typer.Argument(min=0, help="The iteration that trained the model.")],
    output: Annotated[
        Path | None, typer.Option(help="Output folder. Default: exports/model-<iteration>.")
    ] = None,
    license_: Annotated[
        str,
        typer.Option("--license", help="License of the model, by its hub id, such as apache-2.0."),
    ] = "unknown",
) -> None:
    """Write a folder with a model's weights and a README.md: data lineage, judges, scores.

    Example: looptool model card 2 --license apache-2.0 && hf upload NAME exports/model-2
    """
    from looptool.reporting.cards import write_model

    target = output or Path(f"exports/model-{iteration}")
    write_model(iteration, target, license_)
    typer.echo(f"{target}: weights and README.md")
