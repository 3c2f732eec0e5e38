"""ToolMatch: whether two sides make the same calls (docs/design.md, section 3)."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from looptool.core import canonical
from looptool.core.calls import ToolCall

MatchMode = Literal["schema", "strict"]


def match(
    predicted: Iterable[ToolCall],
    expected: Iterable[ToolCall],
    tools: Sequence[Mapping[str, Any]] | None = None,
    mode: MatchMode = "schema",
) -> bool:
    """ToolMatch: whether two lists of calls are equal as multisets, in any order.

    The order of JSON lists counts. `true` is not `1`. `1` equals `1.0` only where the tool's schema
    says `number`. With `mode="schema"`, an omitted argument equals the same argument at its schema
    default; with `mode="strict"` it does not.

    Args:
        tools: unwrapped tool documents. Calls to other tools are compared as plain JSON.
    """
    schemas = {tool["name"]: tool.get("parameters") or {} for tool in reversed(tools or ())}

    def count(calls: Iterable[ToolCall]) -> Counter[str]:
        return Counter(_normal_form(call, schemas.get(call.name, {}), mode) for call in calls)

    return count(predicted) == count(expected)


def _normal_form(call: ToolCall, schema: Mapping[str, Any], mode: MatchMode) -> str:
    """Return canonical JSON that is the same for two calls exactly when they are equal."""
    arguments = _normal_numbers(call.arguments, schema)
    if mode == "schema":
        for branch in branches(schema, schema):
            for name, part in properties_of(branch).items():
                if name in arguments and isinstance(part, Mapping) and "default" in part:
                    default = _normal_numbers({name: part["default"]}, schema)[name]
                    if canonical.dumps(arguments[name]) == canonical.dumps(default):
                        del arguments[name]
    return canonical.dumps([call.name, arguments])


class _Whole(float):
    """A float without a fraction. Each occurrence in a value is a separate object."""

    says_number = False  # whether a schema that applies here has `"type": "number"`


def _normal_numbers(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with `1.0` written as `1` wherever an applicable schema says `number`."""
    wholes: list[_Whole] = []
    marked = _marked(arguments, wholes)
    if wholes:
        from referencing import Registry

        finder = _number_finder()
        with contextlib.suppress(Exception):  # an endlessly recursive or invalid schema
            for _ in finder(schema, registry=Registry()).iter_errors(marked):
                pass
    return {name: _unmarked(value) for name, value in marked.items()}


def _marked(value: Any, wholes: list[_Whole]) -> Any:
    if isinstance(value, float) and value.is_integer():
        wholes.append(_Whole(value))
        return wholes[-1]
    if isinstance(value, list):
        return [_marked(item, wholes) for item in value]
    if isinstance(value, Mapping):
        return {key: _marked(item, wholes) for key, item in value.items()}
    return value


def _unmarked(value: Any) -> Any:
    if isinstance(value, _Whole):
        return int(value) if value.says_number else float(value)
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, dict):
        return {key: _unmarked(item) for key, item in value.items()}
    return value


@lru_cache(maxsize=1)
def _number_finder() -> Any:
    """Return a validator class that marks each `_Whole` to which `"type": "number"` applies.

    jsonschema decides which schema applies where. It would stop at the first branch of `anyOf` that
    fits; this class tries all branches. Schemas under `not` mark nothing.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    check_type = Draft202012Validator.VALIDATORS["type"]

    def mark(validator: Any, types: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        if isinstance(value, _Whole) and (types == "number" or "number" in types):
            value.says_number = True
        yield from check_type(validator, types, value, schema)

    def all_branches(
        validator: Any, branches: Any, value: Any, schema: Any
    ) -> Iterator[ValidationError]:
        errors = [list(validator.descend(value, branch)) for branch in branches]
        if all(errors):
            yield errors[0][0]

    def forgiving(check: Any) -> Any:
        def run(*arguments: Any) -> Iterator[ValidationError]:
            # a keyword that cannot be applied (a dangling `$ref`, an unknown type) is ignored, so
            # that the other keywords still apply
            try:
                yield from check(*arguments) or ()
            except RecursionError:
                raise  # if caught here, each level of a recursive schema would try again
            except Exception:
                return

        return run

    changed = {"type": mark, "anyOf": all_branches, "oneOf": all_branches, "not": lambda *_: ()}
    keywords = {**Draft202012Validator.VALIDATORS, **changed}
    checks = {name: forgiving(check) for name, check in keywords.items()}
    finder: Any = extend(Draft202012Validator, checks)  # type: ignore[no-untyped-call]
    return finder


def branches(schema: Any, root: Mapping[str, Any], depth: int = 8) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and all schemas that it combines or references within the same document."""
    if not isinstance(schema, Mapping) or depth == 0:
        return
    yield schema
    for keyword in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(keyword) or ():
            yield from branches(part, root, depth - 1)
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: Any = root
        for key in reference[2:].split("/"):
            target = (
                target.get(key.replace("~1", "/").replace("~0", "~"))
                if isinstance(target, Mapping)
                else None
            )
        yield from branches(target, root, depth - 1)


def properties_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}
