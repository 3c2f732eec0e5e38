"""The user agent: requests in words, for calls that the planner made or that were given.

A request is built from *clauses* (what one tool is asked for, once or several times) that frames
turn into sentences.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looptool import canonical
from looptool.calls import ToolCall
from looptool.synthesis.toolbox import Action, action_of, words_of
from looptool.synthesis.trees import PREPOSITIONS, Ask, frames, styles
from looptool.synthesis.values import Slot
from looptool.synthesis.wording import Voice, attach, coordinate, mend_dates, phrase, surface
from looptool.tools import Tool

_UNSPLIT = ("coordinate", "count", "number", "address")
_MEASURED = ("measured", "priced")
_ARTICLES = ("a", "an", "one", "the", "my", "some", "someone", "something")


@dataclass(frozen=True)
class Clause:
    """A request without frame: its mood, its text (no capital, no end mark), sentences after it."""

    mood: str
    text: str
    tail: tuple[str, ...] = ()


def request(
    calls: Sequence[ToolCall],
    tools: Sequence[Tool],
    rng: random.Random,
    split: str = "train",
    today: dt.date | None = None,
) -> str | None:
    """Return a fresh request for `calls`, or None where one cannot be put into words.

    Args:
        tools: must hold a document for every call; those unknown to the trees are worded from
            their names and descriptions.
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
) -> str:
    """Return a request for (action, arguments) pairs, calls of one tool together."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    actions = {action.tool["name"]: action for action, _ in pairs}
    for action, arguments in pairs:
        groups.setdefault(action.tool["name"], []).append(arguments)
    voice = Voice(rng, split, today, tight=len(pairs) > 1)
    if len(groups) == 1:
        name, batch = next(iter(groups.items()))
        text = _one_tool(actions[name], batch, voice)
    else:
        text = _several_tools([(actions[name], batch) for name, batch in groups.items()], voice)
    if today:
        text = mend_dates(text)
    leaf = pairs[0][0].leaf
    if rng.random() < 0.1 and leaf:
        pool = frames()["contexts"]
        first = rng.choice((*leaf.contexts, *pool["say"]) if split == "train" else pool["heldout"])
        return f"{first} {text[:1].upper()}{text[1:]}"
    return text


def _one_tool(action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice) -> str:
    rng = voice.rng
    if len(batch) == 1:
        roll = rng.random()
        if roll < 0.12 and len(batch[0]) > 0:
            return _listed(action, batch[0], voice)
        if roll < 0.17 and len(batch[0]) > 0:
            return _terse(action, batch[0], voice)
        return dress(clause(action, batch[0], voice), voice)
    if rng.random() < 0.62:
        joined = together(action, batch, voice)
        if joined is not None:
            return dress(joined, voice)
    roll = rng.random()
    if roll < 0.3:
        text = _same_again(action, batch, voice)
        if text is not None:
            return text
    if roll < 0.55:
        return _numbered(action, batch, voice)
    return _in_a_row([clause(action, arguments, voice) for arguments in batch], voice)


def _several_tools(
    groups: Sequence[tuple[Action, Sequence[Mapping[str, Any]]]], voice: Voice
) -> str:
    clauses: list[Clause] = []
    for action, batch in groups:
        mood = "imperative" if voice.rng.random() < 0.75 else ""
        joined = together(action, batch, voice, mood) if len(batch) > 1 else None
        if joined is not None:
            clauses.append(joined)
        else:
            clauses += [clause(action, arguments, voice, mood) for arguments in batch]
    plain = all(c.mood == "imperative" and not c.tail for c in clauses)
    if len(clauses) == 2 and plain and voice.rng.random() < 0.75:
        a, b = clauses[0].text, clauses[1].text
        frame = _frame("several", "and", voice)
        return frame.format(a=a, b=b, A=_capital(a))
    if plain and len(clauses) > 2 and voice.rng.random() < 0.5:
        *first, last = [c.text for c in clauses]
        return _capital(f"{', '.join(first)}, and {last}.")
    return _in_a_row(clauses, voice)


def clause(
    action: Action, arguments: Mapping[str, Any], voice: Voice, mood: str = ""
) -> Clause:
    """Return the clause that asks for one call; `mood` restricts the templates."""
    voice.listen(action.slots, arguments)
    by_key = {action.slots[name].key: name for name in arguments}
    leaf = action.leaf
    asks = [
        ask
        for ask in (leaf.asks if leaf else ())
        if set(ask.keys) <= set(by_key) and mood in ("", ask.mood)
    ]
    if asks and voice.rng.random() < 0.72:
        ask = voice.rng.choice(asks)
        text = fill(ask, action, arguments, voice)
        rest = [name for name in arguments if action.slots[name].key not in ask.keys]
        return _attached(ask.mood, text, action, arguments, rest, voice)
    core = voice.rng.choice(leaf.bare) if leaf else _core_of(action)
    names = list(arguments)
    if not leaf or voice.rng.random() < 0.5:
        voice.rng.shuffle(names)
    return _attached("imperative", core, action, arguments, names, voice)


def fill(
    ask: Ask,
    action: Action,
    arguments: Mapping[str, Any],
    voice: Voice,
    start: int = 0,
    end: int | None = None,
) -> str:
    """Fill the parts of a template from `start` to `end` with the arguments' surfaces."""
    slots = action.by_key()
    texts = []
    for part in ask.parts[start : len(ask.parts) if end is None else end]:
        if isinstance(part, str):
            texts.append(part)
        else:
            slot = slots[part[0]]
            said = surface(slot, arguments[slot.name], voice.rng, voice=voice, bare=part[1])
            texts.append(_plain_article(texts, said))
    return "".join(texts)


