"""Options and output helpers that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from looptool.core.errors import ConfigError

Rev = Annotated[
    str | None, typer.Option(help="A git revision or DVC experiment. Default: the workspace.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET", help="An iteration number, a model folder, or http://…/v1#MODEL."
    ),
]
RowLimit = Annotated[
    int | None, typer.Option(min=1, help="Maximum rows per category. Default: all.")
]
RunHere = Annotated[
    Literal["transformers", "vllm"] | None,
    typer.Option("--engine", help="Engine for local models. Default: eval.engine."),
]


def check_in_project() -> None:
    """Raise ConfigError unless the working directory is the root of a project."""
    if not Path("dvc.yaml").is_file():
        raise ConfigError(
            "dvc.yaml: does not exist; run from the project's root (`looptool init` creates one)"
        )


def snapshot_of(rev: str | None) -> Any:
    """Open the data of a revision, or of the workspace if `rev` is None."""
    from looptool.lineage.revisions import open_revision, open_workspace

    return open_revision(rev) if rev else open_workspace()


def console() -> Any:
    """Return the console that results are printed on."""
    from looptool.terminal import make_console

    return make_console()


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
