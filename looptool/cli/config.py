"""`looptool config`: presets for a whole run."""

from __future__ import annotations

from typing import Annotated

import typer

from looptool.cli.options import console

app = typer.Typer(help="Presets for a whole run, from configs/.", no_args_is_help=True)


@app.command()
def use(
    name: Annotated[
        str,
        typer.Argument(
            help="hub-small, one-gpu, qwen3-8b or qwen3-32b, or a file of yours in configs/."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
) -> None:
    """Show what a preset changes in params.yaml, and write it on confirmation.

    Example: looptool config use qwen3-8b
    """
    from looptool.terminal import show_difference
    from looptool.workspace import presets

    def agree(before: str, after: str) -> bool:
        show_difference(before, after, "params.yaml", console())
        return before != after and (yes or typer.confirm("Write it to params.yaml?"))

    if not presets.use(name, agree):
        typer.echo("params.yaml is unchanged")
