"""Tool calls written as Python, `[Api(k='v', n=[1, 2])]`: the prompt style of BFCL and ACEBench.

The text is parsed, never evaluated. There are two parsers: ours accepts literals only; the other
reproduces the benchmarks' own decoders, which accept much more and determine the official verdicts.
"""

from __future__ import annotations

import ast
import operator
import sys
import warnings
from collections.abc import Callable
from typing import Any

from looptool.core import canonical
from looptool.core.calls import MAX_DEPTH, ToolCall

MAX_LENGTH = 100_000

_JSON_NAMES = {"true": True, "false": False, "null": None}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def parse_python_calls(text: str) -> list[ToolCall]:
    """Parse a text that consists of a Python list of calls and nothing else.

    It is the inverse of `calls.render_python`.

    Names may be dotted. Values must be literals that JSON can represent; a tuple becomes a list,
    and JSON's `true`, `false` and `null` are accepted.

    Raises:
        ValueError: on anything else: text around the list, a positional or repeated argument, a
            value that is not a literal, text longer than `MAX_LENGTH`, or nesting too deep.
    """
    body = _parse(text.strip())
    if not isinstance(body, ast.List):
        raise ValueError("not a list of calls")
    calls = [ToolCall(*_call(element, 0)) for element in body.elts]
    for call in calls:
        try:
            canonical.dumps(call.arguments)
        except TypeError as error:
            raise ValueError(f"{call.name}: {error}") from None
    return calls


def decode_python_calls(text: str, alone: bool = False) -> list[ToolCall]:
    """Parse calls as the decoders of BFCL and ACEBench do.

    Unlike `parse_python_calls`, they read a bare name as a string (`true` is `"true"`), ignore
    positional arguments, read every unary operator as a minus, keep tuples, and evaluate
    arithmetic. Here only the four basic operations on numbers are computed; the official decoders
    `eval` any expression with a binary operator.

    Args:
        alone: accept a single call without a list, and read anything else as no calls, as ACEBench
            does for its agents.

    Raises:
        ValueError: where the official decoders fail, and on any other computation.
    """
    body = _parse(text)
    if isinstance(body, ast.List | ast.Tuple | ast.Set):
        elements = body.elts
    elif alone:
        elements = [body] if isinstance(body, ast.Call) else []
    else:
        raise ValueError("not a list of calls")
    calls = []
    for element in elements:
        if not isinstance(element, ast.Call):
            raise ValueError(f"{_source(element)} is not a call")
        ((name, arguments),) = _loose_call(element, 0).items()
        calls.append(ToolCall(name, arguments))
    return calls


def _parse(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. about "\d" in a model's text
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"no Python: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise ValueError("nested too deeply") from None


def _call(node: ast.expr, depth: int) -> tuple[str, dict[str, Any]]:
    if not isinstance(node, ast.Call):
        raise ValueError(f"{_source(node)} is not a call")
    name = _dotted(node.func)
    if node.args:
        raise ValueError(f"{name}: an argument without a name")
    arguments: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError(f"{name}: arguments by **")
        if keyword.arg in arguments:
            raise ValueError(f"{name}: {keyword.arg} occurs twice")
        arguments[keyword.arg] = _value(keyword.value, depth + 1)
    return name, arguments


def _dotted(node: ast.expr) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise ValueError("a call of something without a name")
    return ".".join([node.id, *reversed(parts)])


def _value(node: ast.expr, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
        return node.value
    if isinstance(node, ast.Name) and node.id in _JSON_NAMES:
        return _JSON_NAMES[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        number = node.operand.value if isinstance(node.operand, ast.Constant) else None
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(element, depth + 1) for element in node.elts]
    if isinstance(node, ast.Dict):
        items: dict[str, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                raise ValueError("a key that is not a string")
            if key.value in items:
                raise ValueError(f"the key {key.value!r} occurs twice")
            items[key.value] = _value(value, depth + 1)
        return items
    raise ValueError(f"{_source(node)} is not a literal")


def _loose_call(node: ast.Call, depth: int) -> dict[str, dict[Any, Any]]:
    parts, function = [], node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if isinstance(function, ast.Name):
        parts.append(function.id)
    return {
        ".".join(reversed(parts)): {
            keyword.arg: _loose_value(keyword.value, depth + 1) for keyword in node.keywords
        }
    }


def _loose_value(node: ast.expr | None, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    match node:
        case ast.Constant(value=value):
            return "..." if value is Ellipsis else value
        case ast.UnaryOp(operand=ast.Constant(value=value)):
            try:
                return -value  # type: ignore[operator]
            except TypeError as error:
                raise ValueError(str(error)) from None
        case ast.List(elts=elements):
            return [_loose_value(element, depth + 1) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_loose_value(element, depth + 1) for element in elements)
        case ast.Dict(keys=keys, values=values):
            try:
                return {
                    _loose_value(key, depth + 1): _loose_value(value, depth + 1)
                    for key, value in zip(keys, values, strict=True)
                }
            except TypeError as error:  # an unhashable key
                raise ValueError(str(error)) from None
        case ast.BinOp():
            return _computed(node, depth)
        case ast.Name(id=name):
            return name
        case ast.Call():
            return _loose_call(node, depth)
        case ast.Subscript():
            return _source(node)
    raise ValueError(f"{_source(node)} is not a literal")


def _computed(node: ast.expr, depth: int) -> float:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            return value  # type: ignore[return-value]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_computed(operand, depth + 1)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _ARITHMETIC:
            sides = _computed(left, depth + 1), _computed(right, depth + 1)
            try:
                result = _ARITHMETIC[type(sign)](*sides)
            except ArithmeticError as error:
                raise ValueError(str(error)) from None
            if not abs(result) <= sys.float_info.max:
                raise ValueError("out of range")
            return result
    raise ValueError(f"{_source(node)} is not a number")


def _source(node: ast.AST | None) -> str:
    if node is None:
        return "**"
    try:
        text = ast.unparse(node)
    except RecursionError:
        return "what is nested this deeply"
    return text if len(text) <= 80 else f"{text[:80]}…"
