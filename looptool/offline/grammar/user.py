"""The user agent: it puts calls into words, whether planned or given."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from looptool.core.calls import ToolCall
from looptool.core.tools import Tool
from looptool.offline.grammar.clauses import (
    Clause,
    capital,
    clause,
    dress,
    ended,
    frame_of,
    listed,
    terse,
)
from looptool.offline.grammar.several import (
    cases,
    in_a_row,
    numbered,
    same_again,
    tasks,
    together,
)
from looptool.offline.grammar.speech import Voice
from looptool.offline.grammar.toolbox import Action, action_of
from looptool.offline.grammar.trees import frames, styles
from looptool.offline.grammar.wording import tidy


def request(
    calls: Sequence[ToolCall],
    tools: Sequence[Tool],
    rng: random.Random,
    split: str = "train",
    today: dt.date | None = None,
) -> str | None:
    """Return a new request for `calls`, or None if a call cannot be put into words.

    Args:
        tools: the documents of the called tools. Tools unknown to the trees are worded from their
            names and descriptions.
    """
    documents = {tool["name"]: tool for tool in tools}
    pairs: list[tuple[Action, dict[str, Any]]] = []
    for call in calls:
        if call.name not in documents:
            return None
        action = action_of(documents[call.name], call.arguments)
        if not set(call.arguments) <= set(action.slots):
            return None
        pairs.append((action, call.arguments))
    return write(pairs, rng, split, today)


def write(
    pairs: Sequence[tuple[Action, Mapping[str, Any]]],
    rng: random.Random,
    split: str = "train",
    today: dt.date | None = None,
    mood: str = "",
) -> str:
    """Return a request for (action, arguments) pairs, in their order.

    Args:
        mood: "question" asks a question if the tool has a question that fits.
    """
    groups = [
        (run[0][0], [arguments for _, arguments in run])
        for _, each in groupby(pairs, key=lambda pair: pair[0].tool["name"])
        if (run := list(each))
    ]
    voice = Voice(rng, split, today, tight=len(pairs) > 1)
    text = _one_tool(*groups[0], voice, mood) if len(groups) == 1 else _several_tools(groups, voice)
    text = tidy(text)
    leaf = pairs[0][0].leaf
    if leaf and len(groups) == 1 and rng.random() < styles()["named_tool"]:
        named = rng.choice(frames()["named_tool"]).format(name=pairs[0][0].tool["name"])
        text = f"{ended(text, '.')} {named}"
    if rng.random() < 0.1 and leaf and len(groups) == 1:
        pool = frames()["contexts"]
        held = split == "heldout"
        first = rng.choice(pool["heldout"] if held else (*leaf.contexts, *pool["say"]))
        return f"{first} {text[:1].upper()}{text[1:]}"
    return text


def _one_tool(
    action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice, mood: str = ""
) -> str:
    """Return a request for one or several calls of one tool."""
    rng = voice.rng
    if len(batch) == 1 and mood:
        return dress(clause(action, batch[0], voice, mood), voice)
    if len(batch) == 1:
        roll = rng.random()
        if roll < 0.12 and len(batch[0]) > 0:
            return listed(action, batch[0], voice)
        if roll < 0.17 and len(batch[0]) > 0:
            return terse(action, batch[0], voice)
        return dress(clause(action, batch[0], voice), voice)
    if rng.random() < 0.58:
        joined = together(action, batch, voice)
        if joined is not None:
            return dress(joined, voice)
    roll = rng.random()
    if roll < 0.25:
        text = same_again(action, batch, voice)
        if text is not None:
            return text
    if roll < 0.45:
        return numbered(action, batch, voice)
    if roll < 0.65:
        return cases(action, batch, voice)
    clauses = [clause(action, arguments, voice) for arguments in batch]
    return tasks(clauses, (), voice) if roll < 0.8 else in_a_row(clauses, voice)


def _several_tools(
    groups: Sequence[tuple[Action, Sequence[Mapping[str, Any]]]], voice: Voice
) -> str:
    """Return a request for calls of several tools."""
    clauses: list[Clause] = []
    voice.memory["wide"] = 1  # join items by "and also", because "and then" starts the next clause
    for action, batch in groups:
        mood = "imperative" if voice.rng.random() < 0.75 else ""
        joined = together(action, batch, voice, mood) if len(batch) > 1 else None
        if joined is not None:
            clauses.append(joined)
        else:
            clauses += [clause(action, arguments, voice, mood) for arguments in batch]
    if voice.rng.random() < 0.65:
        leaves = [action.leaf for action, _ in groups if action.leaf]
        contexts = list(dict.fromkeys(text for leaf in leaves for text in leaf.contexts))
        return tasks(clauses, contexts if voice.split != "heldout" else [], voice)
    plain = all(c.mood == "imperative" and not c.tail for c in clauses)
    if len(clauses) == 2 and plain and voice.rng.random() < 0.75:
        a, b = clauses[0].text, clauses[1].text
        frame = frame_of("several", "and", voice)
        return frame.format(a=a, b=b, A=capital(a))
    if plain and len(clauses) > 2 and voice.rng.random() < 0.5:
        *first, last = [c.text for c in clauses]
        return capital(f"{', '.join(first)}, and {last}.")
    return in_a_row(clauses, voice)
