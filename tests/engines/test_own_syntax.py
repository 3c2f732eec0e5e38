"""Answers in a model's own syntax, whichever way they come: a server, a file, the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from looptool.core.calls import Parsed, ToolCall
from looptool.core.errors import ConfigError
from looptool.core.fingerprints import served_name
from looptool.core.params import Server
from looptool.core.samples import call_label, sample_id
from looptool.engines import Completion, Prompt, Sampling
from looptool.engines.openai import OpenAIEngine
from looptool.engines.replay import ReplayEngine
from looptool.engines.request_cache import RequestCache
from looptool.engines.syntax import label_text
from looptool.engines.templates import render
from looptool.engines.transformers import load_tokenizer
from tests.families import make_family

TOOL = {
    "name": "find_rooms",
    "description": "Finds rooms",
    "parameters": {"type": "object", "properties": {"zip": {"type": "string"}}},
}
PROMPT = Prompt([{"role": "user", "content": "Rooms?"}], [TOOL])
CALLS = [ToolCall("find_rooms", {"zip": "75001"})]
GEMMA = '<|tool_call>call:find_rooms{zip:<|"|>75001<|"|>}<tool_call|>'


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_family("gemma4_v2", tmp_path_factory.mktemp("gemma"))


@pytest.fixture(scope="module")
def thinking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose prompts end inside `<think>`."""
    base = make_family("qwen3_5_nothink", tmp_path_factory.mktemp("thinking"))
    tokenizer = load_tokenizer(base)
    tokenizer.init_kwargs["template_options"] = {"enable_thinking": True}
    tokenizer.save_pretrained(base)
    return base


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(threaded=True) as running:
        yield running


def engine_for(
    server: HTTPServer, model: Path, respond: Callable[[dict[str, Any]], Any], api: str = "chat"
) -> OpenAIEngine:
    """Return an engine on a server that answers a request's body with a choice."""

    def handle(request: Request) -> Response:
        choice = {"index": 0, "finish_reason": "stop", **respond(request.get_json())}
        answer = {"id": "x", "object": "x", "created": 0, "model": "m", "choices": [choice]}
        return Response(json.dumps(answer), content_type="application/json")

    name = served_name(model)
    listed = {"object": "list", "data": [{"id": name, "object": "model"}]}
    server.expect_request("/v1/models").respond_with_json(listed)
    path = "/v1/completions" if api == "tokens" else "/v1/chat/completions"
    server.expect_request(path, method="POST").respond_with_handler(handle)
    settings = Server(
        base_urls=(server.url_for("/v1"),), key=None, concurrency=1, timeout=5.0, retries=0,
        structured_output=True, api=api,
    )  # fmt: skip
    return OpenAIEngine.load(model, "local", settings)


def message(text: str | None, **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text, **more}}


def answer(engine: OpenAIEngine) -> Completion:
    (completion,) = engine.generate([PROMPT], Sampling(9))
    return completion


def test_a_text_with_calls_that_a_server_did_not_parse_is_read(
    server: HTTPServer, gemma: Path
) -> None:
    bodies = []

    def respond(body: dict[str, Any]) -> dict[str, Any]:
        bodies.append(body)
        return message(GEMMA)

    found = answer(engine_for(server, gemma, respond))
    assert list(found.answer.calls) == CALLS and found.text == GEMMA
    assert bodies[0]["skip_special_tokens"] is False


def test_calls_and_thinking_that_a_server_parsed_stay_what_they_are(
    server: HTTPServer, gemma: Path
) -> None:
    call = {"function": {"name": "find_rooms", "arguments": '{"zip": "</tool_call>"}'}}
    engine = engine_for(
        server, gemma, lambda body: message("Sure.", tool_calls=[call], reasoning_content="Rooms!")
    )
    assert answer(engine).answer == Parsed(
        (ToolCall("find_rooms", {"zip": "</tool_call>"}),), "Sure.", "Rooms!"
    )
    broken = {"function": {"name": "find_rooms", "arguments": '{"zip": '}}
    server.clear()
    found = answer(engine_for(server, gemma, lambda body: message(None, tool_calls=[broken])))
    assert not found.answer.calls and "tool call 1" in (found.answer.error or "")


@pytest.mark.parametrize(
    ("choice", "text", "thought"),
    [
        (message("I look.\n</think>\n\nWhich city?"), "Which city?", "I look."),
        (message("Which city?", reasoning="I look."), "Which city?", "I look."),
        (message("Which city?"), "Which city?", ""),
        (message("I look and") | {"finish_reason": "length"}, "", "I look and"),
    ],
)
def test_thinking_is_told_from_text_whether_a_server_removes_it_or_not(
    server: HTTPServer, thinking: Path, choice: dict[str, Any], text: str, thought: str
) -> None:
    read = answer(engine_for(server, thinking, lambda body: choice)).answer
    assert (read.text, read.thinking, read.error) == (text, thought, None)


