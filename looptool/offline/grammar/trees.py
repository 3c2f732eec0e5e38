"""The context tree and the constraint tree, loaded once from the package's YAML files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from looptool.core.packaged import read_yaml

_TOKEN = re.compile(r"\{(\w+)(#?)\}|([\[\]])")
PREPOSITIONS = frozenset(
    ["in", "on", "at", "for", "from", "to", "near", "with", "between", "by", "of", "around"]
)
_VERB = re.compile(
    r"\b(have|has|seen|needs?|does|do|is|are|was|were|burn|costs?|takes?|earn|bring|ma[kd]e|says?|"
    r"play|stand|rank|reach|used?|consumed|pull|exert|attract|release|paint|happen|beat|decided|"
    r"fits?|lands?|fly|flies|write|feature|share|cause|predict|come|goes|work|leads?|led|falls?|"
    r"mean|open|shown|covers?|owns?|hold|starts?|arrange|transform|becomes?|wants?)\b"
)
_PHRASE_KEYS = ("say", "heldout", "deny", "deny_heldout")


@dataclass(frozen=True, eq=False)
class Kind:
    """A parameter kind of the constraint tree, or a leaf's own refinement of one.

    Attributes:
        draw: the name of the generator in `generators.DRAW`.
        types: the JSON Schema types that a tool may declare for it.
        say, heldout: the wordings for training, and those that only the held-out split uses.
        deny, deny_heldout: the same for a boolean that is false.
        leaf_say, leaf_deny: wordings of one leaf's parameter, preferred to those of the kind.
        options: the generator's arguments.
    """

    name: str
    group: str
    draw: str
    types: tuple[str, ...]
    describe: tuple[str, ...]
    say: tuple[str, ...]
    heldout: tuple[str, ...]
    deny: tuple[str, ...]
    deny_heldout: tuple[str, ...]
    leaf_say: tuple[str, ...]
    leaf_deny: tuple[str, ...]
    word: str
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Param:
    """A parameter of a leaf action.

    Attributes:
        names: the names that tools may give it.
    """

    key: str
    kind: Kind
    required: bool
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Ask:
    """A request template.

    Attributes:
        mood: imperative (no capital, no full stop), question (without its mark) or statement.
        parts: literal texts, and slots as (key, whether only the bare number is wanted).
        start, end: the range of parts that parallel requests and follow-ups repeat.
        again: whether that range can follow "and the same for …".
        keys: the keys of the slots.
    """

    mood: str
    parts: tuple[str | tuple[str, bool], ...]
    start: int
    end: int
    again: bool
    keys: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Leaf:
    """An action of the context tree."""

    key: str
    domain: str
    subdomain: str
    modules: tuple[str, ...]
    contexts: tuple[str, ...]
    heldout: bool
    verb: str
    noun: tuple[str, ...]
    does: tuple[str, ...]
    params: Mapping[str, Param]
    bare: tuple[str, ...]
    asks: tuple[Ask, ...]
    gives: Mapping[str, str]
    order: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """Return the keys of the parameters that every tool of this leaf requires."""
        return tuple(key for key, param in self.params.items() if param.required)


@dataclass(frozen=True, eq=False)
class Chain:
    """A two-step plan: the second leaf needs fields of the first one's response.

    Attributes:
        links: (response field of the first leaf, parameter key of the second).
    """

    first: str
    second: str
    links: tuple[tuple[str, str], ...]
    asks: tuple[Ask, ...]


@lru_cache(maxsize=1)
def kinds() -> dict[str, Kind]:
    """Return all parameter kinds by name."""
    by_name = {}
    for group, body in _read("kinds.yaml")["groups"].items():
        for name, refined in body["kinds"].items():
            merged = {key: value for key, value in body.items() if key != "kinds"} | refined
            by_name[name] = _kind(name, group, merged)
    return by_name


@lru_cache(maxsize=1)
def leaves() -> dict[str, Leaf]:
    """Return all leaf actions by key, in the order of the files.

    Domains of rank 2 come last, so that parameter names mean what they mean in the others.
    """
    by_key: dict[str, Leaf] = {}
    folder = resources.files(__package__) / "data" / "contexts"
    files = [path.name for path in folder.iterdir() if path.name.endswith(".yaml")]
    domains = [(name, _read(f"contexts/{name}")) for name in files]
    for name, domain in sorted(domains, key=lambda item: (item[1].get("rank", 1), item[0])):
        for subdomain, body in domain["subdomains"].items():
            for key, leaf in body.items():
                if key in by_key:
                    raise ValueError(f"{name}: leaf {key} is defined twice")
                by_key[key] = _leaf(key, leaf, domain, subdomain)
    return by_key


@lru_cache(maxsize=3)
def split_leaves(split: str) -> tuple[Leaf, ...]:
    """Return the leaves of a split; see `synthesis.Split`."""
    fitting = [leaf for leaf in leaves().values() if leaf.heldout == (split == "heldout")]
    if split == "warm_start":
        fitting = [leaf for leaf in fitting if not is_left_to_the_loop(leaf.key)]
    return tuple(fitting)


@cache
def is_left_to_the_loop(text: str) -> bool:
    """Whether a leaf's key or a wording is not in the samples of the warm-start adapter."""
    return hashlib.blake2b(f"warm start:{text}".encode()).digest()[0] < 64


