"""Real MCP servers, over stdio and over HTTP on loopback, and some that are none."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from looptool.core.errors import ConfigError
from looptool.exchange import mcp
from looptool.exchange.tool_sets import import_tools

SERVER = '''
import sys
from mcp.server.mcpserver import MCPServer

server = MCPServer("test")

@server.tool()
def add(a: int, b: int = 2) -> int:
    """Adds two numbers."""
    return a + b

@server.tool(name="say hello")
def hello(name: str) -> str:
    """Says hello."""
    return name

if len(sys.argv) > 1:
    server.run("streamable-http", port=int(sys.argv[1]))
else:
    server.run()
'''
ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"default": 2, "type": "integer"}},
        "required": ["a"],
    },
}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "server.py"
    path.write_text(SERVER)
    return path


@pytest.fixture
def address(script: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(script), str(port)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/mcp"
    process.kill()
    process.wait()


def test_a_server_that_is_started_lists_its_tools(script: Path) -> None:
    found = import_tools([f"stdio:{sys.executable} {script}"])
    assert found.tools[0] == ADD and found.tools[1]["name"] == "say_hello"
    assert not found.skipped


def test_a_server_over_http_lists_its_tools(address: str) -> None:
    found = import_tools([address])
    assert found.tools[0] == ADD and found.source == [address]


def test_an_address_without_a_server_is_told(address: str) -> None:
    with pytest.raises(ConfigError, match=f"{address}x: Not Found"):
        import_tools([f"{address}x"])
    with pytest.raises(ConfigError, match=r"http://127\.0\.0\.1:9/mcp: All connection attempts"):
        import_tools(["http://127.0.0.1:9/mcp"])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit('no licence')", "Connection closed; it said: no licence"),
        ("import time; time.sleep(60)", "did not list its tools within 2 seconds"),
        ("while True: print(input() and 'hello')", "did not list its tools within 2 seconds"),
    ],
)
def test_a_server_that_dies_hangs_or_talks_nonsense_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    monkeypatch.setattr(mcp, "PATIENCE", 2.0)
    script = tmp_path / "none.py"
    script.write_text(code)
    with pytest.raises(ConfigError) as caught:
        import_tools([f"stdio:{sys.executable} -u {script}"])
    assert message in str(caught.value)


def test_a_command_that_does_not_exist_is_told() -> None:
    with pytest.raises(ConfigError, match=r"stdio:no-such-command: .*No such file"):
        import_tools(["stdio:no-such-command"])
