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
MODEL = "an iteration number, a model folder, or hf:owner/name of the hub"
Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET",
        help="An iteration number, a model folder, hf:owner/name of the hub, or http://…/v1#MODEL.",
    ),
]
RowLimit = Annotated[
    int | None, typer.Option(min=1, help="Maximum rows per category. Default: all.")
]
RunHere = Annotated[
    Literal["transformers", "vllm"] | None,
    typer.Option("--engine", help="Engine for local models. Default: eval.engine."),
]

Public = Annotated[bool, typer.Option(help="Make a new repository public, or agree that one is.")]
Yes = Annotated[bool, typer.Option("--yes", help="Upload without asking.")]


def push_folder(folder: Path, name: Any, kind: Any, message: str, public: bool, yes: bool) -> None:
    """Show what an upload to the hub would do, ask, and do it."""
    from looptool.hub.upload import prepare, upload
    from looptool.reporting.uploads import show_upload

    planned = prepare(folder, name, kind, public)
    show_upload(planned, console())
    if not planned.changes:
        typer.echo("nothing to upload")
    elif yes and planned.exists and not planned.private and not public:
        raise ConfigError(f"{name}: is public; --yes needs --public too")
    elif yes or typer.confirm("Upload?"):
        typer.echo(upload(planned, message))


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
