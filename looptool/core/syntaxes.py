"""The syntaxes in which families of models write their calls, each with a reader.

A reader never raises. Complete calls are kept; a call that is cut off or malformed is an error with
a reason, never a call and never a text. Some syntaxes write values without quotes: the schema of a
parameter then says whether `75001` is a number or a string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looptool.core import canonical
from looptool.core.answers import broken_call, read_answer
from looptool.core.calls import MAX_DEPTH, Parsed, ToolCall, deeper_than
from looptool.core.python_calls import parse_python_calls
from looptool.core.tool_match import branches
from looptool.core.tools import Tool, schemas_of

ReadBlock = Callable[[str, Sequence[Tool]], Sequence[ToolCall]]

_FUNCTION = re.compile(r"\s*<function=([^<>\n]+)>\s*(.*?)\s*</function>\s*", re.DOTALL)
_PARAMETER = re.compile(r"\s*<parameter=([^<>\n]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_ARGUMENT = re.compile(r"\s*<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>\s*", re.DOTALL)
_NAME = re.compile(r"[^\s{}<>()\[\]\"']+")
_RECIPIENT = re.compile(r"\bto=(?:functions\.([^\s<]+))?")
_CONTENT_TYPE = re.compile(r"<\|constrain\|>|\bjson\b")
_HARMONY_HEADER = re.compile(r"<\|(?:channel|message|constrain)\|>")
_HARMONY_END = re.compile(r"<\|(?:end|call|return)\|>")
# A text with a part of a header, or that ends in the beginning of one.
_HARMONY_MARK = re.compile(
    r"<\|(?:start|channel|message|constrain|end|call|return)\|>|\bto=functions\.|"
    r"\A\s*(?:t|to|to=|to=f\w{0,8})\Z|<(?:\|\w*\|?)?\Z"
)
_PYTHON_NAMES = {"True": "true", "False": "false", "None": "null"}
_QUOTE = '<|"|>'
_PLAIN = re.compile(r"[^,\[\]{}<>]+")


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a family of models writes calls.

    Attributes:
        name: for messages and reports.
        opening, closing: the texts around calls; empty where a call is the whole answer.
        vllm_parser: vLLM's name for its parser of such calls.
        read: returns the calls, text, thinking and error of an answer to a prompt with these tools.
    """

    name: str
    opening: str
    closing: str
    vllm_parser: str
    read: Callable[[str, Sequence[Tool]], Parsed]


HERMES = Syntax(
    "hermes", "<tool_call>", "</tool_call>", "hermes", lambda text, tools: read_answer(text)
)


def _in_blocks(
    name: str,
    opening: str,
    closing: str,
    vllm_parser: str,
    read_block: ReadBlock,
    marks: str,
    thinking: tuple[str, str] = ("<think>", "</think>"),
) -> Syntax:
    """Return a syntax that writes calls between two texts.

    Args:
        marks: a pattern of texts that occur only inside calls. Outside, they show a call without
            its opening.
        thinking: the texts around thinking.
    """
    cut_off = re.compile(
        "|".join(re.escape(opening[:end]) for end in range(len(opening) - 1, 0, -1))
    )
    stray = re.compile(f"{re.escape(closing)}|{HERMES.opening}|{HERMES.closing}|{marks}")

    def read(text: str, tools: Sequence[Tool]) -> Parsed:
        thought, rest = split_thinking(text, opening, thinking)
        calls: list[ToolCall] = []
        texts: list[str] = []
        errors: list[str] = []
        for number, part in enumerate(rest.split(opening)):
            if not number:
                texts.append(part)
                continue
            block, closed, after = part.partition(closing)
            if not closed:
                errors.append(f"tool call {number}: cut off (no {closing})")
                continue
            try:
                made = read_block(block, tools)
                for call in made:
                    _check_arguments(call.arguments)
                calls += made
            except (ValueError, TypeError, RecursionError) as error:
                reason = "nested too deeply" if isinstance(error, RecursionError) else error
                errors.append(f"tool call {number}: {reason}")
            texts.append(after)
        said, opened, later = "".join(texts).partition(thinking[0])
        said = said.strip()
        if opened:
            thought = f"{thought}\n{later.strip()}".strip()
        if not errors and said and cut_off.fullmatch(said.rpartition("\n")[2]):
            errors.append("a tool call: cut off (in its opening tag)")
        elif not errors and (mark := stray.search(said)):
            errors.append(f"a tool call: malformed ({mark[0].strip()!r} outside a call)")
        elif not errors and (broken := broken_call(said)):
            errors.append(broken)
        return Parsed(tuple(calls), said, thought, "; ".join(errors) or None)

    return Syntax(name, opening, closing, vllm_parser, read)


