"""Plain JSON Schemas from API descriptions: references inlined, `allOf` merged, one dialect.

The result contains no `$ref` and only what a tool document needs. What models cannot use (vendor
keys, XML hints) is left out, or gives a warning.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from looptool.core import canonical
from looptool.exchange.read_only import MARK, Memory, is_read_only, writable
from looptool.exchange.variants import Choice, Hierarchy, has_choice

LARGEST = 60_000  # characters of one tool's parameters: more fills a small model's context
_MOST = LARGEST // 6  # schemas under one reference: each has at least the 6 characters `"":{},`
_NAMED = 8  # maximum number of fields that a warning names
_REMEMBERED = 200_000  # maximum number of parts whose size is cached
_NO_USE = {
    "xml", "discriminator", "externalDocs", "deprecated", "readOnly", "writeOnly", "$schema",
    "$id", "$comment", "$anchor", "$defs", "definitions", "contentMediaType", "contentEncoding",
}  # fmt: skip
_MAPS = {"properties", "patternProperties", "dependentSchemas"}  # of names to schemas
_LISTS = {"anyOf", "oneOf", "prefixItems"}
_SINGLE = {"items", "not", "contains", "propertyNames", "if", "then", "else"}
_NOTES = {"description", "title", "default", "examples"}  # annotations, not constraints
_VALUES = {"const", "enum", "default", "examples"}
_OPEN = {"additionalProperties", "unevaluatedProperties", "unevaluatedItems"}  # or booleans

Warn = Callable[[str], None]
Key = tuple[str, bool]  # a reference, and whether only the common part of its variants is meant


class Unusable(ValueError):
    """A schema that cannot become part of a tool document; the message says why."""


class Schemas:
    """Resolves the schemas of one document.

    Args:
        root: the whole document, into which references point.
        old: whether it uses the dialect of OpenAPI 3.0 (`nullable`, boolean bounds).
        requests: whether the schemas describe API requests. Read-only fields are then left out, and
            discriminators are resolved to their variants.
    """

    def __init__(self, root: Any, old: bool = False, requests: bool = False) -> None:
        self.root = root
        self.old = old
        self._hierarchy = Hierarchy(root) if requests else None
        self._known: dict[Key, tuple[dict[str, Any], list[str]]] = {}  # schema and warnings
        self._failed: dict[Key, str] = {}
        self._sizes: dict[int, tuple[int, Any]] = {}  # holds the object: ids get reused
        self._written: Memory = {}
        self._left = _MOST

    def plain(self, schema: Any, warn: Warn) -> dict[str, Any]:
        """Return `schema` as a self-contained schema.

        Raises:
            Unusable: if a reference points outside the document or nowhere, it is not a schema, or
                the result would be larger than `LARGEST`.
        """
        self._left = _MOST
        if len(self._sizes) > _REMEMBERED:
            self._sizes.clear()
            self._written.clear()
        try:
            made, _ = self._plain(schema, (), warn)
            if self._hierarchy:
                made, _, names = writable(made, self._written)
                if names:
                    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                    shown = ", ".join(sorted(names)[:_NAMED])
                    warn(f"read-only fields are left out: {shown}{more}")
            self.limit("its parameters", made)
        except RecursionError:
            raise Unusable("is nested too deeply") from None
        except TypeError as error:  # a keyword's value has the wrong type
            raise Unusable(f"is not a JSON Schema: {error}") from None
        return {key: value for key, value in made.items() if key != "title"}

    def target(self, node: Any) -> Any:
        """Follow the references of a node that is not a schema: a parameter, a body, a path."""
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
        if reference[1:2] not in ("", "/"):  # the name of an $anchor
            raise Unusable(f"refers to {reference}, but only paths are followed")
        node = self.root
        for part in unquote(reference[1:]).split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(part)] if isinstance(node, list) else node[part]
            except (LookupError, ValueError, TypeError):
                raise Unusable(f"refers to {reference}, which does not exist") from None
        return node

    def _plain(
        self, schema: Any, above: tuple[Key, ...], warn: Warn, heir: str = ""
    ) -> tuple[dict[str, Any], frozenset[Key]]:
        """Return the schema without references, and the recursive references where it was cut.

        `above` are the references being followed. `heir` is the reference whose target the schema
        is, or is a part of by `allOf`.
        """
        self._left -= 1
        if self._left < 0:
            raise Unusable(
                f"its parameters: more than {_MOST} schemas once references are inlined; "
                f"at most {LARGEST} characters are imported"
            )
        if schema is True or schema is None:
            return {}, frozenset()
        if schema is False:
            return {"not": {}}, frozenset()
        if not isinstance(schema, Mapping):
            raise Unusable(f"{canonical_or_repr(schema)[:60]} is not a schema")
        if isinstance(reference := schema.get("$ref"), str):
            base = heir and self._hierarchy and self._hierarchy.is_base(reference, heir)
            return self._referred((reference, bool(base)), schema, above, warn)
        made: dict[str, Any] = {}
        cuts: frozenset[Key] = frozenset()

        def inner(part: Any, heir: str = "") -> dict[str, Any]:
            nonlocal cuts
            plain, more_cuts = self._plain(part, above, warn, heir)
            cuts |= more_cuts
            return plain

        if self._hierarchy and ("contentMediaType" in schema or schema.get("format") == "binary"):
            warn("takes a file's content, which a model can only give as text")
        for key, value in schema.items():
            if key in _NO_USE or key.startswith("x-"):
                continue
            if key in _MAPS:
                if not isinstance(value, Mapping):
                    raise Unusable(f"{key}: must be an object")
                made[key] = {
                    name: MARK
                    if key == "properties" and self._is_read_only(part)
                    else _untitled(inner(part), name)
                    for name, part in value.items()
                }
            elif key in _LISTS:
                if not isinstance(value, list) or not value:
                    raise Unusable(f"{key}: must be a non-empty list")
                made[key] = [_untitled(inner(part)) for part in value]
                if schema.get("discriminator") is not None and key != "prefixItems":
                    made |= self._listed(schema, key, made.pop(key), warn)
            elif key in _SINGLE:
                made[key] = _untitled(inner(value))
            elif key in _OPEN:
                made[key] = value if isinstance(value, bool) else inner(value)
            elif key == "example":
                made.setdefault("examples", [value])
            elif key in ("$dynamicRef", "$recursiveRef"):
                raise Unusable(f"{key} is not followed")
            elif key != "allOf":
                made[key] = value
        for part in schema.get("allOf") or ():
            made = merged(made, inner(part, heir), warn)
        made = self._tidy(made, warn)
        if has_choice(schema) and (choice := self._inline_choice(schema, heir)):
            made, more_cuts = self._chosen(choice, made, above, warn)
            cuts |= more_cuts
        return made, cuts

    def _referred(
        self, key: Key, schema: Mapping[str, Any], above: tuple[Key, ...], warn: Warn
    ) -> tuple[dict[str, Any], frozenset[Key]]:
        reference = key[0]
        beside = {word: value for word, value in schema.items() if word != "$ref"}
        cuts: frozenset[Key] = frozenset()
        if key in self._known:
            made, warned = self._known[key]
            for text in warned:
                warn(text)
        elif key in above or (reference, True) in above:
            warn(f"{reference} contains itself; it is cut there")
            target = self._at(reference)
            kind = target.get("type") if isinstance(target, Mapping) else None
            made = {"type": kind} if kind else {}
            cuts = frozenset([key if key in above else (reference, True)])
        else:
            made, cuts = self._followed(key, above, warn)
        if beside and not self.old:  # 3.0 ignores keywords next to a reference
            more, more_cuts = self._plain(beside, above, warn)
            made = {**made, **{word: more[word] for word in _NOTES & set(more)}}
            return merged(made, more, warn), cuts | more_cuts
        if beside.get("description"):
            return {**made, "description": beside["description"]}, cuts
        return made, cuts

    def _followed(
        self, key: Key, above: tuple[Key, ...], warn: Warn
    ) -> tuple[dict[str, Any], frozenset[Key]]:
        """Return the target of a reference; cache it if it does not depend on the context."""
        if not above:
            if key in self._failed:
                raise Unusable(self._failed[key])
            self._left = _MOST
        warned: list[str] = []
        try:
            made, cuts = self._target(key, (*above, key), warned.append)
            self.limit(key[0], made)
        except Unusable as reason:
            if not above:
                self._failed[key] = str(reason)
            raise
        cuts -= {key}
        warned = list(dict.fromkeys(warned))
        if not cuts:
            self._known[key] = made, warned
        for text in warned:
            warn(text)
        return made, cuts

    def _target(
        self, key: Key, above: tuple[Key, ...], warn: Warn
    ) -> tuple[dict[str, Any], frozenset[Key]]:
        reference, base = key
        target = self._at(reference)
        choice = self._hierarchy and self._hierarchy.choice(reference)
        if base:  # the schema itself, through references to references
            target = self.target(target)
        if base and not choice:  # its variants are listed in its oneOf
            target = {
                word: part
                for word, part in target.items()
                if word not in _LISTS and word != "discriminator"
            }
        if base or not choice:
            return self._plain(target, above, warn, reference)
        made, cuts = self._referred((reference, True), {}, above, warn)
        made, more_cuts = self._chosen(choice, made, above, warn)
        return made, cuts | more_cuts

    def _inline_choice(self, schema: Mapping[str, Any], heir: str) -> Choice | None:
        """Return the variants that the discriminator of an unnamed schema maps."""
        if self._hierarchy is None or (heir and self._hierarchy.choice(heir)):
            return None
        return self._hierarchy.mapped(schema)

    def _chosen(
        self, choice: Choice, base: dict[str, Any], above: tuple[Key, ...], warn: Warn
    ) -> tuple[dict[str, Any], frozenset[Key]]:
        """Return the choice among a schema's variants, each with its discriminator value.

        If it is unclear which value selects which variant, the choice is `anyOf`; without a mapping
        it then includes the schema itself.
        """
        if not isinstance(choice.field, str):
            raise Unusable("discriminator.propertyName: must be a string")
        parts: list[dict[str, Any]] = []
        cuts: frozenset[Key] = frozenset()
        unsure: list[str] = []
        for variant in choice.variants:
            has_variants = self._hierarchy and self._hierarchy.choice(variant.reference)
            made, more_cuts = self._referred(
                (variant.reference, bool(has_variants)), {}, above, warn
            )
            cuts |= more_cuts
            made = merged(made, base, warn)
            tagged = _tagged(made, choice, variant.values)
            if tagged is None:
                unsure += variant.values
            parts.append(_untitled(tagged or made))
        if unsure:
            warn(
                f"{choice.field} chooses among variants, but it is unclear which value selects "
                f"{', '.join(unsure[:_NAMED])}; any of them may be given"
            )
            if not choice.mapped and base not in parts:
                parts.append(_untitled(base))
        if len(parts) == 1:
            return parts[0], cuts
        return {"anyOf" if unsure else "oneOf": parts}, cuts

    def _listed(
        self, schema: Mapping[str, Any], key: str, parts: list[dict[str, Any]], warn: Warn
    ) -> dict[str, Any]:
        """Return the schemas listed next to a discriminator, each with its discriminator value.

        Without the values, one call could match several of them, and `oneOf` would reject it.
        """
        made: list[dict[str, Any]] = []
        unsure = ""
        for part, plain in zip(schema[key], parts, strict=True):
            choice = self._hierarchy.listed(schema, part) if self._hierarchy else None
            if choice is None or not isinstance(choice.field, str) or not _is_object(plain):
                made.append(plain)
                continue
            tagged = None
            if choice.mapped or not {"oneOf", "anyOf"} & set(plain):  # else they may have values
                tagged = _tagged(plain, choice, choice.variants[0].values)
            if tagged is None:
                unsure = choice.field
            made.append(tagged or plain)
        if not unsure or key == "anyOf" or "anyOf" in schema:
            return {key: made}
        warn(
            f"{unsure} chooses among variants, but it is unclear which value selects each; "
            "any of them may be given"
        )
        return {"anyOf": made}

    def _is_read_only(self, schema: Any) -> bool:
        return self._hierarchy is not None and is_read_only(schema, self._at_or_none)

    def _at_or_none(self, reference: str) -> Any:
        try:
            return self._at(reference)
        except Unusable:
            return None

    def limit(self, what: str, schema: dict[str, Any]) -> None:
        """Check the size of a schema, also an intermediate one, as schemas only grow.

        Raises:
            Unusable: if it would be larger than `LARGEST`.
        """
        if (size := self._size(schema)) > LARGEST:
            raise Unusable(
                f"{what}: {size} characters once references are inlined; "
                f"at most {LARGEST} are imported"
            )

    def _tidy(self, made: dict[str, Any], warn: Warn) -> dict[str, Any]:
        if made.pop("nullable", False) is True:
            kind = made.get("type")
            if isinstance(kind, str):
                made["type"] = [kind, "null"]
            for word in () if "type" in made else ("anyOf", "oneOf"):
                if word in made and {"type": "null"} not in made[word]:
                    made[word] = [*made[word], {"type": "null"}]
            if isinstance(made.get("enum"), list) and None not in made["enum"]:
                made["enum"] = [*made["enum"], None]
        for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if isinstance(made.get(exclusive), bool) and made.pop(exclusive) and bound in made:
                made[exclusive] = made.pop(bound)
        pattern = made.get("pattern")
        if pattern is not None and not _is_pattern(pattern):
            warn(f"pattern {pattern!r} is left out: Python cannot compile it")
            del made["pattern"]
        for key in ("default", "examples", "enum", "const"):
            if key in made and not _is_json(made[key]):
                warn(f"{key} is left out: it is not valid JSON")
                del made[key]
        if "required" in made and not isinstance(made["required"], list):
            del made["required"]  # a boolean of draft 3, which does not constrain the value
        if not all(isinstance(name, str) for name in made.get("required", ())):
            raise Unusable("required: must be a list of names")
        if isinstance(items := made.get("items"), list):
            made["prefixItems"] = items
            del made["items"]
        if made.get("enum") == []:
            del made["enum"]
        return made

    def _size(self, node: Any) -> int:
        """Return the length of a node's JSON; shared parts are measured once."""
        if not isinstance(node, dict | list):
            return len(node) + 2 if isinstance(node, str) else len(repr(node))
        if id(node) not in self._sizes:
            parts = node.items() if isinstance(node, dict) else ((("", part)) for part in node)
            size = sum(len(key) + 4 + self._size(part) for key, part in parts) + 2
            self._sizes[id(node)] = size, node
        return self._sizes[id(node)][0]


