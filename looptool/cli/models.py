"""`looptool serve` and `looptool chat`: use a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from looptool.cli.options import MODEL, console

app = typer.Typer()


@app.command(context_settings={"ignore_unknown_options": True})
def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The model: {MODEL}.")],
    port: Annotated[int, typer.Option(help="Port to listen on, on localhost only.")] = 8000,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- VLLM OPTIONS]", help="Options passed on to vLLM."),
    ] = None,
) -> None:
    """Serve a trained model with vLLM's OpenAI-compatible server, including tool calls.

    Example: looptool serve 2 --port 8001 -- --max-model-len 4096
    """
    from looptool.workspace import serve as serving

    serving.serve(model, port, more or [])


@app.command()
def chat(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The model: {MODEL}.")],
    tools: Annotated[
        Path | None,
        typer.Option(help="A tool set, as in data/tools. Default: generate.tools in params.yaml."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--mcp", help="Run calls on this MCP server: its URL, or stdio:COMMAND."),
    ] = None,
    offer: Annotated[
        int, typer.Option(min=1, help="Maximum number of tools offered to the model at a time.")
    ] = 4,
    system: Annotated[str, typer.Option(help="A system message.")] = "",
) -> None:
    """Chat with a model that can use your tools. Calls are checked, and run on confirmation.

    Example: looptool chat 2 --tools data/tools/mine.json --mcp "stdio:python server.py"
    """
    from looptool.workspace import chat as chatting

    chatting.open_chat(model, tools, server, offer, system, console())
