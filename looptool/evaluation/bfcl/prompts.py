"""Prompt styles: how tools are presented to a model and how its calls are parsed.

`native` is the model's own chat template, with calls in its own syntax. `bfcl` is the prompt that
BFCL uses for models without function calling, taken from its package: tools as JSON in the system
message, calls as `[name(key=value)]`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from looptool.core import canonical
from looptool.core.answers import message_calls
from looptool.core.calls import Parsed, render_python
from looptool.core.errors import ConfigError
from looptool.core.python_calls import decode_python_calls, parse_python_calls
from looptool.core.samples import Message
from looptool.engines import Completion, Prompt
from looptool.evaluation.bfcl.rows import REINSTALL, data_folder

Style = Literal["native", "bfcl"]
_CALLING = re.compile(r"\w\s*\(")


@dataclass(frozen=True, slots=True)
class Form:
    """A prompt style.

    Attributes:
        prompt: renders a prompt with tools in this style.
        read: parses the calls in an answer of this style, as BFCL does.
        is_exact: whether an answer follows the style strictly.
    """

    prompt: Callable[[Prompt], Prompt]
    read: Callable[[Completion], Parsed]
    is_exact: Callable[[Completion], bool]


def in_bfcl_style(prompt: Prompt) -> Prompt:
    """Render a prompt in the `bfcl` style: tools in the system message, calls and results as text.

    Raises:
        ConfigError: if the installed package has no such prompt.
    """
    functions = [dict(tool) for tool in prompt.tools]
    words = _words().replace("{functions}", json.dumps(functions, indent=4, ensure_ascii=False))
    messages = [_plain(message) for message in prompt.messages]
    if messages and messages[0]["role"] == "system":
        first = {"role": "system", "content": f"{words}\n\n{messages[0]['content']}"}
        return Prompt([first, *messages[1:]])
    return Prompt([{"role": "system", "content": words}, *messages])


def read(answer: Completion) -> Parsed:
    """Parse the calls in an answer as BFCL's decoder does.

    It strips backticks and adds missing outer brackets.

    Java and JavaScript values are parsed as Python too; BFCL has parsers for these languages.
    """
    text = answer.text
    stripped = text.strip("`\n ")
    opened = stripped if stripped.startswith("[") else f"[{stripped}"
    try:
        calls = decode_python_calls(opened if opened.endswith("]") else f"{opened}]")
        canonical.dumps([call.arguments for call in calls])
    except (ValueError, TypeError):
        return Parsed((), text.strip(), "")
    return Parsed(tuple(calls), "", "")


def is_exact(answer: Completion) -> bool:
    """Whether an answer is just a list of calls with literal arguments, or contains no call."""
    try:
        parse_python_calls(answer.text)
    except ValueError:
        return not _CALLING.search(answer.text)
    return True


def _plain(message: Message) -> Message:
    """Return a message with calls and results as text, as in BFCL's prompt."""
    if calls := message_calls(message):
        return {"role": "assistant", "content": render_python(calls)}
    if message["role"] == "tool":
        result = json.dumps(
            {"role": "tool", "name": message["name"], "content": message["content"]}
        )
        return {"role": "user", "content": result}
    return message


@lru_cache(maxsize=1)
def _words() -> str:
    """Read the prompt (concatenated literals) from the package's source without running it."""
    path = data_folder().parent / "constants" / "default_prompts.py"
    constants: dict[str, str] = {}
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, SyntaxError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); {REINSTALL}") from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = _joined(node.value, constants)
    if not constants.get("DEFAULT_SYSTEM_PROMPT"):
        raise ConfigError(f"{path}: has no DEFAULT_SYSTEM_PROMPT; {REINSTALL}")
    return constants["DEFAULT_SYSTEM_PROMPT"]


def _joined(node: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(node, ast.BinOp):
        return _joined(node.left, constants) + _joined(node.right, constants)
    if isinstance(node, ast.Name):
        return constants.get(node.id, "")
    return str(node.value) if isinstance(node, ast.Constant) else ""


FORMS: dict[Style, Form] = {
    "native": Form(
        lambda prompt: prompt, lambda given: given.answer, lambda given: given.answer.error is None
    ),
    "bfcl": Form(in_bfcl_style, read, is_exact),
}