def _plain_article(texts: Sequence[str], said: str) -> str:
    """Drop a second "the" and mend "a" before a vowel ("a {class} deck")."""
    if texts and texts[-1].endswith("the ") and said.startswith("the "):
        return said[4:]
    if texts and isinstance(texts, list) and said[:1].lower() in "aeio8":
        if texts[-1] == "a " or texts[-1].endswith(" a "):
            texts[-1] = texts[-1][:-1] + "n "
    return said


def _attached(
    mood: str,
    text: str,
    action: Action,
    arguments: Mapping[str, Any],
    rest: Sequence[str],
    voice: Voice,
) -> Clause:
    phrases = [
        phrase(action.slots[name], arguments[name], voice.rng, voice=voice)
        for name in rest
        if name not in voice.covered
    ]
    if mood == "statement":
        text = text.rstrip(".")
    text, sentences = attach(text, phrases)
    return Clause(mood, text, tuple(sentences))


def together(
    action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice, mood: str = ""
) -> Clause | None:
    """Ask for several calls of one tool in one distributive clause, or None where it would not do.

    "the weather in Paris and in Rome", "from Oslo and Rome to Paris and Berlin, respectively".
    """
    leaf = action.leaf
    names = set(batch[0])
    if leaf is None or any(set(arguments) != names for arguments in batch):
        return None
    varying = {
        name for name in names if len({canonical.dumps(a[name]) for a in batch}) > 1
    }
    slots = action.slots
    keys = {slots[name].key for name in varying}
    have = {slots[name].key for name in names}
    voice.listen(slots, batch[0])
    if voice.covered & varying:
        return None
    usable = []
    for ask in leaf.asks:
        if set(ask.keys) <= have and keys <= set(ask.keys) and mood in ("", ask.mood):
            inside = {part[0] for part in ask.parts[ask.start : ask.end] if not isinstance(part, str)}
            if keys <= inside:
                usable.append((ask, "bracket"))
            if _splits(ask, slots, keys):
                usable.append((ask, "slots"))
    if not usable:
        return None
    ask, manner = voice.rng.choice(usable)
    text = _joined(ask, action, batch, keys, manner, voice)
    if not text:
        return None
    rest = [name for name in names if slots[name].key not in ask.keys]
    rest.sort(key=list(batch[0]).index)
    return _attached(ask.mood, text, action, batch[0], rest, voice)


def _splits(ask: Ask, slots: Mapping[str, Slot], keys: set[str]) -> bool:
    """Whether the varying slots of a template may hold "A and B" each."""
    if any(slot.kind.draw in _UNSPLIT for slot in slots.values() if slot.key in keys):
        return False
    first = ask.parts[ask.start]
    if isinstance(first, str) and first.split(" ")[0] in _ARTICLES:
        return False
    kinds = [slot.kind for slot in slots.values() if slot.key in keys]
    if any(kind.group in ("structured", "textual") for kind in kinds):
        return False
    bare = " ".join(part for part in ask.parts if isinstance(part, str))
    return not (len(keys) > 1 and " and " in bare) and ask.keys.count(ask.keys[0]) == 1


