"""`looptool tools`: one's own tools, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from looptool.cli.options import Json, console, print_json

app = typer.Typer(help="Your own tools: import, export.", no_args_is_help=True)


@app.command("import")
def import_tools(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="OpenAPI 3 (JSON, YAML); functions of OpenAI, Anthropic or MCP (JSON); a Python "
            "file or module; an MCP server: its web address, or stdio:COMMAND.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Where the set goes; else data/tools/<name>.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read tools from a description, a server or a module, and say what a model will stumble over.

    Example: looptool tools import petstore.yaml
    """
    from looptool.exchange import tool_sets
    from looptool.reporting import imports

    found = tool_sets.import_tools(sources)
    target = output or tool_sets.place_of(sources[0])
    tool_sets.write(found, target)
    if as_json:
        print_json(found.to_json())
    else:
        imports.show_tools(found, target, console())


@app.command("export")
def export_tools(
    file: Annotated[Path, typer.Argument(help="A set of data/tools.")],
    form: Annotated[
        Literal["openai", "mcp"], typer.Option("--format", help="Whose list it shall be.")
    ],
) -> None:
    """Print a set of tools as OpenAI's API takes them, or as an MCP server lists them.

    Example: looptool tools export data/tools/petstore.json --format openai
    """
    from looptool.core.tools import read_tools
    from looptool.exchange import tool_sets

    print_json(tool_sets.export(read_tools(file), form))
