"""What parameters of APIs mean: kinds by name, description, format and examples.

The table is `data/api_kinds.yaml`. It serves tools that the trees do not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from jsonschema import Draft202012Validator

from looptool.core import canonical
from looptool.core.packaged import read_yaml
from looptool.offline.grammar.trees import Kind, kinds

_NOT_SAID = re.compile(r"https?://\S+|\]\([^)]*\)")
_SENTENCE = re.compile(r"(?<=[a-z0-9)\]`'])\.\s+(?=[A-Z`'])|\n")
_QUOTED = re.compile(r"`([^`\s]{1,40})`|'([^'\s]{1,40})'|\"([^\"\s]{1,40})\"")
_EXAMPLES = re.compile(r"\b(e\.g\.|for example|example:|such as|like) ?", re.I)
_CHOICES = re.compile(
    r"\b(one of|either|can be|combination of|options are|whether|values are|supported types|"
    r"(allowed|possible|supported|valid|accepted) values)\b",
    re.I,
)
_PLACEHOLDER = re.compile(r"[<{]|(^|[^a-z])[A-Z]+_?(NAME|ID|USER)\b")
_PLAIN_NUMBER = ("integer", "number")


@dataclass(frozen=True, slots=True)
class _Rule:
    """A kind that a name may mean, and what its surroundings must say for that."""

    kind: Kind
    condition: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class _Table:
    """The rules by the last words of names, by description, by format and by look."""

    names: Mapping[tuple[str, ...], Sequence[_Rule]]
    described: Sequence[tuple[re.Pattern[str], Kind]]
    formats: Mapping[str, Sequence[Kind]]
    looks: Sequence[tuple[re.Pattern[str], Kind]]
    vague: frozenset[str]
    pools: Mapping[str, Sequence[str]]
    styles: Sequence[tuple[re.Pattern[str], tuple[str, ...]]]
    by_key: Mapping[str, Kind]
    lists: tuple[tuple[str, ...], tuple[str, ...]]


def plain(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema without the alternative `null`, and only with examples that it allows."""
    for key in ("anyOf", "oneOf"):
        parts = schema.get(key)
        others = [part for part in parts or () if part != {"type": "null"}]
        if parts and len(others) == 1 and len(parts) > 1 and isinstance(others[0], Mapping):
            outer = {word: value for word, value in schema.items() if word != key}
            schema = {**others[0], **outer}
    kind = schema.get("type")
    if isinstance(kind, list) and len(kind) == 2 and "null" in kind:
        schema = {**schema, "type": next(each for each in kind if each != "null")}
    if isinstance(schema.get("enum"), list) and None in schema["enum"] and len(schema["enum"]) > 1:
        schema = {**schema, "enum": [value for value in schema["enum"] if value is not None]}
    if "examples" in schema:
        kept = [value for value in _listed(schema["examples"]) if _is_example(value, schema)]
        schema = {key: value for key, value in schema.items() if key != "examples"}
        schema = {**schema, "examples": kept} if kept else schema
    return schema


def with_told_values(schema: Mapping[str, Any], choices: bool) -> Mapping[str, Any]:
    """Return a schema of a text with the values that its description quotes.

    Examples ("e.g. 'Asia/Tokyo'") become `examples`. The values of a choice ("can be `open` or
    `closed`") become `enum`, or examples too if there may be others.

    Args:
        choices: whether the values are all that there are.
    """
    text = str(schema.get("description", ""))
    if schema.get("type") != "string" or {"enum", "const", "examples"} & set(schema):
        return schema
    choice, example = _CHOICES.search(text), _EXAMPLES.search(text)
    found = choice if choice and not (example and example.start() < choice.start()) else example
    if not found:
        return schema
    told = [next(filter(None, match)) for match in _QUOTED.findall(text[found.end() :])]
    told = [value for value in dict.fromkeys(told) if _is_example(value, schema)]
    told = [value for value in told if not _PLACEHOLDER.search(value)]
    if found is choice and choices and len(told) > 1:
        return {**schema, "enum": told}
    enough = len(told) > (found is choice)
    return {**schema, "examples": told[:3]} if enough else schema


