"""Scoring of ACEBench's `normal` and `special` rows, by the official rules and by stricter ones.

`valid` is the official runner's verdict on the file that `exports` writes. The runner extracts the
first list from the text (in dialogues it removes all white space instead), compares strings by
containment, and does not compare numbers and booleans at the top level of the arguments. `strict`
has none of this leniency.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from looptool.core import canonical, tables
from looptool.core.answers import to_json
from looptool.core.calls import Parsed, ToolCall, render_python
from looptool.core.python_calls import decode_python_calls, parse_python_calls
from looptool.engines import Completion
from looptool.evaluation.acebench.rows import DIALOGUES, Row

BENCHMARK = "acebench"

# the Python type that the official checker expects for each type of its function documents
_KINDS: dict[str, type] = {
    "string": str,
    "any": str,
    "integer": int,
    "int": int,
    "number": int,
    "float": float,
    "boolean": bool,
    "enum": enumerate,
    "dict": dict,
    "object": dict,
    "array": list,
    "list": list,
    "tuple": list,
    "objectArray": list,
    "list(string)": list,
    "list(enum)": list,
}
_NESTED = {"array", "tuple", "object", "objectArray", "list(string)", "list(enum)"}
_PHRASES = {
    "special_incomplete": "Missing necessary parameters",
    "special_error_param": "There is incorrect value",
    "special_irrelevant": "the limitations of the function",
}
_PUNCTUATION = re.compile(r"[ ,./\-_*^]")
_NUMBERED = re.compile(r"_\d+$")
_BRACKET = re.compile(r"[\[\]]")
_CALLING = re.compile(r"\[\s*[^\W\d][\w.]*\(")  # a list of calls inside other text


class Fault(NamedTuple):
    """Why an answer is wrong, in the official runner's terms."""

    kind: str
    message: str


def score(rows: Sequence[Row], answers: Mapping[str, Completion]) -> pl.DataFrame:
    """Return one row of `tables.Eval` for each row; all have the split `test`.

    Args:
        rows: `normal` and `special` rows; `agent.score` scores agent rows.
        answers: the model's answer by row id; a row without one is wrong (`no_answer`).
    """
    if agents := [row.id for row in rows if row.group == "agent"]:
        raise ValueError(f"{agents[0]}: agent rows are scored by agent.score")
    scored = []
    for row in rows:
        answer = answers.get(row.id)
        fault = Fault("no_answer", "no answer") if answer is None else official_fault(row, answer)
        if answer is not None and answer.error_type is not None:
            fault = Fault(answer.error_type, answer.answer.error or "")
        scored.append(
            {
                "benchmark": BENCHMARK,
                "category": row.category,
                "id": row.id,
                "split": "test",
                "prediction": answer.text if answer else "",
                "answer": canonical.dumps(to_json(answer.answer)) if answer else None,
                "valid": fault is None,
                "strict": answer is not None and is_strictly_right(row, answer),
                "error_type": fault.kind if fault else None,
                "error": fault.message if fault else None,
            }
        )
    return tables.frame(tables.Eval, scored)


def calls_of(answer: Completion) -> Parsed:
    """Return what an answer says, with calls in the model's syntax or as a Python list of calls.

    The model's syntax has precedence. Thinking is removed in both cases. A Python list with other
    text around it counts as text.
    """
    parsed = answer.answer
    if parsed.calls:
        return parsed
    try:
        # if reading failed on tags inside Python strings, these are text
        calls = parse_python_calls(answer.text if parsed.error else parsed.text)
    except ValueError:
        return parsed
    return Parsed(tuple(calls), "", parsed.thinking)


def official_text(answer: Completion) -> str:
    """Return an answer in the form for the official runner: calls as Python, otherwise the text.

    An answer with a malformed call, or with neither calls nor thinking, stays unchanged, because
    white space around a list matters to the official agents.
    """
    parsed = answer.answer
    if parsed.error or parsed.text == answer.text.strip():
        return answer.text
    return render_python(parsed.calls) if parsed.calls else parsed.text


def official_fault(row: Row, answer: Completion) -> Fault | None:
    """Return the fault that the official runner finds in an answer, or None.

    If the runner would raise an exception, as it does on function documents of an unknown form, the
    answer is wrong (`checker_error`).
    """
    text = official_text(answer)
    if row.group == "special":
        return _special_fault(row, text)
    try:
        calls = decode_python_calls(
            "".join(text.split()) if row.category in DIALOGUES else _first_list(text)
        )
    except ValueError as error:
        return Fault("wrong_output_format", str(error))
    functions = row.entry["function"]
    first: Fault | None = None
    for accepted in alternatives(row):
        try:
            fault = _normal_fault(
                functions if isinstance(functions, list) else [functions], calls, accepted
            )
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            return Fault("checker_error", f"the official checker raised {error!r}")
        if fault is None:
            return None
        first = first or fault
    return first or Fault("checker_error", "the data accept no answer")


