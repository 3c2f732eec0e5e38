"""`looptool prompts`: show what models read."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from looptool.cli.options import MODEL, Rev, console, snapshot_of

app = typer.Typer(help="Show what models read, word for word.", no_args_is_help=True)


@app.command()
def sample(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="A sample_id or label_id, or its first characters.")
    ],
    model: Annotated[
        str | None, typer.Option(help=f"The model: {MODEL}. Default: models/0.")
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Print token ids.")] = False,
    rev: Rev = None,
) -> None:
    """Print the prompt of a sample as a model reads it, and the label as it has to write it.

    Example: looptool prompts sample 03f02b --model 2
    """
    from looptool.reporting.prompts import show_prompt

    show_prompt(snapshot_of(rev), identity, model, tokens, console())


@app.command()
def show(
    role: Annotated[
        Literal["author", "judge", "expander"], typer.Argument(help="The role of the model.")
    ],
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="A sample_id or its first characters.")
    ],
    rev: Rev = None,
) -> None:
    """Print the exact prompts that the model in a role saw for a sample, and its answers.

    Example: looptool prompts show judge 03f02b
    """
    from looptool.lineage import views
    from looptool.reporting.requests import show_requests

    show_requests(views.connect(snapshot_of(rev)), role, identity, console())
