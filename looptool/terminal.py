"""Terminal output that is safe for text from data."""

from __future__ import annotations

import contextlib
import difflib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

_CONTROL = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}


def percent(value: float | None, error: float | None = None) -> str:
    """Return a share in percent, with its standard error if there is one; `–` if unknown."""
    if value is None:
        return "–"
    return f"{100 * value:.1f}" + (f" ± {100 * error:.1f}" if error is not None else "")


def make_console() -> Console:
    """Return a console. It is 160 columns wide if the output goes to a file or another program."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def shown(text: object, style: str = "") -> Text:
    """Return text that is shown literally: no markup, and control characters replaced."""
    return Text(str(text).translate(_CONTROL), style=style)


def show_difference(before: str, after: str, name: str, console: Console) -> None:
    """Print a unified diff of two texts."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), name, f"{name}, changed", lineterm="", n=1
    )
    for line in lines:
        console.print(shown(line, styles.get(line[:1], "")), soft_wrap=True)


def short(text: str, width: int) -> str:
    """Return text on one line, truncated to `width` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


@contextlib.contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a counter on a terminal, with the time left if the total is known.

    Yields a function that takes the number done so far.

    It is of the same library as the bars of downloads from the hub, which may run inside.
    """
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {what}", unit_scale=True, leave=False, disable=None) as bar:
        yield lambda done: bar.update(done - bar.n)
