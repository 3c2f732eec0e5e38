"""Requests for several calls of one tool: distributive, repeated, listed, or in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from looptool.core import canonical
from looptool.english.lists import coordinate, with_article
from looptool.english.numbers import ONES, ORDINALS
from looptool.offline.grammar.clauses import (
    Clause,
    attached,
    capital,
    clause_with_ask,
    dress,
    ended,
    fill,
    frame_of,
    plain_article,
)
from looptool.offline.grammar.described import core_of
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.speech import Voice, surface
from looptool.offline.grammar.toolbox import Action
from looptool.offline.grammar.trees import PREPOSITIONS, Ask, frames

_MEASURES = ("measured", "priced")
_UNSPLIT = ("coordinate", "count", "number", "address")
_ARTICLES = ("a", "an", "one", "the", "my", "some", "someone", "something")


def together(
    action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice, mood: str = ""
) -> Clause | None:
    """Return one distributive clause for several calls of one tool, or None if none fits.

    "the weather in Paris and in Rome", "from Oslo and Rome to Paris and Berlin, respectively".
    """
    leaf = action.leaf
    names = set(batch[0])
    if leaf is None or any(set(arguments) != names for arguments in batch):
        return None
    varying = {name for name in names if len({canonical.dumps(a[name]) for a in batch}) > 1}
    slots = action.slots
    keys = {slots[name].key for name in varying}
    have = {slots[name].key for name in names}
    voice.listen(slots, batch[0])
    if voice.covered & varying:
        return None
    usable = []
    for ask in leaf.asks:
        if set(ask.keys) <= have and keys <= set(ask.keys) and mood in ("", ask.mood):
            inside = {
                part[0] for part in ask.parts[ask.start : ask.end] if not isinstance(part, str)
            }
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
    made = attached(ask.mood, text, action, batch[0], rest, voice)
    core = text.rstrip(".") if ask.mood == "statement" else text
    if manner == "bracket" and made.text != core:
        # Otherwise the rest would seem to apply to the last item only.
        each = voice.keep("each", ("in each case", "each time", "all of them"))
        return Clause(made.mood, f"{core}, {each}{made.text[len(core) :]}", made.tail)
    return made


def _splits(ask: Ask, slots: Mapping[str, Slot], keys: set[str]) -> bool:
    """Whether each varying slot of a template can hold "A and B"."""
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
    """Fill a template once for all calls, with "A and B" in its repeatable part or in its slots."""
    if manner == "bracket":
        head = fill(ask, action, batch[0], voice, 0, ask.start)
        items = [fill(ask, action, arguments, voice, ask.start, ask.end) for arguments in batch]
        foot = fill(ask, action, batch[0], voice, ask.end)
        if any(" and " in item or "," in item for item in items):
            return (
                head + voice.keep("wide", ("; ", ", and also ", ", and then ")).join(items) + foot
            )
        return head + coordinate(items, voice.keep("and", (" and ", " and ", " and also "))) + foot
    slots = action.by_key()
    texts: list[str] = []
    for part in ask.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        slot = slots[part[0]]
        if part[0] in keys:
            said = [
                surface(slot, a[slot.name], voice.rng, voice=voice, bare=part[1]) for a in batch
            ]
            if any("," in text for text in said):
                return ""
            texts.append(plain_article(texts, _shared_unit(said)))
        else:
            said_once = surface(slot, batch[0][slot.name], voice.rng, voice=voice, bare=part[1])
            texts.append(plain_article(texts, said_once))
    text = "".join(texts)
    return f"{text.rstrip('.')}, respectively" if len(keys) > 1 else text


def _shared_unit(said: Sequence[str]) -> str:
    """Join values; return "20 and 15 minutes" if all end in the same unit."""
    heads, tails = zip(*(text.rpartition(" ")[::2] for text in said), strict=True)
    if len(set(tails)) == 1 and all(head[-1:].isdigit() and " " not in head for head in heads):
        return f"{coordinate(heads)} {tails[0]}"
    return coordinate(said)


def in_a_row(clauses: Sequence[Clause], voice: Voice) -> str:
    """Return a request with one clause after the other, each in a sentence of its own."""
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
            sentence = capital(text) + ("?" if made.mood == "question" else ".")
        sentences += [ended(sentence, "."), *made.tail]
    return " ".join(sentences)


def tasks(clauses: Sequence[Clause], contexts: Sequence[str], voice: Voice) -> str:
    """Return a longer request: the clauses as tasks, numbered or introduced by "First," and so on.

    Args:
        contexts: remarks that may stand before a task.
    """
    rng, body = voice.rng, frames()["tasks"]
    contexts = rng.sample(contexts, len(contexts))
    numbered = {"n": ONES[len(clauses)]}
    opener = frame_of("tasks", "openers", voice).format(**numbered) if rng.random() < 0.6 else ""
    closer = rng.choice(body["closers"])
    if rng.random() < 0.3:
        style = rng.choice(("{}. ", "{}) ", "- "))
        lines = [
            style.format(number) + " ".join((_line(made, voice), *made.tail))
            for number, made in enumerate(clauses, 1)
        ]
        return "\n".join(part for part in (opener, *lines, closer) if part)
    marks = frame_of("tasks", "marks", voice)
    sentences = [opener] if opener else []
    for mark, made in zip(marks, clauses, strict=False):
        if contexts and rng.random() < 0.4:
            sentences.append(contexts.pop())
        sentences += [_task(mark, made, voice), *made.tail]
    return " ".join([*sentences, closer]).strip()


def _line(made: Clause, voice: Voice) -> str:
    """Return a task as a line of a list."""
    if made.mood == "question":
        return capital(made.text) + "?"
    if made.mood == "statement":
        return ended(capital(made.text), ".")
    text = str(voice.keep("lines", frames()["tasks"]["lines"]))
    text = text.format(ask=made.text, Ask=capital(made.text))
    return ended(text, ".") if made.tail else text


def _task(mark: str, made: Clause, voice: Voice) -> str:
    """Return a task as a sentence after its mark."""
    if made.mood == "imperative":
        text = frame_of("tasks", "task", voice).format(mark=mark, ask=made.text)
    else:
        text = f"{mark} {made.text}{'?' if made.mood == 'question' else '.'}"
    return capital(text.strip())


def cases(action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice) -> str:
    """Return a request in prose that says what to do and then what each case has."""
    rng = voice.rng
    core = rng.choice(action.leaf.bare) if action.leaf else core_of(action, rng)
    intro = frame_of("cases", "intro", voice)
    form = str(voice.keep("case", frames()["cases"]["case"]))
    sentences = [intro.format(ask=core, Ask=capital(core), n=ONES[len(batch)])]
    for index, arguments in enumerate(batch):
        voice.listen(action.slots, arguments)
        said = [
            f"{with_article(slot.word) if slot.kind.group in _MEASURES else slot.word}"
            f"{' of' if slot.kind.group in _MEASURES else ''} "
            + surface(slot, value, rng, voice=voice)
            for name, value in arguments.items()
            if (slot := action.slots[name]) and name not in voice.covered
        ]
        if not said:  # the unit that stands beside another value is all that there is
            return numbered(action, batch, voice)
        sentences.append(form.format(nth=ORDINALS[index], list=coordinate(said)))
    return " ".join(sentences)


def same_again(action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice) -> str | None:
    """Ask once, then "the same for …"; None if that would not say all that differs."""
    first = clause_with_ask(action, batch[0], voice)
    if first is None or any(set(arguments) != set(batch[0]) for arguments in batch):
        return None
    made, ask = first
    rests = [remainder(ask, action, batch[0], arguments, voice) for arguments in batch[1:]]
    if any(rest is None for rest in rests):
        return None
    sentences = [ended(dress(made, voice), ".")]
    if len(batch[0]) > len(ask.keys):  # only "the same" carries over the other arguments
        sentences += [f"And the same {rest}." for rest in rests]
    else:
        sentences += [frame_of("parallel", "same", voice).format(rest=rest) for rest in rests]
    return " ".join(sentences)


def remainder(
    ask: Ask,
    action: Action,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    voice: Voice,
) -> str | None:
    """Return a template's repeatable part for `after` ("for a circle of radius 3", "in Oslo").

    None if the template has none, or if a value outside it changes too.
    """
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


def numbered(action: Action, batch: Sequence[Mapping[str, Any]], voice: Voice) -> str:
    """Return a request that lists the values of each call."""
    rng = voice.rng
    core = rng.choice(action.leaf.bare) if action.leaf else core_of(action, rng)
    lines = []
    for arguments in batch:
        voice.listen(action.slots, arguments)
        said = [
            f"{action.slots[name].word} " + surface(action.slots[name], value, rng, voice=voice)
            for name, value in arguments.items()
            if name not in voice.covered
        ]
        lines.append(", ".join(said))
    intro = rng.choice(
        (
            "{Ask} for each of these",
            "Please {ask} for each of the following",
            "{Ask}, once for each line",
        )
    ).format(ask=core, Ask=capital(core))
    style = voice.keep("bullets", ("1. ", "- ", "; "))
    if style == "; ":
        return f"{intro}: {'; '.join(lines)}."
    marks = [f"{i}. " if style == "1. " else "- " for i in range(1, len(lines) + 1)]
    return f"{intro}:\n" + "\n".join(mark + line for mark, line in zip(marks, lines, strict=True))
