"""Tools from paths through both trees, reading any tool document, and distractors.

Each leaf gives a fixed number of tool documents, its variants. They differ in name style, parameter
names, types, optional parameters and defaults. Since their number is fixed, each document is
checked and compiled only once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from looptool.core import canonical
from looptool.core.tools import Tool
from looptool.english.dates import NAMED_DATES
from looptool.offline.grammar.documents import longer_text, tool_text
from looptool.offline.grammar.inference import form_of, slot_of, words_of
from looptool.offline.grammar.shapes import schema_of
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.trees import (
    Leaf,
    Param,
    extras,
    kinds,
    leaves,
    pools,
    rivals,
    split_leaves,
    styles,
)
from looptool.offline.grammar.values import draw
from looptool.synthesis.constraint_tree import NAMING

# Groups of kinds whose optional parameters may have any value as default.
_WITH_DEFAULT = ("measured", "counted", "chosen")


@dataclass(frozen=True, eq=False)
class Action:
    """A tool document as the agents read it.

    Attributes:
        leaf: the action of the context tree, or None if the trees do not know the tool.
        slots: the slots by parameter name.
    """

    tool: Tool
    leaf: Leaf | None
    slots: Mapping[str, Slot]

    def by_key(self) -> dict[str, Slot]:
        """Return the slots by their keys in the leaf."""
        return {slot.key: slot for slot in self.slots.values()}


@cache
def variant(key: str, index: int) -> Action:
    """Return one of the `styles()["variants"]` tools of a leaf."""
    leaf = leaves()[key]
    rng = random.Random(f"tool:{key}:{index}")
    style = weighted(NAMING, rng)
    name = rng.choice(_names(leaf, style))
    camel = style == "camel" and rng.random() < styles()["parameters"]["camel_with_camel_tool"]
    optional = styles()["optional"]
    form = rng.choice((*NAMED_DATES, *["YYYY-MM-DD"] * 4))
    long = rng.random() < styles()["documents"]["long"]
    slots: dict[str, Slot] = {}
    for param in (*leaf.params.values(), *_extras(leaf, rng)):
        if not param.required and rng.random() > optional["kept"]:
            continue
        slot = _slot(param, camel, form, rng)
        default = param.kind.options.get("default")
        if default is None and not param.required and param.kind.group in _WITH_DEFAULT:
            default = False if slot.type == "boolean" else draw(slot, rng)
        given, schema = None, dict(slot.schema)
        if default is not None and rng.random() < optional["default"]:
            given = default
            if not long or rng.random() < styles()["documents"]["default_in_schema"]:
                schema["default"] = default
        if long:
            schema["description"] = longer_text(slot, leaf, given, rng)
        slots[slot.name] = replace(slot, schema=schema)
    if rng.random() < 0.3:  # real documents do not always list required parameters first
        shuffled = list(slots)
        rng.shuffle(shuffled)
        slots = {name: slots[name] for name in shuffled}
    parameters = {
        "type": "object",
        "properties": {name: slot.schema for name, slot in slots.items()},
        "required": [name for name, slot in slots.items() if slot.required],
    }
    short = rng.choice(leaf.does) + ("." if rng.random() < 0.4 else "")
    description = tool_text(leaf, slots.values(), rng) if long else short
    tool = {"name": name, "description": description, "parameters": parameters}
    return Action(tool, leaf, slots)


def _extras(leaf: Leaf, rng: random.Random) -> list[Param]:
    """Return optional parameters that the leaf does not have but tools of its sort may have."""
    if rng.random() > styles()["parameters"]["extra"]:
        return []
    taken = {name for param in leaf.params.values() for name in (param.key, *param.names)}
    draws = {param.kind.draw for param in leaf.params.values()}
    fitting = [
        param
        for param in extras().get(leaf.verb, extras()["any"])
        if not taken & {param.key, *param.names}
        and (param.kind.draw not in draws or param.kind.draw in ("flag", "choice"))
    ]
    return rng.sample(fitting, min(len(fitting), rng.choice((1, 1, 2))))


def any_variant(leaf: Leaf, rng: random.Random) -> Action:
    """Return a random tool of a leaf."""
    return variant(leaf.key, rng.randrange(styles()["variants"]))


@lru_cache(maxsize=1)
def name_index() -> dict[str, str]:
    """Return the leaf key of every tool name that the trees can produce.

    Raises:
        ValueError: if two leaves can produce the same name.
    """
    index: dict[str, str] = {}
    for leaf in leaves().values():
        for style in NAMING:
            for name in _names(leaf, style):
                if index.setdefault(name, leaf.key) != leaf.key:
                    raise ValueError(f"{name}: made by {index[name]} and by {leaf.key}")
    return index


def action_of(tool: Tool, example: Mapping[str, Any] | None = None) -> Action:
    """Read any tool document: as a leaf's tool if name and parameters fit, else by inference.

    Args:
        example: the arguments of a known call, which help to infer the kinds.
    """
    return _action(canonical.dumps(tool), canonical.dumps(dict(example or {})))


@lru_cache(maxsize=8192)
def _action(tool_json: str, example_json: str) -> Action:
    """Read a tool and known arguments; see `action_of`."""
    tool, example = canonical.loads(tool_json), canonical.loads(example_json)
    parameters = tool.get("parameters") or {}
    properties = parameters.get("properties") or {}
    required = set(parameters.get("required") or ())
    key = name_index().get(tool["name"])
    if key is not None:
        slots = _recognised(leaves()[key], properties, required)
        if slots is not None:
            return Action(tool, leaves()[key], slots)
    does = (tool.get("description") or "").partition(". ")[0]
    about = f"{' '.join(words_of(tool['name']))}: {does}"
    return Action(
        tool,
        None,
        {
            name: slot_of(name, schema, name in required, example.get(name), about)
            for name, schema in properties.items()
        },
    )


def _recognised(
    leaf: Leaf, properties: Mapping[str, Any], required: set[str]
) -> dict[str, Slot] | None:
    """Return the slots if all parameters are the leaf's and none required is missing, else None."""
    keys = {
        spelled: param
        for param in (*extras().get(leaf.verb, extras()["any"]), *leaf.params.values())
        for name in (param.key, *param.names)
        for spelled in (name, _camel(name.split("_")))
    }
    slots: dict[str, Slot] = {}
    for name, schema in properties.items():
        param = keys.get(name)
        if param is None or not isinstance(schema, Mapping):
            return None
        slots[name] = Slot(
            name, param.key, param.kind, schema, name in required, param.kind.word, form_of(schema)
        )
    recognised = {slot.key for slot in slots.values()}
    if len(recognised) < len(slots) or not set(leaf.required) <= recognised:
        return None
    return slots


