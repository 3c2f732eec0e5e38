"""`looptool tools`: import and export your own tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from looptool.cli.options import Json, console, print_json

app = typer.Typer(help="Import and export your own tools.", no_args_is_help=True)


@app.command("import")
def import_tools(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="OpenAPI 3 (JSON, YAML); OpenAI, Anthropic or MCP functions (JSON); a Python "
            "file or module; an MCP server: its URL, or stdio:COMMAND.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Output file. Default: data/tools/<name>.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import tools from a description, a server or a module; warn of what may confuse a model.

    Example: looptool tools import petstore.yaml
    """
    from looptool.exchange import tool_sets
    from looptool.reporting import imports

    tool_set = tool_sets.import_tools(sources)
    target = output or tool_sets.place_of(sources[0])
    tool_sets.write(tool_set, target)
    if as_json:
        print_json(tool_set.to_json())
    else:
        imports.show_tools(tool_set, target, console())


@app.command("export")
def export_tools(
    file: Annotated[Path, typer.Argument(help="A tool set, as in data/tools.")],
    form: Annotated[Literal["openai", "mcp"], typer.Option("--format", help="Output format.")],
) -> None:
    """Print a tool set as the OpenAI API takes it, or as an MCP server lists it.

    Example: looptool tools export data/tools/petstore.json --format openai
    """
    from looptool.core.tools import read_tools
    from looptool.exchange import tool_sets

    print_json(tool_sets.export(read_tools(file), form))
