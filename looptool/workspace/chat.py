"""`looptool chat`: talk to a model with one's tools; its calls are checked, and run after a yes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from looptool.core import canonical, runs
from looptool.core.calls import ToolCall, parse
from looptool.core.errors import ConfigError
from looptool.core.params import load
from looptool.core.samples import Message, call_label
from looptool.core.tools import Tool, check_call, read_tools
from looptool.engines import Engine, Prompt, Sampling, answering
from looptool.engines.dialogues import assistant_message
from looptool.engines.folders import base_problem
from looptool.exchange import mcp
from looptool.terminal import shown

Read = Callable[[str], str]
Execute = Callable[[ToolCall], str]
ROUNDS = 8  # answers of tools after which the model must let the user speak


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
    """Hold a conversation until the user ends it (end of input, `/quit`); return its messages.

    `/new` starts another one. A call that fits its tool is run by `execute` after a yes; without
    it, the user may type what the tool would answer.

    Args:
        read: shows a prompt and returns what the user types; raises EOFError at the end.
        offer: the most tools that the model sees: those whose documents are most like what the
            user says.
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
                    told = f"{len(offered)} of {len(tools)} tools on offer: {names}"
                    console.print(shown(told, "dim"))
                sampling = Sampling(max_new_tokens)
                _answer(engine, offered, messages, sampling, console, ask, execute)
    return messages


def most_like(said: str, tools: Sequence[Tool], count: int) -> list[Tool]:
    """Return the tools whose documents share most with what is said, in their own order."""
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
    """Let the model speak, and the tools that it calls, until it is the user's turn."""
    for _ in range(ROUNDS):
        (completion,) = engine.generate([Prompt(messages, tools)], sampling)
        if completion.error is not None:
            console.print(shown(f"no answer: {completion.error}", "red"))
            return
        parsed = parse(completion.text)
        if parsed.text:
            console.print(shown(parsed.text))
        if parsed.error is not None:
            console.print(shown(f"malformed: {parsed.error}: {completion.text}", "red"))
        if not parsed.calls:
            messages.append({"role": "assistant", "content": parsed.text})
            return
        message = assistant_message(call_label(parsed.calls))
        messages.append({**message, "content": parsed.text})
        told = [_told(call, tools, console, read, execute) for call in parsed.calls]
        if not any(each is not None for each in told):
            return
        for call, each in zip(parsed.calls, told, strict=True):
            content = "the user did not allow this call" if each is None else each
            messages.append({"role": "tool", "name": call.name, "content": content})


def _told(
    call: ToolCall, tools: Sequence[Tool], console: Console, read: Read, execute: Execute | None
) -> str | None:
    """Show a call and whether it fits; return what came of it, or None if nothing was to come."""
    console.print(shown(f"{call.name}({canonical.dumps(call.arguments)})", "bold"))
    if problem := check_call(call, tools):
        console.print(shown(f"  {problem}", "red"))
        return f"error: {problem}"
    console.print(shown("  fits its schema", "green"))
    if execute is None:
        return read(f"what {call.name} answers (empty: go on)> ") or None
    if read(f"run {call.name}? [y/N] ").casefold() not in ("y", "yes"):
        return None
    told = execute(call)
    console.print(shown(told, "cyan"))
    return told


def open_chat(
    model: str, tools: Path | None, server: str | None, offer: int, system: str, console: Console
) -> None:
    """Load a model and talk to it on the terminal.

    Args:
        model: an iteration's number, or a folder.
        tools: a set of tools; else the MCP server's own, or `generate.tools` of params.
        server: an MCP server that runs the calls.

    Raises:
        ConfigError: if there is no such model, no tools, or the server does not answer.
    """
    params = load()
    folder = Path("models", model) if model.isdecimal() else Path(model)
    if problem := base_problem(folder):
        raise ConfigError(f"{folder}: {problem}")
    with contextlib.ExitStack() as stack:
        execute: Execute | None = None
        path = tools or params.generate.tools
        known = read_tools(path) if path is not None else []
        if server is not None:
            listed, execute = stack.enter_context(mcp.connected(server))
            known = known or listed
        if not known:
            raise ConfigError("no tools: name a set by --tools, a server by --mcp, or set "
                              "generate.tools in params.yaml")  # fmt: skip
        runs.quiet()
        name = params.probe.engine  # vLLM takes a minute to start: too long to wait for a chat
        engine = answering.load(
            "transformers" if name == "auto" else name,
            folder,
            params,
            batch_size=1,
            server=params.probe.server,
        )
        console.print(shown(f"{folder}: {len(known)} tools; /new starts again, /quit ends", "dim"))
        limit = params.probe.max_new_tokens
        talk(engine, known, console, input, offer=offer, max_new_tokens=limit, system=system,
             execute=execute)  # fmt: skip
