import polars as pl
import pytest
from hypothesis import given

from looptool.core import canonical, samples
from looptool.core.calls import Parsed, ToolCall, parse, render
from looptool.core.samples import call_label, category_of, error_type, is_correct, text_label
from tests.strategies import CALLS, JSON, TEXT

TOOLS = [
    {
        "name": name,
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number", "default": 3}, "b": {"type": "integer"}},
        },
    }
    for name in ("f", "g")
]
MESSAGES = [{"role": "user", "content": "hello"}]


def call(name="f", **arguments):
    return ToolCall(name, arguments)


def said(*calls, text=""):
    return Parsed(tuple(calls), text, "")


# --- correctness -----------------------------------------------------------------------------


@given(CALLS.filter(bool))
def test_what_the_label_says_is_correct(calls):
    assert is_correct(parse(render(calls)), call_label(calls))


@given(CALLS.filter(bool), TEXT)
def test_calls_where_text_is_due_are_wrong_and_the_other_way_round(calls, text):
    assert not is_correct(said(*calls, text="Sure."), text_label("No tool fits."))
    assert not is_correct(said(text=text), call_label(calls))


# LoopTool's published reward gives any text, even none, full reward when the label is text.
@pytest.mark.parametrize("output", ["", "  \n", "<think>hm</think>", "<think>no end"])
def test_an_empty_answer_is_wrong_where_text_is_due(output):
    assert not is_correct(parse(output), text_label("Which city?"))


def test_any_text_is_correct_where_text_is_due():
    assert is_correct(parse("<think>no tool</think>Sorry, I cannot."), text_label("Which city?"))


def test_a_parse_error_is_wrong_whatever_else_is_right():
    parsed = parse(render([call()]) + "<tool_call>{")
    assert parsed.calls == (call(),)
    assert not is_correct(parsed, call_label([call()]))
    assert not is_correct(parse("Sorry.</tool_call>"), text_label("Sorry."))


def test_text_beside_the_right_calls_does_no_harm():
    assert is_correct(said(call(), text="Let me look."), call_label([call()]))


def test_an_alternative_is_as_good_as_the_label():
    label, other = call_label([call(b=1)]), call_label([call(b=2)])
    assert not is_correct(said(call(b=2)), label)
    assert is_correct(said(call(b=2)), label, [text_label("?"), other])
    assert is_correct(said(text="Which?"), label, [text_label("?")])


def test_schema_mode_takes_a_default_as_given_and_strict_mode_does_not():
    label = call_label([call(a=3)])
    assert is_correct(said(call()), label, (), TOOLS)
    assert not is_correct(said(call()), label, (), TOOLS, mode="strict")
    assert not is_correct(said(call()), label)


# --- error types ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "label", "expected"),
    [
        (parse("<tool_call>{"), [call()], "unparsable"),
        (said(), [], "unparsable"),
        (said(call()), [], "unexpected_call"),
        (said(text="Hm?"), [call()], "missing_call"),
        (said(call()), [call(), call()], "wrong_count"),
        (said(call("g")), [call("f")], "wrong_tool"),
        (said(call("f"), call("f")), [call("f"), call("g")], "wrong_tool"),
        (said(call(b=1)), [call(a=1, b=1)], "missing_argument"),
        (said(call(a=1, b=1)), [call(a=1)], "extra_argument"),
        (said(call(b="1")), [call(b=1)], "wrong_type"),
        (said(call(b=True)), [call(b=1)], "wrong_type"),
        (said(call(b=1.0)), [call(b=1)], "wrong_type"),
        (said(call(b=2)), [call(b=1)], "wrong_argument"),
        (said(call(a=2.5)), [call(a=2)], "wrong_argument"),
        (said(call("g", b=1), call(b=2)), [call(b=1), call("g", b=1)], "wrong_argument"),
    ],
)
def test_a_failure_is_named_after_its_first_difference(output, label, expected):
    wanted = call_label(label) if label else text_label("No.")
    assert not is_correct(output, wanted, (), TOOLS)
    assert error_type(output, wanted, TOOLS) == expected
    assert expected in samples.ERROR_TYPES


@given(CALLS, CALLS)
def test_whatever_is_wrong_has_a_failure_type(predicted, expected):
    label = call_label(expected) if expected else text_label("No.")
    assert error_type(said(*predicted), label, TOOLS) in samples.ERROR_TYPES


# --- labels ----------------------------------------------------------------------------------


