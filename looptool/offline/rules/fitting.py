"""Evidence if one answer is a call and the other a text: whether the request calls for a tool."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from looptool.core.tools import Tool
from looptool.offline.rules import weights
from looptool.offline.rules.answers import Answer, Leaf, all_leaves, bound, claim, rival
from looptool.offline.rules.evidence import Fault, limited
from looptool.offline.rules.relevance import (
    is_brief,
    parameter_words,
    relevance,
    required,
)
from looptool.offline.rules.words import content_stems, likeness, split_words, stem

_ASKS = re.compile(
    r"\?|\b(?:need|please (?:provide|tell|specify|give|share)|could you|can you|let me know|which"
    r"|missing)\b",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    r"\b(?:can(?:no|')t|cannot|unable|not able|none|no (?:\w+ )?(?:tool|function)s?|don'?t have"
    r"|do(?:es)? not|doesn't|isn't|not (?:something|possible|supported|available|one of)|sorry"
    r"|outside|beyond|unfortunately|nothing|no way|lack)\b",
    re.IGNORECASE,
)


_VAGUE = frozenset(map(stem, ("first", "detail", "details", "information", "more")))


def call_or_text(left: Answer, right: Answer, tools: Sequence[Tool]) -> Iterator[Fault]:
    """Yield the faults of two answers of which one makes calls and the other is a text."""
    caller, writer = (left, right) if left.calls else (right, left)
    if not caller.calls or writer.calls:
        return
    yield from _text_faults(writer)
    score, why = fit(caller, writer, tools)
    score = limited(score, weights.FIT_MOST)
    if score > 0:
        yield Fault(writer.side, score, f"says words where a call is due: {why}")
    elif score < 0:
        yield Fault(caller.side, -score, f"calls a tool where words are due: {why}")


def _text_faults(writer: Answer) -> Iterator[Fault]:
    """Yield the faults of a text by itself."""
    said = writer.text or ""
    if said in writer.conversation.replies:
        reason = "says again what was said and answered already"
        yield Fault(writer.side, weights.TEXT_SAID_BEFORE, reason, hard=True)
    elif len(set(split_words(said))) < 2:
        yield Fault(writer.side, weights.TEXT_NO_SENTENCE, "is not a sentence")
    elif not _ASKS.search(said) and not _REFUSES.search(said):
        reason = "neither asks for what is missing nor says what cannot be done"
        yield Fault(writer.side, weights.TEXT_NO_PURPOSE, reason)


def fit(caller: Answer, writer: Answer, tools: Sequence[Tool]) -> tuple[float, str]:
    """Return the log odds that a call is due rather than a text, and the main reason."""
    asks = bool(_ASKS.search(writer.text or ""))
    kind = 0 if asks else 1
    relevant = min((_relevance(tool, caller) for tool in caller.tools if tool), default=0.0)
    claims = [(_claim(leaf, caller), leaf) for leaf in _needed(caller)]
    weakest, leaf = min(claims, key=lambda pair: pair[0], default=(weights.FIT_CLAIM_NONE, None))
    fits = "fits" if relevant > weights.FIT_RELEVANT else "hardly fits"
    parts = {
        f"{caller.calls[0].name} {fits} the request": (
            weights.FIT_RELEVANCE[kind] * relevant + weights.FIT_CONSTANT[kind]
        )
    }
    if leaf is not None:
        sure = weakest >= weights.SAID
        reason = "every value that it needs is said" if sure else f"nobody said {leaf}"
        parts[reason] = weights.FIT_CLAIM[kind] * (weakest - weights.FIT_CLAIM_NEUTRAL)
    twice = [leaf for _, leaf in claims if caller.used_besides(leaf, leaf.ground.spans)]
    if twice:
        parts[f"{twice[0]} takes what is said for something else"] = weights.FIT_TWICE[kind]
    if absent := _absent(caller):
        parts[f"{absent} is missing"] = weights.FIT_ABSENT
    parts["the words around the values"] = weights.FIT_BINDING * (
        _mean_bound(caller) - weights.FIT_BINDING_NEUTRAL
    )
    parts["the request's details"] = weights.FIT_COVERED * (
        _covered(caller) - weights.FIT_COVERED_NEUTRAL
    )
    if asks and (asked := _asked_for(caller, writer)):
        weak = _claim(asked, caller) < weights.SAID or asked in twice
        parts[f"the text asks for {asked.path[-1]}"] = (
            weights.FIT_ASKED_FOR_UNSAID if weak else weights.FIT_ASKED_FOR
        )
    others = [tool for tool in tools if tool["name"] not in {call.name for call in caller.calls}]
    better = max((_relevance(tool, caller) for tool in others), default=0.0) - relevant
    if asks and better > weights.FIT_OTHER_TOOL_LEAD and len(caller.calls) == 1:
        parts["another tool fits better"] = weights.FIT_OTHER_TOOL * better
    score = sum(parts.values())
    if weakest < weights.SAID or (relevant < weights.FIT_IRRELEVANT and not asks):
        score = min(score, weights.FIT_DOUBTFUL_MOST)
    return score, max(parts, key=lambda reason: math.copysign(1, score) * parts[reason])


def _claim(leaf: Leaf, caller: Answer) -> float:
    """Return the claim of a value, limited if a sibling parameter suits it better."""
    sure = claim(leaf, caller.conversation)
    return min(sure, weights.FIT_CLAIM_RIVAL) if rival(leaf, caller.conversation) else sure


def _relevance(tool: Tool, caller: Answer) -> float:
    """Return the relevance of a tool; a follow-up continues with the tools already called."""
    conversation = caller.conversation
    match = relevance(tool, conversation)
    goes_on = any(call.name == tool["name"] for call in conversation.executed)
    return max(match, weights.FIT_GOES_ON) if goes_on and is_brief(conversation) else match


def _needed(caller: Answer) -> list[Leaf]:
    """Return the required values of the calls that the conversation has to state."""
    return [
        leaf
        for leaf in all_leaves(caller)
        if leaf.required and leaf.kind not in ("boolean", "enum")
    ]


def _absent(caller: Answer) -> str | None:
    """Return a required parameter that a call leaves out, or None."""
    for call, tool in zip(caller.calls, caller.tools, strict=True):
        for name in required(tool):
            if name not in call.arguments:
                return name
    return None


def _mean_bound(caller: Answer) -> float:
    """Return the mean binding of the values of the calls."""
    values = [
        min(weights.FIT_BINDING_MOST, bound(leaf, leaf.ground.spans, caller.conversation))
        for leaf in all_leaves(caller)
    ]
    return sum(values) / len(values) if values else weights.FIT_BINDING_NEUTRAL


def _covered(caller: Answer) -> float:
    """Return the share of the request's mentions that the call uses."""
    mentions = caller.conversation.mentions
    if not mentions:
        return weights.FIT_COVERED_NEUTRAL
    return sum(map(caller.takes_up, mentions)) / len(mentions)


def _asked_for(caller: Answer, writer: Answer) -> Leaf | None:
    """Return the argument of the call that the text asks for, or None."""
    said = writer.text or ""
    stems = [word for word in content_stems(said) if word not in _VAGUE]
    best, asked = 0.0, None
    for leaf in all_leaves(caller):
        words = parameter_words(leaf.holder, leaf.path[-1])
        score = sum(
            weight * max((likeness(word, other) for other in stems), default=0.0)
            for word, weight in words.items()
            if weight >= weights.FIT_ASKED_WORD
        )
        if score > best:
            best, asked = score, leaf
    return asked if best >= weights.FIT_ASKED_LEAST else None
