"""The variants that an OpenAPI `discriminator` selects (OpenAPI 3.1.1, section 4.8.25).

A parent schema lists its variants in `mapping`. Without a mapping, the variants are the components
whose `allOf` leads to the parent, with their names as values. A discriminator next to `oneOf` or
`anyOf` states which value selects which of the listed schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

COMPONENTS = "#/components/schemas/"
_LONGEST = 300  # maximum number of ancestors of a schema; further ones are ignored


@dataclass(frozen=True, slots=True)
class Variant:
    """A schema and the values of the discriminator's property that select it."""

    reference: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The variants of one schema.

    Attributes:
        field: the discriminator's property.
        variants: the schemas that it selects.
        mapped: whether a mapping gives the values; otherwise they are the components' names.
    """

    field: Any
    variants: tuple[Variant, ...]
    mapped: bool


class Hierarchy:
    """The inheritance by `allOf` among a document's named schemas.

    Args:
        root: the whole document.
    """

    def __init__(self, root: Any) -> None:
        components = root.get("components") if isinstance(root, Mapping) else None
        schemas = components.get("schemas") if isinstance(components, Mapping) else None
        self._schemas: Mapping[str, Any] = schemas if isinstance(schemas, Mapping) else {}
        self._names: dict[str, str] = {}
        self._heirs: dict[str, set[str]] = {}
        self._lines: dict[str, dict[str, None]] = {}
        self._choices: dict[str, Choice | None] = {}
        self._below: dict[str, tuple[Choice, dict[str, list[Variant]]]] = {}

    def choice(self, reference: str) -> Choice | None:
        """Return a named schema's variants by its own or an inherited discriminator.

        None if there is no discriminator, or none of its variants inherits from the schema.
        """
        name = self._name(reference)
        if name not in self._choices:
            self._choices[name] = self._choice(name)
        return self._choices[name]

    def _choice(self, name: str) -> Choice | None:
        owner = next((each for each in self._line(name) if self._owns(each)), None)
        if owner is None:
            return None
        if owner not in self._below:
            self._below[owner] = self._variants(owner)
        whole, below = self._below[owner]
        if name == owner:
            return whole if whole.variants else None
        mine = tuple(below.get(name, ()))
        if not whole.mapped and [each.values for each in mine] == [(name,)]:
            return None  # names often are not the real values; use them only if a choice needs it
        return Choice(whole.field, mine, whole.mapped) if mine else None

    def _owns(self, name: str) -> bool:
        schema = self._schemas.get(name)
        return isinstance(schema, Mapping) and has_choice(schema)

    def _variants(self, owner: str) -> tuple[Choice, dict[str, list[Variant]]]:
        """Return all variants of a discriminator, and those that inherit from each schema."""
        schema = self._schemas[owner]
        whole = self.mapped(schema)
        if whole is None:
            heirs = [each for each in self._schemas if each != owner and owner in self._line(each)]
            variants = tuple(Variant(_reference(each), (each,)) for each in heirs)
            whole = Choice(_field(schema), variants, mapped=False)
        below: dict[str, list[Variant]] = {}
        for variant in whole.variants:
            for name in self._line(self._name(variant.reference)):
                below.setdefault(name, []).append(variant)
        return whole, below

    def mapped(self, schema: Mapping[str, Any]) -> Choice | None:
        """Return the variants that a schema's own discriminator maps; None if it has no mapping."""
        discriminator = schema["discriminator"]
        mapping = discriminator.get("mapping") if isinstance(discriminator, Mapping) else None
        if not isinstance(mapping, Mapping) or not mapping:
            return None
        values: dict[str, list[str]] = {}
        for value, target in mapping.items():
            target = str(target)
            known = target if target in self._schemas else self._name(target)
            reference = _reference(known) if known in self._schemas else target
            values.setdefault(reference, []).append(value)
        variants = tuple(Variant(each, tuple(texts)) for each, texts in values.items())
        return Choice(_field(schema), variants, mapped=True)

    def listed(self, schema: Mapping[str, Any], part: Any) -> Choice:
        """Return the values that select one schema listed in `oneOf` or `anyOf`.

        There are none if neither the discriminator's mapping nor the schema's name gives them.
        """
        reference = part.get("$ref") if isinstance(part, Mapping) else None
        mapped = self.mapped(schema)
        values: tuple[str, ...] = ()
        if not isinstance(reference, str):
            reference = ""
        elif mapped is None and reference.startswith(COMPONENTS):
            values = (_component(reference),)
        for each in mapped.variants if mapped else ():
            if self._name(each.reference) == self._name(reference):
                values = each.values
        return Choice(_field(schema), (Variant(reference, values),), mapped=bool(mapped and values))

    def is_base(self, reference: str, heir: str) -> bool:
        """Whether a reference in the `allOf` of `heir` means only the common part of the schema.

        It does if `heir` is a variant of that schema, by a discriminator or by its `oneOf`.
        """
        name, other = self._name(reference), self._name(heir)
        if name not in self._heirs:
            if choice := self.choice(reference):
                lines = (self._line(self._name(each.reference)) for each in choice.variants)
                self._heirs[name] = {each for line in lines for each in line}
            else:
                listed = _references(self._schemas.get(name), "oneOf", "anyOf")
                self._heirs[name] = set(map(self._name, listed))
        return other in self._heirs[name]

    def _line(self, name: str) -> Mapping[str, None]:
        """Return a schema and all its ancestors, the nearest first."""
        if name not in self._lines:
            line, waiting = {name: None}, [name]
            while waiting and len(line) < _LONGEST:
                bases = [self._name(each) for each in _bases(self._schemas.get(waiting.pop(0)))]
                waiting += [each for each in bases if each not in line]
                line |= dict.fromkeys(bases)
            self._lines[name] = line
        return self._lines[name]

    def _name(self, reference: str) -> str:
        """Return the name of the component that a reference leads to, or else the reference."""
        if reference not in self._names:
            seen, name = set[str](), reference
            while name.startswith(COMPONENTS) and name not in seen:
                seen.add(name)
                component = _component(name)
                schema = self._schemas.get(component)
                further = schema.get("$ref") if isinstance(schema, Mapping) else None
                name = further if isinstance(further, str) else component
            self._names[reference] = name
        return self._names[reference]


