"""An answer as the rules judge reads it: the leaves of its calls, and where values come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looptool.core import canonical
from looptool.core.calls import ToolCall
from looptool.core.samples import Label, label_calls
from looptool.core.tools import Tool, check_call
from looptool.offline.rules import weights
from looptool.offline.rules.conversation import Conversation, Mention
from looptool.offline.rules.dates import read_value
from looptool.offline.rules.grounding import Ground, ground
from looptool.offline.rules.relevance import (
    about,
    binding,
    properties,
    relevance,
    required,
)
from looptool.offline.rules.spans import Span, overlap
from looptool.offline.rules.words import content_stems, split_words, stem


@dataclass(frozen=True, slots=True)
class Leaf:
    """One argument, or one property of an argument that is an object."""

    call: int
    path: tuple[str, ...]
    value: Any
    schema: Mapping[str, Any]
    holder: Tool | None  # the tool, or the object's schema in the form of one
    required: bool
    ground: Ground
    text: str  # the value as canonical JSON

    @property
    def kind(self) -> str:
        """Return the kind of the value: boolean, enum, number, text or list."""
        if isinstance(self.value, bool):
            return "boolean"
        if "enum" in self.schema or self.is_listed:
            return "enum"
        if isinstance(self.value, int | float):
            return "number"
        return "list" if isinstance(self.value, list) else "text"

    @property
    def is_exact(self) -> bool:
        """Whether the value is a number or has digits; other texts may be paraphrases."""
        return self.kind == "number" or re.search(r"\d", self.text) is not None

    @property
    def is_listed(self) -> bool:
        """Whether the parameter's description contains the value, as an example or a choice."""
        said = str(self.schema.get("description", "")).lower()
        return isinstance(self.value, str) and len(self.value) > 2 and self.value.lower() in said

    def __str__(self) -> str:
        """Return the leaf as path=value, for rationales."""
        return f"{'.'.join(self.path)}={self.text}"


@dataclass
class Answer:
    """A label or prediction, read against the tools and the conversation.

    Attributes:
        keys: the calls as canonical JSON.
        errors: the schema violations.
        used: the spans that its values come from.
        consumed: the spans that the values of calls made since the last request come from.
        counted: the spans that say how many calls are asked for, if the answer makes that many.
        waiting: whether a tool that fits the request has not been called yet; the parts of the
            request that the answer leaves unused may be meant for it.
    """

    side: str
    text: str | None
    calls: list[ToolCall]
    keys: list[str]
    tools: list[Tool | None]
    leaves: list[list[Leaf]]
    errors: list[str]
    conversation: Conversation
    used: list[Span] = field(default_factory=list)
    consumed: frozenset[Span] = frozenset()
    counted: Sequence[Span] = ()
    waiting: bool = False

    def uses(self, spans: Sequence[Span]) -> bool:
        """Whether some value of this answer comes from one of the spans."""
        return overlap(spans, self.used)

    def takes_up(self, mention: Mention) -> bool:
        """Whether a value or the number of calls comes from a mention.

        The values of calls made since the last request count too.
        """
        return overlap([mention.span], [*self.used, *self.consumed, *self.counted])

    def used_besides(self, leaf: Leaf, spans: Sequence[Span]) -> bool:
        """Whether other parameters of the same call use all the spans of a value."""
        others = [
            other.ground.spans
            for other in self.leaves[leaf.call]
            if other.path != leaf.path
            and other.ground.strength >= weights.SAID
            and overlap(spans, other.ground.spans)
        ]
        return 0 < len(spans) <= len(others) and all(
            any(overlap([span], taken) for taken in others) for span in spans
        )

    def used_before(self, leaf: Leaf) -> bool:
        """Whether calls since the last request have already used all the spans of a value."""
        spans = leaf.ground.spans
        return bool(spans) and all(span in self.consumed for span in spans)


def read(label: Label, side: str, tools: Mapping[str, Tool], conversation: Conversation) -> Answer:
    """Read a label or prediction.

    Args:
        side: `label` or `prediction`.
        tools: the tools by name.
    """
    calls = list(label_calls(label))
    of_calls = [tools.get(call.name) for call in calls]
    leaves = [
        list(_leaves(index, (), call.arguments, tool, conversation))
        for index, (call, tool) in enumerate(zip(calls, of_calls, strict=True))
    ]
    every = list(tools.values())
    answer = Answer(
        side,
        label.get("text"),
        calls,
        [canonical.dumps(call.to_json()) for call in calls],
        of_calls,
        leaves,
        [error for call in calls if (error := check_call(call, every))],
        conversation,
    )
    answer.used = [
        span
        for leaf in all_leaves(answer)
        if leaf.ground.strength >= weights.USED
        for span in leaf.ground.spans
    ]
    answer.consumed = frozenset(
        span
        for done in conversation.recent
        for leaf in _leaves(0, (), done.arguments, tools.get(done.name), conversation)
        for span in leaf.ground.spans
    )
    called = {call.name for call in [*calls, *conversation.executed]}
    answer.waiting = any(
        relevance(tool, conversation) > weights.RELEVANCE_WAITING
        for tool in every
        if tool["name"] not in called
    )
    return answer


def all_leaves(answer: Answer) -> Iterator[Leaf]:
    """Yield the leaves of all calls."""
    for leaves in answer.leaves:
        yield from leaves


