"""The planner agent: it chooses the tools, the calls, their values and their order."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import Any

from looptool.core import canonical
from looptool.offline.grammar.toolbox import Action, any_variant
from looptool.offline.grammar.trees import Chain, Leaf, chains, leaves, rivals, split_leaves, styles
from looptool.offline.grammar.values import draw, draw_arguments

Pair = tuple[Action, dict[str, Any]]
_RELATIVE_DATES = 0.5


def pick_leaf(rng: random.Random, split: str) -> Leaf:
    """Return a random leaf of the split."""
    return rng.choice(split_leaves(split))


def pick_day(actions: Sequence[Action], rng: random.Random) -> dt.date | None:
    """Return a date to use as today, for half of the samples with dates; else None."""
    dated = any(slot.kind.draw == "date" for action in actions for slot in action.slots.values())
    if not dated or rng.random() > _RELATIVE_DATES:
        return None
    return dt.date(2023, 1, 1) + dt.timedelta(days=rng.randrange(1000))


def arguments_of(
    action: Action,
    rng: random.Random,
    today: dt.date | None = None,
    *,
    mention: float | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return random arguments for a call of the action."""
    order = action.leaf.order if action.leaf else ()
    chance = styles()["mention"] if mention is None else mention
    return draw_arguments(action.slots, rng, mention=chance, fixed=fixed, order=order, today=today)


def single_call(action: Action, rng: random.Random, today: dt.date | None = None) -> Pair:
    """Plan one call."""
    arguments = arguments_of(action, rng, today)
    if not arguments:  # a tool with optional parameters only: mention all
        arguments = arguments_of(action, rng, today, mention=1.0)
    return action, arguments


def arguments_of_slots(
    action: Action,
    slots: Mapping[str, Any],
    fixed: Mapping[str, Any],
    rng: random.Random,
    today: dt.date | None,
) -> dict[str, Any]:
    """Return arguments for all of `slots`, a part of the action's; `fixed` are taken over."""
    order = action.leaf.order if action.leaf else ()
    return draw_arguments(slots, rng, mention=1.0, fixed=fixed, order=order, today=today)


def several_calls(
    action: Action, count: int, rng: random.Random, today: dt.date | None = None
) -> list[Pair]:
    """Plan `count` different calls of one tool; arguments that do not vary are shared.

    There are fewer if the tool's values do not allow as many.
    """
    base = single_call(action, rng, today)[1]
    if not base:  # a tool without parameters has one call
        return [(action, base)]
    fixed = _kept(action, base, rng)
    batch, seen = [base], {_said(action, base)}
    loose = rng.random() < styles()["loose"]
    for _ in range(count * 6):
        if len(batch) == count:
            break
        if loose:
            arguments = single_call(action, rng, today)[1]
        else:
            arguments = _vary(action, base, fixed, rng, today)
        text = _said(action, arguments)
        if text not in seen:
            seen.add(text)
            batch.append(arguments)
    return [(action, arguments) for arguments in batch]


def _said(action: Action, arguments: Mapping[str, Any]) -> str:
    """Return the arguments as a text, without those that equal the default of their schema."""
    told = {
        name: value
        for name, value in arguments.items()
        if action.slots[name].schema.get("default", arguments) != value
    }
    return canonical.dumps(told)


def varied(
    action: Action, base: Mapping[str, Any], rng: random.Random, today: dt.date | None
) -> dict[str, Any] | None:
    """Return arguments that differ from `base` as a user may vary them, or None."""
    fixed = _kept(action, base, rng)
    for _ in range(6):
        arguments = _vary(action, base, fixed, rng, today)
        if canonical.dumps(arguments) != canonical.dumps(base):
            return arguments
    return None


def _kept(action: Action, base: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return the arguments that stay the same in all calls of a batch."""
    names = [name for name in base if action.slots[name].type != "boolean"] or list(base)
    required = [name for name in names if action.slots[name].required] or names
    if rng.random() < 0.5:
        varying = {rng.choice(required)}
    else:
        varying = {name for name in required if rng.random() < 0.8} or {required[0]}
    if action.leaf and varying & {n for n, s in action.slots.items() if s.key in action.leaf.order}:
        varying |= {n for n in base if action.slots[n].key in action.leaf.order}
    return {name: value for name, value in base.items() if name not in varying}


def _vary(
    action: Action,
    base: Mapping[str, Any],
    fixed: Mapping[str, Any],
    rng: random.Random,
    today: dt.date | None,
) -> dict[str, Any]:
    """Return the arguments of `base` with new values for all that are not fixed."""
    order = action.leaf.order if action.leaf else ()
    slots = {name: action.slots[name] for name in base}
    varied = draw_arguments(
        {name: slot for name, slot in slots.items() if name not in fixed},
        rng, mention=1.0, order=order, today=today,
    )  # fmt: skip
    return {name: varied[name] if name in varied else fixed[name] for name in base}


def change_one(action: Action, arguments: Mapping[str, Any], rng: random.Random) -> str | None:
    """Return the name of an argument that can change on its own, or None."""
    order = action.leaf.order if action.leaf else ()
    names = [
        name
        for name in arguments
        if action.slots[name].kind.group not in ("structured",)
        and action.slots[name].type != "boolean"
        and action.slots[name].key not in order
    ]
    return rng.choice(names) if names else None


def other_value(
    action: Action,
    name: str,
    arguments: Mapping[str, Any],
    rng: random.Random,
    today: dt.date | None,
) -> Any | None:
    """Return another value for an argument, or None if none is found."""
    taken = [canonical.dumps(value) for value in arguments.values()]
    for _ in range(12):
        value = draw(action.slots[name], rng, today)
        if canonical.dumps(value) not in taken:
            return value
    return None


def pick_actions(count: int, rng: random.Random, split: str) -> list[Action]:
    """Return tools of different leaves; half of the draws stay in the first one's domain."""
    first = pick_leaf(rng, split)
    chosen = [first]
    pool = split_leaves(split)
    near = [leaf for leaf in pool if leaf.domain == first.domain]
    for _ in range(count * 20):
        if len(chosen) == count:
            break
        leaf = rng.choice(near if rng.random() < 0.5 else pool)
        if leaf not in chosen and not rivals()[leaf.key] & {other.key for other in chosen}:
            chosen.append(leaf)
    return [any_variant(leaf, rng) for leaf in chosen]


def pick_chain(rng: random.Random, split: str) -> tuple[Chain, Action, Action]:
    """Return a two-step plan and its tools, which have every parameter that it links."""
    usable = {leaf.key for leaf in split_leaves(split)}
    chain = rng.choice([c for c in chains() if {c.first, c.second} <= usable])
    return chain, any_variant(leaves()[chain.first], rng), any_variant(leaves()[chain.second], rng)