def distractors(
    tools: Sequence[Tool], count: int, rng: random.Random, split: str = "train"
) -> list[Tool]:
    """Return up to `count` tools of other leaves, none of which can do what `tools` do.

    With probability `similar` a tool comes from the domain of one of `tools`.
    """
    near, taken, names = [], set(), {tool["name"] for tool in tools}
    for tool in tools:
        leaf = leaves().get(name_index().get(tool["name"], ""))
        if leaf is not None:
            taken |= {leaf.key, *rivals()[leaf.key]}
            near.append(leaf)
    chosen: list[Tool] = []
    for _ in range(count * 20):
        if len(chosen) == count:
            break
        pool = split_leaves(split)
        if near and rng.random() < styles()["similar"]:
            anchor = rng.choice(near)
            pool = _relatives(split, anchor.domain, anchor.subdomain if rng.random() < 0.6 else "")
        if not pool:
            continue
        leaf = rng.choice(pool)
        if leaf.key in taken:
            continue
        tool = any_variant(leaf, rng).tool
        if tool["name"] not in names:
            taken |= {leaf.key, *rivals()[leaf.key]}
            names.add(tool["name"])
            chosen.append(tool)
    return chosen


@cache
def _relatives(split: str, domain: str, subdomain: str) -> tuple[Leaf, ...]:
    """Return the leaves of a domain, or of one of its subdomains."""
    return tuple(
        leaf
        for leaf in split_leaves(split)
        if leaf.domain == domain and subdomain in ("", leaf.subdomain)
    )


def _slot(param: Param, camel: bool, date_form: str, rng: random.Random) -> Slot:
    """Make a slot for a parameter of a leaf: its name, schema and description."""
    kind = param.kind
    name = (
        param.names[0]
        if rng.random() > styles()["parameters"]["alias"]
        else rng.choice(param.names)
    )
    if camel:
        name = _camel(name.split("_"))
    schema: dict[str, Any] = {"type": rng.choice(kind.types)}
    if kind.draw == "choice":
        schema["enum"] = list(kind.options.get("enum") or pools()[kind.options["synonyms"]])
    if kind.draw == "numbers":
        schema["items"] = {"type": rng.choice(("number", "integer"))}
    if kind.draw == "items":
        schema["items"] = {"type": "string"}
    schema |= schema_of(kind)
    if kind.draw == "record":
        fields = {key: kinds()[inner] for key, inner in kind.options["fields"].items()}
        schema["properties"] = {key: {"type": inner.types[0]} for key, inner in fields.items()}
        schema["required"] = list(fields)
    form = date_form if kind.draw == "date" else ""
    if kind.draw == "date" and form == "YYYY-MM-DD" and rng.random() < 0.3:
        schema["format"] = "date"
    word = kind.word
    if form or rng.random() < styles()["optional"]["described"]:
        text = rng.choice(kind.describe)
        if form and "{format}" not in text:
            text = "{Word}, {format}"
        schema["description"] = text.format(
            word=word,
            Word=word[:1].upper() + word[1:],
            unit=kind.options.get("unit", ""),
            format=form,
            example=f"{rng.choice('ABKMXZ')}{rng.choice('BDTRW')}-{rng.randint(100, 9999)}",
        )
    return Slot(name, param.key, kind, schema, param.required, word, form)


@cache
def _names(leaf: Leaf, style: str) -> tuple[str, ...]:
    """Return the tool names that a leaf can have in a naming style."""
    noun = list(leaf.noun)
    spelled = [[verb, *noun] for verb in styles()["verbs"].get(leaf.verb, [leaf.verb])]
    spelled = [*[spelled[0]] * 2, *spelled] if len(spelled) > 1 else spelled
    if style == "snake":
        return tuple("_".join(words) for words in spelled)
    if style == "camel":
        return tuple(_camel(words) for words in spelled)
    if style == "pascal":
        return tuple("".join(word.capitalize() for word in words) for words in spelled)
    if style == "bare" and len(noun) > 1:
        return ("_".join(noun),)
    if style == "bare":
        return ("_".join(spelled[0]),)
    plain = ["_".join(words) for words in spelled] + (["_".join(noun)] if len(noun) > 1 else [])
    return tuple(f"{module}.{name}" for module in leaf.modules for name in plain)


def _camel(words: Sequence[str]) -> str:
    return words[0] + "".join(word.capitalize() for word in words[1:])


def weighted(weights: Mapping[Any, float], rng: random.Random) -> Any:
    """Return a random key; its probability is proportional to its weight."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]
