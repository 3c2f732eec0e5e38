"""`looptool cache`: the request cache."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from looptool.cli.options import Json, console, print_json

app = typer.Typer(help="Show or prune the request cache of vllm and openai engines.")


@app.callback(invoke_without_command=True)
def cache(context: typer.Context, as_json: Json = False) -> None:
    """Show the cached answers of vllm and openai engines by model, with the hit rate.

    Example: looptool cache prune --unused-days 30
    """
    from looptool.engines.answering import shared_cache
    from looptool.engines.request_cache import RequestCache
    from looptool.reporting.requests import show_cache

    if context.invoked_subcommand is not None:
        return
    with RequestCache(shared_cache()) as opened:
        usage = opened.usage()
    if as_json:
        print_json([dataclasses.asdict(row) for row in usage])
    else:
        show_cache(shared_cache(), usage, console())


@app.command()
def prune(
    unused_days: Annotated[
        int, typer.Option(min=0, help="Delete only answers unused for this many days.")
    ],
    engine: Annotated[
        str | None, typer.Option(help="Delete only answers of engines whose name contains this.")
    ] = None,
) -> None:
    """Delete cached answers. Repeating a deleted request asks the model again.

    Example: looptool cache prune --unused-days 0 --engine Qwen3-32B
    """
    from looptool.engines.answering import shared_cache
    from looptool.engines.request_cache import RequestCache

    with RequestCache(shared_cache()) as opened:
        typer.echo(f"{opened.prune(unused_days, engine)} answers deleted")
