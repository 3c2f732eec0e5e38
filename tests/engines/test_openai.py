"""The openai engine against a scripted server: what a real one does not do on demand."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from looptool.core.calls import parse
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import served_name
from looptool.core.params import Server
from looptool.engines import Completion, Prompt, Sampling, answering
from looptool.engines.openai import GIVE_UP, OpenAIEngine

CHAT, MODELS = "/v1/chat/completions", "/v1/models"
Script = Callable[[Request], Response]


def said(text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
                **more,
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def as_json(data: Any, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(data), status, headers, content_type="application/json")


def asked(request: Request) -> str:
    return str(request.get_json()["messages"][-1]["content"])


def echo(request: Request) -> Response:
    return as_json(said(asked(request)))


def settings(*urls: str, **more: Any) -> Server:
    values = {
        "base_urls": urls, "key": None, "concurrency": 8, "timeout": 5.0, "retries": 3,
        "structured_output": True,
        "api": "chat",
    }  # fmt: skip
    return Server(**values | more)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(threaded=True) as running:
        running.expect_request(MODELS).respond_with_json(
            {"object": "list", "data": [{"id": "m", "object": "model"}]}
        )
        yield running


def engine(server: HTTPServer, script: Script = echo, **more: Any) -> OpenAIEngine:
    server.expect_request(CHAT, method="POST").respond_with_handler(script)
    return OpenAIEngine.load("m", "local", settings(server.url_for("/v1"), **more))


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt([{"role": "user", "content": text}]) for text in texts]


def texts_of(completions: list[Completion]) -> list[str]:
    return [each.text for each in completions]


def test_answers_come_in_the_order_of_the_prompts(server: HTTPServer) -> None:
    def slow_first(request: Request) -> Response:
        time.sleep(0.2 if asked(request) == "0" else 0)
        return echo(request)

    asking = engine(server, slow_first)
    arrived: list[int] = []
    wanted = [str(number) for number in range(20)]
    found = asking.generate(
        prompts(*wanted), Sampling(5), lambda group: arrived.extend(place for place, _ in group)
    )
    assert texts_of(found) == wanted
    assert all((each.tokens, each.finish_reason) == (3, "stop") for each in found)
    assert sorted(arrived) == list(range(20))
    assert arrived[0] != 0, "the slow answer should not hold up the others"
    assert asking.traffic == {"requests": 20, "prompt_tokens": 140, "tokens": 60}


def test_no_more_requests_are_under_way_than_params_allow(server: HTTPServer) -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def count(request: Request) -> Response:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return echo(request)

    engine(server, count, concurrency=4).generate(prompts(*map(str, range(30))), Sampling(5))
    assert most == 4


def test_several_servers_share_the_work(server: HTTPServer) -> None:
    with HTTPServer(threaded=True) as second:
        seen: Counter[int] = Counter()

        def count(request: Request) -> Response:
            seen[int(request.host.split(":")[1])] += 1
            time.sleep(0.01)
            return echo(request)

        for each in (server, second):
            each.expect_request(CHAT).respond_with_handler(count)
        second.expect_request(MODELS).respond_with_json({"object": "list", "data": []})
        both = settings(server.url_for("/v1"), second.url_for("/v1"), concurrency=2)
        found = OpenAIEngine.load("m", "local", both).generate(
            prompts(*map(str, range(40))), Sampling(5)
        )
    assert texts_of(found) == [str(number) for number in range(40)]
    assert set(seen) == {server.port, second.port}
    assert min(seen.values()) > 5


FAULTS: dict[str, Script] = {
    "429": lambda request: as_json({}, 429, **{"Retry-After": "0.01"}),
    "500": lambda request: as_json({"error": {"message": "oops"}}, 500),
    "503": lambda request: Response("no upstream", 503),
    "malformed": lambda request: Response('{"choices": [', content_type="application/json"),
    "no choices": lambda request: as_json({"choices": [], "usage": {}}),
    "null": lambda request: as_json(said("", message=None)),
    "ended": lambda request: as_json(said("half", finish_reason="error")),
    "html": lambda request: Response("<html>proxy</html>", content_type="text/html"),
    "cut off": lambda request: Response('{"choices": [{"mess', headers={"Content-Length": "5000"}),
    "hang": lambda request: (time.sleep(1.0), echo(request))[1],
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_asked_again(server: HTTPServer, fault: str) -> None:
    tries: Counter[str] = Counter()

    def faulty(request: Request) -> Response:
        text = asked(request)
        tries[text] += 1
        return FAULTS[fault](request) if text == "b" and tries[text] < 3 else echo(request)

    asking = engine(server, faulty, timeout=0.4)
    assert texts_of(asking.generate(prompts("a", "b", "c"), Sampling(5))) == ["a", "b", "c"]
    assert tries == {"a": 1, "b": 3, "c": 1}
    assert asking.traffic["requests"] == 5


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "500"])
def test_a_lasting_fault_fails_that_prompt_after_its_retries(
    server: HTTPServer, fault: str
) -> None:
    tries: Counter[str] = Counter()

    def faulty(request: Request) -> Response:
        tries[asked(request)] += 1
        return FAULTS[fault](request) if asked(request) == "b" else echo(request)

    asking = engine(server, faulty, timeout=0.4, retries=2)
    a, b, c = asking.generate(prompts("a", "b", "c"), Sampling(5))
    assert (a.text, c.text) == ("a", "c")
    assert (b.text, b.finish_reason, b.tokens, b.logprob) == ("", "failed", 0, None)
    assert b.error
    assert tries == {"a": 1, "b": 3, "c": 1}
    assert asking.traffic["failed"] == 1


def test_a_prompt_that_crashes_a_server_which_answers_others_is_refused(
    server: HTTPServer,
) -> None:
    def crashes(request: Request) -> Response:
        if asked(request) == "poison":
            return as_json({"error": {"message": "oops"}}, 500)
        time.sleep(0.02)
        return echo(request)

    asking = engine(server, crashes, concurrency=2, retries=2)
    others = [str(number) for number in range(20)]
    first, *rest = asking.generate(prompts("poison", *others), Sampling(5))
    assert texts_of(rest) == others
    assert first.finish_reason == "refused" and "oops" in (first.error or "")
    assert asking.traffic["requests"] == 20 + 3


def test_crashes_of_a_server_that_answers_nothing_are_its_own_fault(server: HTTPServer) -> None:
    asking = engine(server, FAULTS["500"], retries=2)
    assert [each.finish_reason for each in asking.generate(prompts("a", "b"), Sampling(5))] == [
        "failed", "failed"
    ]  # fmt: skip


def test_retry_after_is_waited_for(server: HTTPServer) -> None:
    times: list[float] = []

    def once(request: Request) -> Response:
        times.append(time.monotonic())
        if len(times) == 1:
            return as_json({"error": {"message": "later"}}, 429, **{"Retry-After": "0.6"})
        return echo(request)

    engine(server, once).generate(prompts("a"), Sampling(5))
    assert times[1] - times[0] >= 0.6


def test_a_prompt_that_is_too_long_is_refused_and_not_asked_again(server: HTTPServer) -> None:
    def too_long(request: Request) -> Response:
        if asked(request) != "long":
            return echo(request)
        return as_json({"error": {"message": "maximum context length is 8 tokens"}}, 400)

    asking = engine(server, too_long)
    ok, refused = asking.generate(prompts("a", "long"), Sampling(5))
    assert ok.text == "a"
    assert refused.finish_reason == "refused"
    assert "maximum context length is 8 tokens" in (refused.error or "")
    assert asking.traffic["requests"] == 2


def test_a_server_that_is_gone_ends_the_work_and_keeps_what_it_had_answered(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path))
    served: list[str] = []

    def dies(request: Request) -> Response:
        if len(served) >= 10:
            return Response("gone", 502)
        served.append(asked(request))
        return echo(request)

    asking = engine(server, dies, concurrency=1, retries=0)
    wanted = [str(number) for number in range(60)]
    with pytest.raises(LooptoolError, match=r"servers\.local: .*no answer to the last 16 requests"):
        answering.answer(asking, prompts(*wanted), Sampling(5), tmp_path)
    assert asking.traffic["requests"] == 10 + GIVE_UP
    server.clear_all_handlers()
    server.expect_request(CHAT).respond_with_handler(echo)
    again = OpenAIEngine("m", "local", asking.server)
    assert texts_of(answering.answer(again, prompts(*wanted), Sampling(5), tmp_path)) == wanted
    assert again.traffic["requests"] == 50


def test_a_server_that_takes_nothing_is_told_and_asked_again_once_it_is_mended(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path))

    def no_schemas(request: Request) -> Response:
        if "response_format" in request.get_json():
            return as_json({"error": {"message": "response_format is not supported"}}, 400)
        return echo(request)

    wanted = [str(number) for number in range(40)]
    sampling = Sampling(5, schema={"type": "object"})
    asking = engine(server, no_schemas, concurrency=1)
    with pytest.raises(LooptoolError, match="response_format is not supported"):
        answering.answer(asking, prompts(*wanted), sampling, tmp_path)
    assert asking.traffic["requests"] == GIVE_UP
    url = server.url_for("/v1")
    free = OpenAIEngine.load("m", "local", settings(url, structured_output=False))
    assert texts_of(answering.answer(free, prompts(*wanted), sampling, tmp_path)) == wanted


def test_many_prompts_that_are_too_long_are_rows_and_no_end(server: HTTPServer) -> None:
    def some(request: Request) -> Response:
        if asked(request) != "short":
            return as_json({"error": {"message": "too long"}}, 400)
        return echo(request)

    asking = engine(server, some, concurrency=1)
    found = asking.generate(prompts("short", *["long"] * 30), Sampling(5))
    assert [each.finish_reason for each in found] == ["stop"] + ["refused"] * 30


def test_stopping_asks_nothing_more(server: HTTPServer) -> None:
    count = 0

    def slowly(request: Request) -> Response:
        nonlocal count
        count += 1
        time.sleep(0.05)
        return echo(request)

    def stop(group: object) -> None:
        raise KeyboardInterrupt

    asking = engine(server, slowly, concurrency=3)
    with pytest.raises(KeyboardInterrupt):
        asking.generate(prompts(*map(str, range(50))), Sampling(5), stop)
    before = count
    time.sleep(0.3)
    assert count == before <= 6


def test_what_is_asked_is_the_whole_prompt_and_sampling(server: HTTPServer) -> None:
    bodies: list[dict[str, Any]] = []

    def note(request: Request) -> Response:
        bodies.append(request.get_json())
        return echo(request)

    tool = {"name": "f", "description": "d", "parameters": {"type": "object"}}
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": "é", "y": [1]}}}
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "", "tool_calls": [call, call]},
        {"role": "tool", "name": "f", "content": "1"},
        {"role": "tool", "name": "f", "content": "2"},
    ]
    schema = {"type": "object"}
    engine(server, note).generate(
        [Prompt(messages, [tool])], Sampling(9, 0.7, 0.9, seed=4, schema=schema, logprobs=True)
    )
    (body,) = bodies
    sampling = {"model": "m", "max_tokens": 9, "temperature": 0.7, "top_p": 0.9, "seed": 4}
    assert {name: body[name] for name in sampling} == sampling
    assert body["logprobs"] is True
    assert body["tools"] == [{"type": "function", "function": tool}]
    assert body["response_format"]["json_schema"]["schema"] == schema
    first, second = body["messages"][2]["tool_calls"]
    assert first["function"] == {"name": "f", "arguments": '{"x": "é", "y": [1]}'}
    assert [row["tool_call_id"] for row in body["messages"][3:]] == [first["id"], second["id"]]
    assert first["id"] != second["id"]


def test_a_server_without_structured_output_is_not_asked_for_it(server: HTTPServer) -> None:
    bodies: list[dict[str, Any]] = []

    def note(request: Request) -> Response:
        bodies.append(request.get_json())
        return echo(request)

    asking = engine(server, note, structured_output=False)
    asking.generate(prompts("a"), Sampling(5, schema={"type": "object"}))
    assert "response_format" not in bodies[0]
    assert "logprobs" not in bodies[0]
    assert "tools" not in bodies[0]


def test_calls_that_the_server_parsed_are_text_again(server: HTTPServer) -> None:
    def call(request: Request) -> Response:
        good = {"name": "f", "arguments": '{"city": "Köln"}'}
        bad = {"name": "g", "arguments": '{"city": NaN}'}
        none = [{"name": "h", **more} for more in ({"arguments": ""}, {"arguments": None}, {})]
        items = [{"id": "1", "type": "function", "function": part} for part in (good, bad, *none)]
        message = {"role": "assistant", "content": "Let me see.", "tool_calls": items}
        return as_json(said("", message=message, finish_reason="tool_calls"))

    (answer,) = engine(server, call).generate(prompts("a"), Sampling(5))
    parsed = parse(answer.text)
    assert [call.to_json() for call in parsed.calls] == [
        {"name": "f", "arguments": {"city": "Köln"}},
        *[{"name": "h", "arguments": {}}] * 3,
    ]
    assert parsed.text == "Let me see."
    assert parsed.error is not None
    assert answer.finish_reason == "stop"


def test_logprobs_are_summed_and_a_server_without_them_says_so(server: HTTPServer) -> None:
    def with_logprobs(request: Request) -> Response:
        if asked(request) == "none":
            return echo(request)
        tokens = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.25}]
        return as_json(said("ab", logprobs={"content": tokens}, finish_reason="length"))

    asking = engine(server, with_logprobs)
    some, none = asking.generate(prompts("some", "none"), Sampling(5, logprobs=True))
    assert (some.logprob, some.finish_reason) == (-1.75, "length")
    assert none.logprob is None


def test_a_server_that_is_down_is_told_before_anything_is_asked() -> None:
    with pytest.raises(
        ConfigError, match=r"servers\.local: http://127\.0\.0\.1:9/v1: .*is the server up"
    ):
        OpenAIEngine.load("m", "local", settings("http://127.0.0.1:9/v1"))


def test_a_model_that_the_server_has_not_is_told_with_those_it_has(server: HTTPServer) -> None:
    with pytest.raises(ConfigError, match=r"has no model 'other' \(it has: m\)"):
        OpenAIEngine.load("other", "local", settings(server.url_for("/v1")))


def test_a_model_of_the_hub_goes_by_its_commit(server: HTTPServer, tmp_path: Path) -> None:
    commit = "0123456789" * 4
    name = f"hf:acme/judge@{commit}"
    told = rf"has no model 'looptool-[0-9a-f]{{12}}'; `looptool serve {name}` starts a server"
    with pytest.raises(ConfigError, match=told):
        OpenAIEngine.load(name, "local", settings(server.url_for("/v1")))
    assert served_name(name) == served_name(tmp_path / f"models--acme--judge/snapshots/{commit}")
    with pytest.raises(ConfigError, match="hf:acme/judge: names no commit; `looptool setup` looks"):
        OpenAIEngine.load("hf:acme/judge", "local", settings(server.url_for("/v1")))


def test_a_trained_folder_goes_by_its_content(server: HTTPServer, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("1")
    with pytest.raises(ConfigError, match=r"has no model 'looptool-[0-9a-f]{12}'; `looptool serve"):
        OpenAIEngine.load(tmp_path, "local", settings(server.url_for("/v1")))
    first = served_name(tmp_path)
    (tmp_path / "weights").write_text("2")
    assert served_name(tmp_path) != first


def test_a_missing_key_is_told_by_its_variable(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"servers\.local\.key: .*SOME_KEY is not set"):
        OpenAIEngine.load("m", "local", settings(server.url_for("/v1"), key="SOME_KEY"))


@pytest.mark.parametrize("spoilt", ["sk-secret\r", "sk-secret\n", "sk secret", "sk-gehéim"])
def test_a_key_that_is_none_is_told_and_not_shown(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    monkeypatch.setenv("SOME_KEY", spoilt)
    with pytest.raises(ConfigError, match=r"the value of SOME_KEY is not a valid key") as error:
        OpenAIEngine.load("m", "local", settings(server.url_for("/v1"), key="SOME_KEY"))
    assert "secret" not in str(error.value) and "geh" not in str(error.value)


def test_a_lone_surrogate_in_an_answer_is_replaced(server: HTTPServer) -> None:
    asking = engine(server, lambda request: as_json(said("half \ud83d")))
    (found,) = asking.generate(prompts("a"), Sampling(5))
    assert found.text == "half ?"


def test_a_refused_key_is_told_and_keys_are_kept_nowhere(
    server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path))
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")

    def keyed(request: Request) -> Response:
        if request.headers["Authorization"] != "Bearer sk-very-secret":
            return as_json({"error": {"message": "bad key"}}, 401)
        return echo(request)

    asking = engine(server, keyed, key="SOME_KEY")
    assert texts_of(answering.answer(asking, prompts("a"), Sampling(5), tmp_path)) == ["a"]
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"sk-very-secret" not in file.read_bytes()
    assert "sk-very-secret" not in repr(asking)
    monkeypatch.setenv("SOME_KEY", "sk-other")
    with pytest.raises(ConfigError, match=r"bad key.*set servers\.local\.key") as error:
        asking.generate(prompts("b"), Sampling(5))
    assert "sk-other" not in str(error.value)


def test_a_certificate_that_nobody_knows_is_told() -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        HTTPServer(ssl_context=context) as secure,
        pytest.raises(ConfigError, match=r"servers\.local: https://.*certificate"),
    ):
        OpenAIEngine.load("m", "local", settings(f"https://127.0.0.1:{secure.port}/v1"))


def test_an_empty_list_asks_nothing(server: HTTPServer) -> None:
    asking = engine(server)
    assert asking.generate([], Sampling(5)) == []
    assert not asking.traffic


def test_a_server_gets_the_template_options_of_a_model_folder(
    server: HTTPServer, tmp_path: Path
) -> None:
    config = {"chat_template": "{{ messages }}", "template_options": {"enable_thinking": False}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    listed = {"object": "list", "data": [{"id": served_name(tmp_path), "object": "model"}]}
    server.clear()
    server.expect_request(MODELS).respond_with_json(listed)
    bodies: list[dict[str, Any]] = []

    def note(request: Request) -> Response:
        bodies.append(request.get_json())
        return echo(request)

    server.expect_request(CHAT, method="POST").respond_with_handler(note)
    asking = OpenAIEngine.load(tmp_path, "local", settings(server.url_for("/v1")))
    assert texts_of(asking.generate(prompts("hi"), Sampling(5))) == ["hi"]
    assert bodies[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert "enable_thinking" in asking.identity
