import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core import canonical
from looptool.core.calls import MAX_DEPTH, Parsed, ToolCall, parse, read_arguments, render
from looptool.core.tool_match import match
from tests.strategies import CALL, CALLS, TAGGED_TEXT, TEXT


def tool(name="f", **properties):
    return {
        "name": name,
        "description": "",
        "parameters": {"type": "object", "properties": properties},
    }


def call(name="f", **arguments):
    return ToolCall(name, arguments)


def same(left, right):
    """Equality that keeps 1, 1.0 and true apart."""
    return [canonical.dumps(c.to_json()) for c in left] == [
        canonical.dumps(c.to_json()) for c in right
    ]


# --- parse and render ------------------------------------------------------------------------


@given(CALLS)
def test_parse_reads_back_what_render_wrote(calls):
    parsed = parse(render(calls))
    assert same(parsed.calls, calls)
    assert (parsed.text, parsed.thinking, parsed.error) == ("", "", None)


@given(CALLS, TEXT.filter(lambda text: "<" not in text))
def test_text_and_thinking_before_the_calls_are_kept_apart(calls, text):
    parsed = parse(f"<think>{text}</think>{text}{render(calls)}")
    assert same(parsed.calls, calls)
    assert (parsed.text, parsed.thinking) == (text.strip(), text.strip())


@given(st.binary() | st.text() | TAGGED_TEXT)
def test_no_input_makes_parse_raise(data):
    parse(data)


@given(CALLS.filter(bool), st.data())
def test_an_output_cut_off_anywhere_keeps_its_complete_calls(calls, data):
    text = render(calls)
    cut = data.draw(st.integers(0, len(text) - 1))
    parsed = parse(text[:cut])
    assert len(parsed.calls) < len(calls)
    assert same(parsed.calls, calls[: len(parsed.calls)])
    if text[:cut].strip() and len(text[:cut]) > len(render(calls[: len(parsed.calls)])) + 12:
        assert parsed.error


def test_a_tag_in_a_string_that_is_cut_off_behind_a_backslash_stays_text():
    parsed = parse(render([call("g")]) + '<tool_call>{"name":"f","arguments":{"a":"</think>\\')
    assert list(parsed.calls) == [call("g")]
    assert "cut off" in parsed.error


@given(CALLS)
def test_a_call_inside_thinking_is_no_call(calls):
    quoted = [c for c in calls if "think>" not in render([c])]
    parsed = parse(f"<think>{render(quoted)}</think>")
    assert parsed.calls == () and parsed.error is None


@pytest.mark.parametrize(
    ("text", "calls", "rest", "thinking"),
    [
        ('<tool_call>{"name":"f","arguments":{}}</tool_call>', [call()], "", ""),
        ('Sure.<tool_call> {"name": "f","arguments":{}} </tool_call>', [call()], "Sure.", ""),
        ("let me see</think>Hello", [], "Hello", "let me see"),
        ('a<tool_call>{"name":"f","arguments":{}}</tool_call></think>b', [], "b", None),
        ('<think>never closed <tool_call>{"name":"f","arguments":{}}</tool_call>', [], "", None),
        (
            '<tool_call>{"name":"f","arguments":{"a":"</tool_call></think>"}}</tool_call>',
            [call(a="</tool_call></think>")],
            "",
            "",
        ),
        ("", [], "", ""),
    ],
)
def test_what_models_write(text, calls, rest, thinking):
    parsed = parse(text)
    assert list(parsed.calls) == calls
    assert parsed.text == rest
    assert parsed.error is None
    if thinking is not None:
        assert parsed.thinking == thinking


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ('{"name":"f","arguments":{"a":1', "cut off"),
        ('{"name":"f","arguments":{"a":1,"a":2}}</tool_call>', "occurs twice"),
        ('{"name":"f","arguments":{"a":NaN}}</tool_call>', "NaN"),
        ('{"name":"f","arguments":{"a":1e999}}</tool_call>', "out of range"),
        ('{"name":"f","arguments":{"a":"\\ud800"}}</tool_call>', "malformed"),
        ('{"name":"f","arguments":[]}</tool_call>', "must be an object"),
        ('{"name":"f","arguments":"{}"}</tool_call>', "must be an object"),
        ('{"name":"f"}</tool_call>', "exactly the keys"),
        ('{"name":"f","arguments":{},"id":1}</tool_call>', "exactly the keys"),
        ('{"name":"","arguments":{}}</tool_call>', "must be a non-empty string"),
        ("[]</tool_call>", "not a JSON object"),
        ('{"name":"f","arguments":{}} x</tool_call>', "something after"),
        ('{"name":"f","arguments":{}}', "no </tool_call>"),
        (f'{{"name":"f","arguments":{{"a":{"[" * 200}{"]" * 200}}}}}</tool_call>', "nested"),
        (f'{{"name":"f","arguments":{{"a":{"[" * 100_000}', "nested"),
        (f'{{"name":"f","arguments":{{"a":{"9" * 5000}}}}}</tool_call>', "malformed"),
    ],
)
def test_a_malformed_call_is_no_call_and_says_why(inside, why):
    good = render([call("g")])
    parsed = parse(f"{good}<tool_call>{inside}")
    assert list(parsed.calls) == [call("g")]
    assert "tool call 2" in parsed.error and why in parsed.error


