"""The user agent in later turns: follow-ups and answers to a question; also two-step requests."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import Any

from looptool.offline.grammar import planner
from looptool.offline.grammar.clauses import Clause, clause_with_ask, dress
from looptool.offline.grammar.several import remainder
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.speech import Voice, surface
from looptool.offline.grammar.toolbox import Action
from looptool.offline.grammar.trees import Ask, frames
from looptool.offline.grammar.user import write
from looptool.offline.grammar.values import draw
from looptool.offline.grammar.wording import phrase, tidy, worded


def follow_up(
    action: Action,
    before: Mapping[str, Any],
    rng: random.Random,
    split: str = "train",
    today: dt.date | None = None,
) -> tuple[str, str, dict[str, Any]] | None:
    """Return (first request, follow-up, arguments that the follow-up asks for), or None.

    The follow-up repeats the first request for something else ("And in Oslo?"), changes one
    argument, or adds an optional one. All other arguments stay the same.
    """
    roll = rng.random()
    if roll < 0.45:
        return _again(action, before, rng, split, today)
    opening = write([(action, before)], rng, split, today)
    if roll < 0.75:
        changed = change(action, before, rng, split, today)
        return (opening, *changed) if changed else None
    added = add(action, before, rng, split, today)
    return (opening, *added) if added else None


def _again(
    action: Action,
    before: Mapping[str, Any],
    rng: random.Random,
    split: str,
    today: dt.date | None,
) -> tuple[str, str, dict[str, Any]] | None:
    """Return a request, one that repeats it for something else, and its arguments, or None."""
    voice = Voice(rng, split, today, tight=False)
    made = clause_with_ask(action, before, voice)
    if made is None:
        return None
    pairs = planner.varied(action, before, rng, today)
    if pairs is None:
        return None
    rest = remainder(made[1], action, before, pairs, voice)
    if rest is None:
        return None
    text = _frame("again", split, rng, same=len(before) > len(made[1].keys)).format(rest=rest)
    return tidy(dress(made[0], voice)), tidy(text), pairs


def change(
    action: Action,
    before: Mapping[str, Any],
    rng: random.Random,
    split: str = "train",
    today: dt.date | None = None,
) -> tuple[str, dict[str, Any]] | None:
    """Return a follow-up that changes one argument, and the resulting arguments, or None."""
    name = planner.change_one(action, before, rng)
    if name is None:
        return None
    value = planner.other_value(action, name, before, rng, today)
    if value is None:
        return None
    slot = action.slots[name]
    voice = Voice(rng, split, today)
    voice.listen(action.slots, {k: v for k, v in before.items() if k == name})
    said = surface(slot, value, rng, voice=voice)
    text = _frame("change", split, rng).replace("{word}", slot.word).replace("{v}", said)
    return text, {**before, name: value}


def add(
    action: Action,
    before: Mapping[str, Any],
    rng: random.Random,
    split: str = "train",
    today: dt.date | None = None,
) -> tuple[str, dict[str, Any]] | None:
    """Return a follow-up that adds an optional argument, and the resulting arguments, or None."""
    names = [name for name in action.slots if name not in before]
    if not names:
        return None
    slot = action.slots[rng.choice(names)]
    value = draw(slot, rng, today)
    for _ in range(4):
        said = phrase(slot, value, rng, voice=Voice(rng, split, today))
        if not said.endswith(".") and not said.startswith("and "):
            break
    else:
        return None
    said = said.removeprefix("but ")
    text = tidy(_frame("add", split, rng).replace("{phrase}", said))
    return text, {**before, slot.name: value}


def resolve(
    slot: Slot, value: Any, rng: random.Random, split: str = "train", today: dt.date | None = None
) -> str:
    """Return the answer to the question for one parameter."""
    voice = Voice(rng, split, today)
    said = surface(slot, value, rng, voice=voice)
    if slot.kind.draw == "count":
        return rng.choice((f"{said} {slot.word}.", f"{said}.", f"Make it {said}."))
    text = rng.choice(("{v}", "{v}, please.", "The {word} is {v}.", "Take {v}.", "{v}."))
    if slot.kind.draw == "flag" or slot.kind.group == "structured":
        text = rng.choice(("{v}", "{v}, please."))
    return tidy(worded(text, slot.word, said))


def chain_request(
    ask: Ask,
    pairs: Sequence[tuple[Action, Mapping[str, Any]]],
    linked: Sequence[str],
    rng: random.Random,
    split: str,
    today: dt.date | None,
) -> str:
    """Return the request of a two-step plan; linked parameters are not said."""
    known: dict[str, tuple[Slot, Any]] = {}
    for index, (action, arguments) in enumerate(pairs):
        for name, value in arguments.items():
            slot = action.slots[name]
            if index == 0 or slot.key not in linked:
                known[slot.key] = (slot, value)
    voice = Voice(rng, split, today, tight=True)
    voice.tails = {"length": None, "money": None}
    text = "".join(
        part if isinstance(part, str) else surface(*known[part[0]], rng, voice=voice)
        for part in ask.parts
    )
    return tidy(dress(Clause(ask.mood, text), voice))


def _frame(name: str, split: str, rng: random.Random, same: bool = False) -> str:
    """Choose a frame; `same` prefers frames which say that everything else stays the same."""
    held = split == "heldout" and rng.random() < 0.6
    options = frames()["follow"][f"heldout_{name}" if held else name]
    return str(rng.choice([text for text in options if "same" in text or not same] or options))
