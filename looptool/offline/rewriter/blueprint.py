"""The blueprint of an error seed: the values in its calls, and where its conversation says them.

It is read from the tools, the messages and the current label alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from looptool.core import canonical
from looptool.core.calls import ToolCall
from looptool.core.samples import Message, label_calls
from looptool.core.tools import Tool
from looptool.english.dates import read_date
from looptool.expansion import ErrorSeed
from looptool.offline.grammar.inference import slot_of
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.toolbox import action_of
from looptool.offline.rewriter.mentions import Mention, locate, overlap


@dataclass(frozen=True, slots=True)
class Parameter:
    """The place of a scalar in a call.

    Attributes:
        name: the name of the nearest argument or property.
        schema: the schema of the scalar itself.
        slot: the argument that it is, or is a part of, as the synthesis reads it.
        path: the path into that argument: property names, and None for an item of a list.
    """

    name: str
    schema: Mapping[str, Any]
    slot: Slot = field(compare=False)
    path: tuple[str | None, ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar that occurs in calls.

    Attributes:
        parameters: the distinct places where it occurs.
        mentions: where the user or the assistant says it; see `Blueprint.texts`.
        responded: whether a tool's response contains it.
        fixed: whether it must stay, because it is not said, or not said unambiguously.
    """

    value: Any
    parameters: tuple[Parameter, ...]
    mentions: tuple[Mention, ...]
    responded: bool
    fixed: bool


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The values of an error seed and the texts that their mentions point into.

    Attributes:
        values: the values by their canonical JSON.
        texts: one for each message: what the user or the assistant says, else "".
    """

    values: dict[str, Value]
    texts: tuple[str, ...]


def read_blueprint(seed: ErrorSeed) -> Blueprint:
    """Find the values of all calls, in the label and the conversation, and their mentions."""
    texts = tuple(
        message.get("content") or "" if message["role"] in ("user", "assistant") else ""
        for message in seed.messages
    )
    system = [m["content"] for m in seed.messages if m["role"] == "system" and m.get("content")]
    responses = {
        canonical.dumps(leaf)
        for message in seed.messages
        if message["role"] == "tool"
        for leaf in leaves(read_response(message["content"]))
    }
    places = _places(seed)
    mentions = _visible({key: locate(value, texts) for key, (value, _) in places.items()})
    unsaid = any(
        not mentions[key] and key not in responses and _should_be_said(value, parameters)
        for key, (value, parameters) in places.items()
    )
    return Blueprint(
        {
            key: Value(
                value,
                parameters,
                mentions[key],
                key in responses,
                _is_fixed(value, parameters, mentions[key], key in responses, unsaid)
                or bool(locate(value, system)),
            )
            for key, (value, parameters) in places.items()
        },
        texts,
    )


def all_calls(seed: ErrorSeed) -> list[ToolCall]:
    """Return the calls of the conversation, then those of the label."""
    return [*history_calls(seed.messages), *label_calls(seed.label)]


def history_calls(messages: list[Message]) -> list[ToolCall]:
    """Return the calls that the assistant has made so far."""
    return [
        ToolCall(call["function"]["name"], call["function"]["arguments"])
        for message in messages
        for call in message.get("tool_calls") or ()
    ]


def leaves(value: Any) -> Iterator[Any]:
    """Yield the scalars inside a JSON value."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def read_response(content: str) -> Any:
    """Return a tool's response as parsed JSON, or as text if it is not JSON."""
    try:
        return canonical.loads(content)
    except ValueError:
        return content


def parameters_of(call: ToolCall, tools: list[Tool]) -> Mapping[str, Any]:
    """Return the schema of a call's arguments; empty for an unknown tool."""
    return next((tool["parameters"] for tool in tools if tool["name"] == call.name), {})


def _inside(
    value: Any, schema: Any, name: str, slot: Slot, path: tuple[str | None, ...]
) -> Iterator[tuple[Any, Parameter]]:
    """Yield the scalars inside an argument with their places."""
    schema = schema if isinstance(schema, Mapping) else {}
    if isinstance(value, Mapping):
        properties = schema.get("properties") or {}
        for key, item in value.items():
            yield from _inside(item, properties.get(key), key, slot, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _inside(item, schema.get("items"), name, slot, (*path, None))
    elif value is not None:
        yield value, Parameter(name, schema, slot, path)


def _places(seed: ErrorSeed) -> dict[str, tuple[Any, tuple[Parameter, ...]]]:
    """Return each scalar of all calls with the places where it occurs, by canonical JSON."""
    places: dict[str, tuple[Any, tuple[Parameter, ...]]] = {}
    documents = {tool["name"]: tool for tool in seed.tools}
    for call in all_calls(seed):
        if call.name not in documents:
            continue
        slots = action_of(documents[call.name], call.arguments).slots
        for name, argument in call.arguments.items():
            slot = slots.get(name) or slot_of(name, {}, False, argument)
            for value, parameter in _inside(argument, slot.schema, name, slot, ()):
                key = canonical.dumps(value)
                _, known = places.get(key, (value, ()))
                places[key] = (value, known if parameter in known else (*known, parameter))
    return places


def _visible(mentions: dict[str, list[Mention]]) -> dict[str, tuple[Mention, ...]]:
    """Drop mentions inside a longer mention of another value, such as the 3 in "3 May 2024"."""
    everything = [(key, mention) for key in mentions for mention in mentions[key]]
    return {
        key: tuple(
            mention
            for mention in mentions[key]
            if not any(
                other_key != key
                and overlap(mention, other)
                and other.end - other.start > mention.end - mention.start
                for other_key, other in everything
            )
        )
        for key in mentions
    }


def _should_be_said(value: Any, parameters: tuple[Parameter, ...]) -> bool:
    """Whether a value that is not found verbatim may be said in other words."""
    return not isinstance(value, bool) and not any("enum" in p.schema for p in parameters)


def _is_fixed(
    value: Any,
    parameters: tuple[Parameter, ...],
    mentions: tuple[Mention, ...],
    responded: bool,
    unsaid: bool,
) -> bool:
    """Whether a value must stay; see `Value.fixed`."""
    if isinstance(value, bool) or not (mentions or responded):
        return True
    if read_date(value):
        return False  # dates move together or not at all
    if mentions and len(mentions) < len({p.name for p in parameters}) and not responded:
        return True  # said once, passed twice: the other may come from other words
    # The words for a value not found ("2 hours" for 120) may contain one of these mentions.
    is_number = isinstance(value, int | float)
    return unsaid and is_number and len(mentions) > 1