def _leaves(
    call: int,
    path: tuple[str, ...],
    values: Mapping[str, Any],
    holder: Tool | None,
    conversation: Conversation,
) -> Iterator[Leaf]:
    """Yield the leaves of a call's arguments; objects are taken apart."""
    known = properties(holder)
    for name, value in values.items():
        schema = known.get(name)
        schema = schema if isinstance(schema, Mapping) else {}
        if isinstance(value, dict) and value:
            inner = {
                "name": name,
                "description": schema.get("description", ""),
                "parameters": schema,
            }
            yield from _leaves(call, (*path, name), value, inner, conversation)
        else:
            yield Leaf(
                call,
                (*path, name),
                value,
                schema,
                holder,
                name in required(holder),
                ground(value, schema, about(holder, name), conversation),
                canonical.dumps(value),
            )


def bound(leaf: Leaf, spans: Sequence[Span], conversation: Conversation) -> float:
    """Return how strongly the words around some spans suggest the parameter of a leaf."""
    return binding(leaf.holder, leaf.path[-1], spans, conversation)


def fresh(spans: Sequence[Span], conversation: Conversation) -> bool:
    """Whether one of the spans is in the last request or after it."""
    return any(conversation.is_fresh(span) for span in spans)


def claim(leaf: Leaf, conversation: Conversation) -> float:
    """Return how surely a value is what the request gives for its parameter, from 0 to 1.

    This is the strength of its ground. It is lower for a text that is only words of the tool's
    document, is part of a longer name or code, lacks the form that its parameter needs (an id
    without a digit), or is said only in the system message.
    """
    strength, spans = leaf.ground.strength, leaf.ground.spans
    if leaf.kind not in ("text", "list") or not spans:
        return strength
    if _is_tool_word(leaf, all(_is_plain(span, conversation) for span in spans)):
        return min(strength, weights.CLAIM_TOOL_WORD)
    if leaf.kind == "text" and all(_is_piece(span, conversation) for span in spans):
        return min(strength, weights.CLAIM_PIECE)
    if leaf.kind == "text" and not _has_form(leaf):
        return min(strength, weights.CLAIM_FORMLESS)
    if all(conversation.role_at(span[0]) == "system" for span in spans):
        return min(strength, weights.CLAIM_SYSTEM)
    return strength


def rival(leaf: Leaf, conversation: Conversation) -> bool:
    """Whether the words around a value clearly suggest a sibling parameter instead."""
    strength = bound(leaf, leaf.ground.spans, conversation)
    needed = max(weights.RIVAL_BINDING, strength + weights.RIVAL_LEAD)
    return any(
        binding(leaf.holder, name, leaf.ground.spans, conversation) > needed
        for name in properties(leaf.holder)
        if name != leaf.path[-1]
    )


def _is_plain(span: Span, conversation: Conversation) -> bool:
    """Whether a span is in lower case and inside no mention."""
    said = conversation.text[span[0] : span[1]]
    return said.islower() and not any(
        m.start <= span[0] and span[1] <= m.end for m in conversation.mentions
    )


def _has_form(leaf: Leaf) -> bool:
    """Whether a text has the form that its parameter suggests: a digit in an id, a dot in a URL."""
    words = {*split_words(leaf.path[-1]), *split_words(str(leaf.schema.get("format", "")))}
    if words & {"id", "identifier"}:
        return re.search(r"\d", leaf.text) is not None
    if words & {"url", "mail", "email", "link", "website", "uri"}:
        return re.search(r"[.@/]", leaf.text) is not None
    described = str(leaf.schema.get("description", ""))
    if isinstance(leaf.value, str) and re.search(r"YYYY|HH:MM", described):
        days, minutes = read_value(leaf.value)
        return bool(days if "YYYY" in described else minutes)
    return True


def _is_tool_word(leaf: Leaf, plain: bool) -> bool:
    """Whether a text is only words of the tool's document; of its parameters only if `plain`."""
    values = leaf.value if isinstance(leaf.value, list) else [leaf.value]
    if not leaf.holder or not all(isinstance(value, str) for value in values):
        return False
    known = set(content_stems(f"{leaf.holder['name']} {leaf.holder.get('description', '')}"))
    for name in properties(leaf.holder) if plain else ():
        known |= {*content_stems(about(leaf.holder, name)), *map(stem, split_words(name))}
    words = {word for value in values for word in content_stems(value)}
    return bool(words) and words <= known


def _is_piece(span: Span, conversation: Conversation) -> bool:
    """Whether a span is only a part of something that the request names or quotes."""
    return any(
        m.start <= span[0] and span[1] <= m.end and span[1] - span[0] < m.end - m.start - 1
        for m in conversation.mentions
        if m.kind in ("name", "code", "quoted")
    )


def pairs(left: Answer, right: Answer) -> list[tuple[int | None, int | None]]:
    """Pair the calls of two answers, equal ones first, then the most similar.

    Returns:
        Pairs of (index in `left`, index in `right`); None if a call has no counterpart.
    """
    options = []
    for i, one in enumerate(left.calls):
        for j, two in enumerate(right.calls):
            same = left.keys[i] == right.keys[j]
            alike = weights.PAIR_EQUAL * same + weights.PAIR_SAME_TOOL * (one.name == two.name)
            ones = {leaf.path: leaf.text for leaf in left.leaves[i]}
            twos = {leaf.path: leaf.text for leaf in right.leaves[j]}
            alike += sum(
                weights.PAIR_SAME_VALUE if ones[path] == twos[path] else weights.PAIR_SAME_ARGUMENT
                for path in ones.keys() & twos.keys()
            )
            options.append((-alike, i + j, i, j))
    result: list[tuple[int | None, int | None]] = []
    free_left, free_right = set(range(len(left.calls))), set(range(len(right.calls)))
    for _, _, i, j in sorted(options):
        if i in free_left and j in free_right:
            result.append((i, j))
            free_left.discard(i)
            free_right.discard(j)
    result += [(i, None) for i in sorted(free_left)]
    result += [(None, j) for j in sorted(free_right)]
    return result
