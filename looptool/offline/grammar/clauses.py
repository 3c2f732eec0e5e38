"""Clauses that ask for one call, and the frames that turn a clause into a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looptool.english.lists import needs_an, with_article
from looptool.offline.grammar.described import core_of, named_core
from looptool.offline.grammar.speech import Voice, surface
from looptool.offline.grammar.toolbox import Action
from looptool.offline.grammar.trees import Ask, for_split, frames
from looptool.offline.grammar.wording import attach, phrase

_MEASURED = ("measured", "priced")


@dataclass(frozen=True)
class Clause:
    """A request without its frame.

    Attributes:
        mood: imperative, question or statement.
        text: the clause without capital and end mark.
        tail: the sentences after it.
    """

    mood: str
    text: str
    tail: tuple[str, ...] = ()


def clause(action: Action, arguments: Mapping[str, Any], voice: Voice, mood: str = "") -> Clause:
    """Return a clause that asks for one call; `mood` restricts the templates."""
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
        return attached(ask.mood, text, action, arguments, rest, voice)
    used: list[str] = []
    if leaf:
        core = voice.rng.choice(leaf.bare)
    else:
        core, used = named_core(action, arguments, voice)
    names = [name for name in arguments if name not in used]
    if not leaf or voice.rng.random() < 0.5:
        voice.rng.shuffle(names)
    return attached("imperative", core, action, arguments, names, voice)


def clause_with_ask(
    action: Action, arguments: Mapping[str, Any], voice: Voice
) -> tuple[Clause, Ask] | None:
    """Return a clause made from a template, and the template; None if none fits."""
    voice.listen(action.slots, arguments)
    have = {action.slots[name].key for name in arguments}
    asks = [ask for ask in (action.leaf.asks if action.leaf else ()) if set(ask.keys) <= have]
    if not asks:
        return None
    ask = voice.rng.choice(asks)
    text = fill(ask, action, arguments, voice)
    rest = [name for name in arguments if action.slots[name].key not in ask.keys]
    return attached(ask.mood, text, action, arguments, rest, voice), ask


def fill(
    ask: Ask,
    action: Action,
    arguments: Mapping[str, Any],
    voice: Voice,
    start: int = 0,
    end: int | None = None,
) -> str:
    """Fill the parts of a template from `start` to `end` with the arguments as users say them."""
    slots = action.by_key()
    texts = []
    for part in ask.parts[start : len(ask.parts) if end is None else end]:
        if isinstance(part, str):
            texts.append(part)
        else:
            slot = slots[part[0]]
            said = surface(slot, arguments[slot.name], voice.rng, voice=voice, bare=part[1])
            texts.append(plain_article(texts, said))
    return "".join(texts)


def plain_article(texts: list[str], said: str) -> str:
    """Drop a second "the", and turn "a" into "an" before a vowel ("a {class} deck")."""
    if texts and texts[-1].endswith("the ") and said.startswith("the "):
        return said[4:]
    if texts and needs_an(said) and (texts[-1] == "a " or texts[-1].endswith(" a ")):
        texts[-1] = texts[-1][:-1] + "n "
    return said


def attached(
    mood: str,
    text: str,
    action: Action,
    arguments: Mapping[str, Any],
    rest: Sequence[str],
    voice: Voice,
) -> Clause:
    """Return the clause with a phrase for each argument in `rest`."""
    phrases = [
        phrase(action.slots[name], arguments[name], voice.rng, voice=voice)
        for name in rest
        if name not in voice.covered
    ]
    if mood == "statement":
        text = text.rstrip(".")
    if mood == "question":  # "and set the mode to eco" fits only an imperative
        phrases = [f"{capital(said[4:])}." if said.startswith("and ") else said for said in phrases]
    text, sentences = attach(text, phrases)
    return Clause(mood, text, tuple(sentences))


def dress(made: Clause, voice: Voice) -> str:
    """Return a request: the clause in a frame."""
    text = made.text
    if made.mood == "statement":
        body = ended(capital(text), ".")
    elif made.mood == "question":
        body = frame_of("question", "say", voice).format(q=text, Q=capital(text))
    else:
        frame = frame_of("imperative", "say", voice)
        if (made.tail and "Thanks" in frame) or ("," in text and "for me" in frame):
            frame = "{Ask}."
        body = frame.format(ask=text, Ask=capital(text))
    return " ".join((ended(body, "."), *made.tail)) if made.tail else body


def listed(action: Action, arguments: Mapping[str, Any], voice: Voice) -> str:
    """Return a request that lists the arguments, or gives measures first ("With a width of …")."""
    leaf, rng = action.leaf, voice.rng
    voice.listen(action.slots, arguments)
    core = rng.choice(leaf.bare) if leaf else core_of(action, rng)
    names = [name for name in arguments if name not in voice.covered]
    measured = all(action.slots[name].kind.group in _MEASURED for name in names)
    if measured and names and rng.random() < 0.5:
        pairs = [
            f"{'with' if i == 0 else 'and'} {with_article(action.slots[n].word)} of "
            + surface(action.slots[n], arguments[n], rng, voice=voice)
            for i, n in enumerate(names)
        ]
        return rng.choice(frames()["fronted"]).format(
            **{"with": capital(" ".join(pairs)), "ask": core}
        )
    said = [
        (action.slots[name].word, surface(action.slots[name], arguments[name], rng, voice=voice))
        for name in names
    ]
    return rng.choice(frames()["listed"]).format(
        ask=core,
        Ask=capital(core),
        list="\n".join(f"- {word}: {text}" for word, text in said),
        inline=capital(", ".join(f"{word}: {text}" for word, text in said)),
    )


def terse(action: Action, arguments: Mapping[str, Any], voice: Voice) -> str:
    """Return a request in note form: the words of the tool, then the arguments."""
    voice.listen(action.slots, arguments)
    words = [*action.leaf.noun] if action.leaf else core_of(action).split()
    if action.leaf and action.leaf.verb not in ("calculate", "get"):
        words.insert(0, action.leaf.verb)
    said = [
        (action.slots[name].word, surface(action.slots[name], value, voice.rng, voice=voice))
        for name, value in arguments.items()
        if name not in voice.covered
    ]
    inline = ", ".join(
        text if text.endswith(f" {word}") else f"{word} {text}" for word, text in said
    )
    name = " ".join(words)
    frame = voice.rng.choice(frames()["terse"])
    if "." in frame:
        inline = capital(inline)
    return frame.format(name=name, Name=capital(name), inline=inline)


def frame_of(group: str, name: str, voice: Voice) -> Any:
    """Return a random frame of a group; the held-out split also uses held-out frames."""
    options = frames()[group]
    held = options.get(f"heldout_{name}") or options.get("heldout")
    if voice.split == "heldout" and held and voice.rng.random() < 0.5:
        return voice.rng.choice(held)
    fitting = options[name]
    return voice.rng.choice(
        for_split(fitting, voice.split) if isinstance(fitting[0], str) else fitting
    )


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def ended(text: str, mark: str) -> str:
    return text if text[-1:] in ".?!" else text + mark
