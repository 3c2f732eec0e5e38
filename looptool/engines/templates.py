"""Chat templates: what they are given, and whether all of it reaches the prompt.

Every engine gives a template the same conversation: tools as `{"type": "function", "function": …}`,
calls with ids and with arguments as objects, results with the id and the name of their call. This
is the form that the makers of models write their templates for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looptool.core.answers import in_hermes, label_message, result_message, write_label
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.params import FILE, Model
from looptool.core.samples import Label, Message, call_label, label_calls
from looptool.core.syntaxes import HERMES, SYNTAXES, Syntax
from looptool.core.tools import Tool
from looptool.engines import Prompt
from looptool.engines.folders import base_problem

PROJECT_TEMPLATE = Path(__file__).parent / "chat_template.jinja"
_TURN_END = "<|im_end|>"  # as the project's template writes it
_OPTIONS = "template_options"  # in tokenizer_config.json

_TOOL: Tool = {
    "name": "find_rooms",
    "description": "DESCRIPTION of find_rooms",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "DESCRIPTION of city"},
            "bed_kind": {"type": "string", "enum": ["double", "bunk"]},
            "price": {"type": "number"},
            "filters": {"type": "object"},
            "days": {"type": "array"},
        },
        "required": ["city"],
    },
}
_CALL = ToolCall("find_rooms", {"city": "Trondheim", "bed_kind": "bunk"})
_CONVERSATION: list[Message] = [
    {"role": "system", "content": "SYSTEM turn"},
    {"role": "user", "content": "FIRST request"},
    label_message(call_label([_CALL])),
    {"role": "tool", "name": "find_rooms", "content": "RESULT of the call"},
    {"role": "assistant", "content": "ANSWER in words"},
    {"role": "user", "content": "SECOND request"},
]
# Calls that a template must write so that they can be read back.
_NESTED = {"days": [1, 2.5, True, {"a": {"b": []}}], "filters": {"pets": False, "x": "1"}}
CASES: dict[str, list[ToolCall]] = {
    "plain": [_CALL],
    "two calls": [_CALL, ToolCall("find_rooms", {"city": "Bergen"})],
    "no arguments": [ToolCall("find_rooms", {})],
    "dotted name": [ToolCall("rooms.find_all", {"city": "Bergen"})],
    "number": [ToolCall("find_rooms", {"price": 75001})],
    "number as a string": [ToolCall("find_rooms", {"city": "75001"})],
    "nested": [ToolCall("find_rooms", _NESTED)],
    "quotes and brackets": [ToolCall("find_rooms", {"city": "\"a\" {b} [c] 'd' <e> \\"})],
    "line breaks and blanks": [ToolCall("find_rooms", {"city": "  a\n\n b\t "})],
    "tag in a string": [ToolCall("find_rooms", {"city": "</tool_call><tool_call>"})],
}
_TOOLS: list[Tool] = [_TOOL, {**_TOOL, "name": "rooms.find_all"}]
_DECISIVE = ("plain", "no arguments", "number", "number as a string")
_SPECIAL = re.compile(r"(<\|\w+\|?>|<\w+\|>|</?\w+>)\s*\Z")  # a special token at the end of a text
# What must reach the prompt: (what it is, a text that shows it).
_MARKS = (
    ("the system turn", "SYSTEM turn"),
    ("the user's text", "FIRST request"),
    ("the last request", "SECOND request"),
    ("the assistant's text", "ANSWER in words"),
    ("the tools", "find_rooms"),
    ("the tools' descriptions", "DESCRIPTION of find_rooms"),
    ("the parameters", "bed_kind"),
    ("the parameters' descriptions", "DESCRIPTION of city"),
    ("the allowed values", "double"),
    ("an earlier call", "Trondheim"),
    ("the result of a call", "RESULT of the call"),
)


def conversation(messages: Sequence[Message]) -> list[Message]:
    """Return messages with ids for calls, and with the id and name of its call in each result."""
    result: list[Message] = []
    open_calls: list[tuple[str, str]] = []
    for place, message in enumerate(messages):
        if items := message.get("tool_calls"):
            open_calls = [
                (f"call{place:03}{number:02}", item["function"]["name"])
                for number, item in enumerate(items)
            ]
            calls = [
                {"id": identity, "type": "function", "function": item["function"]}
                for (identity, _), item in zip(open_calls, items, strict=True)
            ]
            result.append({**message, "tool_calls": calls})
        elif message["role"] == "tool" and open_calls:
            identity, name = open_calls.pop(0)
            result.append({"name": name, **message, "tool_call_id": identity})
        else:
            result.append(dict(message))
    return result


def wrapped(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Return tools as OpenAI's API has them, the keys of each in this order."""
    keys = ("name", "description", "parameters")
    return [
        {"type": "function", "function": {key: tool[key] for key in keys if key in tool}}
        for tool in tools
    ]


def choose_template(tokenizer: Any, model: Model) -> None:
    """Give a tokenizer the chat template and the template options that params choose.

    Both are saved with the tokenizer, so that every models/j has them.
    """
    if model.chat_template == "looptool":
        tokenizer.chat_template = project_template(tokenizer)
    if model.template_options:
        tokenizer.init_kwargs[_OPTIONS] = dict(model.template_options)


