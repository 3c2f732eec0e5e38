"""A conversation on the terminal: calls are checked, run after a yes, and answered."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from looptool.engines import Completion
from looptool.exchange import mcp
from looptool.workspace.chat import most_like, talk

ADD = {
    "name": "add",
    "description": "Adds two numbers",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
}
CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>'


class Says:
    """An engine that says one text after the other, and remembers what it was asked."""

    identity = "says"
    independent = False

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.prompts: list = []

    def generate(self, prompts, sampling, arrived=lambda group: None):
        self.prompts += prompts
        return [Completion(self.texts.pop(0), 1, None, "stop")]


def types(*lines: str) -> Callable[[str], str]:
    left = list(lines)

    def read(_: str) -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    return read


def held(engine: Says, *lines: str, tools=(ADD,), **more) -> tuple[list, str]:
    console = Console(file=io.StringIO(), width=120)
    settings = {"offer": 4, "max_new_tokens": 8, **more}
    messages = talk(engine, list(tools), console, types(*lines), **settings)
    return messages, console.file.getvalue()


def test_a_call_that_fits_is_answered_by_what_the_user_types() -> None:
    messages, shown = held(Says(CALL, "It is 5."), "What is 2 + 3?", "5")
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
    assert messages[2] == {"role": "tool", "name": "add", "content": "5"}
    assert 'add({"a":2,"b":3})' in shown and "matches its schema" in shown and "It is 5." in shown


def test_a_call_that_breaks_its_schema_is_told_to_user_and_model() -> None:
    wrong = CALL.replace("3", '"three"')
    messages, shown = held(Says(wrong, "Sorry."), "What is 2 + 3?")
    assert "b: 'three' is not of type 'integer'" in shown
    assert messages[2]["content"].startswith("error: b: 'three'")
    assert messages[3] == {"role": "assistant", "content": "Sorry."}


def test_an_answer_that_is_no_call_is_shown_with_what_is_wrong() -> None:
    _, shown = held(Says(CALL[:-12]), "What is 2 + 3?")
    assert "malformed: tool call 1" in shown


def test_a_call_is_run_only_after_a_yes() -> None:
    ran = []
    held(Says(CALL), "What is 2 + 3?", "n", execute=lambda call: ran.append(call) or "5")
    assert not ran
    messages, _ = held(
        Says(CALL, "5."), "What is 2 + 3?", "y", execute=lambda call: ran.append(call) or "5"
    )
    assert [call.arguments for call in ran] == [{"a": 2, "b": 3}]
    assert messages[2]["content"] == "5"


def test_of_two_calls_one_may_be_declined() -> None:
    engine = Says(f"{CALL}\n{CALL}", "5.")
    messages, _ = held(engine, "What is 2 + 3?", "y", "n", execute=lambda call: "")
    told = [message["content"] for message in messages if message["role"] == "tool"]
    assert told == ["", "the user did not allow this call"]


def test_the_end_of_input_ends_a_conversation_anywhere() -> None:
    for ending in ((), ("/quit", "never read")):
        messages, _ = held(Says(CALL), "What is 2 + 3?", *ending)
        assert [message["role"] for message in messages] == ["user", "assistant"]


def test_a_new_conversation_forgets_the_last() -> None:
    engine = Says("Hello.", "Hello again.")
    held(engine, "Hi", "/new", "Hi", "/quit", "never read", system="Be kind")
    assert [len(prompt.messages) for prompt in engine.prompts] == [3, 3]  # the lists grew since
    assert engine.prompts[1].messages[0] == {"role": "system", "content": "Be kind"}


def test_of_many_tools_those_like_the_request_are_on_offer() -> None:
    tools = [{**ADD, "name": name, "description": name} for name in ("follow_show", "rate", "bake")]
    assert [tool["name"] for tool in most_like("please bake a cake", tools, 1)] == ["bake"]
    _, shown = held(Says("No."), "bake a cake", tools=tools, offer=2)
    assert "2 of 3 tools on offer" in shown


SERVER = '''
from mcp.server.mcpserver import MCPServer

server = MCPServer("test")
total = 0

@server.tool(name="add up")
def add(a: int) -> int:
    """Adds to the total."""
    global total
    total += a
    return total

@server.tool()
def fail() -> int:
    """Fails."""
    raise ValueError("no such thing")

server.run()
'''


def test_calls_run_on_a_live_server_that_keeps_its_state(tmp_path) -> None:
    pytest.importorskip("mcp")
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    source = f"stdio:{sys.executable} {script}"
    call = '<tool_call>\n{"name": "add_up", "arguments": {"a": 2}}\n</tool_call>'
    with mcp.connected(source) as (tools, execute):
        engine = Says(
            call, "2.", call, "4.", call.replace("add_up", "fail").replace('"a": 2', ""), ""
        )
        messages, _ = held(engine, "a", "y", "b", "y", "c", "y", tools=tools, execute=execute)
    answers = [message["content"] for message in messages if message["role"] == "tool"]
    assert answers[:2] == ["2", "4"]
    assert answers[2] == "error: Error executing tool fail"
