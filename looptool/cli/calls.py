"""`looptool calls`: read a model's calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from looptool.cli.options import MODEL, print_json

app = typer.Typer(help="Read a model's calls.", no_args_is_help=True)


@app.command()
def parse(
    model: Annotated[str, typer.Option(help=f"The model that wrote the answer: {MODEL}.")],
    tools: Annotated[
        Path | None,
        typer.Option(help="The tools on offer: a file of `looptool tools import`."),
    ] = None,
) -> None:
    """Read an answer from standard input; print calls, text, thinking and error as JSON.

    Example: looptool calls parse --model models/base --tools data/tools/api.json < answer.txt
    """
    from looptool.core.answers import to_json
    from looptool.core.errors import ConfigError
    from looptool.core.tools import read_tools
    from looptool.engines.folders import model_folder
    from looptool.engines.syntax import known_style, read_text, special_tokens
    from looptool.engines.templates import TemplateOf

    template = TemplateOf.folder(model_folder(model)[1])
    style = known_style(template)
    if style.syntax.name == "json" and tools is None:
        raise ConfigError("--tools: needed, because this model writes a call as any JSON object")
    text = sys.stdin.read().removesuffix("\n")
    _, answer = read_text(style, text, read_tools(tools) if tools else [], special_tokens(template))
    print_json(to_json(answer))
