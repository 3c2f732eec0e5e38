"""The grammar author: it directs the four agents, one scene per category.

See docs/design.md, section 1, `generate`.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looptool.core import canonical, params
from looptool.core.samples import CATEGORIES, Message
from looptool.core.tools import Tool, read_tools
from looptool.engines.roles import Cast
from looptool.english.dates import system_date
from looptool.english.lists import correct_articles
from looptool.offline.grammar import assistant, planner, user
from looptool.offline.grammar.follow import chain_request, follow_up, resolve
from looptool.offline.grammar.inventions import from_pool
from looptool.offline.grammar.responder import respond
from looptool.offline.grammar.shelves import Shelf, Trees, UserTools
from looptool.offline.grammar.toolbox import weighted
from looptool.offline.grammar.trees import frames, pools, styles
from looptool.synthesis import Author, Draft, Split

Scene = Callable[[random.Random, str, Shelf], Draft | None]
_TRIES = 60


@dataclass(frozen=True)
class GrammarAuthor:
    """An `Author` that writes from the two trees or about the user's own tools, without mistakes.

    Attributes:
        shelf: where its tools come from. A category that they do not allow, such as calls of two
            tools if there is only one, is replaced by a single call.
    """

    name: str = "grammar"
    portable: bool = True
    exact: bool = True
    shelf: Shelf = field(default_factory=Trees)

    def write(
        self, count: int, *, seed: str, split: Split, shares: Mapping[str, float]
    ) -> list[Draft]:
        """Return `count` drafts with different requests, in random order of categories.

        There are fewer if the user's tools do not allow as many.

        Raises:
            ValueError: if `shares` has an unknown category or no positive share.
        """
        rng = random.Random(f"{self.name}:{seed}:{split}")
        drafts: list[Draft] = []
        seen: set[tuple[str, ...]] = set()
        closed: set[str] = set()  # categories that these tools do not allow
        for category in spread(count, shares, rng):
            for tried in dict.fromkeys((category, "single")):
                draft = None if tried in closed else self._new_draft(tried, seen, rng, split)
                if draft is not None:
                    drafts.append(draft)
                    break
                closed.add(tried)
        return drafts

    def _new_draft(
        self, category: str, seen: set[tuple[str, ...]], rng: random.Random, split: Split
    ) -> Draft | None:
        """Return a draft whose request is not in `seen`, and add it there; else None."""
        for _ in range(_TRIES):
            draft = SCENES[category](rng, split, self.shelf)
            if draft is None:
                continue
            key = (draft.messages[-1]["content"], *(tool["name"] for tool in draft.tools))
            if key not in seen:
                seen.add(key)
                return draft
        return None


def spread(count: int, shares: Mapping[str, float], rng: random.Random) -> list[str]:
    """Return `count` categories in random order, each within one of its exact share.

    Raises:
        ValueError: if `shares` has an unknown category or no positive share.
    """
    unknown = sorted(set(shares) - set(CATEGORIES))
    total = sum(shares.values())
    if unknown or total <= 0:
        raise ValueError(
            f"shares: unknown category {unknown[0]}" if unknown else "shares: all zero"
        )
    exact = {name: count * shares.get(name, 0.0) / total for name in CATEGORIES}
    counts = {name: int(value) for name, value in exact.items()}
    order = sorted(CATEGORIES, key=lambda name: counts[name] - exact[name])
    for name in order[: count - sum(counts.values())]:
        counts[name] += 1
    categories: list[str] = [name for name in CATEGORIES for _ in range(counts[name])]
    rng.shuffle(categories)
    return categories


def _messages(today: dt.date | None, *turns: Message) -> list[Message]:
    """Return the turns after a system message with the date, if there is one."""
    head: list[Message] = [{"role": "system", "content": system_date(today)}] if today else []
    return [*head, *turns]


def _said(text: str) -> Message:
    return {"role": "user", "content": text}


def _answered(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _offered(
    tools: Sequence[Tool],
    weights: Mapping[int, float],
    rng: random.Random,
    split: str,
    shelf: Shelf,
) -> list[Tool]:
    """Return the tools and some distractors, in random order."""
    count = weighted(weights, rng)
    offered = [*tools, *shelf.others(tools, count, rng, split)]
    if len(offered) > 1:
        rng.shuffle(offered)
    return offered


def _single(rng: random.Random, split: str, shelf: Shelf) -> Draft | None:
    return _one_call(rng, split, shelf, {0: 1}, "single")


def _multiple(rng: random.Random, split: str, shelf: Shelf) -> Draft | None:
    return _one_call(rng, split, shelf, styles()["distractors"], "multiple")


def _one_call(
    rng: random.Random,
    split: str,
    shelf: Shelf,
    weights: Mapping[int, float],
    category: str,
) -> Draft | None:
    """Return a draft with one call, among as many distractors as the weights allow."""
    (action,) = shelf.pick(1, rng, split)
    today = planner.pick_day([action], rng)
    pair = planner.single_call(action, rng, today)
    text = user.write([pair], rng, split, today)
    tools = _offered([action.tool], weights, rng, split, shelf)
    if category == "multiple" and len(tools) < 2:
        return None
    return Draft(tools, _messages(today, _said(text)), assistant.label_of([pair]), category)


def _parallel(rng: random.Random, split: str, shelf: Shelf) -> Draft | None:
    (action,) = shelf.pick(1, rng, split)
    today = planner.pick_day([action], rng)
    count = weighted(styles()["parallel_calls"], rng)
    pairs = planner.several_calls(action, count, rng, today)
    if len(pairs) < 2:
        return None
    text = user.write(pairs, rng, split, today)
    tools = _offered([action.tool], styles()["parallel_distractors"], rng, split, shelf)
    return Draft(tools, _messages(today, _said(text)), assistant.label_of(pairs), "parallel")


def _parallel_multiple(rng: random.Random, split: str, shelf: Shelf) -> Draft | None:
    order: str = weighted(styles()["several_calls"], rng)
    actions = shelf.pick(len(set(order)), rng, split)
    names = {action.tool["name"] for action in actions}
    if len(names) < len(actions) or len(actions) < 2:
        return None
    today = planner.pick_day(actions, rng)
    order = "".join(letter for letter in order if ord(letter) - ord("A") < len(actions))
    calls = {
        letter: planner.several_calls(action, order.count(letter), rng, today)
        for letter, action in zip("ABCD", actions, strict=False)
    }
    pairs = [calls[letter].pop(0) for letter in order if calls[letter]]
    text = user.write(pairs, rng, split, today)
    offered = [action.tool for action in actions]
    tools = _offered(offered, styles()["parallel_distractors"], rng, split, shelf)
    label = assistant.label_of(pairs)
    return Draft(tools, _messages(today, _said(text)), label, "parallel_multiple")


def _multi_step(rng: random.Random, split: str, shelf: Shelf) -> Draft | None:
    if not shelf.chained:
        return None
    chain, first, second = planner.pick_chain(rng, split)
    today = planner.pick_day([first, second], rng)
    ask = rng.choice(chain.asks)
    linked = [param for _, param in chain.links]
    wanted = set(ask.keys)
    calls: list[dict[str, Any]] = []
    shared: dict[str, Any] = {}
    for action in (first, second):
        kept = {n: s for n, s in action.slots.items() if s.required or s.key in wanted}
        fixed = {n: shared[s.key] for n, s in kept.items() if s.key in shared}
        calls.append(planner.arguments_of_slots(action, kept, fixed, rng, today))
        shared |= {kept[n].key: v for n, v in calls[-1].items() if kept[n].key in wanted}
    if not wanted <= {s.key for a in (first, second) for s in a.slots.values()}:
        return None
    by_key = second.by_key()
    fixed = {field: calls[1][by_key[param].name] for field, param in chain.links}
    text = chain_request(ask, [(first, calls[0]), (second, calls[1])], linked, rng, split, today)
    tools = _offered([first.tool, second.tool], {0: 70, 1: 30}, rng, split, shelf)
    if rng.random() < 0.4:
        label = assistant.label_of([(first, calls[0])])
        return Draft(tools, _messages(today, _said(text)), label, "multi_step")
    response = respond(first, rng, fixed)
    turns = assistant.call_messages(first, calls[0], response)
    label = assistant.label_of([(second, calls[1])])
    return Draft(tools, _messages(today, _said(text), *turns), label, "multi_step")


def _multi_turn(rng: random.Random, split: str, shelf: Shelf) -> Draft | None:
    (action,) = shelf.pick(1, rng, split)
    today = planner.pick_day([action], rng)
    tools = _offered([action.tool], {0: 60, 1: 25, 2: 15}, rng, split, shelf)
    if rng.random() < 0.25:
        return _resolved(action, tools, rng, split, today)
    first = planner.arguments_of(action, rng, today, mention=0.25)
    if not first:
        return None
    followed = follow_up(action, first, rng, split, today)
    if followed is None:
        return None
    opening, text, after = followed
    response = respond(action, rng)
    turns = assistant.call_messages(action, first, response)
    answer = _answered(assistant.report(response, rng))
    messages = _messages(today, _said(opening), *turns, answer, _said(text))
    return Draft(tools, messages, assistant.label_of([(action, after)]), "multi_turn")


def _resolved(
    action: Any, tools: list[Any], rng: random.Random, split: str, today: dt.date | None
) -> Draft | None:
    """Return a dialogue in which the user gives what the assistant asked for."""
    arguments = planner.arguments_of(action, rng, today, mention=0.25)
    missing = _missing(action, arguments, rng)
    if missing is None:
        return None
    present = {name: value for name, value in arguments.items() if name != missing}
    opening = user.write([(action, present)], rng, split, today)
    question = assistant.ask_for(action.slots[missing], rng)
    answer = resolve(action.slots[missing], arguments[missing], rng, split, today)
    messages = _messages(today, _said(opening), _answered(question), _said(answer))
    return Draft(tools, messages, assistant.label_of([(action, arguments)]), "multi_turn")


def _missing(action: Any, arguments: Mapping[str, Any], rng: random.Random) -> str | None:
    """Return a required argument that a request can leave out without implying it, or None."""
    names = [
        name
        for name in arguments
        if action.slots[name].required and "strict" not in action.slots[name].kind.options
    ]
    return rng.choice(names) if names else None


def _clarify(rng: random.Random, split: str, shelf: Shelf) -> Draft | None:
    (action,) = shelf.pick(1, rng, split)
    today = planner.pick_day([action], rng)
    arguments = planner.arguments_of(action, rng, today)
    missing = _missing(action, arguments, rng)
    if missing is None:
        return None
    present = {name: value for name, value in arguments.items() if name != missing}
    text = user.write([(action, present)], rng, split, today)
    tools = _offered([action.tool], {0: 65, 1: 35}, rng, split, shelf)
    label = assistant.clarify_label(action.slots[missing], rng)
    return Draft(tools, _messages(today, _said(text)), label, "clarify")


def _irrelevant(rng: random.Random, split: str, shelf: Shelf) -> Draft | None:
    count = weighted(styles()["irrelevant_tools"], rng)
    if rng.random() < styles()["idle"]:
        tools = [shelf.pick(1, rng, split)[0].tool]
        tools += shelf.others(tools, count - 1, rng, split)
        return Draft(tools, [_said(_idle(rng, split))], assistant.decline_label(rng), "irrelevant")
    action = shelf.foreign(rng, split)
    today = planner.pick_day([action], rng)
    pair = planner.single_call(action, rng, today)
    mood = "question" if rng.random() < styles()["near_questions"] else ""
    text = user.write([pair], rng, split, today, mood)
    tools = shelf.others([action.tool], count, rng, split)
    if not tools:
        return None
    messages = _messages(today, _said(text))
    return Draft(tools, messages, assistant.decline_label(rng), "irrelevant")


def _idle(rng: random.Random, split: str) -> str:
    """Return a request that no tool could answer."""
    body = frames()
    texts: Sequence[str] = body["heldout_idle"] if split == "heldout" else body["idle"]
    nouns = rng.sample(pools()["nouns"], 2)
    values = {
        "adjective": from_pool("adjectives", rng),
        "noun": nouns[0],
        "noun2": nouns[1],
        "animal": from_pool("animals", rng),
        "country": from_pool("countries", rng),
        "language": from_pool("languages", rng),
        "color": from_pool("colors", rng),
        "river": from_pool("rivers", rng),
        "job": rng.choice(body["jobs"]),
    }
    return correct_articles(rng.choice(texts).format(**values))


SCENES: dict[str, Scene] = {
    "single": _single,
    "multiple": _multiple,
    "parallel": _parallel,
    "parallel_multiple": _parallel_multiple,
    "multi_step": _multi_step,
    "multi_turn": _multi_turn,
    "clarify": _clarify,
    "irrelevant": _irrelevant,
}


def make_author(settings: params.Generate, cast: Cast, heldout: Sequence[Tool]) -> Author:
    """Return the author that `generate.author: grammar` names.

    The trees mark what is held out. Of the user's own tools, the shelf holds some back.
    """
    if settings.tools is None:
        return GrammarAuthor(shelf=Trees())
    tools = read_tools(settings.tools)
    return GrammarAuthor(shelf=UserTools(tuple(map(canonical.dumps, tools))))
