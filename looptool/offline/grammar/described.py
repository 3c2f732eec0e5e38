"""Wordings for tools that the trees do not know, in the words of their descriptions.

"Follow a show" with show_id 45 becomes "start following show 45".
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from looptool.offline.grammar.inference import words_of
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.speech import Voice, surface
from looptool.offline.grammar.toolbox import Action
from looptool.offline.grammar.trees import described

_ARTICLE = r"(?:a|an|the|one|this|that|your|some)"
_FILLER = r"(?:specific|particular|single|given|certain|specified|existing|optional)"
# What may follow a noun that is complete: "an episode vote" is not an episode.
_AFTER = (
    r"(?:is|are|was|has|as|by|from|to|in|into|on|at|with|for|of|under|and|or|that|which|who|based|"
    r"up|off|out|again|via)"
)
# What a user would replace by a value or leave out: "in a specific timezone".
_OPEN = re.compile(
    r" (?:from|with|by|in|for|using|of|at|to|on) (?:(?:an? )?optional|"
    r"an? (?:specific|specified|given|particular|certain)) [\w ]+$"
)
_DANGLING = re.compile(r"(?:,? given)?(?: (?:as|of|to|for|by|with|from|via|using))+$")
_LONGEST = 100  # characters; a longer first sentence is not used
_HELDOUT_SHARE = 0.6


def core_of(action: Action, rng: random.Random | None = None) -> str:
    """Return an imperative for a tool; with `rng` its verb may be replaced by a synonym."""
    return _OPEN.sub("", _core(action, rng))


def _core(action: Action, rng: random.Random | None) -> str:
    verb, rest = _imperative(action)
    if rng is not None and not rest.startswith("for "):  # "search for": nobody finds for
        verb = rng.choice(described()["imperatives"].get(verb, [verb]))
    return f"{verb} {rest}".strip()


def named_core(action: Action, arguments: Mapping[str, Any], voice: Voice) -> tuple[str, list[str]]:
    """Return an imperative that names things by their ids or names, and the arguments used."""
    text, used = _core(action, voice.rng), []
    things: list[str] = []
    heldout = voice.split == "heldout" and voice.rng.random() < _HELDOUT_SHARE
    for name, value in arguments.items():
        slot = action.slots[name]
        if isinstance(value, dict | list | bool):
            continue
        for noun in _nouns(slot):
            found = re.search(_mention(noun), text, re.I)
            if found and (found["filler"] or voice.rng.random() < 0.8):
                group = "named" if slot.kind.draw == "identifier" else "called"
                said = voice.keep(group, described()[group]["heldout" if heldout else "say"])
                thing = surface(slot, value, voice.rng, voice=voice)
                said = said.format(noun=noun, v=f"\0{len(things)}\0")  # `_OPEN` stops at it
                things.append(thing)
                text = f"{text[: found.start()]}{said}{text[found.end() :]}"
                used.append(name)
                break
    text = _OPEN.sub("", text)
    for place, thing in enumerate(things):
        text = text.replace(f"\0{place}\0", thing)
    return text, used


def _nouns(slot: Slot) -> tuple[str, ...]:
    """Return what a description may call the thing that a parameter names; none if it is text."""
    words = words_of(slot.name)
    if slot.kind.draw == "identifier" and words[-1:] in (["id"], ["number"]):
        noun = " ".join(words[:-1])
        return (noun, f"{noun} request") if noun else ()
    if slot.kind.group != "api" or slot.type != "string" or "nouns" not in slot.kind.options:
        return ()
    told: tuple[str, ...] = tuple(slot.kind.options["nouns"])
    noun = " ".join(words[:-1] if words[-1:] in (["name"], ["slug"]) else words)
    return tuple(dict.fromkeys((noun, *told))) if noun else told


@lru_cache(maxsize=4096)
def _mention(noun: str) -> str:
    """Return a pattern for "a repository" and "for repository", if the noun is complete there."""
    before = rf"\b{_ARTICLE} (?P<filler>{_FILLER} )?|(?<= for )|(?<= of )|(?<= in )"
    return rf"(?:{before}){re.escape(noun)}(?=$|[^\w -]| {_AFTER}\b)"


def _imperative(action: Action) -> tuple[str, str]:
    """Return (verb, rest) for what a tool does, in the words of its document."""
    verbs = described()["imperatives"]
    said = _first_sentence(action.tool.get("description") or "")
    words = words_of(action.tool["name"].rpartition(".")[2])
    first, _, rest = said.partition(" ")
    if first.endswith("ly") and rest:  # "Recursively search for files"
        first, _, rest = rest.partition(" ")
    for verb in _stems(first.casefold()):
        if verb in verbs and rest:
            return verb, rest
    verb = described()["methods"].get(words[0], words[0]) if words else ""
    if verb in verbs and said:
        return verb, _with_article(said if said[1:2].isupper() else said[:1].lower() + said[1:])
    if verb in verbs and len(words) > 1:
        return verb, _with_article(" ".join(words[1:]))
    return "use", " ".join(words) or action.tool["name"]


def _with_article(noun: str) -> str:
    """Return a noun with "the" before it, if it has no article and is not a plural."""
    definite = re.match(rf"(?:{_ARTICLE}|all|my)\b", noun, re.I) or noun.endswith("s")
    return noun if definite else f"the {noun}"


def _stems(word: str) -> tuple[str, ...]:
    """Return the possible base forms of a verb such as "lists", "fetches" or "Retrieve"."""
    return word, word.removesuffix("s"), word.removesuffix("es")


@lru_cache(maxsize=4096)
def _first_sentence(text: str) -> str:
    """Return the first sentence of a description as a user could say it, or ""."""
    text = re.sub(r"[`*]{1,2}(\S[^`*]*?)[`*]{1,2}", r"\1", text)
    text = re.sub(r"\([^)]*\)|https?://\S+|<[^>]+>", "", text)
    sentence = re.split(r"(?<=[.!?])\s|[:;\n]", text.strip())[0]
    sentence = " ".join(sentence.split()).strip(" .!?,")
    sentence = re.sub(r" (?:by|based on|using|with) (?:its |their |the )?(?:id|ids|path)$", "",
                      sentence, flags=re.I)  # fmt: skip
    sentence = _DANGLING.sub("", sentence)
    return sentence if len(sentence) <= _LONGEST else ""
