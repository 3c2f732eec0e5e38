"""The embedded model itself, once: what `looptool setup` made answers and can be trained."""

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
from looptool.training.warmup import train_sft

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
PROMPT = Prompt([{"role": "user", "content": "What is the weather in Oslo?"}], [TOOL])
LABEL = call_label([ToolCall("get_weather", {"city": "Oslo"})])
DTYPE = machine.number_type("auto").name


@pytest.mark.slow
def test_gold_labels_score_one_after_the_tokenizer() -> None:
    engine = TransformersEngine.load(BASE, 2, DTYPE)
    for label in (LABEL, text_label("I need the city.")):
        ids = label_ids(engine.tokenizer, PROMPT, label)
        assert ids[-1] == engine.tokenizer.eos_token_id
        text = engine.tokenizer.decode(ids, skip_special_tokens=True)
        assert is_correct(parse(text), label, (), [TOOL])
    assert '{"name": "get_weather", "arguments": {"city": string}}' in render(
        engine.tokenizer, PROMPT
    )
    (answer,) = engine.generate([PROMPT], Sampling(8))
    assert 0 < answer.tokens <= 8 and answer.logprob < 0


@pytest.mark.slow
def test_a_few_steps_teach_it_one_call(tmp_path: Path) -> None:
    train_sft(
        BASE,
        [(PROMPT, LABEL)] * 2,
        tmp_path / "model",
        steps=6,
        batch_size=2,
        learning_rate=1.5e-4,
        schedule="constant",
        dtype=DTYPE,
        save_steps=100,
        seed=0,
        scratch=tmp_path / "scratch",
    )
    (answer,) = TransformersEngine.load(tmp_path / "model", 1, DTYPE).generate(
        [PROMPT], Sampling(48)
    )
    assert is_correct(parse(answer.text), LABEL, (), [TOOL]), answer.text
