"""`looptool model`: publish trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from looptool.cli.options import Public, Yes, push_folder

app = typer.Typer(help="Publish trained models.", no_args_is_help=True)


Iteration = Annotated[int, typer.Argument(min=0, help="The iteration that trained the model.")]
License = Annotated[
    str, typer.Option("--license", help="License of the model, by its hub id, such as apache-2.0.")
]


@app.command()
def card(
    iteration: Iteration,
    output: Annotated[
        Path | None, typer.Option(help="Output folder. Default: exports/model-<iteration>.")
    ] = None,
    license_: License = "unknown",
) -> None:
    """Write a folder with a model's weights and a README.md: data lineage, judges, scores.

    Example: looptool model card 2 --license apache-2.0
    """
    from looptool.reporting.cards import write_model

    target = output or Path(f"exports/model-{iteration}")
    write_model(iteration, target, license_)
    typer.echo(f"{target}: weights and README.md")


@app.command()
def push(
    iteration: Iteration,
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="A repository.")],
    license_: License = "unknown",
    public: Public = False,
    yes: Yes = False,
) -> None:
    """Upload a model and its card to Hugging Face's hub, privately unless you say otherwise.

    Shows first what is uploaded and who can see it. Again, only what changed is uploaded.

    Example: looptool model push 2 owner/my-model --license apache-2.0
    """
    from looptool.hub.upload import repository_of
    from looptool.reporting.cards import write_model

    name, folder = repository_of(repository), Path(f"exports/model-{iteration}")
    write_model(iteration, folder, license_)
    push_folder(folder, name, "model", f"looptool: models/{iteration}", public, yes)