def test_a_call_after_a_malformed_one_is_read():
    text = '<tool_call>{"name":}</tool_call>' + render([call("g")])
    assert list(parse(text).calls) == [call("g")]
    assert parse(text).error
    text = '<tool_call>{"name":"f","arguments":{"a":1}' + render([call("g")])
    assert list(parse(text).calls) == [call("g")]


@pytest.mark.parametrize(
    "text",
    [
        "The <tool_call> tag opens a call.",
        "I will not write a <tool_call>.",
        "A call stands between <tool_call> and </tool_call>.",
        "<tool_call> is how a call begins",
        "Write `<tool_call>`, then JSON {}, then `</tool_call>`.",
        'Nimm "<tool_call>" dafür',
    ],
)
def test_a_sentence_that_speaks_of_the_tags_is_text(text):
    assert parse(text) == Parsed((), text, "")


@pytest.mark.parametrize(
    "text",
    [
        "Sure: <tool_call>",
        "<tool_call>f</tool_call>",
        "I do: <tool_call> f </tool_call>",
        "I do: <tool_call>f(a=1)</tool_call>",
        "I do: <tool_call> this\n{'name': 'f'}",
        "<tool_call>\nf of a and b, please",
        "I do it. </tool_call>",
    ],
)
def test_a_broken_call_is_no_sentence(text):
    assert parse(text).error


def test_a_closing_tag_that_nothing_opened_is_an_error():
    assert parse("hello</tool_call>").error


def test_nesting_up_to_the_limit_is_read():
    value = []
    for _ in range(MAX_DEPTH - 3):
        value = [value]
    assert list(parse(render([call(a=value)])).calls) == [call(a=value)]


def test_bytes_that_are_no_utf8_are_read_with_replacement():
    assert parse(b"\xff\xfe hello").text == "\ufffd\ufffd hello"


@pytest.mark.parametrize(
    "text",
    [
        "Models wrap thoughts in <think> tags. Shall I go on?",
        "Use the `<think>` tag, then `</think>`.",
    ],
)
def test_thinking_that_is_only_spoken_of_is_text(text):
    assert (parse(text).text, parse(text).thinking) == (text, "")


@pytest.mark.parametrize(
    "piece", ["a <think> b", "<tool_call>{", '<tool_call>{"', "<think></think>", "</think>"]
)
def test_long_garbage_holds_no_call(piece):
    assert parse(piece * 2000).calls == ()


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
def test_render_refuses_what_json_cannot_hold(value):
    with pytest.raises(ValueError):
        render([call(a=value)])


# --- match -----------------------------------------------------------------------------------

SCHEMAS = st.sampled_from(
    [
        None,
        [tool(a={"type": "number"}, b={"type": "array", "items": {"type": "number"}})],
        [tool(a={"type": "integer", "default": 1}), tool("g", b={"type": "string"})],
    ]
)


@given(CALLS, SCHEMAS, st.randoms(use_true_random=False))
def test_match_is_reflexive_and_free_of_the_order_of_calls(calls, tools, rng):
    shuffled = rng.sample(calls, len(calls))
    assert match(shuffled, calls, tools)


@given(CALLS, CALLS, SCHEMAS)
def test_match_is_symmetric(left, right, tools):
    assert match(left, right, tools) == match(right, left, tools)


@given(CALLS, CALL)
def test_a_call_more_or_less_is_no_match(calls, extra):
    assert not match([*calls, extra], calls)
    assert not match(calls, [*calls, extra])


@given(st.lists(st.integers(0, 9), min_size=2, max_size=5))
def test_the_order_of_a_list_counts(values):
    turned = values[::-1]
    assert match([call(a=turned)], [call(a=values)]) == (turned == values)


def test_arguments_may_come_in_any_order():
    assert match([ToolCall("f", {"a": 1, "b": 2})], [ToolCall("f", {"b": 2, "a": 1})])


# LoopTool's published reward took each of these for right.
@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ([call(a=[1, 2])], [call(a=[2, 1])]),
        ([call(a={"x": [1, 2]})], [call(a={"x": [2, 1]})]),
        ([call(a=[1, 1, 2])], [call(a=[1, 2, 2])]),
        ([call("f"), call("f"), call("g")], [call("f"), call("g"), call("g")]),
        ([call("f")], [call("f"), call("f")]),
        ([call(a=True)], [call(a=1)]),
        ([call(a=False)], [call(a=0)]),
        ([call(a=1.0)], [call(a=1)]),
        ([call(a=True)], [call(a=1.0)]),
        ([call(a=[True])], [call(a=[1])]),
        ([call(a="1")], [call(a=1)]),
        ([call(a=None)], [call()]),
        ([], [call()]),
    ],
)
def test_what_the_fields_rewards_confuse_is_told_apart(predicted, expected):
    assert not match(predicted, expected)
    assert not match(expected, predicted)


