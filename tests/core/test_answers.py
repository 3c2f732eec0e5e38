"""A model's text is read once: calls, a text, or an error, but never a broken call as a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.core.answers import read_answer, write_label
from looptool.core.samples import is_correct

CALL = {"name": "f", "arguments": {"city": "Oslo <b>", "n": [1, {"a": "}"}]}}
TEXT = {"text": "Which city?"}
NAMES = st.from_regex(r"[a-z_.]{1,12}", fullmatch=True)
ARGUMENTS = st.dictionaries(NAMES, st.one_of(st.text(max_size=20), st.integers()), max_size=3)
CALLS = st.builds(lambda name, arguments: {"name": name, "arguments": arguments}, NAMES, ARGUMENTS)


@given(st.lists(CALLS, min_size=1, max_size=3))
def test_every_beginning_of_an_answer_is_an_error_or_the_calls_that_are_complete(calls):
    label = {"calls": calls}
    written = write_label(label)
    assert [call.to_json() for call in read_answer(written).calls] == calls
    for end in range(1, len(written)):
        read = read_answer(written[:end])
        complete = written[:end].count("</tool_call>") if read.error is None else None
        if complete is None:
            assert not is_correct(read, TEXT)
        else:
            assert [call.to_json() for call in read.calls] == calls[:complete] and complete


@pytest.mark.parametrize(
    "text",
    [
        "<tool_ca", "<", "Let me see.\n<tool", '{"name": "f", "arguments": {}}',
        '[{"name": "f", "parameters": {"a": 1}}]', '{"name": "f", "para', "{'name': 'f'}",
        '{ "function": "f", "arguments": {}}', "<tool_call>", '<tool_call>{"name": "f"',
    ],
)  # fmt: skip
def test_a_broken_call_never_counts_as_a_text(text):
    read = read_answer(text)
    assert not read.calls and read.error is not None
    assert not is_correct(read, TEXT)


@pytest.mark.parametrize(
    "text",
    [
        "Which city?", "a < b", "1 <", "{} is an empty object", 'Write {"name": "Ann"} there.',
        '{"city": "Oslo"}', "Tags such as <tool", "No tool fits. <3",
    ],
)  # fmt: skip
def test_a_text_stays_a_text(text):
    read = read_answer(text)
    assert read.error is None and read.text == text and is_correct(read, TEXT)
