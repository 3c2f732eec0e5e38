"""Tool calls: the text format and the output parser (docs/design.md, section 3).

The text format is that of Hermes and Qwen: `<tool_call>`, one JSON object, `</tool_call>`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from looptool.core import canonical

MAX_DEPTH = 64

_TAG = re.compile(r"<tool_call>|</tool_call>|<think>|</think>")
_TAG_OUTSIDE_STRINGS = re.compile(
    r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|(<tool_call>|</tool_call>|<think>|</think>)', re.DOTALL
)
_SPACE = re.compile(r"\s*")
_QUOTES = dict(zip("`\"'“‘«「(", "`\"'”’»」)", strict=True))
_WORDS = re.compile(r"[ \t]+\w[^{}\[\]()=<>\"\n]*|[.,;:!?)…]")
_BETWEEN_TAGS = re.compile(r"[ \t]+(?:and|or|…|\.\.\.)[ \t]+")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call: the tool name and the arguments as JSON values."""

    name: str
    arguments: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the call in the form used in labels: `{"name": …, "arguments": …}`."""
        return {"name": self.name, "arguments": self.arguments}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed model output.

    Attributes:
        calls: the complete calls in order, without calls inside `<think>`.
        text: the text outside calls and thinking, stripped.
        thinking: the text inside `<think>`, stripped.
        error: which calls were malformed or cut off and why, or None.
    """

    calls: tuple[ToolCall, ...]
    text: str
    thinking: str
    error: str | None = None