@pytest.mark.parametrize(
    ("schema", "left", "right", "equal"),
    [
        ({"type": "number"}, 1, 1.0, True),
        ({"type": ["number", "null"]}, 1, 1.0, True),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, 1, 1.0, True),
        ({"$ref": "#/$defs/n"}, 1, 1.0, True),
        ({"type": "integer"}, 1, 1.0, False),
        ({"type": "number"}, True, 1.0, False),
        ({"type": "number"}, 2**53 + 1, float(2**53), False),
        ({"type": "array", "items": {"type": "number"}}, [1, 2], [1.0, 2.0], True),
        ({"type": "object", "properties": {"x": {"type": "number"}}}, {"x": 1}, {"x": 1.0}, True),
        ({"type": "object", "properties": {"x": {"type": "number"}}}, {"y": 1}, {"y": 1.0}, False),
        ({"additionalProperties": {"type": "number"}}, {"y": 1}, {"y": 1.0}, True),
        ({"patternProperties": {"^x": {"type": "number"}}}, {"x1": 1}, {"x1": 1.0}, True),
        ({"patternProperties": {"^x": {"type": "number"}}}, {"y1": 1}, {"y1": 1.0}, False),
        (
            {"properties": {"x": {}}, "additionalProperties": {"type": "number"}},
            {"x": 1},
            {"x": 1.0},
            False,
        ),
        ({"prefixItems": [{"type": "number"}, {"type": "integer"}]}, [1, 2], [1.0, 2], True),
        ({"prefixItems": [{"type": "number"}, {"type": "integer"}]}, [1, 2], [1, 2.0], False),
        ({"prefixItems": [{}], "items": {"type": "number"}}, ["a", 2], ["a", 2.0], True),
        ({"unevaluatedProperties": {"type": "number"}}, {"y": 1}, {"y": 1.0}, True),
        ({"if": {"type": "number"}, "then": {"type": "number"}}, 1, 1.0, True),
        ({"not": {"type": "number"}}, 1, 1.0, False),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, 1, 1.0, True),
        ({"enum": [1, 1.5]}, 1, 1.0, False),
    ],
)
def test_one_equals_one_point_nought_only_where_the_schema_says_number(schema, left, right, equal):
    tools = [tool(a=schema)]
    tools[0]["parameters"]["$defs"] = {"n": {"type": "number"}}
    assert match([call(a=left)], [call(a=right)], tools) == equal
    assert match([call("other", a=left)], [call("other", a=right)], tools) is False


@pytest.mark.parametrize(
    "bad", [{"type": "float"}, {"pattern": "("}, {"$ref": "#/nowhere"}, {"type": "dict"}]
)
def test_a_schema_that_cannot_be_applied_keeps_no_other_from_being_found(bad):
    tools = [tool(b=bad, a={"type": "number"})]
    assert match([call(a=1, b="x")], [call(a=1.0, b="x")], tools)


def test_a_default_left_out_equals_the_default_given_but_not_in_strict_mode():
    tools = [tool(a={"type": "number", "default": 2}, b={"default": True})]
    assert match([call(a=2.0, b=True)], [call()], tools)
    assert not match([call(b=1)], [call()], tools)
    assert not match([call(a=2)], [call()], tools, mode="strict")
    assert match([call(a=2)], [call(a=2.0)], tools, mode="strict")


def test_a_schema_that_points_to_itself_ends():
    tools = [tool(a={"$ref": "#/properties/a"})]
    assert match([call(a=1)], [call(a=1)], tools)
    tools = [tool(a={"anyOf": [{"$ref": "#/properties/a"}, {"$ref": "#/properties/a"}]})]
    assert not match([call(a=1)], [call(a=1.0)], tools)


def test_the_text_form_is_that_of_hermes():
    calls = [call("f", city="Zürich"), call("g")]
    first, second = render(calls).split("\n</tool_call>\n")
    assert first.startswith("<tool_call>\n") and second.endswith("\n</tool_call>")
    assert json.loads(first.removeprefix("<tool_call>\n")) == calls[0].to_json()
    assert "Zürich" in first


def test_match_of_many_calls_ignores_their_order():
    calls = [call(a=n) for n in range(200)]
    assert match(random.Random(0).sample(calls, 200), calls)


@pytest.mark.parametrize("written", ["", " ", None, "null", "{}", {}, '""', '"{}"'])
def test_no_arguments_are_read_however_a_server_writes_them(written):
    assert read_arguments(written) == {}


@pytest.mark.parametrize("written", [{"a": 1}, '{"a": 1}', '"{\\"a\\": 1}"'])
def test_arguments_are_read_as_an_object_as_text_and_encoded_twice(written):
    assert read_arguments(written) == {"a": 1}


@pytest.mark.parametrize("written", ["[1]", "x", 5, [], '"\\"{}\\""', '{"a": NaN}'])
def test_what_is_no_object_is_no_arguments(written):
    with pytest.raises(ValueError):
        read_arguments(written)
