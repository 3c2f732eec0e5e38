"""What every engine that runs a model must keep to, whatever is behind it.

Not collected by itself: `test_contract.py` runs it on the engines of the default environment, and
`make test-vllm` on vLLM's.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from looptool.core.params import Server
from looptool.engines import Completion, Engine, Prompt, Sampling
from looptool.engines.transformers import TransformersEngine

TOOL = {
    "name": "get_weather",
    "description": "Weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
CALL = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Kraków"}}}
PROMPTS = [
    Prompt([{"role": "user", "content": "What is the weather in Oslo?"}], [TOOL]),
    Prompt([{"role": "user", "content": "Say hello."}]),
    Prompt(
        [
            {"role": "system", "content": "Today is 2026-03-01."},
            {"role": "user", "content": "Wie wird das Wetter in Kraków? ☔ 你好"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "name": "get_weather", "content": '{"sky": "bewölkt"}'},
            {"role": "user", "content": "And in Łódź?"},
        ],
        [TOOL],
    ),
    Prompt([{"role": "user", "content": "word " * 120}]),
    Prompt([{"role": "user", "content": "1+1="}]),
]
GREEDY = Sampling(24, logprobs=True)


@cache
def reference(model: Path) -> list[Completion]:
    """What transformers answers to PROMPTS in float32, a prompt at a time."""
    return TransformersEngine.load(model, 1, "float32").generate(PROMPTS, GREEDY)


def serve_command(model: Path, room: int) -> list[str]:
    """Return the command of `looptool serve`, for `serving`."""
    command = [sys.executable, "-m", "looptool", "serve", str(model), "--port", "{port}"]
    return [*command, "--", "--max-model-len", str(room), "--gpu-memory-utilization", "0.3"]


@contextmanager
def serving(command: Sequence[str], patience: float, **options: Any) -> Iterator[Server]:
    """Run a server on a free port, `{port}` in its command, until it is healthy; end it after.

    Args:
        patience: seconds that it may take to come up.
        options: of `Server`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [part.replace("{port}", str(port)) for part in command],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    try:
        deadline = time.monotonic() + patience
        while not _is_up(port):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        yield Server(
            base_urls=(f"http://127.0.0.1:{port}/v1",),
            key=None,
            timeout=120.0,
            retries=1,
            **{"api": "chat"} | options,
        )
    finally:
        process.terminate()
        process.wait(60)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


class Contract:
    """Subclasses give the fixtures `engine` and `model`, and say what their engine can."""

    gives_logprobs = True
    keeps_to_schemas = True
    refuses_long_prompts = True
    draws = True
    bfloat16 = False  # a token of greedy answers may then differ

    def test_as_many_answers_as_prompts_in_their_order(self, engine: Engine, model: Path) -> None:
        found = engine.generate(PROMPTS * 2, GREEDY)
        assert [each.text for each in found[:5]] == [each.text for each in found[5:]]
        expected = reference(model)
        same = [a.text == b.text for a, b in zip(found, expected, strict=False)]
        assert all(same) or (self.bfloat16 and sum(same) >= 3), (found, expected)

    def test_greedy_answers_are_the_same_again(self, engine: Engine) -> None:
        first, second = (engine.generate(PROMPTS, GREEDY) for _ in range(2))
        assert [each.text for each in first] == [each.text for each in second]

    def test_tokens_and_reasons_to_stop_are_told(self, engine: Engine, model: Path) -> None:
        found = engine.generate(PROMPTS, GREEDY)
        for each, expected in zip(found, reference(model), strict=True):
            assert each.finish_reason in ("stop", "length")
            assert (each.finish_reason == "length") == (each.tokens == 24)
            if each.text == expected.text:
                assert (each.tokens, each.finish_reason) == (
                    expected.tokens, expected.finish_reason
                )  # fmt: skip

    def test_a_limit_of_one_token_gives_one_token(self, engine: Engine) -> None:
        found = engine.generate(PROMPTS, replace(GREEDY, max_new_tokens=1))
        assert [each.tokens for each in found] == [1] * len(PROMPTS)

    def test_logprobs_are_those_of_the_model(self, engine: Engine, model: Path) -> None:
        found = engine.generate(PROMPTS, GREEDY)
        if not self.gives_logprobs:
            assert [each.logprob for each in found] == [None] * len(PROMPTS)
            return
        compared = 0
        for each, expected in zip(found, reference(model), strict=True):
            assert each.logprob is not None and each.logprob < 0
            if each.text == expected.text:
                compared += 1
                assert each.logprob == pytest.approx(expected.logprob, rel=0.1, abs=0.5)
        assert compared >= 3

    def test_draws_at_temperature_follow_their_seed(self, engine: Engine) -> None:
        if not self.draws:
            pytest.skip("this server is greedy at any temperature")
        sampling = Sampling(16, temperature=1.0, seed=3)
        texts = [
            [each.text for each in engine.generate(PROMPTS, each_sampling)]
            for each_sampling in (sampling, sampling, replace(sampling, seed=4))
        ]
        assert texts[0] == texts[1] != texts[2]

    def test_no_prompts_give_no_answers(self, engine: Engine) -> None:
        assert engine.generate([], GREEDY) == []

    def test_a_prompt_that_is_too_long_is_refused_and_the_others_answered(
        self, engine: Engine
    ) -> None:
        if not self.refuses_long_prompts:
            pytest.skip("this server takes any prompt")
        long = Prompt([{"role": "user", "content": "word " * 20_000}])
        found = engine.generate([PROMPTS[1], long, PROMPTS[4]], GREEDY)
        assert found[1].finish_reason == "refused"
        assert found[1].error and not found[1].text
        assert found[0].error is None and found[2].error is None

    def test_answers_are_handed_out_as_they_come(self, engine: Engine) -> None:
        arrived: dict[int, Completion] = {}
        found = engine.generate(PROMPTS, GREEDY, lambda group: arrived.update(group))
        assert [arrived[place] for place in range(len(PROMPTS))] == found

    def test_work_can_be_stopped_and_taken_up_again(self, engine: Engine) -> None:
        def stop(group: Sequence[tuple[int, Completion]]) -> None:
            if group:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            engine.generate(PROMPTS * 4, replace(GREEDY, max_new_tokens=4), stop)
        found = engine.generate(PROMPTS[:2], GREEDY)
        assert len(found) == 2 and all(each.tokens for each in found)

    def test_an_answer_keeps_to_a_schema_where_the_engine_can_see_to_it(
        self, engine: Engine
    ) -> None:
        if not self.keeps_to_schemas:
            pytest.skip("this engine writes freely")
        schema = {
            "type": "object",
            "properties": {"verdict": {"enum": ["correct", "wrong"]}},
            "required": ["verdict"],
            "additionalProperties": False,
        }
        found = engine.generate(PROMPTS, Sampling(40, schema=schema))
        for each in found:
            assert '"correct"' in each.text or '"wrong"' in each.text