def merged(one: dict[str, Any], other: dict[str, Any], warn: Warn) -> dict[str, Any]:
    """Merge two schemas of an `allOf`, as far as one object can express both."""
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
            other_values = set(map(_identity, value))
            both = [each for each in made[key] if _identity(each) in other_values]
            if not both:
                warn("allOf: two enums have no value in common; the first counts")
            made[key] = both or made[key]
        elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
            made[key] = max(made[key], value)
        elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
            made[key] = min(made[key], value)
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            if isinstance(made[key], dict):
                made[key] = merged(made[key], value, warn)
        elif key == "type":
            if not (both := _common(_kinds(made[key]), _kinds(value))):
                warn(f"allOf: types {made[key]} and {value} contradict each other")
            else:
                made[key] = both[0] if len(both) == 1 else both
        elif key not in _NOTES:
            warn(f"allOf: several {key}; the first counts")
    return made


def _tagged(
    schema: dict[str, Any], choice: Choice, values: tuple[str, ...]
) -> dict[str, Any] | None:
    """Restrict a variant's discriminator field to its values; None if the schema contradicts them.

    If the values are only component names, a single value that the variant itself allows wins.
    """
    tag = schema.get("properties", {}).get(choice.field, {"type": "string"})
    allowed = [tag["const"]] if "const" in tag else tag.get("enum", values)
    fitting = [value for value in values if value in allowed]
    if not fitting and not choice.mapped and len(allowed) == 1:
        fitting = allowed
    if not fitting or "string" not in _kinds(tag.get("type", "string")) or "readOnly" in tag:
        return None
    kept = {key: value for key, value in tag.items() if key not in _VALUES}
    kept |= {"const": fitting[0]} if len(fitting) == 1 else {"enum": fitting}
    return {
        **schema,
        "properties": {**schema.get("properties", {}), choice.field: kept},
        "required": list(dict.fromkeys([*schema.get("required", ()), choice.field])),
    }


def _untitled(schema: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Remove a schema's title; it replaces a missing description unless it repeats the name."""
    if "title" not in schema:
        return schema
    made = {key: value for key, value in schema.items() if key != "title"}
    title = schema["title"]
    if isinstance(title, str) and _letters(title) != _letters(name):
        made.setdefault("description", title)
    return made


def _identity(value: Any) -> Any:
    """Return a key that is equal for two enum values if they are equal in JSON Schema."""
    if isinstance(value, bool | list | dict):
        return canonical_or_repr(value), type(value)
    return value


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


def _kinds(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    """Return the types that both allow; an integer is also a number."""

    def allows(kinds: list[Any], kind: Any) -> bool:
        return kind in kinds or (kind == "integer" and "number" in kinds)

    both = [kind for kind in one if allows(other, kind)]
    return both + [kind for kind in other if kind not in one and allows(one, kind)]


def _is_object(schema: dict[str, Any]) -> bool:
    return "object" in _kinds(schema.get("type", "object"))


def _is_pattern(pattern: Any) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FutureWarning about the syntax of patterns
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
    """Return a value as JSON, or its repr if it is not JSON."""
    try:
        return canonical.dumps(value)
    except (ValueError, TypeError):
        return repr(value)
