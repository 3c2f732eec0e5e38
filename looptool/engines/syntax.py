"""A model's own call syntax: found by what its chat template writes, used for labels and answers.

Labels are written by the template. Answers are read from token ids by the syntax's reader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from looptool.core import canonical
from looptool.core.answers import label_message, read_answer, result_message, write_label
from looptool.core.calls import Parsed, ToolCall
from looptool.core.errors import ConfigError
from looptool.core.samples import Label, Message, call_label, label_calls, text_label
from looptool.core.syntaxes import HERMES, MARKS, SYNTAXES, Syntax
from looptool.core.tools import Tool
from looptool.engines import Prompt
from looptool.engines.templates import TemplateOf, answer_of, options_of, render

# A conversation in which every part can be recognised.
TOOL: Tool = {
    "name": "find_rooms",
    "description": "DESCRIPTION of find_rooms",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "DESCRIPTION of city"},
            "bed_kind": {"type": "string", "enum": ["double", "bunk"]},
            "floor": {"type": ["integer", "null"]},
            "price": {"type": "number"},
            "pets": {"type": "boolean"},
            "smoking": {"type": "boolean"},
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
    "boolean": [ToolCall("find_rooms", {"pets": True, "smoking": False})],
    "null": [ToolCall("find_rooms", {"floor": None})],
    "nested": [ToolCall("find_rooms", _NESTED)],
    "quotes and brackets": [ToolCall("find_rooms", {"city": "\"a\" {b} [c] 'd' <e> \\"})],
    "line breaks and blanks": [ToolCall("find_rooms", {"city": "  a\n\n b\t "})],
    "tag in a string": [ToolCall("find_rooms", {"city": "</tool_call><tool_call>"})],
}
TOOLS: list[Tool] = [TOOL, {**TOOL, "name": "rooms.find_all"}]
_READERS = ("answers", "calls", "python_calls", "syntaxes")  # in looptool/core
_DECISIVE = ("plain", "no arguments", "number", "number as a string", "boolean")


@dataclass(frozen=True, slots=True)
class Style:
    """How a model writes its turns, worked out from what its chat template writes.

    Attributes:
        syntax: the syntax of its calls.
        opens_thinking: whether a prompt ends inside `<think>`, so that an answer begins there.
        ends: the texts that end an answer.
    """

    syntax: Syntax
    opens_thinking: bool
    ends: tuple[str, ...]

    @property
    def is_hermes(self) -> bool:
        """Whether an answer is read as Hermes from its beginning."""
        return self.syntax is HERMES and not self.opens_thinking


HERMES_STYLE = Style(HERMES, False, ())


def syntax_of(tokenizer: Any) -> Syntax | None:
    """Return the syntax in which a template writes calls, or None if no reader reads them back.

    A template may take one call only, or write some strings so that they cannot be read back.
    """
    style = style_of(tokenizer)
    return style.syntax if style else None


def style_of(tokenizer: Any) -> Style | None:
    """Return how a template writes turns, or None if no reader reads its calls."""
    for syntax in SYNTAXES:
        try:
            style = Style(syntax, _opens_thinking(tokenizer), _ends(tokenizer, syntax))
        except (ConfigError, ValueError):
            return None
        if all(_round_trip(tokenizer, style, CASES[case]) is True for case in _DECISIVE):
            return style
    return None


def known_style(tokenizer: Any) -> Style:
    """Return a tokenizer's style, worked out once; Hermes if no reader reads its calls.

    A base whose calls no reader reads is refused before (`check_template`); a judge needs none.
    """
    if not hasattr(tokenizer, "_looptool_style"):
        tokenizer._looptool_style = style_of(tokenizer) or HERMES_STYLE
    style: Style = tokenizer._looptool_style
    return style


def _opens_thinking(tokenizer: Any) -> bool:
    return render(tokenizer, Prompt(CONVERSATION, TOOLS)).rstrip().endswith("<think>")


def _ends(tokenizer: Any, syntax: Syntax) -> tuple[str, ...]:
    """Return what a template writes after an answer in words and after a call."""
    prompt = Prompt(CONVERSATION, TOOLS)
    ends = []
    for label, last in (
        (text_label("WORDS"), "WORDS"),
        (call_label([CALL]), syntax.closing or "}"),
    ):
        _, found, end = answer_of(tokenizer, prompt, label).rpartition(last)
        if not found:
            return ()
        ends.append(end.strip() or _next_turn(tokenizer, prompt, label))
    return tuple(dict.fromkeys(end for end in ends if end))


def is_plain(tokenizer: Any) -> bool:
    """Return whether answers are read from their text without special tokens, as Hermes is."""
    style = known_style(tokenizer)
    return style.is_hermes and not special_tokens(tokenizer) & {HERMES.opening, "</think>"}


def special_tokens(tokenizer: Any) -> frozenset[str]:
    """Return the texts of a tokenizer's special tokens."""
    if isinstance(tokenizer, TemplateOf):
        return tokenizer.special_tokens
    if not hasattr(tokenizer, "_looptool_special"):
        added = tokenizer.added_tokens_decoder.values()
        names = {token.content for token in added if token.special}
        tokenizer._looptool_special = frozenset({*names, *tokenizer.all_special_tokens})
    special: frozenset[str] = tokenizer._looptool_special
    return special


def reader_of(tokenizer: Any) -> str:
    """Return what identifies the reader of a model's answers: the syntax and a hash of the code and
    of the special tokens.

    Empty if answers are read from their text whenever they are used (`is_plain`).
    """
    if is_plain(tokenizer):
        return ""
    core = Path(canonical.__file__).parent
    files = [Path(__file__), *(core / f"{name}.py" for name in _READERS)]
    code = [file.read_text("utf-8") for file in files]
    digest = canonical.digest(*code, *sorted(special_tokens(tokenizer)))
    return f" {known_style(tokenizer).syntax.name} {digest[:8]}"


