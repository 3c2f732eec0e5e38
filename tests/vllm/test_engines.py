"""The engines' contract on the real vLLM: in process, and behind `looptool serve`.

Runs in vLLM's environment; `make test-vllm`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from looptool.core.params import Vllm
from looptool.engines.openai import OpenAIEngine
from looptool.engines.replicas import Replicas
from looptool.engines.vllm import VllmEngine
from tests.engines.contract import Contract, serve_command, serving

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
        with serving(
            serve_command(model, ROOM), 240, concurrency=16, structured_output=True
        ) as server:
            yield OpenAIEngine.load(model, "local", server)


class TestServedByTokens(Contract):
    bfloat16 = True

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[OpenAIEngine]:
        options = {"concurrency": 16, "structured_output": True, "api": "tokens"}
        with serving(serve_command(model, ROOM), 240, **options) as server:
            yield OpenAIEngine.load(model, "local", server)
