"""Whether a request calls for a tool or for words: one answer is a call, the other a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from looptool.judging.answers import SAID, Answer, Leaf, all_leaves, fresh
from looptool.judging.evidence import Fault
from looptool.judging.relevance import name_match, parameter_words, required, tool_match
from looptool.judging.words import content_stems, likeness, split_words
from looptool.tools import Tool

_ASKS = re.compile(
    r"\?|\b(?:please (?:provide|tell|specify|give|share)|could you|can you|need to know|let me know"
    r"|which|missing)\b",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    r"\b(?:can(?:no|')t|cannot|unable|not able|none of|no tool|no function|don'?t have|do not have"
    r"|sorry|not possible|isn't something|outside|beyond|doesn't|does not|unfortunately)\b",
    re.IGNORECASE,
)


def call_or_text(left: Answer, right: Answer, tools: Sequence[Tool]) -> Iterator[Fault]:
    """Yield what speaks against the call or against the text."""
    caller, writer = (left, right) if left.calls else (right, left)
    if not caller.calls or writer.calls:
        return
    yield from _text_faults(writer)
    score, why = fit(caller, writer)
    score = max(-5.0, min(5.0, score))
    if score > 0:
        yield Fault(writer.side, score, f"says words where a call is due: {why}")
    elif score < 0:
        yield Fault(caller.side, -score, f"calls a tool where words are due: {why}")


def _text_faults(writer: Answer) -> Iterator[Fault]:
    said = writer.text or ""
    if len(set(split_words(said))) < 2:
        yield Fault(writer.side, 3.0, "is no sentence")
    elif not _ASKS.search(said) and not _REFUSES.search(said):
        yield Fault(
            writer.side, 1.5, "neither asks for what is missing nor says what cannot be done"
        )


def fit(caller: Answer, writer: Answer) -> tuple[float, str]:
    """Return how much speaks for the call (above 0) or the text, and the main reason."""
    conversation = caller.conversation
    matches = []
    for tool in caller.tools:
        if tool is not None:
            matches.append(
                0.5 * name_match(tool, conversation) + 0.5 * tool_match(tool, conversation)
            )
    relevance = min(matches, default=0.0)
    score = 9.0 * (relevance - 0.38)
    why = f"{caller.calls[0].name} {'matches' if score > 0 else 'hardly matches'} the request"
    said = writer.text or ""
    asks, refuses = bool(_ASKS.search(said)), bool(_REFUSES.search(said))
    asked = _asked_for(caller, writer) if asks else None
    if asks and not refuses:
        score = max(score, -1.0)  # who asks for more does not say that the tool is wrong
        if asked is not None and asked.ground.strength < 0.3:
            score = min(score, 0.5)
    if refuses and not asks and score > 1:
        score += 1.0
    for leaf in all_leaves(caller):
        change = _leaf_score(leaf, caller)
        if change < 0:
            change *= 1.2 if leaf is asked else 0.7 if asks else 0.4
        score += change
        if change < -1 and score < 0:
            unsaid = leaf.ground.strength < SAID
            why = f"nobody said {leaf}" if unsaid else f"{leaf} takes what is said for another"
    for call, tool in zip(caller.calls, caller.tools, strict=True):
        if absent := [name for name in required(tool) if name not in call.arguments]:
            score -= 3.0 if asks else 1.2
            why = f"nobody said the {absent[0]}" if score < 0 else why
    if asked is not None and asked.ground.strength >= 0.8:
        spans = asked.ground.spans
        if fresh(spans, conversation) and not caller.used_besides(asked, spans):
            score += 2.0
            why = f"{asked} is said already" if score > 0 else why
    return score, why


def _leaf_score(leaf: Leaf, caller: Answer) -> float:
    strength = leaf.ground.strength
    if not leaf.required:
        return -1.0 if strength < 0.3 and leaf.kind not in ("boolean", "enum") else 0.0
    if leaf.kind in ("boolean", "enum"):
        return -0.8 if strength < 0.3 else 0.3
    if strength < SAID:
        return -4.0 * (1 - strength)
    if caller.used_besides(leaf, leaf.ground.spans):
        return -2.0
    return 0.7 * strength


def _asked_for(caller: Answer, writer: Answer) -> Leaf | None:
    """Return the argument of the call that the text asks for, or None."""
    said = writer.text or ""
    stems = content_stems(said)
    best, found = 0.0, None
    for leaf in all_leaves(caller):
        words = parameter_words(leaf.holder, leaf.path[-1])
        score = sum(
            weight * max((likeness(word, other) for other in stems), default=0.0)
            for word, weight in words.items()
            if weight >= 0.4
        )
        if score > best:
            best, found = score, leaf
    return found if best >= 0.8 else None
