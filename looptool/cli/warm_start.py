"""`looptool warm-start`: train the adapter that the embedded model starts from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from looptool.cli.options import Json, console, print_json

app = typer.Typer()


@app.command("warm-start")
def warm_start(
    samples: Annotated[
        int | None, typer.Option(help="Number of samples. Default: as in the recipe.", min=1)
    ] = None,
    recipe: Annotated[Path, typer.Option(help="What to train on, and how.")] = Path(
        "configs/warm-start.yaml"
    ),
    start: Annotated[
        Path | None,
        typer.Option(help="Folder of an adapter to train further. Default: a new adapter."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the adapter and its card.")] = Path(
        "models/warm-start"
    ),
    as_json: Json = False,
) -> None:
    """Train the adapter with which the embedded model calls tools. A killed run resumes.

    The package ships one, and `looptool setup` merges it into models/base: you need this only to
    train another.

    Example: looptool warm-start --samples 10000
    """
    from looptool.warm_start import recipe as recipes
    from looptool.warm_start import run

    chosen = recipes.load(recipe, samples)
    given = {
        "--recipe": recipe if recipe != recipes.FILE else None,
        "--samples": samples,
        "--start": start,
    }
    options = [part for name, value in given.items() if value for part in (name, str(value))]
    card = run.run(chosen, output, shlex.join(["looptool", "warm-start", *options]), start)
    if as_json:
        print_json(card)
        return
    shown = console()
    for name, scored in card["scores"].items():
        bfcl = ", ".join(f"{key} {value}" for key, value in scored["bfcl_development"].items())
        shown.print(
            f"after {scored['samples']} samples ({name}): held-out {scored['heldout']['all']} %, "
            f"BFCL development rows {bfcl}"
        )
    shown.print(f"{output}: adapter and card")
