"""Evidence against either of two answers, from the tools' schemas and the conversation.

All functions are symmetric: `compare(a, b)` and `compare(b, a)` find the same faults of `a` and of
`b`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from looptool.core import canonical
from looptool.core.tools import Tool
from looptool.offline.rules import weights
from looptool.offline.rules.answers import (
    Answer,
    Leaf,
    all_leaves,
    bound,
    claim,
    fresh,
    pairs,
)
from looptool.offline.rules.conversation import Conversation
from looptool.offline.rules.evidence import Fault, balance, limited
from looptool.offline.rules.relevance import prefer, tool_words_asked
from looptool.offline.rules.repeats import Count, counts
from looptool.offline.rules.spans import overlap
from looptool.offline.rules.values import changes, placed


def own_faults(answer: Answer) -> Iterator[Fault]:
    """Yield the faults of one answer by itself: schema violations and repeated calls."""
    for error in answer.errors:
        reason = f"breaks the tool's schema ({_short(error)})"
        yield Fault(answer.side, weights.SCHEMA_BROKEN, reason, hard=True)
    conversation = answer.conversation
    asked_counts = counts(answer)
    yield from _repeated(answer, asked_counts)
    for index, call in enumerate(answer.calls):
        asked = any(count.fits for count in asked_counts if index in count.calls)
        if not asked and any(call == done for done in conversation.recent):
            reason = f"repeats the call to {call.name} already made"
            yield Fault(answer.side, weights.CALL_MADE_BEFORE, reason, hard=True)


def _repeated(answer: Answer, asked_counts: Sequence[Count]) -> Iterator[Fault]:
    """Yield faults of calls made more than once, or not as often as the request asks."""
    if answer.conversation.foreign:
        return
    for index, key in enumerate(answer.keys):
        made = answer.keys.count(key)
        if answer.keys.index(key) != index:
            continue
        meant = [count for count in asked_counts if index in count.calls]
        wrong = [count.wanted for count in meant if not count.fits and (made > 1 or count.sure)]
        if wrong or (made > 1 and not meant):
            often = {1: "only once", 2: "twice"}.get(made, f"{made} times")
            asked = f", but {wrong[0]} are asked for" if wrong else ""
            reason = f"makes the same call {often}{asked}"
            yield Fault(answer.side, weights.CALL_REPEATED, reason, hard=True)
        elif (
            made > 1
            and not any(c.sure or c.wanted is None for c in meant)
            and _leaves_unused(answer)
        ):
            reason = "makes the same call again and leaves out other values"
            yield Fault(answer.side, weights.CALL_REPEATED_LEAVING_VALUES, reason)


def _leaves_unused(answer: Answer) -> bool:
    """Whether the answer leaves a number, date, time, code or quotation of the request unused."""
    return any(
        m.kind != "name" and not answer.takes_up(m) and not _names_tool(m.text, answer.tools)
        for m in answer.conversation.mentions
    )


def compare(left: Answer, right: Answer) -> list[Fault]:
    """Return the faults of two answers that both make calls."""
    faults: list[Fault] = []
    changed: list[tuple[Leaf, Leaf]] = []
    for i, j in pairs(left, right):
        if i is None and j is not None:
            faults += _extra_call(right, j, left)
        elif j is None and i is not None:
            faults += _extra_call(left, i, right)
        elif i is not None and j is not None and left.keys[i] != right.keys[j]:
            if left.calls[i].name != right.calls[j].name:
                faults += _other_tool(left, i, right, j)
                continue
            ones = {leaf.path: leaf for leaf in left.leaves[i]}
            twos = {leaf.path: leaf for leaf in right.leaves[j]}
            for path in sorted(ones.keys() - twos.keys()):
                faults += _extra_argument(left, ones[path], right)
            for path in sorted(twos.keys() - ones.keys()):
                faults += _extra_argument(right, twos[path], left)
            changed += [
                (ones[path], twos[path])
                for path in sorted(ones.keys() & twos.keys())
                if ones[path].text != twos[path].text
            ]
    return [*faults, *changes(left, right, changed), *_counted(left, right)]


def _counted(left: Answer, right: Answer) -> Iterator[Fault]:
    """Yield faults of answers that do not make as many calls as the things asked for."""
    # A number of things says little by itself, since one call may take them all. It counts only if
    # the answers make the same calls in different numbers.
    if len(left.calls) == len(right.calls) or {*left.keys} != {*right.keys}:
        return
    by_side = {answer.side: counts(answer) for answer in (left, right)}
    for answer, other in ((left, right), (right, left)):
        wrong = [count for count in by_side[answer.side] if not count.fits and not count.sure]
        met = {count.span for count in by_side[other.side] if count.fits and count.wanted}
        missed = {count.span for count in by_side[other.side] if not count.fits}
        for count in wrong[:1]:
            made, wanted = len(count.calls), count.wanted
            name = answer.calls[count.calls[0]].name
            reason = f"makes {made} of {wanted} calls to {name} that are asked for"
            if any(count.span in met for count in wrong):
                yield Fault(answer.side, weights.COUNT_MISSED, reason)
            elif count.span in missed and made < (wanted or 0):
                yield Fault(answer.side, weights.COUNT_MISSED_BY_BOTH, reason)


# Arguments, calls and tools that only one side has


def _extra_argument(answer: Answer, leaf: Leaf, other: Answer) -> Iterator[Fault]:
    """Yield the fault for an argument that `answer` gives and `other` leaves out."""
    conversation = answer.conversation
    source = leaf.ground
    if leaf.required:
        return  # leaving it out is a schema violation, which `own_faults` reports
    if states_default(leaf.schema, leaf.value):
        return
    if source.strength < weights.ARGUMENT_UNSAID_BELOW:
        weight = weights.ARGUMENT_UNSAID[leaf.kind] * (1 - source.strength)
        yield Fault(answer.side, weight, f"gives {leaf}, which nobody said")
        return
    taken = other.uses(source.spans)
    if leaf.kind in ("boolean", "enum"):
        weight = weights.CHOICE_LEFT_OUT * source.strength - weights.CHOICE_TAKEN * taken
    else:
        weight = -weights.ARGUMENT_TAKEN if taken else weights.ARGUMENT_LEFT_OUT * source.strength
        weight += min(weights.ARGUMENT_BINDING_MOST, bound(leaf, source.spans, conversation))
        if not taken and not fresh(source.spans, conversation):
            weight -= weights.ARGUMENT_STALE
    if weight > 0:
        yield Fault(other.side, weight, f"leaves out {leaf}, which is said")
    elif weight < 0:
        yield Fault(answer.side, -weight, f"takes {leaf} from what is said for something else")


def states_default(schema: Any, value: Any) -> bool:
    """Whether `value` is the default, by `default` or the description of its schema."""
    if "default" in schema:
        return bool(canonical.dumps(schema["default"]) == canonical.dumps(value))
    said = re.search(
        r"\bdefaults?(?: value)?(?: is| to|:|=)?\s*(?:is |to )?[\"'`]?([^\"'`,;)]+)",
        str(schema.get("description", "")),
        re.IGNORECASE,
    )
    if not said:
        return False
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return said[1].strip().rstrip(".").lower() == text.lower()


def _extra_call(answer: Answer, index: int, other: Answer) -> Iterator[Fault]:
    """Yield the fault for a call of `answer` that has no counterpart in `other`."""
    name, tool = answer.calls[index].name, answer.tools[index]
    if answer.keys.count(answer.keys[index]) > 1 or tool is None:
        return  # `own_faults` covers these
    if loose := _loose_value(answer, index):
        reason = f"calls {name} with {loose}, which nobody said for it"
        yield Fault(answer.side, weights.CALL_LOOSE, reason)
        return
    same_tool = any(name == call.name for call in other.calls)
    news = _news(answer, index, other, same_tool)
    if not same_tool:
        weight = _extra_tool_weight(answer, index, other, tool, news is not None)
        if weight > 0:
            yield Fault(other.side, weight, f"does not call {name}, which is asked for")
        else:
            yield Fault(answer.side, -weight, f"calls {name}, which is not asked for")
    elif news:
        reason = f"makes no call for {news}, which is asked for"
        yield Fault(other.side, weights.CALL_MISSING, reason)
    else:
        reason = f"one call to {name} more than is asked for"
        yield Fault(answer.side, weights.CALL_TOO_MANY, reason)


def _loose_value(answer: Answer, index: int) -> Leaf | None:
    """Return a value of a call that nobody said or that is another parameter's, or None."""
    leaves, conversation = answer.leaves[index], answer.conversation
    unsaid = (
        leaf
        for leaf in leaves
        if claim(leaf, conversation) <= weights.CALL_LOOSE_CLAIM
        and leaf.kind not in ("boolean", "enum")
    )
    twice = (leaf for leaf in leaves if answer.used_besides(leaf, leaf.ground.spans))
    return next(chain(unsaid, twice), None)