def by_name(words: Sequence[str], schema: Mapping[str, Any], about: str = "") -> Kind | None:
    """Return the kind that a parameter's format or name tells, or None.

    Args:
        words: the words of its name.
        about: the name and description of its tool.
    """
    return _by_name(
        tuple(words),
        _types(schema),
        str(schema.get("format", "")),
        f"{_said(schema)} {schema.get('format', '')} {about}",
    )


def by_description(schema: Mapping[str, Any]) -> Kind | None:
    """Return the kind that a parameter's description tells, or None."""
    return _by_description(_SENTENCE.split(_said(schema))[0], _types(schema))


def by_look(schema: Mapping[str, Any]) -> Kind | None:
    """Return the kind that the examples, or else the default, of a text look like, or None."""
    examples = [*_listed(schema.get("examples")), schema.get("default")]
    text = next((each for each in examples if isinstance(each, str) and each), None)
    return None if text is None or _types(schema) != ("string",) else _by_look(text)


def listed(words: Sequence[str], schema: Mapping[str, Any], about: str = "") -> Kind | None:
    """Return the kind of a list of texts, or of ids that are numbers, or None."""
    items = plain(_mapping(schema.get("items")))
    kind = items.get("type", "string")
    if schema.get("type") != "array" or kind not in ("string", *_PLAIN_NUMBER):
        return None
    singular = singular_of(words)
    if kind in _PLAIN_NUMBER:
        ids = singular[-1:] == ("id",)
        return _list_of(_table().by_key["number_id"], "numbers") if ids else None
    text = {**items, "description": f"{_said(schema)} {_said(items)}"}
    found = by_name(singular, text, about) or by_description(text) or by_look(text)
    return _list_of(found or anything(), "items")


def anything() -> Kind:
    """Return the kind of texts of which nothing is known."""
    return _table().by_key["anything"]