def split_thinking(
    text: str, opening: str, tags: tuple[str, str] = ("<think>", "</think>")
) -> tuple[str, str]:
    """Return an answer's thinking and the rest.

    An answer that begins with thinking ends it by the first closing tag; without one, all of it is
    thinking. Another closing tag counts if it precedes the first call: in a call it is an argument.
    """
    starts, ends = tags
    before, closed, after = text.partition(ends)
    if text.lstrip().startswith(starts):
        return before.replace(starts, "", 1).strip(), after
    if closed and opening not in before:
        return before.replace(starts, "").strip(), after
    return "", text


def typed(text: str, schemas: Sequence[Any], root: Mapping[str, Any]) -> Any:
    """Return the value that an unquoted text stands for, by the types that its schemas allow.

    A text that fits no other type stays a string, so that a wrong type is a wrong argument and not
    a malformed call. Some templates write `True`, `False` and `None`.

    Args:
        schemas: the schemas that apply to the value; none if any value is allowed.
        root: the schema that references point into.
    """
    parts = [part for schema in schemas for part in branches(schema, root)]
    types = set[str]().union(*map(_types, parts))
    if types == {"string"}:
        return text
    try:
        value = canonical.loads(_PYTHON_NAMES.get(text.strip(), text))
    except (ValueError, RecursionError):
        return text
    if "string" in types and _type(value) not in types:
        return text
    return value


def _types(schema: Mapping[str, Any]) -> set[str]:
    """Return the names of the types that a schema states, without those that it combines."""
    stated = schema.get("type")
    types = {stated} if isinstance(stated, str) else set(stated or ())
    for value in schema.get("enum", [schema["const"]] if "const" in schema else []):
        types.add(_type(value))
    return types | ({"integer"} if "number" in types else set())


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _parameters(name: str, tools: Sequence[Tool]) -> Mapping[str, Any]:
    """Return the schema of a tool's parameters; empty if there is no such tool."""
    tool = next((tool for tool in tools if tool.get("name") == name), {})
    parameters = tool.get("parameters")
    return parameters if isinstance(parameters, Mapping) else {}


def _function(block: str, tools: Sequence[Tool]) -> list[ToolCall]:
    """Read `<function=f><parameter=a>1</parameter></function>`."""
    whole = _FUNCTION.fullmatch(block)
    if whole is None:
        raise ValueError("not <function=…> … </function>")
    return [ToolCall(whole[1], _pairs(_PARAMETER, whole[2], _parameters(whole[1], tools)))]


def _keyed(block: str, tools: Sequence[Tool]) -> list[ToolCall]:
    """Read `f<arg_key>a</arg_key><arg_value>1</arg_value>`."""
    name = _NAME.match(block.lstrip())
    if name is None:
        raise ValueError("no name")
    rest = block.lstrip()[name.end() :]
    return [ToolCall(name[0], _pairs(_ARGUMENT, rest, _parameters(name[0], tools)))]