def project_template(tokenizer: Any) -> str:
    """Return the project's template for a tokenizer: with its beginning and its end of a turn."""
    text = PROJECT_TEMPLATE.read_text("utf-8")
    if tokenizer.eos_token == _TURN_END:
        return text
    text = text.replace(_TURN_END, '" ~ eos_token ~ "')
    return f"{{{{- bos_token -}}}}{text}" if tokenizer.bos_token else text


def render(tokenizer: Any, prompt: Prompt) -> str:
    """Return the text of a prompt, up to where the answer starts.

    Raises:
        ConfigError: if the template cannot render it.
    """
    import jinja2

    try:
        text: str = tokenizer.apply_chat_template(
            conversation(prompt.messages),
            tools=wrapped(prompt.tools) or None,
            tokenize=False,
            add_generation_prompt=True,
            **tokenizer.init_kwargs.get(_OPTIONS, {}),
        )
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise ConfigError(f"the chat template cannot render a prompt: {_line(error)}") from None
    return text


def answer_of(tokenizer: Any, prompt: Prompt, label: Label) -> str:
    """Return how the template writes a label as the answer to a prompt, with the end of the turn.

    Raises:
        ConfigError: if the template cannot render it, or the prompt is no prefix of the whole.
    """
    import jinja2

    before = render(tokenizer, prompt)
    try:
        whole: str = tokenizer.apply_chat_template(
            conversation([*prompt.messages, label_message(label)]),
            tools=wrapped(prompt.tools) or None,
            tokenize=False,
            **tokenizer.init_kwargs.get(_OPTIONS, {}),
        )
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise ConfigError(f"the chat template cannot render an answer: {_line(error)}") from None
    if not whole.startswith(before):
        raise ConfigError(
            "a prompt is not the beginning of the same conversation with its answer; "
            "model.template_options: {enable_thinking: false} may help"
        )
    return whole[len(before) :]


def template_problem(tokenizer: Any) -> str | None:
    """Return what of a conversation a template loses or why its calls cannot be read, or None."""
    try:
        text = render(tokenizer, Prompt(_CONVERSATION, [_TOOL]))
        lost = [what for what, mark in _MARKS if mark not in text]
        if lost:
            return f"the chat template drops {', '.join(lost)}"
        answer = answer_of(tokenizer, Prompt(_CONVERSATION, [_TOOL]), call_label([_CALL]))
    except ConfigError as error:
        return str(error)
    if syntax_of(tokenizer) is None:
        start = " ".join(answer.split())[:60]
        return f"its calls are in no syntax that can be read: {start!r}"
    return None


def syntax_of(tokenizer: Any) -> Syntax | None:
    """Return the syntax in which a template writes calls, or None if no reader reads them back.

    A template may take one call only, or write some strings so that they cannot be read back.
    """
    for syntax in SYNTAXES:
        if all(_round_trip(tokenizer, syntax, CASES[case]) is True for case in _DECISIVE):
            return syntax
    return None


def known_syntax(tokenizer: Any) -> Syntax:
    """Return a tokenizer's syntax, worked out once; Hermes if its template fits no reader.

    A base whose calls no reader reads is refused before (`check_template`); a judge needs none.
    """
    if not hasattr(tokenizer, "_looptool_syntax"):
        tokenizer._looptool_syntax = syntax_of(tokenizer) or HERMES
    syntax: Syntax = tokenizer._looptool_syntax
    return syntax


def decode_answer(tokenizer: Any, ids: Sequence[int], tools: Sequence[Tool]) -> str:
    """Return an answer's token ids as text in the format that `answers.read_answer` reads.

    Calls of other syntaxes may be written with special tokens, so these are kept until it is read.
    """
    syntax = known_syntax(tokenizer)
    if syntax is HERMES and HERMES.opening not in tokenizer.all_special_tokens:
        return str(tokenizer.decode(ids, skip_special_tokens=True))
    text = without_end(str(tokenizer.decode(ids, skip_special_tokens=False)), syntax)
    return in_hermes(syntax.read(text, tools))


def label_text(tokenizer: Any, prompt: Prompt, label: Label) -> str:
    """Return a label as the model has to write it, with the end of its turn.

    Raises:
        ConfigError: if the template cannot write it, or what it writes is not read back equal.
    """
    syntax = known_syntax(tokenizer)
    if syntax is HERMES:
        return f"{write_label(label)}{tokenizer.eos_token or ''}"
    written = answer_of(tokenizer, prompt, label).rstrip("\n")
    read = syntax.read(without_end(written, syntax), prompt.tools)
    if read.error is not None or list(read.calls) != list(label_calls(label)):
        raise ConfigError(f"the label is not read back equal: {read.error or 'other calls'}")
    end = _SPECIAL.search(written)
    if end and end[1] != syntax.closing:
        return written
    return f"{written}{_next_turn(tokenizer, prompt, label) or tokenizer.eos_token or ''}"


