"""Prompts for ACEBench's questions.

`native` is our own style: messages and tools, for the model's chat template. `acebench` is the
official prompt. Its texts are read from the user's checkout as constants; none of its code is run.
"""

from __future__ import annotations

import ast
import string
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from looptool.core.errors import ConfigError
from looptool.core.samples import Message
from looptool.engines import Prompt
from looptool.evaluation.acebench.rows import PARAM, Row, assistant_message

Style = Literal["native", "acebench"]
Speaker = Literal["user", "agent", "execution"]

DONE = "finish conversation"
STEP = "agent_multi_step"

_GREETING = {"en": "What can I help you with today?", "zh": "请问今天有什么可以帮您？"}
_ALONE = {
    "en": (
        "Do the task step by step with the tools, one call at a time. Nobody answers questions. "
        f'When all is done, answer only "{DONE}".'
    ),
    "zh": (
        "请使用工具逐步完成任务，每次只调用一个工具，没有人会回答你的问题。"
        f"全部完成后只回复“{DONE}”。"
    ),
}
_RULES = {"Travel": "TRAVEL_PROMPT", "BaseApi": "BASE_PROMPT"}


def prompt(row: Row, style: Style, checkout: Path | str) -> Prompt:
    """Return the prompt of a `normal` or `special` row.

    Raises:
        ConfigError: if the style is `acebench` and the checkout has no such prompt.
    """
    if style == "native":
        return Prompt(row.messages, row.tools)
    kind = "SPECIAL" if row.group == "special" else "NORMAL"
    kind = "PREFERENCE" if row.category == "normal_preference" else kind
    suffix = row.language.upper()
    system = _filled(
        constant(checkout, f"SYSTEM_PROMPT_FOR_{kind}_DATA_{suffix}"),
        time=row.entry.get("time", ""),
        profile=row.entry.get("profile", ""),
        function=_functions(row),
    )
    question = _filled(constant(checkout, f"USER_PROMPT_{suffix}"), question=row.entry["question"])
    return Prompt(
        [{"role": "system", "content": system}, {"role": "user", "content": question}], ()
    )


def agent_prompt(
    row: Row,
    said: Sequence[tuple[Speaker, Any]],
    messages: Sequence[Message],
    style: Style,
    checkout: Path | str,
) -> Prompt:
    """Return the prompt for an agent's next step.

    In both styles the scenario's rules (what to ask the user, and when) come from the checkout.

    Args:
        said: (speaker, text) of the dialogue so far, for the official prompt; an execution's text
            is the list of results.
        messages: the same dialogue as chat messages.

    Raises:
        ConfigError: if the checkout lacks a required prompt.
    """
    suffix = row.language.upper()
    if style == "native":
        system = _ALONE[row.language] if row.category == STEP else _rules(row, checkout)
        return Prompt([{"role": "system", "content": system}, *messages], row.tools)
    folder = row.category.removeprefix("agent_")
    system = constant(checkout, f"MULTI_TURN_AGENT_PROMPT_SYSTEM_{suffix}", folder)
    if row.category != STEP:
        system += _rules(row, checkout)
    speaker_of_results = "execution result" if row.category == STEP else "execution"
    history = "".join(
        f"{speaker_of_results if speaker == 'execution' else speaker}:{text}\n"
        for speaker, text in said
        # in `multi_step` the official prompt shows the agent only results, not its own messages
        if not (row.category == STEP and speaker == "agent")
    )
    question = _filled(
        constant(checkout, f"MULTI_TURN_AGENT_PROMPT_USER_{suffix}", folder),
        functions=_functions(row),
        history=history,
    )
    return Prompt(
        [{"role": "system", "content": system}, {"role": "user", "content": question}], ()
    )


def user_prompt(row: Row, said: Sequence[tuple[Speaker, Any]], checkout: Path | str) -> Prompt:
    """Return the prompt for the simulated user's next message, with the roles swapped.

    Raises:
        ConfigError: if the checkout lacks the user's instructions.
    """
    scenario = "BASE" if "BaseApi" in row.entry["involved_classes"] else "TRAVEL"
    system = _filled(
        constant(checkout, f"SYSTEM_PROMPT_{scenario}_{row.language.upper()}", "multi_turn"),
        instruction=row.entry["question"],
    )
    messages: list[Message] = [
        {"role": "system", "content": system},
        {"role": "user", "content": _GREETING[row.language]},
    ]
    for speaker, text in said:
        if speaker == "user":
            messages.append(assistant_message(text))
        elif speaker == "agent" and messages[-1]["role"] == "assistant":
            messages.append({"role": "user", "content": text})
        elif speaker == "agent":  # after calls: the user sees only the agent's last message
            messages[-1] = {"role": "user", "content": text}
    return Prompt(messages, ())


@lru_cache(maxsize=256)
def constant(checkout: Path | str, name: str, folder: str = "") -> Any:
    """Read a literal constant from the source of the modules under `model_inference/`.

    Args:
        folder: name of a folder to search first.

    Raises:
        ConfigError: if no module assigns a literal to the name.
    """
    root = Path(checkout) / "model_inference"
    # prefer a module for local models (`common_*`) to its twin for models behind an API
    for path in sorted(
        root.rglob("*.py"),
        key=lambda path: (folder not in path.parts, not path.name.startswith("common_"), path),
    ):
        try:
            source = path.read_text(encoding="utf-8")
            if name not in source:
                continue
            for node in ast.parse(source).body:
                if isinstance(node, ast.Assign) and any(
                    isinstance(target, ast.Name) and target.id == name for target in node.targets
                ):
                    return ast.literal_eval(node.value)
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise ConfigError(
        f"{PARAM}: {checkout}: no module under model_inference/ gives {name} a literal value; is "
        "it a complete checkout of github.com/chenchen0103/ACEBench?"
    )


def _rules(row: Row, checkout: Path | str) -> str:
    texts = [
        constant(checkout, f"{name}_{row.language.upper()}")
        for scenario, name in _RULES.items()
        if scenario in row.entry["involved_classes"]
    ]
    return "".join(texts)


def _functions(row: Row) -> str:
    """Return the functions as in the official prompt: the list as `str` formats it."""
    functions = row.entry["function"]
    return str(functions if isinstance(functions, list) else [functions])


def _filled(template: Any, **values: Any) -> str:
    """Fill a template of the checkout. Its fields may be plain names only, not attributes."""
    if not isinstance(template, str):
        raise ConfigError(f"{PARAM}: a prompt there is not a string")
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"{PARAM}: a prompt there is not a valid template: {error}") from None
    if unknown := {field for _, field, _, _ in parsed if field is not None} - set(values):
        raise ConfigError(f"{PARAM}: a prompt there has the unknown field {min(unknown)!r}")
    return template.format(**_texts(values))


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}