def _joined(
    ask: Ask,
    action: Action,
    batch: Sequence[Mapping[str, Any]],
    keys: set[str],
    manner: str,
    voice: Voice,
) -> str:
    if manner == "bracket":
        head = fill(ask, action, batch[0], voice, 0, ask.start)
        items = [fill(ask, action, arguments, voice, ask.start, ask.end) for arguments in batch]
        foot = fill(ask, action, batch[0], voice, ask.end)
        if any(" and " in item or "," in item for item in items):
            return head + voice.keep("wide", ("; ", ", and also ", ", and then ")).join(items) + foot
        return head + coordinate(items, voice.keep("and", (" and ", " and ", " and also "))) + foot
    slots = action.by_key()
    texts: list[str] = []
    for part in ask.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        slot = slots[part[0]]
        if part[0] in keys:
            said = [surface(slot, a[slot.name], voice.rng, voice=voice, bare=part[1]) for a in batch]
            if any("," in text for text in said):
                return ""
            texts.append(_plain_article(texts, _shared_unit(said)))
        else:
            said_once = surface(slot, batch[0][slot.name], voice.rng, voice=voice, bare=part[1])
            texts.append(_plain_article(texts, said_once))
    return "".join(texts) + (", respectively" if len(keys) > 1 else "")


def _shared_unit(said: Sequence[str]) -> str:
    """Say "20 and 15 minutes" where all values end in the same unit."""
    heads, tails = zip(*(text.rpartition(" ")[::2] for text in said), strict=True)
    if len(set(tails)) == 1 and all(head[-1:].isdigit() and " " not in head for head in heads):
        return f"{coordinate(heads)} {tails[0]}"
    return coordinate(said)


def dress(made: Clause, voice: Voice) -> str:
    """Turn a clause into a request by a frame."""
    text = made.text
    if made.mood == "statement":
        body = _ended(_capital(text), ".")
    elif made.mood == "question":
        body = _frame("question", "say", voice).format(q=text, Q=_capital(text))
    else:
        body = _frame("imperative", "say", voice).format(ask=text, Ask=_capital(text))
    if not made.tail:
        return body
    return " ".join((_ended(body, "."), *made.tail))


def _in_a_row(clauses: Sequence[Clause], voice: Voice) -> str:
    """Ask for one clause after the other, each in a sentence of its own."""
    sentences = []
    ordered = voice.rng.random() < 0.25
    for index, made in enumerate(clauses):
        text = made.text
        if made.mood == "imperative" and index == 0 and not ordered:
            sentence = dress(Clause(made.mood, text), voice)
        elif made.mood == "imperative":
            also = "First," if index == 0 else voice.rng.choice(frames()["parallel"]["also"])
            sentence = f"{also.rstrip(',')}{',' if also.endswith(',') else ''} {text}."
        else:
            sentence = _capital(text) + ("?" if made.mood == "question" else ".")
        sentences += [_ended(sentence, "."), *made.tail]
    return " ".join(sentences)


def _same_again(
    action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice
) -> str | None:
    """Ask once, then "the same for …"; None where the rest would not say what differs."""
    first = clause_with_ask(action, batch[0], voice)
    if first is None or any(set(arguments) != set(batch[0]) for arguments in batch):
        return None
    made, ask = first
    rests = [remainder(ask, action, batch[0], arguments, voice) for arguments in batch[1:]]
    if any(rest is None for rest in rests):
        return None
    sentences = [_ended(dress(made, voice), ".")]
    sentences += [_frame("parallel", "same", voice).format(rest=rest) for rest in rests]
    return " ".join(sentences)


def clause_with_ask(
    action: Action, arguments: Mapping[str, Any], voice: Voice
) -> tuple[Clause, Ask] | None:
    """Return a clause made from a template, and the template; None where none fits."""
    voice.listen(action.slots, arguments)
    have = {action.slots[name].key for name in arguments}
    asks = [ask for ask in (action.leaf.asks if action.leaf else ()) if set(ask.keys) <= have]
    if not asks:
        return None
    ask = voice.rng.choice(asks)
    text = fill(ask, action, arguments, voice)
    rest = [name for name in arguments if action.slots[name].key not in ask.keys]
    return _attached(ask.mood, text, action, arguments, rest, voice), ask


def remainder(
    ask: Ask,
    action: Action,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    voice: Voice,
) -> str | None:
    """Return the template's repeatable part for `after` ("for a circle of radius 3", "in Oslo"), or
    None where a value outside it changes too."""
    if not ask.again:
        return None
    inside = {part[0] for part in ask.parts[ask.start : ask.end] if not isinstance(part, str)}
    for name in after:
        if action.slots[name].key not in inside and (
            name not in before or canonical.dumps(before[name]) != canonical.dumps(after[name])
        ):
            return None
    if voice.covered:
        voice.listen(action.slots, after)
    text = fill(ask, action, after, voice, ask.start, ask.end)
    return text if text.split(" ")[0] in PREPOSITIONS else f"for {text}"


