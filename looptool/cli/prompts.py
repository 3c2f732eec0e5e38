"""`looptool prompts`: show the prompts sent to author, judge and expander models."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from looptool.cli.options import Rev, console, snapshot_of

app = typer.Typer(
    help="Show the prompts sent to author, judge and expander models.", no_args_is_help=True
)


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
