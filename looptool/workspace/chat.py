"""`looptool chat`: chat with a model that can use your tools.

Calls are checked, and run on confirmation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from looptool.core import canonical, runs
from looptool.core.answers import call_message, result_message
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.params import load
from looptool.core.samples import Message
from looptool.core.tools import Tool, check_call, read_tools
from looptool.engines import Engine, Prompt, Sampling, answering
from looptool.engines.folders import model_folder
from looptool.exchange import mcp
from looptool.terminal import shown

Read = Callable[[str], str]
Execute = Callable[[ToolCall], str]
ROUNDS = 8  # model answers after which it is the user's turn, even if the last one has calls


def talk(
    engine: Engine,
    tools: Sequence[Tool],
    console: Console,
    read: Read,
    *,
    offer: int,
    max_new_tokens: int,
    system: str = "",
    execute: Execute | None = None,
) -> list[Message]:
    """Chat until the user ends the conversation (end of input or `/quit`). Return its messages.

    `/new` starts a new conversation. On confirmation, `execute` runs a valid call. Without
    `execute`, the user can type the answer of the tool.

    Args:
        read: shows a prompt and returns what the user types; raises EOFError at the end of input.
        offer: the maximum number of tools offered to the model: those most similar to what the user
            says.
        execute: runs a call and returns its result as text.
    """
    opening: list[Message] = [{"role": "system", "content": system}] if system else []
    messages = list(opening)

    def ask(what: str) -> str:
        if (said := read(what).strip()) == "/quit":
            raise EOFError
        return said

    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            said = ask("you> ")
            if said == "/new":
                messages = list(opening)
            elif said:
                messages.append({"role": "user", "content": said})
                offered = most_like(said, tools, offer)
                if len(offered) < len(tools):
                    names = ", ".join(tool["name"] for tool in offered)
                    note = f"{len(offered)} of {len(tools)} tools on offer: {names}"
                    console.print(shown(note, "dim"))
                sampling = Sampling(max_new_tokens)
                _answer(engine, offered, messages, sampling, console, ask, execute)
    return messages


def most_like(said: str, tools: Sequence[Tool], count: int) -> list[Tool]:
    """Return the `count` tools most similar to a text, in their original order."""
    if len(tools) <= count:
        return list(tools)
    from rapidfuzz import fuzz, utils

    def score(tool: Tool) -> float:
        text = f"{tool['name'].replace('_', ' ')} {tool.get('description', '')}"
        return float(fuzz.token_set_ratio(said, text, processor=utils.default_process))

    chosen = sorted(range(len(tools)), key=lambda place: -score(tools[place]))[:count]
    return [tools[place] for place in sorted(chosen)]


def _answer(
    engine: Engine,
    tools: Sequence[Tool],
    messages: list[Message],
    sampling: Sampling,
    console: Console,
    read: Read,
    execute: Execute | None,
) -> None:
    """Let the model answer and call tools until it is the user's turn."""
    for _ in range(ROUNDS):
        (completion,) = engine.generate([Prompt(messages, tools)], sampling)
        if completion.error is not None:
            console.print(shown(f"no answer: {completion.error}", "red"))
            return
        parsed = completion.answer
        if parsed.text:
            console.print(shown(parsed.text))
        if parsed.error is not None:
            console.print(shown(f"malformed: {parsed.error}: {completion.text}", "red"))
        if not parsed.calls:
            messages.append({"role": "assistant", "content": parsed.text})
            return
        messages.append(call_message(parsed.calls, parsed.text))
        results = [_result_of(call, tools, console, read, execute) for call in parsed.calls]
        if not any(result is not None for result in results):
            return
        for call, result in zip(parsed.calls, results, strict=True):
            content = "the user did not allow this call" if result is None else result
            messages.append(result_message(call.name, content))


def _result_of(
    call: ToolCall, tools: Sequence[Tool], console: Console, read: Read, execute: Execute | None
) -> str | None:
    """Show a call and whether it is valid. Return its result, or None if it was not run."""
    console.print(shown(f"{call.name}({canonical.dumps(call.arguments)})", "bold"))
    if problem := check_call(call, tools):
        console.print(shown(f"  {problem}", "red"))
        return f"error: {problem}"
    console.print(shown("  matches its schema", "green"))
    if execute is None:
        return read(f"result of {call.name} (empty: skip)> ") or None
    if read(f"run {call.name}? [y/N] ").casefold() not in ("y", "yes"):
        return None
    result = execute(call)
    console.print(shown(result, "cyan"))
    return result


def open_chat(
    model: str, tools: Path | None, server: str | None, offer: int, system: str, console: Console
) -> None:
    """Load a model and chat with it on the terminal.

    Args:
        model: see `folders.model_folder`.
        tools: a tool set; default: `generate.tools` in params, or else the tools of `server`.
        server: an MCP server that runs the calls.
        offer: the maximum number of tools offered to the model at a time.

    Raises:
        ConfigError: if there is no such model, there are no tools, or the server does not respond.
    """
    params = load()
    named, folder = model_folder(model)
    with contextlib.ExitStack() as stack:
        execute: Execute | None = None
        path = tools or params.generate.tools
        known = read_tools(path) if path is not None else []
        if server is not None:
            listed, execute = stack.enter_context(mcp.connected(server))
            known = known or listed
        if not known:
            raise ConfigError("no tools: name a tool set with --tools or a server with --mcp, or "
                              "set generate.tools in params.yaml")  # fmt: skip
        runs.quiet()
        name = params.probe.engine  # `auto` never means vLLM here, which takes a minute to start
        engine = answering.load(
            "transformers" if name == "auto" else name,
            folder,
            params,
            batch_size=1,
            server=params.probe.server,
        )
        console.print(shown(f"{named}: {len(known)} tools; /new starts over, /quit ends", "dim"))
        limit = params.probe.max_new_tokens
        talk(engine, known, console, input, offer=offer, max_new_tokens=limit, system=system,
             execute=execute)  # fmt: skip
