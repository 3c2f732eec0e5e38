"""The engines' contract, on the engines that need no environment of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from looptool.core.errors import ConfigError, LooptoolError
from looptool.engines.openai import OpenAIEngine
from looptool.engines.replicas import Replicas, share_gpus
from looptool.engines.transformers import TransformersEngine
from tests.engines.contract import GREEDY, PROMPTS, Contract, serving
from tests.tiny import make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("contract") / "model")


class TestTransformers(Contract):
    keeps_to_schemas = False

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> TransformersEngine:
        return TransformersEngine.load(model, 2, "float32")


class TestReplicas(Contract):
    """Two copies in two processes."""

    keeps_to_schemas = False

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[Replicas]:
        one = partial(TransformersEngine.load, model, 2, "float32")
        loaded = Replicas.load(one, [None, None])
        yield loaded
        loaded.close()

    @pytest.mark.parametrize("first", [True, False])
    def test_a_copy_that_dies_is_an_error_that_says_so(self, model: Path, first: bool) -> None:
        one = partial(TransformersEngine.load, model, 2, "float32")
        copies = Replicas.load(one, [None, None, None])
        copies.processes[0 if first else -1].kill()
        copies.processes[0 if first else -1].join()
        with pytest.raises(LooptoolError, match="a copy of the model ended with status -9"):
            copies.generate(PROMPTS, GREEDY)
        copies.close()

    def test_what_a_copy_cannot_load_is_raised(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="nowhere"):
            Replicas.load(partial(TransformersEngine.load, tmp_path / "nowhere", 2, "float32"),
                          [None, None])  # fmt: skip

    def test_each_copy_has_gpus_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("looptool.core.machine.gpus", lambda: ["H100"] * 8)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert share_gpus(3, 2) == ["0,1", "2,3", "4,5"]
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
        assert share_gpus(3, 1) == ["4", "5", "7"]
        with pytest.raises(ConfigError, match=r"2 copies of 2 GPUs need 4; this machine has 3"):
            share_gpus(2, 2)

    def test_without_gpus_copies_share_the_cpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("looptool.core.machine.gpus", list)
        assert share_gpus(2, 4) == [None, None]


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