def has_choice(schema: Mapping[str, Any]) -> bool:
    """Whether a schema has a discriminator of its own, without `oneOf` or `anyOf`."""
    return schema.get("discriminator") is not None and not {"oneOf", "anyOf"} & set(schema)


def _field(schema: Mapping[str, Any]) -> Any:
    discriminator = schema["discriminator"]
    if isinstance(discriminator, str):  # as in Swagger 2.0
        return discriminator
    return discriminator.get("propertyName") if isinstance(discriminator, Mapping) else None


def _bases(schema: Any) -> Iterator[str]:
    """Yield the references in a schema's `allOf`."""
    waiting = [schema]
    while waiting:
        each = waiting.pop(0)
        yield from _references(each, "allOf")
        waiting += _list(each.get("allOf")) if isinstance(each, Mapping) else ()


def _references(schema: Any, *keys: str) -> list[str]:
    """Return the references in a schema's lists of schemas."""
    parts = [part for key in keys if isinstance(schema, Mapping) for part in _list(schema.get(key))]
    references = [part.get("$ref") for part in parts if isinstance(part, Mapping)]
    return [each for each in references if isinstance(each, str)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _component(reference: str) -> str:
    name = unquote(reference.removeprefix(COMPONENTS))
    return reference if "/" in name else name.replace("~1", "/").replace("~0", "~")


def _reference(name: str) -> str:
    return COMPONENTS + name.replace("~", "~0").replace("/", "~1").replace("%", "%25")