def _pairs(pattern: re.Pattern[str], text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    whole = list(branches(parameters, parameters))
    arguments: dict[str, Any] = {}
    position = 0
    while match := pattern.match(text, position):
        if match[1] in arguments:
            raise ValueError(f"{match[1]} occurs twice")
        schemas = [part for branch in whole for part in schemas_of(match[1], branch)]
        arguments[match[1]] = typed(match[2], schemas, parameters)
        position = match.end()
    if text[position:].strip():
        raise ValueError(f"malformed argument: {text[position:].strip()[:40]!r}")
    return arguments


def _gemma(block: str, tools: Sequence[Tool]) -> list[ToolCall]:
    """Read `call:f{a:<|"|>text<|"|>,b:[1,2]}`."""
    block = block.strip()
    name = _NAME.match(block, len("call:")) if block.startswith("call:") else None
    if name is None:
        raise ValueError("not call:NAME{…}")
    value, end = _gemma_value(block, name.end(), 0)
    if not isinstance(value, dict) or block[end:].strip():
        raise ValueError("something after the arguments")
    return [ToolCall(name[0], value)]


def _gemma_value(text: str, start: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    start = _after_space(text, start)
    if text.startswith(_QUOTE, start):
        end = text.find(_QUOTE, start + len(_QUOTE))
        if end < 0:
            raise ValueError("a string without its end")
        return text[start + len(_QUOTE) : end], end + len(_QUOTE)
    if text[start : start + 1] in ("{", "["):
        return _gemma_items(text, start, depth)
    plain = _PLAIN.match(text, start)
    if plain is None:
        raise ValueError("a value is missing")
    word = plain[0].strip()
    return canonical.loads(_PYTHON_NAMES.get(word, word)), plain.end()


def _after_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _gemma_items(text: str, start: int, depth: int) -> tuple[Any, int]:
    is_object = text[start] == "{"
    closing = "}" if is_object else "]"
    items: dict[str, Any] = {}
    values: list[Any] = []
    position = _after_space(text, start + 1)
    while not text.startswith(closing, position):
        key = ""
        if is_object:
            if text.startswith(_QUOTE, position):
                key, position = _gemma_value(text, position, depth + 1)
                colon = position
            else:
                colon = text.find(":", position)
                key = text[position:colon].strip().strip('"')
            if colon < 0 or not text.startswith(":", colon) or not key or key in items:
                raise ValueError("a key is missing or occurs twice")
            position = colon + 1
        value, position = _gemma_value(text, position, depth + 1)
        position = _after_space(text, position)
        if is_object:
            items[key] = value
        else:
            values.append(value)
        if text.startswith(",", position):
            position = _after_space(text, position + 1)
        elif not text.startswith(closing, position):
            raise ValueError(f"no {closing}")
    return (items if is_object else values), position + 1


def _python(block: str, tools: Sequence[Tool]) -> list[ToolCall]:
    calls = parse_python_calls(block)
    if not calls:
        raise ValueError("an empty list of calls")
    return calls


def _read_json(text: str, tools: Sequence[Tool]) -> Parsed:
    """Read an answer that is one JSON object, `{"name": …, "parameters": {…}}`, or a text."""
    thought, rest = split_thinking(text, "{")
    said, marked = rest.strip(), rest.strip().startswith("<|python_tag|>")
    said = said.removeprefix("<|python_tag|>").strip()
    if not marked and not (tools and said.startswith("{")):
        error = "a tool call: <|python_tag|> without a call" if "<|python_tag|>" in said else None
        return Parsed((), said, thought, error or _foreign(said))
    try:
        value, end = canonical.decoder().raw_decode(said)
        _check_arguments(value)
        if not marked and not {"name", "function", "parameters"} & set(value):
            return Parsed((), said, thought)
        if said[end:].strip():
            raise ValueError("something after the JSON object")
        arguments = value.get("parameters", value.get("arguments"))
        others = set(value) - {"name", "parameters", "arguments"}
        if not isinstance(arguments, dict) or (others and value != value | {"type": "function"}):
            raise ValueError('needs the keys "name" and "parameters"')
        if not isinstance(value.get("name"), str) or not value["name"]:
            raise ValueError('"name" must be a non-empty string')
    except RecursionError:
        return Parsed((), "", thought, "a tool call: nested too deeply")
    except (ValueError, AttributeError, TypeError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        return Parsed((), "", thought, f"a tool call: cut off or malformed ({why})")
    return Parsed((ToolCall(value["name"], arguments),), "", thought)


def _foreign(said: str) -> str | None:
    """Return why a text is a call in another syntax, or None."""
    tag = re.search(f"{HERMES.opening}|{HERMES.closing}", said)
    return f"a tool call: malformed ({tag[0]!r})" if tag else broken_call(said)


def _read_harmony(text: str, tools: Sequence[Tool]) -> Parsed:
    """Read messages with headers: ` to=functions.f<|channel|>commentary json<|message|>{"a": 1}`.

    Of messages without a recipient, the channel `analysis` is thinking, and any other a text. A
    text without any header, as servers return it, is a text.
    """
    if not _HARMONY_MARK.search(text):
        return Parsed((), text.strip(), "", broken_call(text.strip()))
    calls: list[ToolCall] = []
    texts: list[str] = []
    thoughts: list[str] = []
    errors: list[str] = []
    for number, part in enumerate(text.split("<|start|>")):
        if not part.strip():
            continue
        header, found, rest = part.partition("<|message|>")
        content, end, after = _split_at(_HARMONY_END, rest)
        recipient = _RECIPIENT.search(header)
        if not found:
            errors.append("a message: cut off (in its header)")
        elif after.strip() or _HARMONY_HEADER.search(content):
            errors.append("a message: something after its end, or a header within it")
        elif number and not header.startswith("assistant"):
            errors.append("a message: of another role")
        elif recipient is None and (end == "<|call|>" or _CONTENT_TYPE.search(header)):
            errors.append("a tool call: without a recipient")
        elif recipient is None:
            (thoughts if "analysis" in header else texts).append(content.strip())
        elif not recipient[1]:
            errors.append("a tool call: to no function")
        else:
            try:
                arguments = canonical.loads(content)
                if not isinstance(arguments, dict):
                    raise ValueError("arguments must be an object")
                _check_arguments(arguments)
                calls.append(ToolCall(recipient[1], arguments))
            except (ValueError, TypeError, RecursionError) as error:
                reason = "nested too deeply" if isinstance(error, RecursionError) else error
                errors.append(f"tool call {len(calls) + 1}: cut off or malformed ({reason})")
    said = "\n".join(filter(None, texts))
    if not errors and (broken := broken_call(said)):
        errors.append(broken)
    return Parsed(tuple(calls), said, "\n".join(filter(None, thoughts)), "; ".join(errors) or None)


def _split_at(pattern: re.Pattern[str], text: str) -> tuple[str, str, str]:
    """Return what is before a pattern, what it matches, and what is after it."""
    found = pattern.search(text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")


def _check_arguments(arguments: Any) -> None:
    """Raise ValueError if JSON cannot hold a call's arguments, or they are nested too deeply."""
    if deeper_than(arguments, MAX_DEPTH):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    canonical.dumps(arguments)


# Texts that have a meaning in a syntax, and that tokenizers may have as special tokens.
MARKS = frozenset(
    (
        "<tool_call>", "</tool_call>", "<|tool_call>", "<tool_call|>", _QUOTE, "<|channel>",
        "<channel|>", "<|tool_call_start|>", "<|tool_call_end|>", "<|python_tag|>", "<think>",
        "</think>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "<|start|>",
        "<|channel|>", "<|message|>", "<|constrain|>",
    )
)  # fmt: skip

SYNTAXES = (
    HERMES,
    _in_blocks(
        "functions",
        "<tool_call>",
        "</tool_call>",
        "qwen3_coder",
        _function,
        "</function>|<parameter=",
    ),
    _in_blocks(
        "keyed", "<tool_call>", "</tool_call>", "glm45", _keyed, "</?arg_key>|</?arg_value>"
    ),
    _in_blocks(
        "gemma",
        "<|tool_call>",
        "<tool_call|>",
        "gemma4",
        _gemma,
        r'<\|"\|>|\Acall:[\w.-]+\{',
        ("<|channel>thought", "<channel|>"),
    ),
    _in_blocks(
        "python",
        "<|tool_call_start|>",
        "<|tool_call_end|>",
        "lfm2",
        _python,
        r"\A\[[\w.]+\(.*\)\]\Z",
    ),
    Syntax("json", "", "", "llama3_json", _read_json),
    Syntax("harmony", "to=functions.", "}", "openai", _read_harmony),
)
"""`hermes`: Hermes, Qwen2.5, Qwen3. `functions`: Qwen3.5 to 3.8, Nemotron 3. `keyed`: GLM 4.5.
`gemma`: Gemma 4. `python`: LFM2. `json`: Llama 3.1 and 3.2. `harmony`: gpt-oss."""
