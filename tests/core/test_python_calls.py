"""Calls written as Python: read back as written, never run, and hostile text is only an error."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from looptool.core.calls import ToolCall, render_python
from looptool.core.python_calls import (
    MAX_LENGTH,
    decode_python_calls,
    parse_python_calls,
)
from tests.strategies import JSON, TEXT

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name)
)
CALLS = st.lists(
    st.builds(
        ToolCall,
        st.lists(NAMES, min_size=1, max_size=3).map(".".join),
        st.dictionaries(NAMES, JSON, max_size=3),
    ),
    max_size=3,
)
HOSTILE = [
    "",
    " ",
    "f",
    "f()",
    "f(), g()",
    "[f]",
    "[1]",
    "[f()] and more",
    "text [f()]",
    "[f(1)]",
    "[f(*a)]",
    "[f(**{})]",
    "[f(a=1, a=2)]",
    "[f(a={'b': 1, 'b': 2})]",
    "[f(a={1: 2})]",
    "[f(a={**b})]",
    "[f(a=b)]",
    "[f(a=b())]",
    "[f(a=1+1)]",
    "[f(a=not True)]",
    "[f(a=-True)]",
    "[f(a=~1)]",
    "[f(a=b'x')]",
    "[f(a=2j)]",
    "[f(a=...)]",
    "[f(a={1})]",
    "[f(a=1e999)]",
    "[f(a='\\ud800')]",
    "[f(a=f'{1}')]",
    "[f(a=lambda: 1)]",
    "[f(a=[x for x in y])]",
    "[f(a=g[0])]",
    "[f()()]",
    "[a[0]()]",
    "['f'()]",
    "[__import__('os').system('true')]",
    "[f(a=__import__('os').getpid())]",
    "[await f()]",
    "[f(a:=1)]",
    "[f(",
    "\x00",
    "[f(a='\x00')]",
    "[f(a=" + "[" * 5000 + "]" * 5000 + ")]",
    "[f(a=" + "-" * 50_000 + "1)]",
    "[f(a=" + "+".join("1" * 30_000) + ")]",
    "[" + ".f" * 40_000 + "()]",
    "[f" + ".f" * 40_000 + "()]",
    "[f(a=" + "[" * 80 + "]" * 80 + ")]",
    "[f(a=" + "9" * 6000 + ")]",
    "[f(a='" + "x" * MAX_LENGTH + "')]",
]


@given(CALLS)
@example([ToolCall("a.b", {"c": [True, None, -1, 1.5, {"d": "'\"\n\\"}]})])
def test_what_is_written_reads_back(calls: list[ToolCall]) -> None:
    assert parse_python_calls(render_python(calls)) == calls


@given(CALLS)
def test_the_official_decoding_of_what_is_written_is_the_same(calls: list[ToolCall]) -> None:
    assert decode_python_calls(render_python(calls)) == calls


def test_names_of_json_are_taken_for_what_they_mean() -> None:
    assert parse_python_calls('[f(a=true, b={"c": [false, null]}, d=+1, e=(1, 2))]') == [
        ToolCall("f", {"a": True, "b": {"c": [False, None]}, "d": 1, "e": [1, 2]})
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_list_of_calls_with_literals_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_python_calls(text)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_the_official_decoding_computes_no_more_than_numbers(text: str) -> None:
    try:
        decode_python_calls(text)
    except ValueError:
        return


@given(TEXT | st.text("[](){},=.'\"fa1-:+*", max_size=30))
def test_any_text_is_calls_or_an_error(text: str) -> None:
    for read in (parse_python_calls, decode_python_calls):
        try:
            read(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", "true"),
        ("name", "name"),
        ("+5", -5),
        ("60*60", 3600),
        ("-(1+2)/2", -1.5),
        ("1-2.5", -1.5),
        ("a[0]", "a[0]"),
        ("(1, 2)", (1, 2)),
        ("...", "..."),
        ("g(x=1)", {"g": {"x": 1}}),
        ("g()", {"g": {}}),
    ],
)
def test_the_official_decoding_takes_what_theirs_do(text: str, value: object) -> None:
    assert decode_python_calls(f"[f(1, a={text})]") == [ToolCall("f", {"a": value})]


@pytest.mark.parametrize(
    "text",
    ["10**10**10", "'a'*10**9", "1/0", "1e308*10", "a+1", "[1]*9", "-(1+2)", "9*" * 2000 + "9"],
)
def test_a_computation_beyond_the_four_operations_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_python_calls(f"[f(a={text})]")
