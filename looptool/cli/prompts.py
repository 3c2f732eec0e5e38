"""`looptool prompts`: what models in roles were asked."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from looptool.cli.options import Rev, console, snapshot_of

app = typer.Typer(help="Show what models in roles were asked.", no_args_is_help=True)


@app.command()
def show(
    role: Annotated[Literal["author", "judge", "expander"], typer.Argument(help="Who was asked.")],
    identity: Annotated[str, typer.Argument(metavar="ID", help="A sample_id or its start.")],
    rev: Rev = None,
) -> None:
    """Print exactly what a model saw that played a role on a sample, and what it answered.

    Example: looptool prompts show judge 03f02b
    """
    from looptool.lineage import views
    from looptool.reporting.requests import show_requests

    show_requests(views.connect(snapshot_of(rev)), role, identity, console())
