"""The embedded model itself, as `looptool setup` makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.core import machine
from looptool.core.calls import ToolCall, parse
from looptool.core.samples import call_label, is_correct, text_label
from looptool.engines import Prompt, Sampling
from looptool.engines.templates import render
from looptool.engines.transformers import TransformersEngine
from looptool.training.checkpoints import label_ids

BASE = Path(__file__).resolve().parent.parent / "models/base"
TOOL = {
    "name": "get_weather",
    "description": "Weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def asked(request: str) -> Prompt:
    return Prompt([{"role": "user", "content": request}], [TOOL])


LABEL = call_label([ToolCall("get_weather", {"city": "Oslo"})])
QUESTION = asked("What is the weather in Oslo?")


@pytest.fixture(scope="module")
def engine() -> TransformersEngine:
    return TransformersEngine.load(BASE, 2, machine.number_type("auto").name)


@pytest.mark.slow
def test_gold_labels_score_one_after_the_tokenizer(engine: TransformersEngine) -> None:
    for label in (LABEL, text_label("I need the city.")):
        ids = label_ids(engine.tokenizer, QUESTION, label)
        assert ids[-1] == engine.tokenizer.eos_token_id
        text = engine.tokenizer.decode(ids, skip_special_tokens=True)
        assert is_correct(parse(text), label, (), [TOOL])
    assert '{"name": "get_weather", "arguments": {"city": string}}' in render(
        engine.tokenizer, QUESTION
    )


@pytest.mark.slow
def test_it_calls_a_tool_and_declines_what_no_tool_does(engine: TransformersEngine) -> None:
    declined = asked("Which painter made the Mona Lisa?")
    call, text = engine.generate([QUESTION, declined], Sampling(48))
    assert is_correct(parse(call.text), LABEL, (), [TOOL]), call.text
    assert not parse(text.text).calls and "<" not in text.text, text.text
    assert 0 < call.tokens <= 48 and call.logprob < 0