@given(CALLS.filter(bool))
def test_a_label_gives_its_calls_back(calls):
    label = call_label(calls)
    assert samples.check_label(label) is None
    assert list(samples.label_calls(label)) == calls
    assert samples.label_calls(text_label("No.")) == ()


@given(JSON)
def test_what_is_no_label_is_told_and_never_raises(value):
    assert samples.check_label(value)


@pytest.mark.parametrize(
    "label",
    [
        {"calls": []},
        {"text": " "},
        {"text": "a", "calls": []},
        {"calls": [{"name": "f"}]},
        {"calls": [{"name": "f", "arguments": "{}"}]},
        {"calls": [{"name": 1, "arguments": {}}]},
    ],
)
def test_half_a_label_is_no_label(label):
    assert samples.check_label(label)


# --- ids -------------------------------------------------------------------------------------


def row(messages=MESSAGES, label=None, alternatives=()):
    label = label or call_label([call()])
    return {
        "sample_id": samples.sample_id(TOOLS, messages),
        "label_id": samples.label_id(label),
        "alternatives": canonical.dumps(list(alternatives)),
    }


def test_the_order_of_tools_and_of_messages_counts_and_that_of_keys_does_not():
    base = samples.sample_id(TOOLS, MESSAGES)
    assert samples.sample_id(TOOLS[::-1], MESSAGES) != base
    assert samples.sample_id(TOOLS, [{"content": "hello", "role": "user"}]) == base
    assert samples.sample_id([], [*TOOLS, *MESSAGES]) != base


@given(JSON, JSON)
def test_ids_are_equal_exactly_where_the_messages_are(left, right):
    ids = [samples.sample_id(TOOLS, [{"role": "user", "content": v}]) for v in (left, right)]
    assert (ids[0] == ids[1]) == (canonical.dumps(left) == canonical.dumps(right))
    assert ids[0] == samples.sample_id_of_json(
        canonical.dumps(TOOLS), canonical.dumps([{"role": "user", "content": left}])
    )


def test_the_data_set_id_ignores_the_order_of_rows_and_alternatives_and_nothing_else():
    one, two = text_label("one"), text_label("two")
    rows = [row([{"role": "user", "content": str(n)}], alternatives=[one, two]) for n in range(5)]
    base = samples.dataset_id(pl.DataFrame(rows))
    turned = [{**r, "alternatives": canonical.dumps([two, one])} for r in rows[::-1]]
    assert samples.dataset_id(pl.DataFrame(turned)) == base
    assert samples.dataset_id(pl.DataFrame(rows[1:])) != base
    for change in (
        {"label_id": samples.label_id(one)},
        {"alternatives": "[]"},
        {"sample_id": rows[1]["sample_id"]},
    ):
        assert samples.dataset_id(pl.DataFrame([{**rows[0], **change}, *rows[1:]])) != base


# --- categories ------------------------------------------------------------------------------

USER, TOOL = {"role": "user", "content": "a"}, {"role": "tool", "content": "1"}
CALLED = {"role": "assistant", "content": "", "tool_calls": []}


@pytest.mark.parametrize(
    ("messages", "label", "known", "category"),
    [
        ([USER], call_label([call()]), "", "multiple"),
        ([USER], call_label([call()]), "multi_step", "multi_step"),
        ([USER], call_label([call()]), "irrelevant", "multiple"),
        ([USER], call_label([call(), call()]), "", "parallel"),
        ([USER], call_label([call(), call("g")]), "", "parallel_multiple"),
        ([USER, CALLED, TOOL], call_label([call()]), "", "multi_step"),
        ([USER, CALLED, TOOL], call_label([call(), call()]), "", "multi_step"),
        ([USER, CALLED, TOOL, CALLED, USER], call_label([call()]), "", "multi_turn"),
        ([USER, CALLED, TOOL, CALLED, USER, CALLED, TOOL], call_label([call()]), "", "multi_step"),
        ([USER], text_label("Which one?"), "", "clarify"),
        ([USER], text_label("哪一个？"), "", "clarify"),
        ([USER], text_label("I cannot."), "", "irrelevant"),
        ([USER], text_label("Which one? Say it."), "clarify", "clarify"),
        ([USER], text_label("Anything else?"), "irrelevant", "irrelevant"),
        ([USER, CALLED, TOOL], text_label("Done."), "multi_step", "irrelevant"),
    ],
)
def test_the_category_follows_from_the_form_of_a_sample(messages, label, known, category):
    assert category_of(TOOLS, messages, label, known) == category


def test_one_call_to_the_only_tool_is_single():
    assert category_of(TOOLS[:1], [USER], call_label([call()])) == "single"
