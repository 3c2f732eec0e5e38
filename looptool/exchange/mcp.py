"""Live MCP servers: `tools/list` over streamable HTTP, or from a started process (stdio)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TextIO, cast

from looptool.core import canonical
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.tools import Tool
from looptool.exchange import SourceTools
from looptool.exchange.functions import read_functions

PATIENCE = 30.0  # seconds within which a server must list its tools
_PAGES = 1000


def read_server(source: str) -> SourceTools:
    """Return the tools of `http(s)://…/mcp`, or of the server that `stdio:COMMAND` starts.

    Raises:
        ConfigError: if the server does not start, does not answer in time or gives an invalid
            answer, or the package mcp is not installed.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        complaints = cast(TextIO, file)
        with _naming(source, complaints):
            items = asyncio.run(_list(source, complaints))
    result = SourceTools(canonical.dumps(items).encode())
    read_functions(items, result)
    return result


async def _list(source: str, complaints: TextIO) -> list[dict[str, Any]]:
    async with _session(source, complaints) as (_, items):
        return items


@contextlib.asynccontextmanager
async def _session(
    source: str, complaints: TextIO
) -> AsyncIterator[tuple[Any, list[dict[str, Any]]]]:
    """Connect to a server; yields the SDK's client and the listed tools."""
    items: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE) as limit, _client(source, complaints) as client:
        cursor, seen = None, set[str]()
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            items += [tool.model_dump(mode="json", by_alias=True, exclude_none=True)
                      for tool in page.tools]  # fmt: skip
            cursor = page.next_cursor
            if not cursor or cursor in seen:
                break
            seen.add(cursor)
        limit.reschedule(None)
        yield client, items


def _client(source: str, complaints: TextIO) -> Any:
    """Return the SDK's client for a server, not yet connected."""
    try:
        from mcp import Client, StdioServerParameters
        from mcp.client.stdio import stdio_client
    except ImportError:
        raise ConfigError(
            f"{source}: needs the package mcp; run `pip install 'looptool[mcp]'`"
        ) from None
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # we report errors ourselves
    if not source.startswith("stdio:"):
        return Client(source)
    try:
        command, *arguments = shlex.split(source.removeprefix("stdio:"))
    except ValueError as error:
        raise ConfigError(f"{source}: no command: {error}") from None
    parameters = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    return Client(stdio_client(parameters, complaints))


@contextlib.contextmanager
def connected(source: str) -> Iterator[tuple[list[Tool], Callable[[ToolCall], str]]]:
    """Connect to a server; yields its tools and a function that runs a call and returns its text.

    If a call fails or the server dies, the function returns a text that starts with `error: `.

    Raises:
        ConfigError: if the server does not start, does not answer in time or gives an invalid
            answer.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))
        complaints = cast(TextIO, file)
        with _naming(source, complaints):
            try:
                from anyio.from_thread import start_blocking_portal
            except ImportError:  # anyio is installed with mcp; _client reports that it is missing
                _client(source, complaints)
                raise
            portal = stack.enter_context(start_blocking_portal())
            session = portal.wrap_async_context_manager(_session(source, complaints))
            client, items = stack.enter_context(session)
        offered = SourceTools(b"")
        read_functions(items, offered)

        def run(call: ToolCall) -> str:
            name = offered.names.get(call.name, call.name)
            try:
                result = portal.call(client.call_tool, name, call.arguments, PATIENCE)
            except Exception as error:
                return f"error: {_message(error)}"
            texts = [getattr(part, "text", f"<{part.type}>") for part in result.content]
            return ("error: " if result.is_error else "") + "\n".join(texts)

        yield offered.tools, run


@contextlib.contextmanager
def _naming(source: str, complaints: TextIO) -> Iterator[None]:
    """Turn any exception into a ConfigError that names the server."""
    try:
        yield
    except TimeoutError:
        late = f"did not list its tools within {PATIENCE:.0f} seconds"
        raise ConfigError(f"{source}: {late}{_last_line(complaints)}") from None
    except Exception as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{source}: {_message(error)}{_last_line(complaints)}") from None


def _message(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split())[:300] or type(error).__name__


def _last_line(complaints: TextIO) -> str:
    complaints.seek(0)
    lines = [line.strip() for line in complaints if line.strip()]
    return f"; it said: {lines[-1][:200]}" if lines else ""
