"""`looptool review`: decide on verdicts as a person."""

from __future__ import annotations

import contextlib
import getpass
import re
import secrets
from collections import Counter
from typing import Annotated

import typer

from looptool.core.errors import ConfigError

app = typer.Typer()


@app.command()
def review(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[ITERATION|AUDIT]",
            help="What to review. Default: the last iteration that has verdicts.",
        ),
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Your name in the decisions. Default: your user name.")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Review this many rows, drawn at random from every verdict."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8321,
) -> None:
    """Decide on verdicts in a web page on this machine. Ctrl-C ends it; nothing is lost.

    Decisions are kept in data/reviews/<reviewer>.parquet, which the stage verify reads.

    Example: looptool review 1 --reviewer ada
    """
    try:
        from looptool.review import app as web
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"looptool review: {error.name} is not installed; `pip install 'looptool[review]'`"
        ) from None
    from looptool.review.decisions import Decisions
    from looptool.review.verdicts import open_reviewed

    name = reviewer or _user_name()
    with Decisions(name) as decisions, contextlib.closing(web.bind(port)) as listening:
        reviewed = open_reviewed(target, sample)
        before = len(decisions.rows)
        token = secrets.token_urlsafe(16)
        typer.echo(f"{reviewed.title}: {len(reviewed.table):,} verdicts, reviewer {name}")
        typer.echo(f"http://{web.HOST}:{port}/?token={token}")
        typer.echo("Ctrl-C ends it.")
        with contextlib.suppress(KeyboardInterrupt):
            web.serve(web.make_app(reviewed, decisions, token), listening)
        made = Counter(decisions.rows["decision"][before:].to_list())
        counts = ", ".join(f"{decision} {count}" for decision, count in sorted(made.items()))
        typer.echo(f"{sum(made.values()):,} decisions ({counts or 'none'}) in {decisions.path}")
        if made:
            decisions.track()
            typer.echo(f"apply them: {reviewed.then}")


def _user_name() -> str:
    try:
        return re.sub(r"[^A-Za-z0-9_.-]", "-", getpass.getuser())
    except (KeyError, OSError):  # a user id without a name, as in a container
        raise ConfigError("--reviewer: this user has no name; give one") from None
