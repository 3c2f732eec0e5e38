"""A live MCP server: its `tools/list`, over streamable HTTP or from a process that is started."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import tempfile
from typing import Any, TextIO, cast

from looptool import canonical
from looptool.errors import ConfigError
from looptool.importing import Found
from looptool.importing.functions import read_functions

PATIENCE = 30.0  # seconds in which a server must have listed its tools
_PAGES = 1000


def read_server(source: str) -> Found:
    """Return the tools of `http(s)://…/mcp`, or of the server that `stdio:COMMAND` starts.

    Raises:
        ConfigError: if it does not start, answer in time, or make sense; or if the package mcp is
            not installed.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        complaints = cast(TextIO, file)
        try:
            items = asyncio.run(_list(source, complaints))
        except TimeoutError:
            raise ConfigError(
                f"{source}: did not list its tools within {PATIENCE:.0f} seconds"
                f"{_last_line(complaints)}"
            ) from None
        except Exception as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{source}: {_told(error)}{_last_line(complaints)}") from None
    found = Found(canonical.dumps(items).encode())
    read_functions(items, found)
    return found


async def _list(source: str, complaints: TextIO) -> list[dict[str, Any]]:
    try:
        from mcp import Client, StdioServerParameters
        from mcp.client.stdio import stdio_client
    except ImportError:
        raise ConfigError(
            f"{source}: wants the package mcp: `pip install 'looptool[mcp]'`"
        ) from None
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # what is wrong is said once, by us
    server: Any = source
    if source.startswith("stdio:"):
        try:
            command, *arguments = shlex.split(source.removeprefix("stdio:"))
        except ValueError as error:
            raise ConfigError(f"{source}: no command: {error}") from None
        parameters = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
        server = stdio_client(parameters, complaints)
    items: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE), Client(server) as client:
        cursor, seen = None, set[str]()
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            items += [tool.model_dump(mode="json", by_alias=True, exclude_none=True)
                      for tool in page.tools]  # fmt: skip
            cursor = page.next_cursor
            if not cursor or cursor in seen:
                break
            seen.add(cursor)
    return items


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split())[:300] or type(error).__name__


def _last_line(complaints: TextIO) -> str:
    complaints.seek(0)
    lines = [line.strip() for line in complaints if line.strip()]
    return f"; it said: {lines[-1][:200]}" if lines else ""
