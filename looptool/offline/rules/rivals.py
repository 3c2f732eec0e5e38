"""Rivals of a label: other answers that the request may ask for, made from what it says.

A label without a prediction is compared with these. Each differs from the label in one point that
labels often get wrong: a value, an argument, a call, a tool, or whether to call at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from looptool.core.calls import ToolCall
from looptool.core.samples import Label, call_label, text_label
from looptool.core.tools import Tool, check_call
from looptool.offline.rules import weights
from looptool.offline.rules.answers import Answer, Leaf, all_leaves
from looptool.offline.rules.conversation import Mention
from looptool.offline.rules.dates import read_value
from looptool.offline.rules.relevance import binding, properties, relevance, required

DECLINES = "None of the tools can do that."


def rivals(answer: Answer, tools: Mapping[str, Tool]) -> Iterator[Label]:
    """Yield other answers to the same request; those that break a schema are left out."""
    every = list(tools.values())
    made = _of_text(answer, tools) if answer.text is not None else _of_calls(answer, tools)
    for calls in made:
        if not any(check_call(call, every) for call in calls):
            yield call_label(calls)
    if answer.calls:
        yield text_label(DECLINES)
    yield from map(text_label, _questions(answer))


def _of_calls(answer: Answer, tools: Mapping[str, Tool]) -> Iterator[list[ToolCall]]:
    """Yield answers that differ from some calls in one point."""
    calls = answer.calls
    if len(calls) > 1:
        for index in range(len(calls)):
            yield calls[:index] + calls[index + 1 :]
    for index, call in enumerate(calls):
        leaves = [leaf for leaf in answer.leaves[index] if len(leaf.path) == 1]
        for leaf in leaves:
            if not leaf.required:
                yield _with(calls, index, _without(call, leaf))
            for value in _others(leaf, answer):
                yield _with(calls, index, _changed(call, leaf, value))
        for place, one in enumerate(leaves):
            for two in leaves[place + 1 :]:
                if one.kind == two.kind and one.text != two.text:
                    swapped = _changed(_changed(call, one, two.value), two, one.value)
                    yield _with(calls, index, swapped)
        for added in _added(call, tools.get(call.name), answer):
            yield _with(calls, index, added)
        for tool in tools.values() if not answer.waiting else ():
            if tool["name"] != call.name:
                kept = {k: v for k, v in call.arguments.items() if k in properties(tool)}
                yield _with(calls, index, ToolCall(tool["name"], kept))
                if filled := _filled(tool, answer):
                    yield _with(calls, index, filled)


def _of_text(answer: Answer, tools: Mapping[str, Tool]) -> Iterator[list[ToolCall]]:
    """Yield a call of each tool that the request may be about, with the values that it gives."""
    for tool in tools.values():
        if relevance(tool, answer.conversation) >= weights.RIVAL_RELEVANT and (
            call := _filled(tool, answer)
        ):
            yield [call]


def _others(leaf: Leaf, answer: Answer) -> Iterator[Any]:
    """Yield other values for an argument: mentions left unused, or its other choices."""
    if isinstance(leaf.value, bool):
        yield not leaf.value
    elif "enum" in leaf.schema:
        yield from (choice for choice in leaf.schema["enum"] if choice != leaf.value)
    elif not (isinstance(leaf.value, list) and leaf.ground.strength >= weights.SAID):
        for mention in answer.conversation.mentions:
            if not answer.takes_up(mention) and not _in_another_form(mention, leaf.value):
                yield from _values(mention, leaf.schema, answer, like=leaf.value)


def _in_another_form(mention: Mention, value: Any) -> bool:
    """Whether a value may be a mention in the form that a parameter wants: "Oslo, NO", -119.5."""
    said, given = mention.text.lower(), str(value).lower()
    return said in given or given.lstrip("-") in said


def _added(call: ToolCall, tool: Tool | None, answer: Answer) -> Iterator[ToolCall]:
    """Yield a call with one more argument, from a mention that the answer leaves unused."""
    for name, schema in properties(tool).items():
        if name in call.arguments or not isinstance(schema, Mapping):
            continue
        for mention in answer.conversation.mentions:
            if not answer.takes_up(mention):
                for value in _values(mention, schema, answer):
                    yield ToolCall(call.name, {**call.arguments, name: value})


def _filled(tool: Tool, answer: Answer) -> ToolCall | None:
    """Return a call with all required arguments from the request, or None if one is missing."""
    free = list(answer.conversation.mentions)
    arguments: dict[str, Any] = {}
    for name in required(tool):
        schema = properties(tool).get(name)
        options = [
            (binding(tool, name, [mention.span], answer.conversation), -place, value)
            for place, mention in enumerate(free)
            for value in _values(mention, schema if isinstance(schema, Mapping) else {}, answer)
        ]
        if not options:
            return None
        _, place, arguments[name] = max(options, key=lambda option: option[:2])
        del free[-place]
    return ToolCall(tool["name"], arguments)


def _values(
    mention: Mention, schema: Mapping[str, Any], answer: Answer, like: Any = None
) -> Iterator[Any]:
    """Yield what a mention may be as a value of a schema, written like another value."""
    kind = schema.get("type")
    if kind in ("integer", "number") or (kind is None and isinstance(like, int | float)):
        if mention.kind == "number":
            for number in answer.conversation.numbers:
                if (number.start, number.end) == mention.span and number.values:
                    value = max(number.values, key=lambda reading: reading[1])[0]
                    if kind != "integer" or value == int(value):
                        yield int(value) if value == int(value) else value
    elif "enum" in schema:
        said = mention.text.lower()
        yield from (c for c in schema["enum"] if isinstance(c, str) and c.lower() == said)
    elif kind == "array":
        items = schema.get("items")
        for item in _values(mention, items if isinstance(items, Mapping) else {}, answer):
            yield [item]
    elif kind in ("string", None):
        about = f"{schema.get('format', '')} {schema.get('description', '')}".lower()
        dated = bool(read_value(like)[0]) if isinstance(like, str) else "date" in about
        if mention.kind == "date" and dated:
            for day in answer.conversation.days:
                if (day.start, day.end) == mention.span:
                    for year, month, date in sorted(day.days, key=str)[:1]:
                        if None not in (year, month, date):
                            yield f"{year:04d}-{month:02d}-{date:02d}"
        elif mention.kind in ("quoted", "code", "name") and not dated:
            yield mention.text


def _questions(answer: Answer) -> Iterator[str]:
    """Yield a question about each required value that the request gives for something else."""
    for leaf in all_leaves(answer):
        if leaf.required and answer.used_besides(leaf, leaf.ground.spans):
            yield f"Which {leaf.path[-1].replace('_', ' ')} do you mean?"


def _with(calls: Sequence[ToolCall], index: int, call: ToolCall) -> list[ToolCall]:
    return [*calls[:index], call, *calls[index + 1 :]]


def _without(call: ToolCall, leaf: Leaf) -> ToolCall:
    return ToolCall(call.name, {k: v for k, v in call.arguments.items() if k != leaf.path[0]})


def _changed(call: ToolCall, leaf: Leaf, value: Any) -> ToolCall:
    return ToolCall(call.name, {**call.arguments, leaf.path[0]: value})
