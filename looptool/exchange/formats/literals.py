"""JSON texts, and Python literals in their place, as `str(dict)` writes them."""

from __future__ import annotations

import ast
import warnings
from typing import Any

from looptool.core import canonical
from looptool.exchange.formats import Changes

LARGEST = 1_000_000  # characters of a literal: its syntax tree takes 50 times as many bytes


def value_of(text: str, changes: Changes) -> Any:
    """Parse a JSON text, or a Python literal if it is not JSON.

    Raises:
        ValueError: if it is neither; the message is that of the JSON parser.
    """
    try:
        return canonical.loads(text)
    except ValueError:
        try:
            value = literal_of(text)
        except ValueError:
            value = None
        if value is None:
            raise
    changes["texts read as Python literals"] += 1
    return value


def literal_of(text: str) -> Any:
    """Parse a Python literal to a JSON value; a tuple becomes a list. Nothing is evaluated.

    Raises:
        ValueError: if it is not a literal, is too large, or has values that JSON lacks.
    """
    if len(text) > LARGEST:
        raise ValueError(f"is longer than {LARGEST:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # about "\d" in a text
            value = _json_value(ast.parse(text.strip(), mode="eval").body)
        canonical.dumps(value)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return value


def _json_value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str()):
            return node.value
        case ast.Name(id="true" | "false" | "null" as word):  # JSON and Python are mixed
            return canonical.loads(word)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List() | ast.Tuple():
            return [_json_value(item) for item in node.elts]
        case ast.Dict():
            made = {}
            for key, value in zip(node.keys, node.values, strict=True):
                if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                    raise ValueError("a key must be a string")
                if key.value in made:
                    raise ValueError("a key occurs twice in one object")
                made[key.value] = _json_value(value)
            return made
    raise ValueError(f"{ast.unparse(node)[:40]!r} is not a literal of a JSON value")
