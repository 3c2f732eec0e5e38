"""Any server with OpenAI's chat API: vLLM, SGLang, llama.cpp, a cloud.

The client library waits and asks again (429 with its Retry-After, 5xx, timeouts, connections that
break). Here is what it lacks: many requests at once over several servers, answers that are none,
and an end where a server has gone for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from looptool.core.calls import ToolCall, read_arguments, render
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import served_name
from looptool.core.params import FILE, Server
from looptool.core.samples import Message
from looptool.engines import Arrived, Completion, Prompt, Sampling

CRASHES = 3  # so often a prompt must crash a server that answers others to be the one at fault
GIVE_UP = 16  # requests in a row without an answer: the server is gone, or nothing suits it
_CHECK = 10.0  # seconds in which a server must say which models it has
_NO_KEY = "none"  # what the client library sends where the server wants no key


class _Stopped(Exception):
    """Carries what `arrived` raised out of asyncio, which mistakes a KeyboardInterrupt."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


@dataclass
class _Url:
    """One of the server's URLs: its client, errors since its last answer, number of answers."""

    client: Any
    troubles: list[str] = field(default_factory=list)
    answers: int = 0


@dataclass
class OpenAIEngine:
    """See `Engine`. Every URL of the server takes its share of the prompts as it gets on with them.

    Attributes:
        traffic: what all calls so far came to: `requests` (every try counts), `failed`, `refused`,
            `prompt_tokens`, `tokens`.
        where: tells models of one name at several places apart, where that is wanted.
    """

    model: str
    name: str
    server: Server
    independent: bool = True
    traffic: Counter[str] = field(default_factory=Counter)
    where: str = ""

    @property
    def identity(self) -> str:
        free = "" if self.server.structured_output else " without schemas"
        return f"openai {self.model}{free}{self.where}"

    @classmethod
    def load(cls, model: Path | str, name: str, server: Server) -> OpenAIEngine:
        """Make sure that `server`, `name` in params, is up and has the model.

        Raises:
            ConfigError: with what to do, if it is not or has not.
        """
        cls.check(name, server, [model])
        return cls(served_name(model), name, server)

    @classmethod
    def check(cls, name: str, server: Server, models: Sequence[Path | str]) -> None:
        """Make sure that a server is up and has these models; none of them: that it is up.

        Raises:
            ConfigError: with what to do.
        """
        for url in server.base_urls:
            found = cls("", name, server)._models(url)
            for model in models if found is not None else ():
                if served_name(model) not in (found or ()):
                    hint = ""
                    if Path(model).is_dir():
                        hint = f"; `looptool serve {model}` starts one that does"
                    raise ConfigError(
                        f"{FILE}: servers.{name}: {url} has no model {served_name(model)!r}{hint} "
                        f"(it has: {', '.join((found or [])[:5])})"
                    )

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        """See `Engine.generate`.

        Raises:
            LooptoolError: if a server refuses the key or the model, or if none answers any more.
        """
        if not prompts:
            return []
        try:
            return asyncio.run(self._generate(prompts, sampling, arrived))
        except ExceptionGroup as group:
            error = group.exceptions[0]
            raise (error.error if isinstance(error, _Stopped) else error) from None

    async def _generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived
    ) -> list[Completion]:
        completions: dict[int, Completion] = {}
        waiting = iter(enumerate(prompts))

        answered = False  # until then refusals count too: perhaps nothing suits this server

        async def work(url: _Url) -> None:
            nonlocal answered
            troubles = url.troubles
            for place, prompt in waiting:
                completion = await self._ask(url, prompt, sampling)
                if completion.finish_reason in ("stop", "length"):
                    troubles.clear()
                    url.answers += 1
                    answered = True
                elif completion.finish_reason == "failed" or not answered:
                    troubles.append(completion.error or "")
                completions[place] = completion
                try:
                    arrived([(place, completion)])
                except BaseException as error:
                    raise _Stopped(error) from None
                if len(troubles) >= GIVE_UP:
                    raise LooptoolError(
                        f"servers.{self.name}: {url.client.base_url} gave no answer to the last "
                        f"{len(troubles)} requests: {troubles[-1]}\nWhat was answered before is "
                        "kept: `dvc repro` goes on from there."
                    )

        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            for base_url in self.server.base_urls:
                url = _Url(await stack.enter_async_context(self._client(base_url)))
                for _ in range(min(self.server.concurrency, len(prompts))):
                    group.create_task(work(url))
        return [completions[place] for place in range(len(prompts))]

    async def _ask(self, url: _Url, prompt: Prompt, sampling: Sampling) -> Completion:
        import openai

        body = self._body(prompt, sampling)
        left, answers = self.server.retries, url.answers
        while True:
            try:
                patient = url.client.with_options(max_retries=left)
                response = await patient.chat.completions.with_raw_response.create(**body)
            except (openai.AuthenticationError, openai.NotFoundError) as error:
                raise self._error(url.client.base_url, error) from None
            except (openai.APIConnectionError, openai.RateLimitError) as error:
                return self._nothing("failed", _told(error))
            except openai.APIStatusError as error:
                failed = error.status_code >= 500 or error.status_code in (408, 409)
                if error.status_code == 500 and left + 1 >= CRASHES and url.answers > answers:
                    failed = False  # it answers others meanwhile: the prompt is what it cannot take
                return self._nothing("failed" if failed else "refused", _told(error))
            try:
                return self._completion(json.loads(response.text), sampling)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                left -= response.retries_taken + 1
                if left < 0:
                    return self._nothing("failed", f"an answer that is none: {error!r}")

    def _body(self, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(_messages(prompt.messages)),
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        if prompt.tools:
            body["tools"] = [{"type": "function", "function": tool} for tool in prompt.tools]
        if sampling.logprobs:
            body["logprobs"] = True
        if sampling.schema is not None and self.server.structured_output:
            schema = {"name": "answer", "schema": sampling.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _completion(self, answer: Mapping[str, Any], sampling: Sampling) -> Completion:
        """Read a server's answer; anything that an answer must not lack raises."""
        choice = answer["choices"][0]
        message = choice["message"]
        usage = answer.get("usage") or {}
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        tokens = int(usage.get("completion_tokens") or len(logprobs))
        self.traffic["prompt_tokens"] += int(usage.get("prompt_tokens") or 0)
        self.traffic["tokens"] += tokens
        if choice["finish_reason"] == "content_filter":
            return self._nothing("refused", "the server's content filter")
        if choice["finish_reason"] in ("error", "abort"):
            raise ValueError(f"it ended by {choice['finish_reason']}")
        text = "\n".join(part for part in (message.get("content"), _called(message)) if part)
        text = text.encode("utf-8", "replace").decode("utf-8")  # no lone surrogates
        return Completion(
            text,
            tokens,
            sum(float(token["logprob"]) for token in logprobs) if logprobs else None,
            "length" if choice["finish_reason"] == "length" else "stop",
        )

    def _nothing(self, reason: Any, error: str) -> Completion:
        self.traffic[reason] += 1
        return Completion("", 0, None, reason, error)

    def _client(self, url: str) -> Any:
        import openai

        async def count(_: Any) -> None:
            self.traffic["requests"] += 1

        return openai.AsyncOpenAI(
            base_url=url,
            api_key=self._key() or _NO_KEY,
            timeout=self.server.timeout,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"request": [count]}),
        )

    def _key(self) -> str | None:
        if self.server.key is None:
            return None
        key = os.environ.get(self.server.key)
        if not key:
            raise ConfigError(
                f"{FILE}: servers.{self.name}.key: the environment variable {self.server.key} is "
                f"not set: `export {self.server.key}=…`, or write null where no key is needed"
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigError(
                f"{FILE}: servers.{self.name}.key: what {self.server.key} holds is no key: it has "
                "a space, a line's end or another character that no key has"
            )
        return key

    def _models(self, url: str) -> list[str] | None:
        """Return the models that a server has, or None if it does not tell."""
        import openai

        try:
            with openai.OpenAI(
                base_url=url, api_key=self._key() or _NO_KEY, timeout=_CHECK, max_retries=0
            ) as client:
                return [item.id for item in client.models.list()] or None
        except openai.NotFoundError:
            return None
        except openai.OpenAIError as error:
            raise self._error(url, error) from None

    def _error(self, url: Any, error: Exception) -> ConfigError:
        """Return the error to raise where nothing that is asked of this server will succeed."""
        import openai

        remedy = "is it up? `looptool serve` starts one"
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            remedy = f"set servers.{self.name}.key to the environment variable that holds its key"
        elif isinstance(error, openai.NotFoundError):
            remedy = f"is {self.model!r} the model, and should the URL end in /v1?"
        return ConfigError(f"{FILE}: servers.{self.name}: {url}: {_told(error)}; {remedy}")


def _messages(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """Yield messages as the API wants them: calls have ids, and their arguments are text."""
    open_calls: list[str] = []
    for place, message in enumerate(messages):
        if items := message.get("tool_calls"):
            open_calls = [f"call_{place}_{number}" for number in range(len(items))]
            yield {
                **message,
                "tool_calls": [
                    {"id": identity, "type": "function", "function": _function(item)}
                    for identity, item in zip(open_calls, items, strict=True)
                ],
            }
        elif message["role"] == "tool":
            identity = open_calls.pop(0) if open_calls else "call"
            yield {"role": "tool", "content": message["content"], "tool_call_id": identity}
        else:
            yield dict(message)


def _function(item: Mapping[str, Any]) -> dict[str, str]:
    function = item.get("function", item)
    arguments = function["arguments"]
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)  # as a chat template would write it
    return {"name": function["name"], "arguments": arguments}


def _called(message: Mapping[str, Any]) -> str:
    """Return the calls of an answer as the model wrote them; servers parse them out of the text."""
    parts = []
    for item in message.get("tool_calls") or ():
        name, arguments = item["function"]["name"], item["function"].get("arguments")
        try:
            parts.append(render([ToolCall(name, read_arguments(arguments))]))
        except ValueError:  # kept as it came: reading it is the parser's matter
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            parts.append(
                f'<tool_call>\n{{"name": {json.dumps(name)}, "arguments": {text}}}\n</tool_call>'
            )
    return "\n".join(parts)


def _told(error: Exception) -> str:
    """Return one line on an error, and on what lies behind it where it hides that."""
    cause = error.__cause__
    lines = f"{error} ({cause})" if cause and str(cause) else str(error)
    return " ".join(lines.split())[:300] or type(error).__name__