def format_of(folder: Path) -> dict[str, Any]:
    """Return how the model of a folder is prompted and answers, for metrics and cards.

    Returns:
        `template`, a hash of the chat template; `options`, its options; `syntax`, that of calls.
    """
    template = TemplateOf.folder(folder)
    return {
        "template": canonical.digest(template.chat_template or "")[:8],
        "options": options_of(template),
        "syntax": known_style(template).syntax.name,
    }


def read_ids(
    tokenizer: Any, ids: Sequence[int], tools: Sequence[Tool]
) -> tuple[str, Parsed | None]:
    """Return the text of an answer's token ids, and how the model's syntax reads it.

    Calls may be written with special tokens, so these are kept until the answer is read.

    Returns:
        The text without the end of the turn, and what `Completion.read` holds.
    """
    if is_plain(tokenizer):
        return str(tokenizer.decode(ids, skip_special_tokens=True)), None
    written = str(tokenizer.decode(ids, skip_special_tokens=False))
    return read_text(known_style(tokenizer), written, tools, special_tokens(tokenizer))


def answer_to(tokenizer: Any, ids: Sequence[int], tools: Sequence[Tool]) -> Parsed:
    """Return an answer's token ids as calls, text, thinking and error."""
    text, read = read_ids(tokenizer, ids, tools)
    return read_answer(text) if read is None else read


def read_text(
    style: Style, written: str, tools: Sequence[Tool], special: frozenset[str]
) -> tuple[str, Parsed]:
    """Return an answer without the end of its turn, and how it is read.

    Args:
        special: the texts of special tokens. Those that end the answer, and those that have no
            meaning in a syntax, are no part of what it says. One with a meaning, left in the text,
            is an error.
    """
    text = without_end(_any_of(special - MARKS, at_end=True).sub("", written), style)
    read = read_in(style, text, tools)
    others = _any_of(special - MARKS)
    said, thought = (others.sub("", part).strip() for part in (read.text, read.thinking))
    error = read.error
    if error is None and (mark := _any_of(special & MARKS).search(said)):
        error = f"a control token in its text, {mark[0]}"
    if error is None and said != read.text:  # the token may have hidden a call
        again = style.syntax.read(said, tools)
        error = again.error or ("a tool call: after a control token" if again.calls else None)
    return text, replace(read, text=said, thinking=thought, error=error)


@lru_cache(maxsize=16)
def _any_of(texts: frozenset[str], at_end: bool = False) -> re.Pattern[str]:
    """Return a pattern of any of these texts, or of several of them at the end."""
    any_text = "|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)"
    return re.compile(rf"(?:(?:{any_text})\n*)+\Z" if at_end else any_text)


def read_in(style: Style, text: str, tools: Sequence[Tool]) -> Parsed:
    """Read an answer without the end of its turn; thinking may have begun in the prompt."""
    return style.syntax.read(f"<think>{text}" if style.opens_thinking else text, tools)


def label_text(tokenizer: Any, prompt: Prompt, label: Label) -> str:
    """Return a label as the model has to write it, with the end of its turn.

    Raises:
        ConfigError: if the template cannot write it, or what it writes is not read back equal.
    """
    style = known_style(tokenizer)
    said = json.dumps(label, ensure_ascii=False)
    if token := _any_of(special_tokens(tokenizer) - MARKS).search(said):
        raise ConfigError(f"the label holds a control token of the model, {token[0]}")
    if style.is_hermes:
        written = write_label(label)
    else:
        written = answer_of(tokenizer, prompt, label).rstrip("\n")
    _, read = read_text(style, written, prompt.tools, special_tokens(tokenizer))
    if read.error is not None:
        raise ConfigError(f"the label is not read back: {read.error}")
    if list(read.calls) != list(label_calls(label)) or read.text != label.get("text", "").strip():
        raise ConfigError("the label is not read back equal")
    if style.is_hermes:
        return f"{written}{tokenizer.eos_token or ''}"
    if written.rstrip().endswith(style.ends):
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
    style = style_of(tokenizer)
    if style is None:
        return {}
    cases = {case: _round_trip(tokenizer, style, calls) for case, calls in CASES.items()}
    return cases | {"cut-off call": _cut_off(tokenizer, style)}


def _round_trip(tokenizer: Any, style: Style, calls: Sequence[ToolCall]) -> bool | str:
    try:
        answer = answer_of(tokenizer, Prompt(CONVERSATION, TOOLS), call_label(calls))
    except ConfigError as error:
        return str(error)
    read = read_in(style, without_end(answer, style), TOOLS)
    if read.error is not None:
        return read.error
    return list(read.calls) == list(calls) or "other calls are read than were written"


def _cut_off(tokenizer: Any, style: Style) -> bool | str:
    written = answer_of(tokenizer, Prompt(CONVERSATION, TOOLS), call_label([CALL]))
    answer = without_end(written, style)
    start = answer.index(style.syntax.opening or "{")
    for end in range(start + 1, len(answer)):
        read = read_in(style, without_end(answer[:end], style), TOOLS)
        if read.error is None or read.calls:
            return f"{answer[start:end]!r} is read as a call or as a text"
    return True


def without_end(answer: str, style: Style) -> str:
    """Return an answer without what ends its turn."""
    answer = answer.rstrip("\n")
    for end in style.ends:
        if answer.endswith(end):
            return answer.removesuffix(end).rstrip("\n")
    return answer
