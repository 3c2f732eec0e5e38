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
from looptool.core.answers import read_answer
from looptool.core.calls import MAX_DEPTH, Parsed, ToolCall
from looptool.core.python_calls import parse_python_calls
from looptool.core.tools import Tool

ReadBlock = Callable[[str, Sequence[Tool]], Sequence[ToolCall]]

_FUNCTION = re.compile(r"\s*<function=([^<>\n]+)>\s*(.*?)\s*</function>\s*", re.DOTALL)
_PARAMETER = re.compile(r"\s*<parameter=([^<>\n]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_ARGUMENT = re.compile(r"\s*<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>\s*", re.DOTALL)
_NAME = re.compile(r"[^\s{}<>]+")
_QUOTE = '<|"|>'
_PLAIN = re.compile(r"[^,\[\]{}<>]+")


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a family of models writes calls.

    Attributes:
        name: for messages and reports.
        opening, closing: the texts around calls; empty where a call is the whole answer.
        read: returns the calls, text, thinking and error of an answer to a prompt with these tools.
    """

    name: str
    opening: str
    closing: str
    read: Callable[[str, Sequence[Tool]], Parsed]


def _in_blocks(name: str, opening: str, closing: str, read_block: ReadBlock) -> Syntax:
    """Return a syntax that writes calls between two texts."""
    cut_off = re.compile(
        "|".join(re.escape(opening[:end]) for end in range(len(opening) - 1, 0, -1))
    )

    def read(text: str, tools: Sequence[Tool]) -> Parsed:
        thinking, rest = split_thinking(text)
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
                    canonical.dumps(call.arguments)
                calls += made
            except (ValueError, TypeError, RecursionError) as error:
                reason = "nested too deeply" if isinstance(error, RecursionError) else error
                errors.append(f"tool call {number}: {reason}")
            texts.append(after)
        said = "".join(texts).strip()
        last = said.rpartition("\n")[2]
        if not errors and last and cut_off.fullmatch(last):
            errors.append("a tool call: cut off (in its opening tag)")
        return Parsed(tuple(calls), said, thinking, "; ".join(errors) or None)

    return Syntax(name, opening, closing, read)


def split_thinking(text: str) -> tuple[str, str]:
    """Return the thinking before the last `</think>`, and the rest; unclosed, it is all of it."""
    before, closed, after = text.rpartition("</think>")
    if closed:
        return before.replace("<think>", "").strip(), after
    if text.lstrip().startswith("<think>"):
        return text.replace("<think>", "", 1).strip(), ""
    return "", text


def typed(text: str, schema: Any) -> Any:
    """Return the value that an unquoted text stands for, by the types that its schema allows.

    A text that fits no other type stays a string, so that a wrong type is a wrong argument and not
    a malformed call.
    """
    types = _types(schema)
    if types == {"string"}:
        return text
    try:
        value = canonical.loads(text)
    except (ValueError, RecursionError):
        return text
    if "string" in types and _type(value) not in types:
        return text
    return value


def _types(schema: Any) -> set[str]:
    """Return the names of the types that a schema allows; empty if it does not say."""
    if not isinstance(schema, Mapping):
        return set()
    stated = schema.get("type")
    types = {stated} if isinstance(stated, str) else set(stated or ())
    for value in schema.get("enum", [schema["const"]] if "const" in schema else []):
        types.add(_type(value))
    for name in ("anyOf", "oneOf"):
        for part in schema.get(name) or ():
            types |= _types(part)
    return types | ({"integer"} if "number" in types else set())


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _schemas(name: str, tools: Sequence[Tool]) -> Mapping[str, Any]:
    tool = next((tool for tool in tools if tool["name"] == name), None)
    parameters = tool["parameters"].get("properties") if tool else None
    return parameters if isinstance(parameters, Mapping) else {}


def _function(block: str, tools: Sequence[Tool]) -> list[ToolCall]:
    """Read `<function=f><parameter=a>1</parameter></function>`."""
    whole = _FUNCTION.fullmatch(block)
    if whole is None:
        raise ValueError("not <function=…> … </function>")
    return [ToolCall(whole[1], _pairs(_PARAMETER, whole[2], _schemas(whole[1], tools)))]


def _keyed(block: str, tools: Sequence[Tool]) -> list[ToolCall]:
    """Read `f<arg_key>a</arg_key><arg_value>1</arg_value>`."""
    name = _NAME.match(block.lstrip())
    if name is None:
        raise ValueError("no name")
    rest = block.lstrip()[name.end() :]
    return [ToolCall(name[0], _pairs(_ARGUMENT, rest, _schemas(name[0], tools)))]


def _pairs(pattern: re.Pattern[str], text: str, schemas: Mapping[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    position = 0
    while match := pattern.match(text, position):
        if match[1] in arguments:
            raise ValueError(f"{match[1]} occurs twice")
        arguments[match[1]] = typed(match[2], schemas.get(match[1]))
        position = match.end()
    if text[position:].strip():
        raise ValueError(f"malformed argument: {text[position:].strip()[:40]!r}")
    return arguments


def _gemma(block: str, tools: Sequence[Tool]) -> list[ToolCall]:
    """Read `call:f{a:<|"|>text<|"|>,b:[1,2]}`."""
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
    return canonical.loads({"None": "null", "True": "true", "False": "false"}.get(word, word)), (
        plain.end()
    )


def _gemma_items(text: str, start: int, depth: int) -> tuple[Any, int]:
    is_object = text[start] == "{"
    closing = "}" if is_object else "]"
    items: dict[str, Any] = {}
    values: list[Any] = []
    position = start + 1
    while not text.startswith(closing, position):
        key = ""
        if is_object:
            if text.startswith(_QUOTE, position):
                key, position = _gemma_value(text, position, depth + 1)
                colon = position
            else:
                colon = text.find(":", position)
                key = text[position:colon]
            if colon < 0 or not text.startswith(":", colon) or not key or key in items:
                raise ValueError("a key is missing or occurs twice")
            position = colon + 1
        value, position = _gemma_value(text, position, depth + 1)
        if is_object:
            items[key] = value
        else:
            values.append(value)
        if text.startswith(",", position):
            position += 1
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
    thinking, rest = split_thinking(text)
    said = rest.strip().removeprefix("<|python_tag|>").strip()
    if not tools or not said.startswith("{"):
        return Parsed((), said, thinking)
    try:
        value, end = canonical.decoder().raw_decode(said)
        canonical.dumps(value)
        if said[end:].strip():
            raise ValueError("something after the JSON object")
        arguments = value.get("parameters", value.get("arguments"))
        if len(value) != 2 or not isinstance(arguments, dict):
            raise ValueError('needs exactly the keys "name" and "parameters"')
        if not isinstance(value.get("name"), str) or not value["name"]:
            raise ValueError('"name" must be a non-empty string')
    except RecursionError:
        return Parsed((), "", thinking, "a tool call: nested too deeply")
    except ValueError as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        return Parsed((), "", thinking, f"a tool call: cut off or malformed ({why})")
    return Parsed((ToolCall(value["name"], arguments),), "", thinking)


HERMES = Syntax("hermes", "<tool_call>", "</tool_call>", lambda text, tools: read_answer(text))
SYNTAXES = (
    HERMES,
    _in_blocks("functions", "<tool_call>", "</tool_call>", _function),
    _in_blocks("keyed", "<tool_call>", "</tool_call>", _keyed),
    _in_blocks("gemma", "<|tool_call>", "<tool_call|>", _gemma),
    _in_blocks("python", "<|tool_call_start|>", "<|tool_call_end|>", _python),
    Syntax("json", "", "", _read_json),
)
"""`hermes`: Hermes, Qwen2.5, Qwen3. `functions`: Qwen3.5 to 3.8, Nemotron 3. `keyed`: GLM 4.5.
`gemma`: Gemma 4. `python`: LFM2. `json`: Llama 3.1 and 3.2."""
