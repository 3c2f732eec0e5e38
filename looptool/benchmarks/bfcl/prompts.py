"""How tools are told to a model, and how its calls are read.

`native` is the model's own chat template, with calls in Hermes form. `bfcl` is the prompt that BFCL
gives to models without function calling, as its package has it: tools as JSON in the system
message, calls as `[name(key=value)]`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from looptool.benchmarks.bfcl.rows import data_folder
from looptool.benchmarks.python_calls import parse_python_calls
from looptool.calls import Parsed, parse
from looptool.engines import Prompt
from looptool.errors import ConfigError
from looptool.samples import Message

Style = Literal["native", "bfcl"]


@dataclass(frozen=True, slots=True)
class Form:
    """Attributes:
    prompt: puts a prompt with tools in this form.
    read: finds the calls in an answer of this form.
    """

    prompt: Callable[[Prompt], Prompt]
    read: Callable[[str], Parsed]


def told(prompt: Prompt) -> Prompt:
    """Return a prompt that tells its tools in BFCL's own words, and calls as it wants them.

    Raises:
        ConfigError: if the installed package has no such words.
    """
    functions = [dict(tool) for tool in prompt.tools]
    words = _words().replace("{functions}", json.dumps(functions, indent=4, ensure_ascii=False))
    messages = [_plain(message) for message in prompt.messages]
    if messages and messages[0]["role"] == "system":
        first = {"role": "system", "content": f"{words}\n\n{messages[0]['content']}"}
        return Prompt([first, *messages[1:]])
    return Prompt([{"role": "system", "content": words}, *messages])


def read(text: str) -> Parsed:
    """Find the calls in an answer; a text that is no list of calls holds none."""
    try:
        return Parsed(tuple(parse_python_calls(text)), "", "")
    except ValueError:
        return Parsed((), text.strip(), "")


def _plain(message: Message) -> Message:
    """Return a message as BFCL's prompt has it: calls and results are text."""
    if calls := message.get("tool_calls"):
        written = ", ".join(_call(item["function"]) for item in calls)
        return {"role": "assistant", "content": f"[{written}]"}
    if message["role"] == "tool":
        result = json.dumps(
            {"role": "tool", "name": message["name"], "content": message["content"]}
        )
        return {"role": "user", "content": result}
    return message


def _call(function: dict[str, Any]) -> str:
    arguments = ", ".join(f"{key}={value!r}" for key, value in function["arguments"].items())
    return f"{function['name']}({arguments})"


@lru_cache(maxsize=1)
def _words() -> str:
    """Read the prompt out of the package without running it: a concatenation of two literals."""
    path = data_folder().parent / "constants" / "default_prompts.py"
    found: dict[str, str] = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = _joined(node.value, found)
    if not found.get("DEFAULT_SYSTEM_PROMPT"):
        raise ConfigError(f"{path}: has no DEFAULT_SYSTEM_PROMPT; `looptool setup` reinstalls it")
    return found["DEFAULT_SYSTEM_PROMPT"]


def _joined(node: ast.expr, found: dict[str, str]) -> str:
    if isinstance(node, ast.BinOp):
        return _joined(node.left, found) + _joined(node.right, found)
    if isinstance(node, ast.Name):
        return found.get(node.id, "")
    return str(node.value) if isinstance(node, ast.Constant) else ""


FORMS: dict[Style, Form] = {
    "native": Form(lambda prompt: prompt, parse),
    "bfcl": Form(told, read),
}