def _news(answer: Answer, index: int, other: Answer, same_tool: bool) -> Leaf | None:
    """Return a value of a call that the last request gives and `other` does not use, or None."""
    conversation = answer.conversation
    return next(
        (
            leaf
            for leaf in answer.leaves[index]
            if claim(leaf, conversation) >= weights.CALL_NEWS_CLAIM
            and leaf.kind != "boolean"
            and fresh(leaf.ground.spans, conversation)
            and not other.uses(leaf.ground.spans)
            and (same_tool or _stands_out(leaf, conversation))
        ),
        None,
    )


def _extra_tool_weight(
    answer: Answer, index: int, other: Answer, tool: Tool, has_news: bool
) -> float:
    """Return the evidence for a call of a tool that `other` does not call; < 0 is against it."""
    conversation = answer.conversation
    rivals = [rival for rival in other.tools if rival is not None]
    named = tool_words_asked(tool, rivals, conversation)
    weight = weights.TOOL_NAMED * (named - weights.TOOL_NAMED_NEUTRAL)
    weight += weights.TOOL_NEWS if has_news else weights.TOOL_NO_NEWS
    if any(call.name == tool["name"] for call in conversation.recent):
        weight += weights.TOOL_CALLED_BEFORE
    numbers = (leaf for leaf in answer.leaves[index] if leaf.kind == "number")
    if any(other.uses(leaf.ground.spans) for leaf in numbers):
        weight += weights.TOOL_SHARES_NUMBER
    return limited(weight, weights.TOOL_MOST)


