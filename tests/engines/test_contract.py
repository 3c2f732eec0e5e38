"""The engines' contract, on the engines that need no environment of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from looptool.engines.openai import OpenAIEngine
from looptool.engines.transformers import TransformersEngine
from tests.engines.contract import Contract, serving
from tests.tiny import make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("contract") / "model")


class TestTransformers(Contract):
    keeps_to_schemas = False

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> TransformersEngine:
        return TransformersEngine.load(model, 2, "float32")


class TestOpenAI(Contract):
    """Against `transformers serve`, which leaves half of the API out without a word."""

    gives_logprobs = False
    keeps_to_schemas = False
    refuses_long_prompts = False
    draws = False

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[OpenAIEngine]:
        command = [
            sys.executable, "-m", "transformers.cli.transformers", "serve", str(model),
            "--port", "{port}", "--host", "127.0.0.1", "--dtype", "float32", "--device", "cpu",
        ]  # fmt: skip
        with serving(command, 90, concurrency=4, structured_output=False) as server:
            yield OpenAIEngine(str(model), "local", server)
