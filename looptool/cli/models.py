"""`looptool serve` and `looptool chat`: a trained model at work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from looptool.cli.options import console

app = typer.Typer()


@app.command(context_settings={"ignore_unknown_options": True})
def serve(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An iteration's number or a model folder.")
    ],
    port: Annotated[int, typer.Option(help="Where it listens, on this machine alone.")] = 8000,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[-- VLLM'S OPTIONS]", help="Handed on to vLLM.")
    ] = None,
) -> None:
    """Serve a trained model by vLLM's OpenAI-compatible server, tool calls included.

    Example: looptool serve 2 --port 8001 -- --max-model-len 4096
    """
    from looptool.workspace import serve as serving

    serving.serve(model, port, more or [])


@app.command()
def chat(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An iteration's number or a model folder.")
    ],
    tools: Annotated[
        Path | None, typer.Option(help="A set of data/tools; else generate.tools of params.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--mcp", help="Run calls on this MCP server: its address, or stdio:COMMAND."),
    ] = None,
    offer: Annotated[
        int, typer.Option(min=1, help="The most tools that the model sees at a time.")
    ] = 4,
    system: Annotated[str, typer.Option(help="A system message.")] = "",
) -> None:
    """Talk to a model with your tools: its calls are checked, and run after a yes.

    Example: looptool chat 2 --tools data/tools/mine.json --mcp "stdio:python server.py"
    """
    from looptool.workspace import chat as chatting

    chatting.open_chat(model, tools, server, offer, system, console())