def _stands_out(leaf: Leaf, conversation: Conversation) -> bool:
    """Whether a value is part of a mention, or announced by the words around it."""
    spans = leaf.ground.spans
    named = overlap(spans, [mention.span for mention in conversation.mentions])
    return named or bound(leaf, spans, conversation) > weights.CALL_NEWS_ANNOUNCED


def _other_tool(left: Answer, i: int, right: Answer, j: int) -> Iterator[Fault]:
    """Yield the faults of two paired calls to different tools."""
    one, two = left.tools[i], right.tools[j]
    if one is None or two is None:
        return  # calling an unknown tool is a schema violation
    conversation = left.conversation
    preference = weights.PREFERENCE * prefer(one, two, conversation)
    yield from balance(
        left,
        right,
        limited(preference, weights.PREFERENCE_MOST),
        (
            f"calls {one['name']}, but {two['name']} matches the request better",
            f"calls {two['name']}, but {one['name']} matches the request better",
        ),
    )
    for answer, index, other in ((left, i, right), (right, j, left)):
        loose = [
            x
            for x in answer.leaves[index]
            if x.ground.strength < weights.OTHER_TOOL_UNSAID_BELOW
            and x.kind not in ("boolean", "enum")
        ]
        if loose:
            reason = f"gives {loose[0]}, which nobody said"
            yield Fault(answer.side, weights.OTHER_TOOL_UNSAID, reason)
        if twice := [x for x in answer.leaves[index] if answer.used_besides(x, x.ground.spans)]:
            reason = f"takes {twice[0]} from what is said for something else"
            yield Fault(answer.side, weights.OTHER_TOOL_TWICE, reason)
        left_out = [
            m for m in conversation.mentions if other.takes_up(m) and not answer.takes_up(m)
        ]
        if left_out:
            weight = weights.OTHER_TOOL_UNUSED * len(left_out)
            weight = min(weights.OTHER_TOOL_UNUSED_MOST, weight)
            yield Fault(answer.side, weight, f"has no use for “{left_out[0].text}”")


def doubts(answer: Answer) -> float:
    """Return how doubtful an answer is by itself; 0 means not at all.

    Counted are values that the conversation does not support, mentions that the answer leaves
    unused, and values that would fit better if they were swapped.
    """
    conversation = answer.conversation
    total = 0.0
    for leaf in all_leaves(answer):
        if leaf.ground.strength < weights.SAID and not states_default(leaf.schema, leaf.value):
            total += weights.DOUBT_UNSAID[leaf.kind] * (1 - leaf.ground.strength)
        elif leaf.kind in ("number", "text") and answer.used_besides(leaf, leaf.ground.spans):
            total += weights.DOUBT_TWICE
    if answer.calls:
        for mention in conversation.mentions:
            if not answer.takes_up(mention) and not _names_tool(mention.text, answer.tools):
                unused = (
                    weights.DOUBT_UNUSED_NAME if mention.kind == "name" else weights.DOUBT_UNUSED
                )
                total += weights.DOUBT_WAITING * unused if answer.waiting else unused
    return total + sum(_better_swapped(leaves, conversation) for leaves in answer.leaves)


def _better_swapped(leaves: Sequence[Leaf], conversation: Conversation) -> float:
    """Return the largest gain from swapping two values of a call."""
    worst = 0.0
    plain = [
        x for x in leaves if x.kind in ("number", "text") and x.ground.strength >= weights.SAID
    ]
    for index, one in enumerate(plain):
        for two in plain[index + 1 :]:
            if one.kind == two.kind and one.text != two.text:
                worst = max(worst, -placed(one, two, conversation))
    return worst


def _names_tool(text: str, tools: Sequence[Tool | None]) -> bool:
    """Whether a text is part of the name or description of one of the tools."""
    plain = text.lower()
    return any(
        plain in f"{tool['name']} {tool.get('description', '')}".lower() for tool in tools if tool
    )


def _short(error: str) -> str:
    """Return an error message, cut to 120 characters."""
    return error if len(error) <= 120 else error[:117] + "…"
