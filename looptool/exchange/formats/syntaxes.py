"""Calls written in texts, in the syntaxes of various models, instead of in `tool_calls`.

A text that names a tool with arguments but cannot be parsed is refused: as a label, it would teach
the model to write calls as prose instead of making them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from looptool.core import canonical
from looptool.core.answers import call_message
from looptool.core.calls import ToolCall, parse
from looptool.core.samples import Label, Message
from looptool.core.tools import Tool
from looptool.exchange.formats import Changes, Refused
from looptool.exchange.formats.control_tokens import END_OF_TURN
from looptool.exchange.formats.literals import value_of
from looptool.exchange.formats.toolace import LIKE_CALLS, read_calls
from looptool.exchange.formats.turns import calls_of_json, values_in

# opening and closing marks of calls; without the closing mark, calls extend to the end
_MARKS = {
    "<TOOLCALL>": "</TOOLCALL>",  # Nemotron
    "[TOOL_CALLS]": "[/TOOL_CALLS]",  # Mistral
    "<|tool_call|>": "<|/tool_call|>",  # Phi, Granite
    "<|tool_calls|>": "<|/tool_calls|>",
    "<|tool_call_start|>": "<|tool_call_end|>",  # LFM
    "<|python_tag|>": "<|eom_id|>",  # Llama 3
    "<functioncall>": "</functioncall>",  # Glaive
    "<function_call>": "</function_call>",
    "<tool_calls>": "</tool_calls>",
}
_MARKED = re.compile("|".join(map(re.escape, _MARKS)))
_FUNCTION_TAG = re.compile(r"<function=([^>\s]+)>\s*(.*?)\s*(?:</function>|\Z)", re.DOTALL)
_QUOTED_JSON = re.compile(  # Glaive
    r"""\{\s*"name":\s*"([^"\\]+)",\s*"arguments":\s*'\s*(\{.*\})\s*'\s*\}""", re.DOTALL
)
_MISTRAL = re.compile(r"([\w.-]+)\s*(?:\[ARGS\])?\s*(\{.*\})", re.DOTALL)
_FENCE = re.compile(r"```(?:json|python|tool_code|tool_call)?[ \t]*\n(.*?)\n?```", re.DOTALL)
_REACT = re.compile(
    r"(?:Thought:(?P<thought>.*?)\n\s*)?Action:[ \t]*(?P<name>[^\n]+?)[ \t]*\n+"
    r"Action Input:[ \t]*(?P<input>.*?)(?:\n\s*Observation:?\s*)?",
    re.DOTALL,
)
_NAME_KEYS = ("name", "tool", "tool_name", "function", "action")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "action_input", "tool_input")
_NO_CALLS = ("[]", "{}", '{"tool_calls": []}')
_NEAR = 2000  # characters after a tool's name that are searched for its parameters
_CLOSE = 60  # characters after the name in which a parameter alone indicates a call
_NO_VALUE = r"\s*(?:[.;?!)]|and\b|or\b|\Z)"  # after a quoted parameter that is only mentioned
_SENTENCE_END = re.compile(r"[.?!]\s|\n")
_OTHER_KEYS = {"id", "type", "index"}
_FOREIGN = re.compile(
    r"<function[=_s]|<invoke|<\|?tool|\[TOOL_|<TOOLCALL|Action Input:|\bto=functions\.|<｜tool"
)


def read_text(text: str, tools: Sequence[Tool], changes: Changes) -> Message | None:
    """Return an assistant message with the calls in a text, or None if it contains no calls.

    Args:
        tools: tool documents, with the names that calls in the text use.

    Raises:
        Refused: if it contains calls that cannot be parsed.
    """
    message = _read_calls(text, tools, changes)
    if message is None and (name := _named_with_arguments(text, tools)):
        raise Refused(f"names the tool {name!r} with arguments, but not as a call that can be read")
    return message


def read_beside(message: Message, tools: Sequence[Tool], changes: Changes) -> Message:
    """Remove calls from the text of a message with `tool_calls` if they only repeat these.

    Raises:
        Refused: if the text contains other calls, or names another tool with arguments.
    """
    calls = [each["function"] for each in message["tool_calls"]]
    text = message["content"]
    beside = _read_calls(text, tools, Changes())
    if beside is None:
        called = {call["name"] for call in calls}  # the text may describe these calls
        unread = tools if _FOREIGN.search(text) else [t for t in tools if t["name"] not in called]
        if unread and (name := _named_with_arguments(text, unread)):
            raise Refused(f"makes calls, and also names the tool {name!r} with arguments")
        return message
    if [each["function"] for each in beside["tool_calls"]] != calls:
        raise Refused("makes different calls in two ways")
    changes["calls that the text repeats left out of it"] += 1
    return {**message, "content": beside["content"]}


