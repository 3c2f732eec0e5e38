"""The engines' contract, on the engines that need no environment of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from looptool.engines.openai import OpenAIEngine
from looptool.engines.transformers import TransformersEngine
from looptool.params import Server
from tests.engines.contract import Contract
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
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            sys.executable, "-m", "transformers.cli.transformers", "serve", str(model),
            "--port", str(port), "--host", "127.0.0.1", "--dtype", "float32", "--device", "cpu",
        ]  # fmt: skip
        process = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        server = Server(
            base_urls=(f"http://127.0.0.1:{port}/v1",), key=None, concurrency=4, timeout=60.0,
            retries=1, structured_output=False,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 90
            while not _is_up(port):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)
            yield OpenAIEngine(str(model), "local", server)
        finally:
            process.kill()
            process.wait()


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