def singular_of(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a name with the last one in the singular."""
    return (*words[:-1], _singular(words[-1])) if words else ()


def is_vague(name: str) -> bool:
    """Whether a name means something in the trees that it need not mean in an API."""
    return name in _table().vague


def all_kinds() -> tuple[Kind, ...]:
    """Return the kinds of the table that the trees do not have."""
    return tuple(kind for kind in _table().by_key.values() if "api" in kind.options)


def pools() -> Mapping[str, Sequence[str]]:
    """Return the pools of the table."""
    return _table().pools


@lru_cache(maxsize=8192)
def _by_name(
    words: tuple[str, ...], types: tuple[str, ...], form: str, surroundings: str
) -> Kind | None:
    table = _table()
    meant = [rule.kind for rule in _rules(words) if _applies(rule, types, surroundings)]
    if form in table.formats:
        possible = [kind for kind in table.formats[form] if set(types) & set(kind.types)]
        named = next((kind for kind in meant if kind in possible), None)
        return named or (possible[-1] if possible else None)
    return meant[0] if meant else None


def _rules(words: tuple[str, ...]) -> Iterator[_Rule]:
    """Yield the rules for a name, those for most of its last words first.

    "name" says less than the word before it: a `branch_name` is a branch.
    """
    table = _table()
    for count in range(len(words), 1, -1):
        yield from table.names.get(words[-count:], ())
    if words[-1:] == ("name",):
        for count in range(len(words), 1, -1):
            yield from table.names.get(words[-count:-1], ())
    yield from table.names.get(words[-1:], ())


def _applies(rule: _Rule, types: tuple[str, ...], surroundings: str) -> bool:
    return bool(set(types or rule.kind.types) & set(rule.kind.types)) and (
        rule.condition is None or bool(rule.condition.search(surroundings))
    )


@lru_cache(maxsize=8192)
def _by_description(text: str, types: tuple[str, ...]) -> Kind | None:
    found = (kind for pattern, kind in _table().described if pattern.search(text))
    return next((kind for kind in found if set(types) & set(kind.types)), None)


@lru_cache(maxsize=1024)
def _by_look(text: str) -> Kind | None:
    table = _table()
    for pattern, kind in table.looks:
        if pattern.fullmatch(text):
            return replace(anything(), options=kind.options)
    for pattern, values in table.styles:
        if pattern.fullmatch(text):
            return replace(anything(), options={"api": True, "values": values})
    return table.by_key["phrase"] if text.count(" ") > 2 else None


@cache
def _list_of(item: Kind, draw: str) -> Kind:
    say, heldout = _table().lists
    base = kinds()["items"]
    return replace(base, draw=draw, say=say, heldout=heldout, options={"api": True, "item": item})


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    kind = schema.get("type")
    return tuple(kind) if isinstance(kind, list) else (kind,) if isinstance(kind, str) else ()


def _said(schema: Mapping[str, Any]) -> str:
    """Return what a description says, without addresses."""
    return _NOT_SAID.sub(" ", str(schema.get("description", "")))


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_example(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether an example is valid, and a text can be said within a sentence."""
    if isinstance(value, str) and (not value.strip() or '"' in value or not value.isprintable()):
        return False
    rules = {key: part for key, part in schema.items() if key != "examples"}
    return _is_valid(canonical.dumps(value), canonical.dumps(rules))


@lru_cache(maxsize=8192)
def _is_valid(value: str, schema: str) -> bool:
    try:
        return bool(Draft202012Validator(json.loads(schema)).is_valid(json.loads(value)))
    except Exception:  # a schema that the validator cannot apply
        return False


@lru_cache(maxsize=1)
def _table() -> _Table:
    body = read_yaml(__package__, "data/api_kinds.yaml")
    names: dict[tuple[str, ...], list[_Rule]] = {}
    formats: dict[str, list[Kind]] = {}
    described: list[tuple[re.Pattern[str], Kind]] = []
    looks: list[tuple[re.Pattern[str], Kind]] = []
    by_key: dict[str, Kind] = {}
    for key, entry in body["kinds"].items():
        kind = kinds()[entry["tree"]] if "tree" in entry else _kind(key, entry, body["always"])
        by_key[key] = kind
        for text in entry.get("names", ()):
            name, _, condition = text.partition(" ~ ")
            rule = _Rule(kind, re.compile(condition, re.I) if condition else None)
            names.setdefault(tuple(name.split()), []).append(rule)
        described += [(re.compile(text, re.I), kind) for text in entry.get("described", ())]
        looks += [(re.compile(entry["looks"]), kind)] if "looks" in entry else []
        for form in entry.get("formats", ()):
            formats.setdefault(form, []).append(kind)
    for rules in names.values():  # what the surroundings tell comes first
        rules.sort(key=lambda rule: rule.condition is None)
    return _Table(
        names,
        described,
        formats,
        looks,
        frozenset(body["vague"]),
        body["pools"],
        [(re.compile(pattern), tuple(values)) for pattern, values in body["styles"]],
        by_key,
        (tuple(body["lists"]["say"]), tuple(body["lists"]["heldout"])),
    )


def _kind(key: str, entry: Mapping[str, Any], always: Mapping[str, Sequence[str]]) -> Kind:
    options = {
        name: entry[name] for name in ("values", "numbers", "low", "high", "nouns") if name in entry
    }
    shared = {"say": (), "heldout": ()} if entry.get("bare") else always
    return Kind(
        name=key,
        group="api",
        draw=entry.get("draw", key),
        types=tuple(entry.get("types", ("string",))),
        describe=(),
        say=(*entry["say"], *shared["say"]),
        heldout=(*entry["heldout"], *shared["heldout"]),
        deny=(),
        deny_heldout=(),
        leaf_say=(),
        leaf_deny=(),
        word="",
        options={"api": True, **options},
    )
