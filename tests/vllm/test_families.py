"""Families of models behind vLLM's server: the same prompts, and calls in their own syntax.

Runs in the default environment, since the templates are TRL's; `make test-vllm`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.engines import Sampling
from looptool.engines.openai import OpenAIEngine
from looptool.engines.templates import render
from looptool.engines.transformers import TransformersEngine, load_tokenizer
from tests.engines.contract import PROMPTS, serve_command, serving
from tests.families import give_family

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
BASE = Path(__file__).parents[2] / "models/base"


@pytest.mark.parametrize("family", ["gemma4_v2", "qwen3_5_nothink"])
def test_a_family_s_prompts_are_the_same_behind_a_server(family: str, tmp_path: Path) -> None:
    base = give_family(family, BASE, tmp_path / "base")
    tokenizer = load_tokenizer(base)
    lengths = [
        len(tokenizer(render(tokenizer, prompt), add_special_tokens=False).input_ids)
        for prompt in PROMPTS
    ]
    few = Sampling(6)  # with more, bf16 tells on a template that the weights do not know
    expected = TransformersEngine.load(base, 1, "bfloat16").generate(PROMPTS, few)
    with serving(serve_command(base, 2048), 240, concurrency=16, structured_output=True) as server:
        for api in ("chat", "tokens"):
            engine = OpenAIEngine.load(base, "local", server.model_copy(update={"api": api}))
            found = engine.generate(PROMPTS, few)
            assert engine.traffic["prompt_tokens"] == sum(lengths)
            same = [a.answer == b.answer for a, b in zip(found, expected, strict=True)]
            assert sum(same) >= 3, (api, found, expected)
