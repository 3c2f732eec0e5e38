"""JSON Schemas out of API descriptions: references inlined, `allOf` merged, dialects made one.

The result holds no `$ref` and only what a tool document needs; what models cannot use is left out
(vendor keys, XML hints) or warned of.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from looptool import canonical

LARGEST = 60_000  # characters of one tool's parameters: no context of a small model holds more
_NO_USE = {
    "xml", "discriminator", "externalDocs", "deprecated", "readOnly", "writeOnly", "$schema",
    "$id", "$comment", "$anchor", "$defs", "definitions", "contentMediaType", "contentEncoding",
}  # fmt: skip
_MAPS = {"properties", "patternProperties", "dependentSchemas"}  # of names to schemas
_LISTS = {"anyOf", "oneOf", "prefixItems"}
_SINGLE = {"items", "not", "contains", "propertyNames", "if", "then", "else"}

Warn = Callable[[str], None]


class Unusable(ValueError):
    """A schema that no tool document can be made of; the message says why."""


class Schemas:
    """Resolves the schemas of one document.

    Args:
        root: the whole document, which references point into.
        old: whether it is in the dialect of OpenAPI 3.0 (`nullable`, boolean bounds).
    """

    def __init__(self, root: Any, old: bool = False) -> None:
        self.root = root
        self.old = old
        self._known: dict[str, Any] = {}
        self._sizes: dict[int, tuple[int, Any]] = {}  # with the object: an id ends with it

    def plain(self, schema: Any, warn: Warn) -> dict[str, Any]:
        """Return `schema` on its own.

        Raises:
            Unusable: if it points outside of the document or nowhere, is no schema, or would be
                larger than `LARGEST`.
        """
        try:
            made, _ = self._plain(schema, (), warn)
            size = self._size(made)
        except RecursionError:
            raise Unusable("is nested too deeply") from None
        except TypeError as error:  # a keyword's value is of another type than it must be
            raise Unusable(f"is no JSON Schema: {error}") from None
        if size > LARGEST:
            raise Unusable(
                f"its parameters take {size} characters once references are inlined; "
                f"at most {LARGEST} are imported"
            )
        return {key: value for key, value in made.items() if key != "title"}

    def target(self, node: Any) -> Any:
        """Follow the references of a node that is no schema: a parameter, a body, a path."""
        seen: set[str] = set()
        while isinstance(node, Mapping) and isinstance(node.get("$ref"), str):
            if node["$ref"] in seen:
                raise Unusable(f"{node['$ref']} refers to itself")
            seen.add(node["$ref"])
            node = self._at(node["$ref"])
        return node

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise Unusable(f"refers to {reference}, which is not in the file")
        node = self.root
        for part in unquote(reference[1:]).split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(part)] if isinstance(node, list) else node[part]
            except (LookupError, ValueError, TypeError):
                raise Unusable(f"refers to {reference}, and there is no such part") from None
        return node

    def _plain(
        self, schema: Any, above: tuple[str, ...], warn: Warn
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """Return the schema without references, and those on the way to it that it was cut at."""
        if schema is True or schema is None:
            return {}, frozenset()
        if schema is False:
            return {"not": {}}, frozenset()
        if not isinstance(schema, Mapping):
            raise Unusable(f"{canonical_or_repr(schema)[:60]} is no schema")
        if isinstance(reference := schema.get("$ref"), str):
            return self._referred(reference, schema, above, warn)
        made: dict[str, Any] = {}
        cuts: frozenset[str] = frozenset()

        def inner(part: Any) -> dict[str, Any]:
            nonlocal cuts
            plain, found = self._plain(part, above, warn)
            cuts |= found
            return plain

        for key, value in schema.items():
            if key in _NO_USE or key.startswith("x-"):
                continue
            if key in _MAPS:
                if not isinstance(value, Mapping):
                    raise Unusable(f"{key}: must be an object")
                made[key] = {name: _untitled(inner(part), name) for name, part in value.items()}
            elif key in _LISTS:
                if not isinstance(value, list) or not value:
                    raise Unusable(f"{key}: must be a list that is not empty")
                made[key] = [_untitled(inner(part)) for part in value]
            elif key in _SINGLE:
                made[key] = _untitled(inner(value))
            elif key == "additionalProperties":
                made[key] = value if isinstance(value, bool) else inner(value)
            elif key == "example":
                made.setdefault("examples", [value])
            elif key != "allOf":
                made[key] = value
        for part in schema.get("allOf") or ():
            made = merged(made, inner(part), warn)
        return self._tidy(made, warn), cuts

    def _referred(
        self, reference: str, schema: Mapping[str, Any], above: tuple[str, ...], warn: Warn
    ) -> tuple[dict[str, Any], frozenset[str]]:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if reference in self._known:
            made, cuts = self._known[reference], frozenset[str]()
        elif reference in above:
            warn(f"{reference} holds itself; it is cut there")
            target = self._at(reference)
            kind = target.get("type") if isinstance(target, Mapping) else None
            made, cuts = ({"type": kind} if kind else {}), frozenset([reference])
        else:
            made, cuts = self._plain(self._at(reference), (*above, reference), warn)
            cuts -= {reference}
            if not cuts:  # it is the same wherever it is referred to
                self._known[reference] = made
        if beside and not self.old:  # 3.0 ignores what stands beside a reference
            more, found = self._plain(beside, above, warn)
            return {**made, **more}, cuts | found
        if beside.get("description"):
            return {**made, "description": beside["description"]}, cuts
        return made, cuts

    def _tidy(self, made: dict[str, Any], warn: Warn) -> dict[str, Any]:
        if made.pop("nullable", False) is True:
            kind = made.get("type")
            if isinstance(kind, str):
                made["type"] = [kind, "null"]
            if isinstance(made.get("enum"), list) and None not in made["enum"]:
                made["enum"] = [*made["enum"], None]
        for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(made.get(exclusive), bool) and made.pop(exclusive) and bound in made:
                made[exclusive] = made.pop(bound)
        pattern = made.get("pattern")
        if pattern is not None and not _is_pattern(pattern):
            warn(f"pattern {pattern!r} is left out: it is none of Python's")
            del made["pattern"]
        for key in ("default", "examples", "enum", "const"):
            if key in made and not _is_json(made[key]):
                warn(f"{key} is left out: it is no JSON")
                del made[key]
        if "required" in made and not isinstance(made["required"], list):
            del made["required"]  # a flag of draft 3, which says nothing about the value
        if isinstance(items := made.get("items"), list):
            made["prefixItems"] = items
            del made["items"]
        if made.get("enum") == []:
            del made["enum"]
        return made

    def _size(self, node: Any) -> int:
        """Return how long a node's JSON is; a part that is shared is measured once."""
        if not isinstance(node, dict | list):
            return len(node) + 2 if isinstance(node, str) else len(repr(node))
        if id(node) not in self._sizes:
            parts = node.items() if isinstance(node, dict) else ((("", part)) for part in node)
            size = sum(len(key) + 4 + self._size(part) for key, part in parts) + 2
            self._sizes[id(node)] = size, node
        return self._sizes[id(node)][0]


