"""Calls in the syntaxes of model families, written by the chat templates that TRL ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trl
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.core.answers import from_json, to_json
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.samples import call_label, is_correct, text_label
from looptool.core.syntaxes import HERMES, SYNTAXES, typed
from looptool.engines import Prompt
from looptool.engines.syntax import (
    known_style,
    label_text,
    read_in,
    read_text,
    syntax_of,
    without_end,
)
from looptool.engines.templates import TemplateOf, answer_of

TEMPLATES = Path(trl.__file__).parent / "chat_templates"
FAMILIES = {
    "hermes": "qwen3",
    "functions": "qwen3_5_think",
    "keyed": "glm4moe",
    "gemma": "gemma4_v2",
    "python": "lfm2_v2",
    "json": "llama3_2",
    "harmony": "gptoss",
}
SYNTAX = {syntax.name: syntax for syntax in SYNTAXES}
TOOL = {
    "name": "find_rooms",
    "description": "Finds rooms",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "price": {"type": "number"},
            "nights": {"type": "integer"},
            "pets": {"type": "boolean"},
            "days": {"type": "array", "items": {"type": "string"}},
            "either": {"type": ["string", "integer"]},
            "kind": {"enum": ["double", "7", None]},
        },
    },
}
TOOLS = [TOOL, {**TOOL, "name": "rooms.find"}]
PROMPT = Prompt([{"role": "user", "content": "Find a room"}], TOOLS)
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["75001", "true", "null", " a\n", "</tool_call>", "'"]
)
VALUES = {
    "city": TEXTS,
    "price": st.integers(-99, 99) | st.floats(-9, 9),
    "nights": st.integers(0, 99),
    "pets": st.booleans(),
    "days": st.lists(TEXTS, max_size=3),
    "either": TEXTS | st.integers(0, 9),
    "kind": st.sampled_from(["double", "7", None]),
}
CALLS = st.builds(
    ToolCall,
    st.sampled_from(["find_rooms", "rooms.find"]),
    st.fixed_dictionaries({}, optional=VALUES),
)
FRAGMENTS = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<function=f>", "</function>", "<parameter=a>", "</parameter>",
     "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "<|tool_call>", "<tool_call|>",
     "call:f{", "}", "[", "]", '<|"|>', "<|tool_call_start|>", "<|tool_call_end|>", "f(a=1)",
     '{"name": "f", "parameters": {}}', "<think>", "</think>", "<|python_tag|>", "\n", "a:1,", "<"]
)  # fmt: skip


def template_of(name: str) -> TemplateOf:
    text = (TEMPLATES / f"{FAMILIES[name]}.jinja").read_text("utf-8")
    return TemplateOf(text, "<s>", "<|im_end|>", {})


each_syntax = pytest.mark.parametrize("name", FAMILIES)


@each_syntax
def test_the_syntax_of_a_family_is_found_by_what_its_template_writes(name: str) -> None:
    assert syntax_of(template_of(name)) is SYNTAX[name]


@each_syntax
def test_a_label_comes_back_equal_or_is_refused(name: str) -> None:
    template, refused = template_of(name), 0

    @settings(max_examples=60, deadline=None)
    @given(st.lists(CALLS, min_size=1, max_size=2))
    def check(calls: list[ToolCall]) -> None:
        nonlocal refused
        try:
            written = label_text(template, PROMPT, call_label(calls))
        except ConfigError:
            refused += 1
            return
        style = known_style(template)
        read = read_in(style, without_end(written, style), TOOLS)
        assert read.error is None and list(read.calls) == calls

    check()
    assert refused < 50


@each_syntax
@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30) | st.lists(FRAGMENTS | st.text(max_size=4), max_size=4).map("".join))
def test_a_text_comes_back_equal_or_is_refused(name: str, text: str) -> None:
    template, style = template_of(name), known_style(template_of(name))
    try:
        written = label_text(template, PROMPT, text_label(text))
    except ConfigError:
        return
    _, read = read_text(style, written, TOOLS, frozenset())
    assert (read.text, read.error, read.calls) == (text.strip(), None, ())


@each_syntax
def test_every_beginning_of_an_answer_is_an_error_or_the_calls_that_are_complete(name: str) -> None:
    template = template_of(name)
    style = known_style(template)
    calls = [ToolCall("find_rooms", {"city": "Oslo", "price": 2}), ToolCall("rooms.find", {})]
    calls = calls[:1] if name in ("json", "harmony") else calls
    written = answer_of(template, PROMPT, call_label(calls))
    start = written.index(style.syntax.opening or "{")
    for end in range(start + 1, len(written) + 1):
        read = read_in(style, without_end(written[:end], style), TOOLS)
        assert list(read.calls) == calls[: len(read.calls)]
        assert read.error is not None or read.calls


@each_syntax
@settings(max_examples=150, deadline=None)
@given(st.lists(FRAGMENTS | st.text(max_size=4), max_size=8))
def test_no_text_raises_and_what_is_read_can_be_stored(name: str, parts: list[str]) -> None:
    read = SYNTAX[name].read("".join(parts), TOOLS)
    assert from_json(json.loads(json.dumps(to_json(read)))) == read
    if read.error is not None:
        assert not is_correct(read, text_label("?"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("functions", "<tool_call>\n<function=find_rooms>"), ("functions", "<tool_ca"),
        ("functions", "<tool_call>{}</tool_call>"), ("keyed", "<tool_call>f<arg_key>a</tool_call>"),
        ("gemma", '<|tool_call>call:f{a:<|"|>x}<tool_call|>'), ("gemma", "<|tool"),
        ("gemma", "<|tool_call>call:f{a:1,a:2}<tool_call|>"), ("python", "<|tool_call_start|>[f("),
        ("python", "<|tool_call_start|>[f(1)]<|tool_call_end|>"), ("json", '{"name": "f", "para'),
        ("functions", "Let me look.\n<tool_call>"), ("functions", "<function=f></function>"),
        ("functions", "<parameter=a>\n1\n</parameter>"), ("python", "[f(a='x')]"),
        ("gemma", "Let me look.\n<|tool_call>"), ("gemma", 'call:f{a:<|"|>x<|"|>}'),
        ("gemma", '<tool_call>{"name": "f", "arguments": {}}</tool_call> Done.'),
        ("keyed", "f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>"),
        ("json", "<|python_tag|>f.call(a=1)"), ("json", 'Sure:\n{"name": "f", "parameters": {}}'),
        ("json", "Let me look.\n<|python_tag|>"),
        ("json", '```json\n{"parameters": {}, "name": "f"}'),
        ("harmony", "to=functions.f<|channel|>commentary json<|message|>{"), ("harmony", " to=fun"),
        ("harmony", " to=functions.f<|channel|>commentary json<|message|>[1]<|call|>"),
        ("harmony", "<|channel|>commentary to=functions.f<|mess"),
        ("harmony", '<|channel|>commentary to=f <|constrain|>json<|message|>{"a": 1}<|call|>'),
        ("harmony", '<|channel|>commentary json<|message|>{"a": 1'),
        ("harmony", ' to=functions.<|channel|>commentary<|message|>{}<|call|>'),
        ("harmony", "<|start|>functions.f to=assistant<|channel|>commentary<|message|>1<|end|>"),
        ("harmony", '<|channel|>final<|message|>Hi<|end|> to=functions.f<|message|>{"a": 1'),
        ("harmony", "<|channel|>final<|message|>Hi <|channel|>commentary to=functions.f {"),
        ("harmony", f'to=functions.f<|message|>{{"a": {"[" * 500}{"]" * 500}}}<|call|>'),
        ("json", f'{{"name": "f", "parameters": {{"a": {"[" * 500}{"]" * 500}}}}}'),
        ("json", '{"name": "f"}'), ("json", '{"name": "f", "parameters": {}} and so on'),
    ],
)  # fmt: skip
def test_a_broken_call_never_gets_the_reward_of_a_text(name: str, text: str) -> None:
    read = SYNTAX[name].read(text, TOOLS)
    assert read.error and not read.calls
    assert not is_correct(read, text_label("Which city?"))


def test_harmony_s_channels_are_told_apart() -> None:
    text = (
        "<|channel|>analysis<|message|>Which?<|end|><|start|>assistant<|channel|>commentary "
        'to=functions.find_rooms <|constrain|>json<|message|>{"city": "<|end|>"}<|call|>'
    )
    read = SYNTAX["harmony"].read(text.replace('<|end|>"', 'Oslo"'), TOOLS)
    assert (read.thinking, read.text, read.error) == ("Which?", "", None)
    assert list(read.calls) == [ToolCall("find_rooms", {"city": "Oslo"})]
    assert SYNTAX["harmony"].read(text, TOOLS).error  # a control token in a string ends it
    said = SYNTAX["harmony"].read("<|channel|>final<|message|>Which city?<|return|>", TOOLS)
    assert (said.text, said.error) == ("Which city?", None)
    thought = SYNTAX["harmony"].read("<|channel|>analysis<|message|>I think", TOOLS)
    assert (thought.text, thought.thinking) == ("", "I think")


@pytest.mark.parametrize(
    ("name", "token", "text"),
    [
        ("json", "<|begin_of_text|>", '{"name": "find_rooms", "parameters": {"city": "Oslo"'),
        ("json", "<|begin_of_text|>", '{"name": "find_rooms", "parameters": {}}'),
        ("python", "<|startoftext|>", '[find_rooms(city="Oslo")]'),
        ("gemma", "<bos>", "call:find_rooms{city:1}"),
        ("harmony", "<|startoftext|>", "to=fun"),
        ("hermes", "<|im_start|>", '{"name": "f", "arguments": {"a'),
    ],
)
def test_a_control_token_hides_no_call(name: str, token: str, text: str) -> None:
    _, read = read_text(known_style(template_of(name)), f"{token}{text}", TOOLS, frozenset({token}))
    assert read.error and not is_correct(read, text_label("?"))


def test_unquoted_values_follow_the_schema() -> None:
    root = {"$defs": {"code": {"type": "string"}}}

    def value(text: str, *schemas: object) -> object:
        return typed(text, schemas, root)

    assert value("75001", {"type": "string"}) == "75001"
    assert value("75001", {"type": "integer"}) == 75001
    assert value("75001", {"$ref": "#/$defs/code"}) == "75001"
    assert value("75001", {"allOf": [{"type": "string"}]}) == "75001"
    assert value("7", {"type": ["string", "null"]}) == "7"
    assert value("null", {"anyOf": [{"type": "string"}, {"type": "null"}]}) is None
    assert (
        value("True", {"type": "boolean"}) is True and value("True", {"type": "string"}) == "True"
    )
    assert value("x", {"type": "integer"}) == "x"  # a wrong type, not a malformed call
    assert value("[1]") == [1] and value("Oslo") == "Oslo"


def test_values_of_unnamed_parameters_follow_their_schema_too() -> None:
    open_tool = {**TOOL, "parameters": {"additionalProperties": {"type": "string"}}}
    text = "<tool_call><function=find_rooms><parameter=zip>75001</parameter></function></tool_call>"
    (call,) = SYNTAX["functions"].read(text, [open_tool]).calls
    assert call.arguments == {"zip": "75001"}
    for odd in ({"name": "find_rooms"}, {"name": "find_rooms", "parameters": True}):
        assert SYNTAX["functions"].read(text, [odd]).calls


def test_thinking_that_the_prompt_opened_is_no_text() -> None:
    style = known_style(template_of("functions"))
    assert style.opens_thinking
    answer = read_in(style, "I need rooms.\n</think>\n\nWhich city?", TOOLS)
    assert (answer.thinking, answer.text) == ("I need rooms.", "Which city?")
    cut = read_in(style, "I should call <tool_call>\n<function=find_rooms>\n</function>", TOOLS)
    assert not cut.calls and not is_correct(cut, text_label("?"))


def test_hermes_after_thinking_that_the_prompt_opened_is_written_and_read_so() -> None:
    start = "{{- '<|im_start|>assistant\\n"
    written = (TEMPLATES / "qwen3.jinja").read_text("utf-8")
    assert written.count(start) == 1
    opened = written.replace(start, f"{start}<think>\\n")
    template = TemplateOf(opened, None, "<|im_end|>", {})
    style = known_style(template)
    assert style.syntax is HERMES and not style.is_hermes
    for label in (call_label([ToolCall("find_rooms", {})]), text_label("Which city?")):
        assert "</think>" in label_text(template, PROMPT, label)
    _, cut = read_text(style, "The user wants rooms", TOOLS, frozenset())
    assert not cut.text and cut.thinking == "The user wants rooms"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("functions", "Close with </think> here."), ("gemma", "Use <|channel>thought now"),
        ("json", "<think>x</think>"), ("hermes", '{"name": "a", "parameters": {}}'),
    ],
)  # fmt: skip
def test_a_text_that_is_not_read_back_equal_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match="the label is not read back"):
        label_text(template_of(name), PROMPT, text_label(text))


@pytest.mark.parametrize("end", ["<|eom_id|>", "<|end_of_text|>", "<|eot_id|><|eom_id|>"])
def test_any_control_token_may_end_an_answer(end: str) -> None:
    special = frozenset({"<|eom_id|>", "<|end_of_text|>", "<|eot_id|>", "<|python_tag|>"})
    style = known_style(template_of("json"))
    plain = '{"name": "find_rooms", "parameters": {}}'
    for call in (plain, f"<|python_tag|>{plain}"):
        text, read = read_text(style, f"{call}{end}", TOOLS, special)
        assert (text, read.error, len(read.calls)) == (call, None, 1)
    assert read_text(style, f"Which<|eom_id|> city?{end}", TOOLS, special)[1].text == "Which city?"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gemma", '<|tool_call>call:find_rooms{city:<|"|></think> hi<|"|>}<tool_call|>'),
        ("python", "<|tool_call_start|>[find_rooms(city='</think> hi')]<|tool_call_end|>"),
        ("json", '{"name": "find_rooms", "parameters": {"city": "</think> hi"}}'),
    ],
)
def test_the_end_of_thinking_in_a_string_is_an_argument(name: str, text: str) -> None:
    (call,) = SYNTAX[name].read(text, TOOLS).calls
    assert call.arguments == {"city": "</think> hi"}


def test_gemma_s_blanks_and_quoted_keys_are_read() -> None:
    text = '<|tool_call>\ncall:find_rooms{ "city": <|"|>x<|"|>, price : 5 }<tool_call|>'
    (call,) = SYNTAX["gemma"].read(text, TOOLS).calls
    assert call.arguments == {"city": "x", "price": 5}
    thought = "<|channel>thought\nmaybe <|tool_call>call:f{}<tool_call|>\n<channel|>Which city?"
    answer = SYNTAX["gemma"].read(thought, TOOLS)
    assert answer.text == "Which city?" and not answer.calls


@each_syntax
@pytest.mark.parametrize(
    "text", ["Type <city>", "Use <b>bold</b>", "a < b", '{"city": "Oslo"}', "Ok."]
)
def test_a_text_stays_a_text(name: str, text: str) -> None:
    read = SYNTAX[name].read(text, TOOLS)
    assert (read.text, read.error, read.calls) == (text, None, ())