def render(calls: Iterable[ToolCall]) -> str:
    """Return `calls` in the text format, one block per call. `parse` is the inverse.

    Raises:
        ValueError: if an argument cannot be written as JSON.
    """
    blocks = []
    for call in calls:
        text = json.dumps(call.to_json(), ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
        blocks.append(block(text))
    return "\n".join(blocks)


def block(text: str) -> str:
    """Return the JSON text of a call in its tags."""
    return f"<tool_call>\n{text}\n</tool_call>"


def render_python(calls: Iterable[ToolCall]) -> str:
    """Return `calls` as a Python list, `[name(key=value), …]`, as BFCL, ACEBench and ToolACE do.

    Names are not escaped: a name that is not a Python name cannot be parsed again as Python.
    """
    written = []
    for call in calls:
        arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
        written.append(f"{call.name}({arguments})")
    return f"[{', '.join(written)}]"


def read_arguments(value: Any, loads: Callable[[str], Any] = canonical.loads) -> dict[str, Any]:
    """Return the arguments of a call, given as an object or as its JSON text.

    `""`, None and the text `null` mean no arguments, because servers and data sets write them for
    calls without any. JSON text that was encoded twice is decoded twice.

    Raises:
        ValueError: if the value is something else.
    """
    for _ in range(2):
        if isinstance(value, str):
            value = loads(value) if value.strip() else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("arguments must be an object")
    return value


def parse(text: str | bytes) -> Parsed:
    """Parse a model output into calls, text and thinking. Never raises.

    Tags inside JSON strings are text. So are tags that a sentence only mentions. Text before a
    `</think>` without an opening tag is thinking, because chat templates may open it in the prompt.
    After an unclosed `<think>`, everything is thinking.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    calls: list[ToolCall] = []
    texts: list[str] = []
    thinking: list[str] = []
    errors: list[str] = []
    blocks = 0
    start = position = 0  # `start`: where the thinking would begin that a lone </think> closes
    last_closed = text.rfind("</think>")
    while tag := _TAG.search(text, position):
        texts.append(text[position : tag.start()])
        position = tag.end()
        if _is_mentioned(text, tag, last_closed):
            texts.append(tag[0])
        elif tag[0] == "<think>":
            end = text.find("</think>", position)
            thinking.append(text[position:] if end < 0 else text[position:end])
            start = position = len(text) if end < 0 else end + len("</think>")
        elif tag[0] == "</think>":
            thinking.append(text[start : tag.start()])
            calls, texts, errors, blocks = [], [], [], 0
            start = position
        elif tag[0] == "</tool_call>":
            errors.append("a </tool_call> without a <tool_call>")
        else:
            blocks += 1
            call, position, error = _read_block(text, position)
            if call:
                calls.append(call)
            if error:
                errors.append(f"tool call {blocks}: {error}")
    texts.append(text[position:])
    return Parsed(
        tuple(calls),
        "".join(texts).strip(),
        "\n".join(part.strip() for part in thinking if part.strip()),
        "; ".join(errors) or None,
    )


def _is_mentioned(text: str, tag: re.Match[str], last_closed: int) -> bool:
    """Whether a sentence only mentions a tag: in quotes, or followed by words instead of JSON.

    Words between an opening and a closing tag are a broken call, unless they are `and` or the like.
    An unclosed `<think>` after words on its line is a mention too: real thinking begins a line or
    is closed.
    """
    start, end = tag.span()
    if start and end < len(text) and _QUOTES.get(text[start - 1]) == text[end]:
        return True
    window = max(0, start - 500)  # long lines with many tags would take quadratic time
    line = max(window, text.rfind("\n", window, start) + 1)
    if not tag[0].endswith("tool_call>"):
        opens = tag[0] == "<think>" and end > last_closed
        return opens and bool(text[line:start].strip())
    if tag[0] == "</tool_call>":
        opening = text.rfind("<tool_call>", line, start)
        between = text[opening + len("<tool_call>") : start]
        return opening >= 0 and _BETWEEN_TAGS.fullmatch(between) is not None
    after = _TAG.search(text, end)
    rest = text[end : after.start() if after else len(text)]
    if after and after[0] == "</tool_call>":
        return bool(text[line:start].strip()) and _BETWEEN_TAGS.fullmatch(rest) is not None
    words = _WORDS.match(rest)
    if words is None or "{" in rest:
        return False
    return bool(text[line:start].strip()) or len(words[0].split()) > 2


def _read_block(text: str, start: int) -> tuple[ToolCall | None, int, str | None]:
    """Read one call after its opening tag. Return (call, position after it, error)."""
    start = _skip_space(text, start)
    try:
        value, end = canonical.decoder().raw_decode(text, start)
        canonical.refuse_surrogates(text[start:end])
        if deeper_than(value, MAX_DEPTH):
            raise RecursionError
    except RecursionError:
        return None, _block_end(text, start), f"JSON nested deeper than {MAX_DEPTH} levels"
    except ValueError as error:
        after = _block_end(text, start)
        cut = after == len(text) and not text.rstrip().endswith("</tool_call>")
        why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        return None, after, f"{'cut off' if cut else 'malformed JSON'} ({why})"
    after = _skip_space(text, end)
    if not text.startswith("</tool_call>", after):
        why = "no </tool_call>" if after >= len(text) else "something after the JSON object"
        return None, _block_end(text, after), why
    after += len("</tool_call>")
    if not isinstance(value, dict):
        return None, after, "not a JSON object"
    if set(value) != {"name", "arguments"}:
        return None, after, 'needs exactly the keys "name" and "arguments"'
    if not isinstance(value["name"], str) or not value["name"]:
        return None, after, '"name" must be a non-empty string'
    if not isinstance(value["arguments"], dict):
        return None, after, '"arguments" must be an object'
    return ToolCall(value["name"], value["arguments"]), after, None


def _block_end(text: str, start: int) -> int:
    """Return where to resume after a malformed block.

    That is after its closing tag, at the next other tag outside a JSON string, or at the end.
    """
    pattern = _TAG_OUTSIDE_STRINGS if text.startswith("{", start) else _TAG
    for hit in pattern.finditer(text, start):
        tag = hit[1] if pattern.groups else hit[0]
        if tag == "</tool_call>":
            return hit.end()
        if tag:
            return hit.start()
    return len(text)


def deeper_than(value: Any, depth: int) -> bool:
    """Return whether JSON values are nested deeper than `depth` levels."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return depth == 0 or any(deeper_than(item, depth - 1) for item in value)


def _skip_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start
