"""The `looptool` command: everything around `dvc repro`. Each command group has its own file."""

from __future__ import annotations

import errno
import sys

import typer

from looptool.cli import (
    bench,
    cache,
    calls,
    config,
    data,
    lineage,
    model,
    models,
    project,
    prompts,
    review,
    tools,
    warm_start,
)
from looptool.core.errors import LooptoolError

app = typer.Typer(
    help="A closed data-training loop for tool-calling models. The loop itself is `dvc repro`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for commands in (project, models, warm_start, review, lineage):
    app.add_typer(commands.app)
for name, group in {
    "tools": tools, "data": data, "bench": bench, "model": model, "config": config,
    "prompts": prompts, "calls": calls, "cache": cache,
}.items():  # fmt: skip
    app.add_typer(group.app, name=name)


def main() -> None:
    """Run the command. A known error prints its message and exits with status 1."""
    try:
        app()
    except LooptoolError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:  # a full disk or missing permissions, not a bug
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC):
            raise
        print(f"{error.filename}: cannot be written: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None
