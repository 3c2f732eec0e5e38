"""The engines' contract on the real vLLM: in process, and behind `looptool serve`.

Runs in vLLM's environment; `make test-vllm`.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from looptool.engines.openai import OpenAIEngine
from looptool.engines.vllm import VllmEngine
from looptool.params import Server, Vllm
from tests.engines.contract import Contract

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
ROOM = 2048


@pytest.fixture(scope="module")
def model() -> Path:
    return ROOT / "models/base"


class TestVllm(Contract):
    bfloat16 = True

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[VllmEngine]:
        settings = Vllm(
            max_model_len=ROOM, gpu_memory_utilization=0.3, tensor_parallel_size=1,
            rollout_url="http://127.0.0.1:1",
        )  # fmt: skip
        loaded = VllmEngine.load(model, "bfloat16", settings)
        yield loaded
        loaded.llm.llm_engine.engine_core.shutdown()


class TestServed(Contract):
    bfloat16 = True

    @pytest.fixture(scope="class")
    def engine(self, model: Path) -> Iterator[OpenAIEngine]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "looptool", "serve", str(model), "--port", str(port)]
        command += ["--", "--max-model-len", str(ROOM), "--gpu-memory-utilization", "0.3"]
        process = subprocess.Popen(command, cwd=ROOT)
        server = Server(
            base_urls=(f"http://127.0.0.1:{port}/v1",), key=None, concurrency=16, timeout=120.0,
            retries=1, structured_output=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 240
            while not _is_up(port):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(1)
            yield OpenAIEngine.load(model, "local", server)
        finally:
            process.terminate()
            process.wait(60)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