def is_strictly_right(row: Row, answer: Completion) -> bool:
    """Whether an answer is right by our own, stricter rule.

    `normal`: exactly the calls of one of the accepted answers, in any order, with exactly their
    arguments. Numbers are compared by value (1 equals 1.0, but not true), strings without
    surrounding white space, lists in order.

    `special`: a text that is not empty and well-formed, without calls, not even a list of calls
    inside other text. It must name every missing parameter (`incomplete`; `userId` may be written
    `user id` or `user_id`) or every wrong value (`error_param`); case is ignored. `irrelevant` rows
    require no particular words.
    """
    parsed = calls_of(answer)
    if row.group == "special":
        if parsed.calls or parsed.error or not parsed.text or _CALLING.search(parsed.text):
            return False
        return all(_names(parsed.text, name) for name in _to_be_named(row))
    if parsed.error or not parsed.calls:
        return False
    called = Counter(_strict_form(call.name, call.arguments) for call in parsed.calls)
    return any(called == Counter(_strict_forms(row, accepted)) for accepted in alternatives(row))


def alternatives(row: Row) -> list[dict[str, Any]]:
    """Return the accepted answers to a `normal` row."""
    return row.answer if isinstance(row.answer, list) else [row.answer]


def answer_calls(row: Row, answer: Mapping[str, Any]) -> list[ToolCall]:
    """Return the calls of an answer, where repeated functions are numbered (`f_1`, `f_2`)."""
    names = {tool["name"] for tool in row.tools}
    return [
        ToolCall(key if key in names else _NUMBERED.sub("", key), arguments)
        for key, arguments in answer.items()
    ]


def _strict_forms(row: Row, answer: Mapping[str, Any]) -> Iterator[str]:
    for call in answer_calls(row, answer):
        yield _strict_form(call.name, call.arguments)


def _strict_form(name: str, arguments: Mapping[str, Any]) -> str:
    return canonical.dumps([name, plain(arguments, strip=True)])


def plain(value: Any, *, strip: bool) -> Any:
    """Return a value with whole floats as integers and, with `strip`, strings without margins."""
    if strip and isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [plain(item, strip=strip) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item, strip=strip) for key, item in value.items()}
    return value


def _to_be_named(row: Row) -> list[str]:
    if not isinstance(row.answer, Mapping):
        return []
    return [str(name) for names in row.answer.values() for name in names]


def _names(text: str, name: str) -> bool:
    """Whether a text names a parameter or value as a whole word."""
    # some scripts have no spaces, so only Latin letters and digits next to a name extend the word
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).split("_")
    spellings = {re.escape(name), r"[ _]?".join(map(re.escape, filter(None, words)))}
    return any(
        re.search(rf"(?<![a-z0-9]){spelling}(?![a-z0-9])", text, re.IGNORECASE)
        for spelling in filter(None, spellings)
    )


def _first_list(text: str) -> str:
    """Return the first outermost `[…]` of a text, as the official runner finds it.

    Brackets inside strings count too, and so does an unmatched `]`: it makes the depth negative
    until another `[` follows.

    Raises:
        ValueError: if there is none.
    """
    depth, start = 0, -1
    for bracket in _BRACKET.finditer(text):
        if bracket[0] == "[":
            start = bracket.start() if depth == 0 else start
            depth += 1
        else:
            depth -= 1
            if depth == 0 and start >= 0:
                return text[start : bracket.end()]
    raise ValueError("no list")


def _special_fault(row: Row, text: str) -> Fault | None:
    phrase = _PHRASES[row.category]
    if phrase not in text:
        return Fault("error_detection", f"does not say {phrase!r}")
    wanted = _to_be_named(row)
    if row.category == "special_incomplete":
        wanted = [*row.answer, *wanted]
    if missing := [name for name in wanted if name not in text]:
        return Fault("error_correction", f"does not name {missing[0]!r}")
    return None