def merged(one: dict[str, Any], other: dict[str, Any], warn: Warn) -> dict[str, Any]:
    """Return a schema that holds where both do, as far as one object can say so (`allOf`)."""
    made = dict(one)
    for key, value in other.items():
        if key not in made or made[key] == value:
            made[key] = value
        elif key in _MAPS:
            made[key] = {
                **made[key],
                **{
                    name: merged(made[key][name], part, warn) if name in made[key] else part
                    for name, part in value.items()
                },
            }
        elif key == "required":
            made[key] = list(dict.fromkeys([*made[key], *value]))
        elif key == "enum":
            made[key] = [each for each in made[key] if each in value]
        elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
            made[key] = max(made[key], value)
        elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
            made[key] = min(made[key], value)
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            if isinstance(made[key], dict):
                made[key] = merged(made[key], value, warn)
        elif key == "type":
            both = [kind for kind in _kinds(made[key]) if kind in _kinds(value)]
            if not both:
                warn(f"allOf: types {made[key]} and {value} contradict each other")
            else:
                made[key] = both[0] if len(both) == 1 else both
        elif key in ("anyOf", "oneOf"):
            warn(f"allOf: several {key}; the first counts")
    return made


def _untitled(schema: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Return a schema whose title is its description, if it has none and the title says more than
    the name."""
    if "title" not in schema:
        return schema
    made = {key: value for key, value in schema.items() if key != "title"}
    title = schema["title"]
    if isinstance(title, str) and _letters(title) != _letters(name):
        made.setdefault("description", title)
    return made


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


def _kinds(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_pattern(pattern: Any) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read otherwise
            re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError):
        return False
    return True


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int)


def canonical_or_repr(value: Any) -> str:
    """Return a value as JSON if it is some, else as Python shows it."""
    try:
        return canonical.dumps(value)
    except (ValueError, TypeError):
        return repr(value)
