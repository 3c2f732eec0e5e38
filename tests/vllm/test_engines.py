"""The engines' contract on the real vLLM: in process, and behind `looptool serve`.

Runs in vLLM's environment; `make test-vllm`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from looptool.core.params import Vllm
from looptool.engines.openai import OpenAIEngine
from looptool.engines.replicas import Replicas
from looptool.engines.templates import render
from looptool.engines.transformers import load_tokenizer
from looptool.engines.vllm import VllmEngine
from tests.engines.contract import GREEDY, PROMPTS, Contract, reference, serving
from tests.families import give_family

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
ROOM = 2048
SETTINGS = Vllm(
    max_model_len=ROOM, gpu_memory_utilization=0.3, tensor_parallel_size=1, data_parallel_size=1,
    rollout_url="http://127.0.0.1:1",
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Path:
    return ROOT / "models/base"


def command_for(model: Path) -> list[str]:
    command = [sys.executable, "-m", "looptool", "serve", str(model), "--port", "{port}"]
    return [*command, "--", "--max-model-len", str(ROOM), "--gpu-memory-utilization", "0.3"]


class TestVllm(Contract):
    bfloat16 = True

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[VllmEngine]:
        loaded = VllmEngine.load(model, "bfloat16", SETTINGS)
        yield loaded
        loaded.llm.llm_engine.engine_core.shutdown()


class TestTwoCopies(Contract):
    bfloat16 = True

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[Replicas]:
        one = partial(VllmEngine.load, model, "bfloat16", SETTINGS)
        loaded = Replicas.load(one, [None, None])
        yield loaded
        loaded.close()


class TestServed(Contract):
    bfloat16 = True

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[OpenAIEngine]:
        with serving(command_for(model), 240, concurrency=16, structured_output=True) as server:
            yield OpenAIEngine.load(model, "local", server)


class TestServedByTokens(Contract):
    bfloat16 = True

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[OpenAIEngine]:
        options = {"concurrency": 16, "structured_output": True, "api": "tokens"}
        with serving(command_for(model), 240, **options) as server:
            yield OpenAIEngine.load(model, "local", server)


@pytest.mark.parametrize("family", ["gemma4_v2", "qwen3_5_nothink"])
def test_a_family_s_prompts_are_the_same_behind_a_server(
    family: str, model: Path, tmp_path: Path
) -> None:
    base = give_family(family, model, tmp_path / "base")
    expected = reference(base)
    tokenizer = load_tokenizer(base)
    lengths = [
        len(tokenizer(render(tokenizer, prompt), add_special_tokens=False).input_ids)
        for prompt in PROMPTS
    ]
    with serving(command_for(base), 240, concurrency=16, structured_output=True) as server:
        for api in ("chat", "tokens"):
            engine = OpenAIEngine.load(base, "local", server.model_copy(update={"api": api}))
            found = engine.generate(PROMPTS, GREEDY)
            assert engine.traffic["prompt_tokens"] == sum(lengths)
            same = [a.text == b.text for a, b in zip(found, expected, strict=True)]
            assert sum(same) >= 3, (api, found, expected)
            for each, other in zip(found, expected, strict=True):
                assert each.text != other.text or each.answer == other.answer