def for_split(texts: Sequence[str], split: str) -> Sequence[str]:
    """Return the texts that a split may use: all, but for `warm_start`; never none."""
    if split != "warm_start":
        return texts
    return [text for text in texts if not is_left_to_the_loop(text)] or texts


@lru_cache(maxsize=1)
def rivals() -> dict[str, frozenset[str]]:
    """Return for each leaf the leaves that can replace it and are never its distractors."""
    pairs = [pair for body in _read("rivals.yaml") for pair in (tuple(body), tuple(body[::-1]))]
    return {key: frozenset(b for a, b in pairs if a == key) for key in leaves()}


@lru_cache(maxsize=1)
def chains() -> tuple[Chain, ...]:
    """Return the two-step plans."""
    return tuple(
        Chain(
            body["first"],
            body["second"],
            tuple((body[f"field{n}"], body[f"param{n}"]) for n in ("", "2") if f"field{n}" in body),
            tuple(map(compile_ask, body["asks"])),
        )
        for body in _read("chains.yaml")
    )


@lru_cache(maxsize=1)
def pools() -> dict[str, Any]:
    """Return the value pools: lists of texts, or mappings from a value to its spoken forms."""
    return {
        name: tuple(part.strip() for part in body.split(",")) if isinstance(body, str) else body
        for name, body in _read("pools.yaml").items()
    }


@lru_cache(maxsize=1)
def styles() -> dict[str, Any]:
    """Return naming styles, verbs and sizes."""
    body: dict[str, Any] = _read("styles.yaml")
    return body


@lru_cache(maxsize=1)
def frames() -> dict[str, Any]:
    """Return the frames of whole requests."""
    body: dict[str, Any] = _read("frames.yaml")
    return body


@lru_cache(maxsize=1)
def extras() -> dict[str, tuple[Param, ...]]:
    """Return optional parameters that tools may have beside their leaf's, by the leaf's verb.

    `any` holds those of verbs that are not listed.
    """
    return {
        verb: tuple(_param(f"{name}?", body)[1] for name, body in params.items())
        for verb, params in _read("extras.yaml").items()
    }


@lru_cache(maxsize=1)
def documents() -> dict[str, Any]:
    """Return the wordings of long tool documents."""
    body: dict[str, Any] = _read("documents.yaml")
    return body


@lru_cache(maxsize=1)
def described() -> dict[str, Any]:
    """Return the wordings for tools that the trees do not know."""
    body: dict[str, Any] = _read("described.yaml")
    return body


