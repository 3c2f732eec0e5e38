"""Show what an upload to the hub would do."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from looptool.hub.upload import Upload
from looptool.terminal import shown


def show_upload(planned: Upload, console: Console) -> None:
    """Print the repository, who can see it, and each file with what happens to it."""
    seen = "only those whom you let see" if planned.private else "everyone can see"
    state = "exists" if planned.exists else "is new"
    visibility = "private" if planned.private else "public"
    console.print(shown(
        f"{planned.name.repository} ({planned.kind}) on {planned.endpoint}, as {planned.account}: "
        f"{state}, and is {visibility}: {seen} it"
    ))  # fmt: skip
    table = Table(box=None, show_header=False)
    for path, size, what in planned.files:
        table.add_row(what, shown(path), f"{size / 1e6:,.2f} MB")
    console.print(table)
