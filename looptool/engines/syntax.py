"""A model's own call syntax: found by what its chat template writes, used for labels and answers.

Labels are written by the template. Answers are read from token ids by the syntax's reader and
returned in Hermes form (`answers.in_hermes`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from looptool.core.answers import in_hermes, label_message, result_message, write_label
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.samples import Label, Message, call_label, label_calls
from looptool.core.syntaxes import HERMES, SYNTAXES, Syntax
from looptool.core.tools import Tool
from looptool.engines import Prompt
from looptool.engines.templates import answer_of, render

# A conversation in which every part can be recognised.
TOOL: Tool = {
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
CALL = ToolCall("find_rooms", {"city": "Trondheim", "bed_kind": "bunk"})
CONVERSATION: list[Message] = [
    {"role": "system", "content": "SYSTEM turn"},
    {"role": "user", "content": "FIRST request"},
    label_message(call_label([CALL])),
    {"role": "tool", "name": "find_rooms", "content": "RESULT of the call"},
    {"role": "assistant", "content": "ANSWER in words"},
    {"role": "user", "content": "SECOND request"},
]
# Calls that a template must write so that they can be read back.
_NESTED = {"days": [1, 2.5, True, {"a": {"b": []}}], "filters": {"pets": False, "x": "1"}}
CASES: dict[str, list[ToolCall]] = {
    "plain": [CALL],
    "two calls": [CALL, ToolCall("find_rooms", {"city": "Bergen"})],
    "no arguments": [ToolCall("find_rooms", {})],
    "dotted name": [ToolCall("rooms.find_all", {"city": "Bergen"})],
    "number": [ToolCall("find_rooms", {"price": 75001})],
    "number as a string": [ToolCall("find_rooms", {"city": "75001"})],
    "nested": [ToolCall("find_rooms", _NESTED)],
    "quotes and brackets": [ToolCall("find_rooms", {"city": "\"a\" {b} [c] 'd' <e> \\"})],
    "line breaks and blanks": [ToolCall("find_rooms", {"city": "  a\n\n b\t "})],
    "tag in a string": [ToolCall("find_rooms", {"city": "</tool_call><tool_call>"})],
}
TOOLS: list[Tool] = [TOOL, {**TOOL, "name": "rooms.find_all"}]
_DECISIVE = ("plain", "no arguments", "number", "number as a string")
_SPECIAL = re.compile(r"(<\|\w+\|?>|<\w+\|>|</?\w+>)\s*\Z")  # a special token at the end of a text


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
        answer = answer_of(tokenizer, Prompt(CONVERSATION, TOOLS), call_label(calls))
    except ConfigError as error:
        return str(error)
    read = syntax.read(without_end(answer, syntax), TOOLS)
    if read.error is not None:
        return read.error
    return list(read.calls) == list(calls) or "other calls are read than were written"


def _cut_off(tokenizer: Any, syntax: Syntax) -> bool | str:
    answer = without_end(
        answer_of(tokenizer, Prompt(CONVERSATION, TOOLS), call_label([CALL])), syntax
    )
    start = answer.index(syntax.opening or "{")
    for end in range(start + 1, len(answer)):
        read = syntax.read(answer[:end], TOOLS)
        if read.error is None or read.calls:
            return f"{answer[start:end]!r} is read as a call or as a text"
    return True


def without_end(answer: str, syntax: Syntax) -> str:
    """Return a written answer without what ends the turn."""
    while (end := _SPECIAL.search(answer)) and end[1] != syntax.closing:
        answer = answer[: end.start()]
    return answer.rstrip("\n")