def compile_ask(text: str) -> Ask:
    """Compile a template: `{key}` a value, `{key#}` its bare number, `[…]` the repeatable part.

    Raises:
        ValueError: if the brackets are not paired.
    """
    mood = "question" if text.endswith("?") else "statement" if text.endswith(".") else "imperative"
    body = text.rstrip("?") if mood == "question" else text
    parts: list[str | tuple[str, bool]] = []
    start = end = -1
    position = 0
    for token in _TOKEN.finditer(body):
        if token.start() > position:
            parts.append(body[position : token.start()])
        position = token.end()
        if token[3] == "[":
            start = len(parts)
        elif token[3] == "]":
            end = len(parts)
        else:
            parts.append((token[1], bool(token[2])))
    if position < len(body):
        parts.append(body[position:])
    if (start < 0) != (end < 0) or end < start:
        raise ValueError(f"brackets are not paired in {text!r}")
    keys = tuple(part[0] for part in parts if not isinstance(part, str))
    return Ask(mood, tuple(parts), start, end, _repeatable(mood, parts, start, end), keys)


def _repeatable(mood: str, parts: list[str | tuple[str, bool]], start: int, end: int) -> bool:
    """Whether the bracketed range is a phrase rather than a clause with its own verb."""
    if start < 0:
        return False
    inside = "".join(part if isinstance(part, str) else "_" for part in parts[start:end])
    before = "".join(part if isinstance(part, str) else "_" for part in parts[:start]).split()
    if inside.split(" ")[0] in PREPOSITIONS:
        return True
    if _VERB.search(re.split(r" (?:whose|that|who|where) ", inside)[0]):
        return False
    if mood == "question":
        return before[-1:] in (
            ["of"],
            ["for"],
            ["on"],
            ["with"],
            ["between"],
            ["about"],
            ["to"],
        ) or (" ".join(before) in ("what is", "what's", "how much is", "how big is", "what are"))
    return True


def _leaf(key: str, body: Mapping[str, Any], domain: Mapping[str, Any], subdomain: str) -> Leaf:
    verb, *noun = body["name"].split()
    return Leaf(
        key=key,
        domain=domain["domain"],
        subdomain=subdomain,
        modules=tuple(domain["modules"]),
        contexts=tuple(domain["contexts"]),
        heldout=bool(body.get("heldout")),
        verb=verb,
        noun=tuple(noun),
        does=tuple(body["does"]),
        params=dict(_param(name, value) for name, value in body["params"].items()),
        bare=tuple(body["bare"]),
        asks=tuple(map(compile_ask, body["asks"])),
        gives=dict(body["gives"]),
        order=tuple(body.get("order", ())),
    )


def _param(name: str, body: str | Mapping[str, Any]) -> tuple[str, Param]:
    """Return a leaf's parameter and its key, with the leaf's changes to its kind."""
    key = name.rstrip("?")
    refined = {"kind": body} if isinstance(body, str) else dict(body)
    kind = kinds()[refined.pop("kind")]
    names = tuple(refined.pop("names", (key,)))
    merged: dict[str, Any] = {
        "draw": kind.draw,
        "types": kind.types,
        "describe": kind.describe,
        "word": kind.word or key.replace("_", " "),
        **kind.options,
    }
    leaf_say, leaf_deny = (tuple(refined.pop(part, ())) for part in ("say", "deny"))
    merged |= refined
    for phrases in _PHRASE_KEYS:
        merged[phrases] = getattr(kind, phrases)
    leaf_kind = _kind(kind.name, kind.group, merged, leaf_say, leaf_deny)
    return key, Param(key, leaf_kind, not name.endswith("?"), names)


def _kind(
    name: str,
    group: str,
    body: Mapping[str, Any],
    leaf_say: tuple[str, ...] = (),
    leaf_deny: tuple[str, ...] = (),
) -> Kind:
    fields = ("draw", "types", "describe", "word", *_PHRASE_KEYS)
    options = {key: value for key, value in body.items() if key not in fields}
    if "enum" in options and not isinstance(options["enum"], dict):
        options["enum"] = {value: [] for value in options["enum"]}
    say, heldout, deny, deny_heldout = (tuple(body.get(key, ())) for key in _PHRASE_KEYS)
    return Kind(
        name=name,
        group=group,
        draw=body["draw"],
        types=tuple(body["types"]),
        describe=tuple(body["describe"]),
        say=say,
        heldout=heldout,
        deny=deny,
        deny_heldout=deny_heldout,
        leaf_say=leaf_say,
        leaf_deny=leaf_deny,
        word=body.get("word", ""),
        options=options,
    )


def _read(name: str) -> Any:
    return read_yaml(__package__, f"data/{name}")
