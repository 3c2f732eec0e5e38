"""Plain JSON Schemas from API descriptions: references inlined, `allOf` merged, one dialect.

The result contains no `$ref` and only what a tool document needs. What models cannot use (vendor
keys, XML hints) is left out, or gives a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from looptool.exchange.plain_schemas import (
    MAPS,
    NOTES,
    Unusable,
    Warn,
    canonical_or_repr,
    is_object,
    merged,
    tidied,
    untitled,
    with_tag,
)
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
_LISTS = {"anyOf", "oneOf", "prefixItems"}
_SINGLE = {"items", "not", "contains", "propertyNames", "if", "then", "else"}
_OPEN = {"additionalProperties", "unevaluatedProperties", "unevaluatedItems"}  # or booleans

Key = tuple[str, bool]  # a reference, and whether only the common part of its variants is meant


@dataclass(frozen=True, slots=True)
class _Context:
    """Where a schema is read.

    Attributes:
        above: the references being followed.
        cuts: the recursive references where schemas read here were cut.
    """

    above: tuple[Key, ...]
    warn: Warn
    cuts: set[Key] = field(default_factory=set)


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
            made = self._plain(schema, _Context((), warn))
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

    def _plain(self, schema: Any, context: _Context, heir: str = "") -> dict[str, Any]:
        """Return the schema without references.

        `heir` is the reference whose target the schema is, or is a part of by `allOf`.
        """
        self._left -= 1
        if self._left < 0:
            raise Unusable(
                f"its parameters: more than {_MOST} schemas once references are inlined; "
                f"at most {LARGEST} characters are imported"
            )
        if schema is True or schema is None:
            return {}
        if schema is False:
            return {"not": {}}
        if not isinstance(schema, Mapping):
            raise Unusable(f"{canonical_or_repr(schema)[:60]} is not a schema")
        if isinstance(reference := schema.get("$ref"), str):
            base = heir and self._hierarchy and self._hierarchy.is_base(reference, heir)
            return self._referred((reference, bool(base)), schema, context)
        if self._hierarchy and ("contentMediaType" in schema or schema.get("format") == "binary"):
            context.warn("takes a file's content, which a model can only give as text")
        made: dict[str, Any] = {}
        for key in schema:
            if key == "example":
                made.setdefault("examples", [schema[key]])
            elif key not in _NO_USE and key != "allOf" and not key.startswith("x-"):
                made |= self._keyword(key, schema, context)
        for part in schema.get("allOf") or ():
            made = merged(made, self._plain(part, context, heir), context.warn)
        made = tidied(made, context.warn)
        if has_choice(schema) and (choice := self._inline_choice(schema, heir)):
            made = self._chosen(choice, made, context)
        return made

    def _keyword(self, key: str, schema: Mapping[str, Any], context: _Context) -> dict[str, Any]:
        """Return a keyword of a schema without references, or the keyword that replaces it."""
        value = schema[key]
        if key in MAPS:
            if not isinstance(value, Mapping):
                raise Unusable(f"{key}: must be an object")
            return {
                key: {
                    name: MARK
                    if key == "properties" and self._is_read_only(part)
                    else untitled(self._plain(part, context), name)
                    for name, part in value.items()
                }
            }
        if key in _LISTS:
            if not isinstance(value, list) or not value:
                raise Unusable(f"{key}: must be a non-empty list")
            parts = [untitled(self._plain(part, context)) for part in value]
            if schema.get("discriminator") is not None and key != "prefixItems":
                return self._listed(schema, key, parts, context.warn)
            return {key: parts}
        if key in _SINGLE:
            return {key: untitled(self._plain(value, context))}
        if key in _OPEN and not isinstance(value, bool):
            return {key: self._plain(value, context)}
        if key in ("$dynamicRef", "$recursiveRef"):
            raise Unusable(f"{key} is not followed")
        return {key: value}

    def _referred(self, key: Key, schema: Mapping[str, Any], context: _Context) -> dict[str, Any]:
        """Return the target of a reference, merged with the keywords of `schema` next to it."""
        made = self._resolved(key, context)
        beside = {word: value for word, value in schema.items() if word != "$ref"}
        if beside and not self.old:  # 3.0 ignores keywords next to a reference
            more = self._plain(beside, context)
            made = {**made, **{word: more[word] for word in NOTES & set(more)}}
            return merged(made, more, context.warn)
        if beside.get("description"):
            return {**made, "description": beside["description"]}
        return made

    def _resolved(self, key: Key, context: _Context) -> dict[str, Any]:
        """Return the target of a reference; only its type where it refers back to itself."""
        reference = key[0]
        if key in self._known:
            made, warned = self._known[key]
            for text in warned:
                context.warn(text)
            return made
        if key in context.above or (reference, True) in context.above:
            context.warn(f"{reference} contains itself; it is cut there")
            context.cuts.add(key if key in context.above else (reference, True))
            target = self._at(reference)
            kind = target.get("type") if isinstance(target, Mapping) else None
            return {"type": kind} if kind else {}
        return self._followed(key, context)

    def _followed(self, key: Key, context: _Context) -> dict[str, Any]:
        """Return the target of a reference; cache it if it does not depend on the context."""
        if not context.above:
            if key in self._failed:
                raise Unusable(self._failed[key])
            self._left = _MOST
        warned: list[str] = []
        inner = _Context((*context.above, key), warned.append)
        try:
            made = self._target(key, inner)
            self.limit(key[0], made)
        except Unusable as reason:
            if not context.above:
                self._failed[key] = str(reason)
            raise
        warned = list(dict.fromkeys(warned))
        if not inner.cuts - {key}:
            self._known[key] = made, warned
        context.cuts.update(inner.cuts - {key})
        for text in warned:
            context.warn(text)
        return made

    def _target(self, key: Key, context: _Context) -> dict[str, Any]:
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
            return self._plain(target, context, reference)
        return self._chosen(choice, self._referred((reference, True), {}, context), context)

    def _inline_choice(self, schema: Mapping[str, Any], heir: str) -> Choice | None:
        """Return the variants that the discriminator of an unnamed schema maps."""
        if self._hierarchy is None or (heir and self._hierarchy.choice(heir)):
            return None
        return self._hierarchy.mapped(schema)

    def _chosen(self, choice: Choice, base: dict[str, Any], context: _Context) -> dict[str, Any]:
        """Return the choice among a schema's variants, each with its discriminator value.

        If it is unclear which value selects which variant, the choice is `anyOf`; without a mapping
        it then includes the schema itself.
        """
        if not isinstance(choice.field, str):
            raise Unusable("discriminator.propertyName: must be a string")
        parts: list[dict[str, Any]] = []
        unsure: list[str] = []
        for variant in choice.variants:
            has_variants = self._hierarchy and self._hierarchy.choice(variant.reference)
            made = self._referred((variant.reference, bool(has_variants)), {}, context)
            made = merged(made, base, context.warn)
            tagged = with_tag(made, choice, variant.values)
            if tagged is None:
                unsure += variant.values
            parts.append(untitled(tagged or made))
        if unsure:
            context.warn(
                f"{choice.field} chooses among variants, but it is unclear which value selects "
                f"{', '.join(unsure[:_NAMED])}; any of them may be given"
            )
            if not choice.mapped and base not in parts:
                parts.append(untitled(base))
        if len(parts) == 1:
            return parts[0]
        return {"anyOf" if unsure else "oneOf": parts}

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
            if choice is None or not isinstance(choice.field, str) or not is_object(plain):
                made.append(plain)
                continue
            tagged = None
            if choice.mapped or not {"oneOf", "anyOf"} & set(plain):  # else they may have values
                tagged = with_tag(plain, choice, choice.variants[0].values)
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

    def _size(self, node: Any) -> int:
        """Return the length of a node's JSON; shared parts are measured once."""
        if not isinstance(node, dict | list):
            return len(node) + 2 if isinstance(node, str) else len(repr(node))
        if id(node) not in self._sizes:
            parts = node.items() if isinstance(node, dict) else ((("", part)) for part in node)
            size = sum(len(key) + 4 + self._size(part) for key, part in parts) + 2
            self._sizes[id(node)] = size, node
        return self._sizes[id(node)][0]