@pytest.mark.parametrize("gives_ids", [True, False])
def test_a_server_asked_by_tokens_gets_the_prompt_of_training(
    server: HTTPServer, gemma: Path, gives_ids: bool
) -> None:
    tokenizer = load_tokenizer(gemma)
    text = label_text(tokenizer, PROMPT, call_label(CALLS))
    ids = tokenizer(text, add_special_tokens=False).input_ids
    prompt_ids = tokenizer(render(tokenizer, PROMPT), add_special_tokens=False).input_ids

    def respond(body: dict[str, Any]) -> dict[str, Any]:
        assert body["prompt"] == prompt_ids and body["return_token_ids"] is True
        logprobs = {"token_logprobs": [-0.5] * len(ids)} if "logprobs" in body else None
        return {"text": text, "logprobs": logprobs} | ({"token_ids": ids} if gives_ids else {})

    engine = engine_for(server, gemma, respond, "tokens")
    (found,) = engine.generate([PROMPT], Sampling(9, logprobs=True))
    assert list(found.answer.calls) == CALLS and found.logprob == -0.5 * len(ids)


def test_tokens_need_the_model_s_folder(server: HTTPServer, gemma: Path) -> None:
    engine = engine_for(server, gemma, lambda body: {}, "tokens")
    server.clear()
    listed = {"object": "list", "data": [{"id": "m", "object": "model"}]}
    server.expect_request("/v1/models").respond_with_json(listed)
    with pytest.raises(ConfigError, match="api: tokens: needs the tokenizer of the model, but m"):
        OpenAIEngine.load("m", "local", engine.server)


def test_a_date_in_a_role_s_prompts_needs_prompts_by_tokens(
    server: HTTPServer, tmp_path: Path
) -> None:
    model = make_family("llama3_2", tmp_path / "llama")
    settings = engine_for(server, model, lambda body: message("Ok.")).server
    dates = [{"today": f"2026-01-0{day}"} for day in (1, 2)]
    with pytest.raises(ConfigError, match=r"api: chat: the server renders .*\.today has no effect"):
        OpenAIEngine.load(model, "local", settings, dates[0])
    by_tokens = settings.model_copy(update={"api": "tokens"})
    one, two = (OpenAIEngine.load(model, "local", by_tokens, each) for each in dates)
    assert one.identity != two.identity


def test_options_of_a_role_reach_a_model_that_is_no_folder(server: HTTPServer) -> None:
    bodies: list[dict[str, Any]] = []

    def respond(body: dict[str, Any]) -> dict[str, Any]:
        bodies.append(body)
        return message("Ok.")

    settings = engine_for(server, Path("m"), respond).server
    plain, quiet = (
        OpenAIEngine.load("m", "local", settings, options)
        for options in (None, {"enable_thinking": False})
    )
    assert answer(plain).text == answer(quiet).text == "Ok."
    assert [body.get("chat_template_kwargs") for body in bodies] == [
        None, {"enable_thinking": False}
    ]  # fmt: skip
    assert plain.identity != quiet.identity


def test_replayed_texts_are_read_in_the_model_s_syntax(tmp_path: Path, gemma: Path) -> None:
    file = tmp_path / "replay.jsonl"
    row = {"sample_id": sample_id(PROMPT.tools, PROMPT.messages), "text": f"{GEMMA}<turn|>"}
    file.write_text(json.dumps(row | {"tokens": 9, "logprob": None}), "utf-8")
    (found,) = ReplayEngine.load(file, gemma).generate([PROMPT], Sampling(9))
    assert list(found.answer.calls) == CALLS
    (other,) = ReplayEngine.load(file, "models/none").generate([PROMPT], Sampling(9))
    assert not other.answer.calls


def test_the_cache_keeps_what_was_read(tmp_path: Path) -> None:
    read = Completion(GEMMA, 3, None, "stop", read=Parsed(tuple(CALLS), "", "why", None))
    plain = Completion("Which city?", 3, -1.0, "length")
    with RequestCache(tmp_path / "cache.db") as cache:
        cache.store("engine", [("aa" * 16, read), ("bb" * 16, plain)])
        found = dict(cache.look_up([name * 16 for name in ("aa", "bb")]))
    assert found == {"aa" * 16: read, "bb" * 16: plain}