def check_texts(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> None:
    """Check that no assistant text would be read as a call, as a broken one, or as thinking.

    Raises:
        Refused: if one would be.
    """
    texts = [message["content"] for message in messages if message["role"] == "assistant"]
    for text in [*texts, label.get("text", "")]:
        read = parse(text)
        if read.calls or read.error is not None or read_text(text, tools, Changes()):
            raise Refused("a text looks like calls")
        if read.text.strip() != text.strip():
            raise Refused("a text looks like thinking")


def _read_calls(text: str, tools: Sequence[Tool], changes: Changes) -> Message | None:
    said = END_OF_TURN.sub("", text.strip())
    if said in _NO_CALLS:
        raise Refused(f"says {said} instead of words")
    for syntax, reader in _READERS.items():
        message = reader(said, tools, changes)
        if message is not None:
            changes[f"calls read from {syntax}"] += 1
            return message
    return None


def _marked(text: str, tools: Sequence[Tool], changes: Changes) -> Message | None:
    opening = _MARKED.search(text)
    if opening is None:
        return None
    mark, closing = opening[0], _MARKS[opening[0]]
    rest: list[str] = [text[: opening.start()]]
    calls: list[ToolCall] = []
    for part in text[opening.end() :].split(mark):
        body, _, after = part.partition(closing)
        calls += _calls_in(body, tools, changes)
        rest.append(after)
    return call_message(calls, "".join(rest).strip())


def _tagged(text: str, tools: Sequence[Tool], changes: Changes) -> Message | None:
    matches = list(_FUNCTION_TAG.finditer(text))
    if not matches:
        return None
    calls = [
        call
        for each in matches
        for call in _calls_of({"name": each[1], "arguments": each[2] or {}}, changes)
    ]
    return call_message(calls, _FUNCTION_TAG.sub("", text).strip())


def _react(text: str, tools: Sequence[Tool], changes: Changes) -> Message | None:
    match = _REACT.fullmatch(text)
    if match is None:
        return None
    if "\nAction:" in match["input"] or "\nObservation:" in match["input"]:
        raise Refused("contains several steps of Action and Observation")
    if match["thought"]:
        changes["thinking left out"] += 1
    return call_message(_calls_of({"name": match["name"], "arguments": match["input"]}, changes))


def _alone(text: str, tools: Sequence[Tool], changes: Changes) -> Message | None:
    """Read a text that consists only of calls, fenced or bare, as JSON or Python."""
    fence = _FENCE.fullmatch(text)
    body = (fence[1] if fence else text).strip()
    names = [tool["name"] for tool in tools]
    named = body.startswith(tuple(f"{name}(" for name in names)) and body.endswith(")")
    listed = LIKE_CALLS.fullmatch(body) is not None
    if not (named or listed or _looks_like_json_calls(body)):
        return None
    return call_message(_calls_in(body, tools, changes))


_READERS = {
    "tagged JSON": _marked,
    "<function=name>": _tagged,
    "ReAct's Action": _react,
    "a text that is calls alone": _alone,
}


def _calls_in(body: str, tools: Sequence[Tool], changes: Changes) -> list[ToolCall]:
    body = END_OF_TURN.sub("", body.strip())
    if match := _QUOTED_JSON.fullmatch(body):
        # not a Python literal, though it looks like one: the JSON in the quotes is not escaped
        arguments = match[2].replace("\\'", "'")
        return _calls_of({"name": match[1], "arguments": arguments}, changes)
    if body.startswith(("{", "[")):
        try:
            return _calls_of(_values_of(body, changes), changes)
        except Refused:
            raise
        except ValueError as error:
            if body.startswith("{"):
                raise Refused(f"the calls are not valid JSON: {error}") from None
    if match := _MISTRAL.fullmatch(body):
        return _calls_of({"name": match[1], "arguments": match[2]}, changes)
    names = [tool["name"] for tool in tools]
    return read_calls(body if body.startswith("[") else f"[{body}]", names)


def _values_of(body: str, changes: Changes) -> Any:
    """Parse a text's value, or the list of its values in sequence.

    Raises:
        ValueError: if it is neither JSON nor Python literals.
    """
    try:
        return value_of(body, changes)
    except ValueError:
        return values_in(body, changes)


def _calls_of(value: Any, changes: Changes) -> list[ToolCall]:
    if isinstance(value, Mapping) and set(value) == {"tool_calls"}:
        value = value["tool_calls"]
    items = value if isinstance(value, list) else [value]
    return calls_of_json([_plain_item(item) for item in items], changes)


def _plain_item(item: Any) -> Any:
    """Rename the keys of a call to `name` and `arguments` if it uses other ones."""
    if not isinstance(item, Mapping):
        return item
    keys = set(item) - _OTHER_KEYS
    name = [key for key in _NAME_KEYS if key in keys and isinstance(item[key], str)]
    arguments = [key for key in _ARGUMENT_KEYS if key in keys]
    if len(name) == len(arguments) == 1 and keys == {*name, *arguments}:
        return {"name": item[name[0]], "arguments": item[arguments[0]]}
    return item


def _looks_like_json_calls(body: str) -> bool:
    if not (body.startswith(("{", "[")) and body.endswith(("}", "]"))):
        return False
    try:
        value = _values_of(body, Changes())
    except ValueError:
        return False
    if isinstance(value, Mapping) and set(value) == {"tool_calls"}:
        value = value["tool_calls"]
    items = [_plain_item(item) for item in (value if isinstance(value, list) else [value])]
    return bool(items) and all(
        isinstance(item, Mapping)
        and (
            {"name", "arguments"} == set(item)
            or (isinstance(item.get("function"), Mapping) and "name" in item["function"])
        )
        for item in items
    )


def _named_with_arguments(text: str, tools: Sequence[Tool]) -> str | None:
    """Return the tool that a text names together with arguments, or None.

    Prose that only mentions a tool does not count. The name must be between punctuation marks or
    not look like a word, and one of the tool's parameters must follow as a key. If a parameter
    follows closely, the name alone is enough.
    """
    pattern, parameters = _signs_of_calls(canonical.dumps([_outline(tool) for tool in tools]))
    foreign = _FOREIGN.search(text) is not None
    for match in pattern.finditer(text):
        name, end = match["name"], match.end("name")
        after = text[end : end + _NEAR]
        if foreign or re.match(r"""\((?:\s*\)|\s*["'\d{\[])|\[["'\w]""", after):
            return name
        if parameters[name].search(_SENTENCE_END.split(after[:_CLOSE], maxsplit=1)[0]):
            return name
        marked = match["before"] is not None and re.match(
            r"""\s*(?:["'`(\[{<:>|*,]|\n|\Z)""", after
        )
        is_no_word = not name.isalpha() or not name[1:].islower()
        if (marked or is_no_word) and parameters[name].search(after):
            return name
    return None


def _outline(tool: Tool) -> list[Any]:
    return [tool["name"], sorted(tool["parameters"].get("properties", {}))]


@lru_cache(maxsize=256)
def _signs_of_calls(outlines: str) -> tuple[re.Pattern[str], Mapping[str, re.Pattern[str]]]:
    """Return a pattern of the tools' names, and by name a pattern of its parameters as keys."""
    tools = canonical.loads(outlines)
    names = "|".join(re.escape(name) for name, _ in sorted(tools, key=lambda t: -len(t[0])))
    pattern = re.compile(
        rf"""(?P<before>["'`=:.>\[<({{|*/]\s?|^)?(?<![\w-])(?P<name>{names})(?![\w-])""",
        re.MULTILINE,
    )
    return pattern, {name: _keys(parameters) for name, parameters in tools}


def _keys(parameters: Sequence[str]) -> re.Pattern[str]:
    if not parameters:
        return re.compile(r"\A\W*(?:\(\s*\)|\{\s*\})")
    listed = "|".join(map(re.escape, sorted(parameters, key=len, reverse=True)))
    return re.compile(
        rf"""["'`]\s*(?:{listed})\s*["'`](?!{_NO_VALUE})|[<>]\s*(?:{listed})\s*[<>]"""
        rf"""|(?<!\w)(?:{listed})\s*[=:]"""
    )
