"""Samples that a model cannot learn from are left out of its training, each with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.core import tables
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.samples import call_label, sample_id
from looptool.engines import Prompt
from looptool.engines.templates import render
from looptool.engines.transformers import load_tokenizer
from looptool.probing import probe
from looptool.training.checkpoints import label_ids
from looptool.training.left_out import left_out
from tests.answers import said, samples_of
from tests.families import make_family
from tests.tiny import make_tiny_model

TOOL = {"name": "f", "description": "F", "parameters": {"type": "object", "properties": {}}}
LABEL = call_label([ToolCall("f", {"x": 1})])
PROMPTS = [Prompt([{"role": "user", "content": "a" * size}], [TOOL]) for size in (5, 50, 5000)]
SAMPLES = samples_of((prompt, LABEL) for prompt in PROMPTS)
IDS = [sample_id(prompt.tools, prompt.messages) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base"))


def tokens_of(base: Path, prompt: Prompt) -> int:
    tokenizer = load_tokenizer(base)
    text = render(tokenizer, prompt)
    return len(tokenizer(text, add_special_tokens=False).input_ids) + len(
        label_ids(tokenizer, prompt, LABEL)
    )


def test_what_is_longer_than_the_model_s_context_is_left_out(base: Path) -> None:
    unfit = tables.check(left_out(base, SAMPLES), tables.LeftOut)
    assert unfit.select("sample_id", "check").rows() == [(IDS[2], "length")]
    assert "at most 4096 together" in unfit["reason"][0]


def test_a_text_beside_calls_that_the_template_drops_is_told(tmp_path: Path) -> None:
    base = make_family("llama3_2", tmp_path)
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    history = [
        {"role": "user", "content": "Do it"},
        {"role": "assistant", "content": "I look it up.", "tool_calls": [call]},
        {"role": "tool", "name": "f", "content": "1"},
        {"role": "user", "content": "Again"},
    ]
    samples = samples_of([(Prompt(history, [TOOL]), LABEL), (PROMPTS[0], LABEL)])
    unfit = left_out(base, samples)
    assert unfit.select("check", "reason").rows() == [
        ("template", "the chat template drops a text beside calls")
    ]


def test_a_label_that_holds_a_control_token_is_left_out(base: Path) -> None:
    labels = [LABEL, {"text": "Write <|im_end|>"}, call_label([ToolCall("f", {"x": "<|im_end|>"})])]
    prompts = [Prompt([{"role": "user", "content": str(n)}], [TOOL]) for n in range(3)]
    unfit = left_out(base, samples_of(zip(prompts, labels, strict=True)))
    assert (
        unfit["reason"].to_list()
        == ["the label holds a control token of the model, <|im_end|>"] * 2
    )


def test_the_limit_of_params_counts_prompt_and_answer_together(base: Path) -> None:
    limit = tokens_of(base, PROMPTS[1])
    assert set(left_out(base, SAMPLES, max_tokens=limit)["sample_id"]) == {IDS[2]}
    assert set(left_out(base, SAMPLES, max_tokens=limit - 1)["sample_id"]) == {*IDS[1:]}
    longer = left_out(base, SAMPLES, max_tokens=limit, new_tokens=70)
    assert set(longer["sample_id"]) == {*IDS[1:]}


def test_a_limit_that_no_sample_keeps_is_refused(base: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.max_tokens.*no sample.*at most 9 together"):
        left_out(base, SAMPLES, max_tokens=9)


def test_a_miss_of_what_was_left_out_is_no_fault_of_the_model() -> None:
    answers = [said("no")] * len(SAMPLES)
    probed = probe(SAMPLES, answers, 0.0, left_out=IDS[2:])
    kinds = dict(probed.select("sample_id", "error_type").rows())
    assert [kinds[each] for each in IDS] == ["missing_call", "missing_call", "refused"]
    right = [said('<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>')] * len(SAMPLES)
    assert probe(SAMPLES, right, 0.0, left_out=IDS)["matched"].all()