def _normal_fault(
    functions: Sequence[Mapping[str, Any]], calls: Sequence[ToolCall], answer: Mapping[str, Any]
) -> Fault | None:
    if len(calls) != len(answer):
        return Fault("wrong functions number", f"{len(calls)} calls, not {len(answer)}")
    wanted = {key: _NUMBERED.sub("", key) for key in answer}
    if Counter(call.name for call in calls) != Counter(wanted.values()):
        called = ", ".join(call.name for call in calls)
        return Fault("function_mismatch", f"called {called}, not {', '.join(wanted.values())}")
    for key, name in wanted.items():
        # as officially, the first function with a name that is part of the key, right or not
        function = next((each for each in functions if each["name"] in key), None)
        fault: Fault | None = None
        for call in calls:
            fault = Fault("simple_function_checker:unclear", "wrong_function")
            if call.name == name:
                fault = _call_fault(function, call, answer[key])
                if fault is None:
                    break
        if fault:
            return fault
    return None


def _call_fault(function: Any, call: ToolCall, expected: Mapping[str, Any]) -> Fault | None:
    parameters = function["parameters"]
    nothing = call.arguments == {}
    if nothing and parameters == {}:
        return None
    if nothing or parameters == {}:
        return Fault("wrong_param", "no arguments" if nothing else "takes no arguments")
    if expected == parameters["properties"]:
        return None
    if expected == {}:
        return Fault("wrong_param", "takes no arguments")
    if function["name"] != call.name:
        return Fault("wrong_function_name", f"called {call.name}, not {function['name']}")
    for name in parameters["required"]:
        if name not in call.arguments:
            return Fault("lack_args", f"{call.name}: {name} is missing")
    for name, value in call.arguments.items():
        if name not in parameters["properties"] or name not in expected:
            return Fault("addition_args", f"{call.name}: {name} is not expected")
        kind = _value_fault(parameters["properties"][name], value, expected[name])
        if kind:
            return Fault(kind, f"{call.name}: {name} is {value!r}, not {expected[name]!r}")
    return None


def _value_fault(schema: Mapping[str, Any], value: Any, expected: Any) -> str | None:
    """Return the official kind of fault of an argument's value, or None."""
    stated = schema["type"]
    kind: type = _KINDS[stated]
    inner = _KINDS[_inner_type(schema)] if stated in _NESTED else None
    if stated == "tuple" and isinstance(value, tuple):
        value = list(value)
    if stated == "float" and type(value) is int:
        value = float(value)
    comparable = _comparable(value, expected, kind, inner)
    if comparable is None:
        return "type_error"
    if not comparable:
        return None
    if kind is dict:
        return None if _same_object(value, expected) else "value_error"
    if kind is list and inner is dict:
        if stated == "objectArray":
            if len(value) != len(expected):
                return "value_error:dict_items"
            if value:
                raise LookupError("objectArray")  # the official checker raises here too
        if len(value) != len(expected):
            return "value_error:list_dict_count"
        same = all(_same_object(item, right) for item, right in zip(value, expected, strict=True))
        return None if same else "value_error"
    if kind is str:
        return None if _squeezed(expected) in _squeezed(value) else "value_error:string"
    if kind is list:
        same = [_squeezed(item) for item in value] == [_squeezed(item) for item in expected]
        return None if same else "value_error:list/tuple"
    return None


def _inner_type(schema: Mapping[str, Any]) -> str:
    try:
        return schema["items"]["type"]
    except (LookupError, TypeError):
        stated = schema["type"]
        return "string" if "string" in stated else "enum" if "enum" in stated else "dict"


def _comparable(value: Any, expected: Any, kind: Any, inner: Any) -> bool | None:
    """Return None if the official checker rejects a value's type, else whether it compares values.

    It compares values only if the accepted answer has the type that the document states.
    """
    looks = expected == "" or type(expected) is kind
    value = _truth(value)
    if type(value) is kind:
        if inner is None:
            return looks
        for item in expected:
            if type(item) is not list or all(
                _comparable(each, item, inner, None) is not None for each in value
            ):
                return looks
        return None
    same = expected != "" and (type(value) is type(expected) or expected == value)
    return False if same else None


def _same_object(value: Any, expected: Any) -> bool:
    if not isinstance(value, dict) or len(value) != len(expected.keys()):
        return False
    for key, item in value.items():
        if key not in expected:
            return False
        item, right = _truth(item), expected[key]
        if isinstance(right, dict):
            if not _same_object(item, right):
                return False
        elif str(_squeezed(right)) not in str(_squeezed(item)):
            return False
    return True


def _truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _squeezed(value: Any) -> Any:
    """Return a string without what the official string comparison ignores."""
    if type(value) is not str:
        return value
    return _PUNCTUATION.sub("", value).lower().replace("'", '"')