def _next_turn(tokenizer: Any, prompt: Prompt, label: Label) -> str | None:
    """Return the special token that begins the turn after a label, or None if there is none.

    It ends an answer where a template writes no end of a turn.
    """
    calls = label_calls(label)
    after = [result_message(call.name, "?") for call in calls] or [{"role": "user", "content": "?"}]
    messages = [*prompt.messages, label_message(label), *after]
    whole = render(tokenizer, Prompt(messages, prompt.tools))
    rest = whole[len(render(tokenizer, prompt)) + len(answer_of(tokenizer, prompt, label)) :]
    token = re.match(r"\s*(<\|\w+\|?>|<\w+\|>)", rest)
    return token[1] if token else None


def round_trip(tokenizer: Any) -> dict[str, bool | str]:
    """Return for each of CASES whether its calls, written by the template, are read back equal.

    The value is True, or why not. `cut-off call` says whether every beginning of a call is an
    error.
    """
    syntax = syntax_of(tokenizer)
    if syntax is None:
        return {}
    cases = {case: _round_trip(tokenizer, syntax, calls) for case, calls in CASES.items()}
    return cases | {"cut-off call": _cut_off(tokenizer, syntax)}


def _round_trip(tokenizer: Any, syntax: Syntax, calls: Sequence[ToolCall]) -> bool | str:
    try:
        answer = answer_of(tokenizer, Prompt(_CONVERSATION, _TOOLS), call_label(calls))
    except ConfigError as error:
        return str(error)
    read = syntax.read(without_end(answer, syntax), _TOOLS)
    if read.error is not None:
        return read.error
    return list(read.calls) == list(calls) or "other calls are read than were written"


def _cut_off(tokenizer: Any, syntax: Syntax) -> bool | str:
    answer = without_end(
        answer_of(tokenizer, Prompt(_CONVERSATION, _TOOLS), call_label([_CALL])), syntax
    )
    start = answer.index(syntax.opening or "{")
    for end in range(start + 1, len(answer)):
        read = syntax.read(answer[:end], _TOOLS)
        if read.error is None or read.calls:
            return f"{answer[start:end]!r} is read as a call or as a text"
    return True


def without_end(answer: str, syntax: Syntax) -> str:
    """Return a written answer without what ends the turn."""
    while (end := _SPECIAL.search(answer)) and end[1] != syntax.closing:
        answer = answer[: end.start()]
    return answer.rstrip("\n")


def check_template(model: Model, warmup_steps: int) -> None:
    """Check the chat template of `model.base`, as params choose it, without loading a tokenizer.

    Raises:
        ConfigError: if there is none, it loses parts of a conversation, or its calls cannot be
            read; or if a template that the base does not know comes without a warm-up.
    """
    if base_problem(Path(model.base)):
        return  # `check_base` reports it
    template = TemplateOf.folder(Path(model.base))
    choose_template(template, model)
    field = f"{FILE}: model.chat_template: {model.chat_template}"
    if model.chat_template == "looptool":
        if not warmup_steps:
            raise ConfigError(
                f"{field}: the base does not know it, so that warmup.steps must not be 0"
            )
        return
    for option in model.template_options:
        if not re.search(rf"\b{re.escape(option)}\b", template.chat_template or ""):
            raise ConfigError(
                f"{FILE}: model.template_options.{option}: the chat template of {model.base} has "
                "no such option"
            )
    problem = template_problem(template) if template.chat_template else "the base has none"
    if problem:
        raise ConfigError(
            f"{field}: {model.base}: {problem}; `looptool`, the project's template, works with "
            "every base and needs a warm-up"
        )


@dataclass
class TemplateOf:
    """A model folder's chat template, with what of a tokenizer it needs."""

    chat_template: str | None
    bos_token: str | None
    eos_token: str | None
    init_kwargs: dict[str, Any]

    @classmethod
    def folder(cls, folder: Path) -> TemplateOf:
        """Read the template of a model folder."""
        file = folder / "tokenizer_config.json"
        try:
            config = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        except ValueError as error:
            raise ConfigError(f"{file}: not valid JSON: {error}") from None
        jinja = folder / "chat_template.jinja"
        template = jinja.read_text("utf-8") if jinja.is_file() else config.get("chat_template")
        tokens = [config.get(name) for name in ("bos_token", "eos_token")]
        bos, eos = (token.get("content") if isinstance(token, dict) else token for token in tokens)
        return cls(template, bos, eos, config)

    def apply_chat_template(
        self, messages: Sequence[Message], tools: Any, tokenize: bool, **options: Any
    ) -> str:
        """Render messages as a tokenizer does."""
        from transformers.utils.chat_template_utils import render_jinja_template

        tokens = {"bos_token": self.bos_token, "eos_token": self.eos_token}
        rendered, _ = render_jinja_template(
            [list(messages)], tools=tools, chat_template=self.chat_template,
            **{name: token for name, token in tokens.items() if token}, **options,
        )  # fmt: skip
        return str(rendered[0])


def _line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
