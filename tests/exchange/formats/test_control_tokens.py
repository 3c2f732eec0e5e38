"""Tokens of chat templates and blocks of thinking in the texts of every format."""

from __future__ import annotations

import json

import pytest

from looptool.exchange.records import Raw
from looptool.exchange.sample_sets import convert
from tests.exchange.chats import WRITERS, Chat

TOOL = {
    "name": "find",
    "description": "",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {"name": "find", "arguments": {"city": "Oslo"}}
FORMS = ["openai", "sharegpt", "toolace"]


def read(writer, last, request="Find it"):
    form, write = WRITERS[writer]
    record = write(Chat([TOOL], request, [CALL], [{"n": 1}], [], last))
    good, bad, changes = convert([Raw(1, json.dumps(record))], form)
    return [json.loads(label) for label in good["label"]], good["category"], bad["reason"], changes


@pytest.mark.parametrize("writer", FORMS)
@pytest.mark.parametrize("token", ["<|im_end|>", " <|endoftext|>", "<|eot_id|>\n", "</s>"])
def test_tokens_that_end_a_turn_are_no_part_of_its_text(writer, token):
    labels, categories, reasons, changes = read(writer, f"Which city?{token}", f"Find it{token}")
    assert (labels[-1], categories[-1], reasons) == ({"text": "Which city?"}, "clarify", [])
    assert changes["tokens that end a turn left out"] == 2


@pytest.mark.parametrize("writer", FORMS)
@pytest.mark.parametrize(
    "thinking",
    [
        "<think>No city.</think>",
        "[THINK]No city.[/THINK]",
        "<thinking>\nNo city.\n</thinking>\n",
        "<scratch_pad>No city.</scratch_pad>",
    ],
)
def test_thinking_is_no_part_of_a_text(writer, thinking):
    labels, _, reasons, changes = read(writer, f"{thinking}Which city?")
    assert (labels[-1], reasons) == ({"text": "Which city?"}, [])
    assert changes["thinking left out"] == 1


@pytest.mark.parametrize("writer", FORMS[:-1])
def test_a_text_of_several_channels_is_refused(writer):
    said = "<|channel|>analysis<|message|>No city.<|end|><|channel|>final<|message|>Which city?"
    labels, _, reasons, _ = read(writer, said)
    assert labels == [{"calls": [CALL]}]
    assert reasons == ["content: contains the control token <|channel|>"]


def test_the_published_form_may_begin_with_a_system_and_end_with_the_assistants_opening():
    record = {
        "instruction": f"<tools>{json.dumps(TOOL)}</tools>",
        "input": "<|im_start|>system\nBe kind<|im_end|>\n<|im_start|>user\nFind it<|im_end|>\n"
        "<|im_start|>assistant\n",
        "output": f"<tool_call>{json.dumps(CALL)}</tool_call><|im_end|>",
    }
    good, _, _ = convert([Raw(1, json.dumps(record))], "looptool")
    assert json.loads(good["messages"][0]) == [
        {"role": "system", "content": "Be kind"}, {"role": "user", "content": "Find it"}
    ]  # fmt: skip