def _listed(action: Action, arguments: Mapping[str, Any], voice: Voice) -> str:
    leaf, rng = action.leaf, voice.rng
    voice.listen(action.slots, arguments)
    core = rng.choice(leaf.bare) if leaf else _core_of(action)
    names = [name for name in arguments if name not in voice.covered]
    measured = all(action.slots[name].kind.group in _MEASURED for name in names)
    if measured and names and rng.random() < 0.5:
        pairs = [
            f"{'with' if i == 0 else 'and'} {_article(action.slots[n].word)} of "
            + surface(action.slots[n], arguments[n], rng, voice=voice)
            for i, n in enumerate(names)
        ]
        return rng.choice(frames()["fronted"]).format(**{"with": _capital(" ".join(pairs)), "ask": core})
    said = [
        (action.slots[name].word, surface(action.slots[name], arguments[name], rng, voice=voice))
        for name in names
    ]
    return rng.choice(frames()["listed"]).format(
        ask=core,
        Ask=_capital(core),
        list="\n".join(f"- {word}: {text}" for word, text in said),
        inline=_capital(", ".join(f"{word}: {text}" for word, text in said)),
    )


def _terse(action: Action, arguments: Mapping[str, Any], voice: Voice) -> str:
    voice.listen(action.slots, arguments)
    words = [*action.leaf.noun] if action.leaf else words_of(action.tool["name"])
    if action.leaf and action.leaf.verb not in ("calculate", "get"):
        words.insert(0, action.leaf.verb)
    inline = ", ".join(
        f"{action.slots[name].word} {surface(action.slots[name], value, voice.rng, voice=voice)}"
        for name, value in arguments.items()
        if name not in voice.covered
    )
    name = " ".join(words)
    frame = voice.rng.choice(frames()["terse"])
    if "." in frame:
        inline = _capital(inline)
    return frame.format(name=name, Name=_capital(name), inline=inline)


def _numbered(action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice) -> str:
    """Ask for each set of values of a list."""
    rng = voice.rng
    core = rng.choice(action.leaf.bare) if action.leaf else _core_of(action)
    lines = []
    for arguments in batch:
        voice.listen(action.slots, arguments)
        said = [
            f"{action.slots[name].word} "
            + surface(action.slots[name], value, rng, voice=voice)
            for name, value in arguments.items()
            if name not in voice.covered
        ]
        lines.append(", ".join(said))
    intro = rng.choice(
        ("{Ask} for each of these", "Please {ask} for each of the following", "{Ask}, once for each line")
    ).format(ask=core, Ask=_capital(core))
    style = voice.keep("bullets", ("1. ", "- ", "; "))
    if style == "; ":
        return f"{intro}: {'; '.join(lines)}."
    marks = [f"{i}. " if style == "1. " else "- " for i in range(1, len(lines) + 1)]
    return f"{intro}:\n" + "\n".join(mark + line for mark, line in zip(marks, lines, strict=True))


def _core_of(action: Action) -> str:
    """An imperative for a tool that the trees do not know."""
    described = (action.tool.get("description") or "").strip().split(". ")[0].rstrip(".")
    words = words_of(action.tool["name"].rpartition(".")[2])
    verbs = {verb for names in styles()["verbs"].values() for verb in names}
    first, _, rest = described.partition(" ")
    for verb in (first.lower(), first.lower().removesuffix("s")):
        if verb in verbs and rest and len(described) < 90:
            return f"{verb} {rest}"
    if words and words[0] in verbs and len(words) > 1:
        return f"{words[0]} the {' '.join(words[1:])}"
    return f"run {' '.join(words) or action.tool['name']}"


def _frame(group: str, name: str, voice: Voice) -> str:
    options = frames()[group]
    held = options.get(f"heldout_{name}") or options.get("heldout")
    if voice.split == "heldout" and held and voice.rng.random() < 0.5:
        return str(voice.rng.choice(held))
    return str(voice.rng.choice(options[name]))


def _article(word: str) -> str:
    return f"an {word}" if word[:1].lower() in "aeio" else f"a {word}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ended(text: str, mark: str) -> str:
    return text if text[-1:] in ".?!" else text + mark
