"""An engine for any server with OpenAI's chat API: vLLM, SGLang, llama.cpp, a cloud.

The client library handles retries (429 with Retry-After, 5xx, timeouts, broken connections). This
module adds what it lacks: concurrent requests over several URLs, the handling of malformed answers,
and giving up when a server is gone for good.
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

from looptool.core.answers import write_label
from looptool.core.calls import ToolCall, block, read_arguments
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import served_name
from looptool.core.params import FILE, Server
from looptool.core.samples import Message, call_label
from looptool.engines import Arrived, Completion, Prompt, Sampling
from looptool.engines.templates import TemplateOf, conversation, options_of, wrapped

CRASHES = 3  # a prompt that gets status 500 this often, while others are answered, is refused
GIVE_UP = 16  # unanswered requests in a row after which the server counts as gone or misconfigured
_CHECK = 10.0  # timeout in seconds for listing a server's models
_NO_KEY = "none"  # the client library needs some key even if the server needs none


class _Stopped(Exception):
    """Carries what `arrived` raised out of asyncio, which mishandles a KeyboardInterrupt."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


@dataclass
class _Url:
    """A URL of the server: its client, the errors since its last answer, the answer count."""

    client: Any
    troubles: list[str] = field(default_factory=list)
    answers: int = 0


@dataclass
class OpenAIEngine:
    """See `Engine`. The URLs of the server share one queue of prompts.

    Attributes:
        traffic: totals over all calls so far: `requests` (including retries), `failed`, `refused`,
            `prompt_tokens`, `tokens`.
        where: a suffix of `identity` that distinguishes models of the same name on different
            servers; empty if that is not wanted.
        template_options: what the server gives the chat template of a model folder beside messages
            and tools (vLLM and SGLang).
    """

    model: str
    name: str
    server: Server
    independent: bool = True
    traffic: Counter[str] = field(default_factory=Counter)
    where: str = ""
    template_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        free = "" if self.server.structured_output else " without schemas"
        options = f" {json.dumps(self.template_options)}" if self.template_options else ""
        return f"openai {self.model}{free}{options}{self.where}"

    @classmethod
    def load(cls, model: Path | str, name: str, server: Server) -> OpenAIEngine:
        """Check a server, `name` in params, and return the engine for one of its models.

        Raises:
            ConfigError: if the server does not respond or does not have the model.
        """
        cls.check(name, server, [model])
        folder = Path(model)
        options = options_of(TemplateOf.folder(folder)) if folder.is_dir() else {}
        return cls(served_name(model), name, server, template_options=options)

    @classmethod
    def check(cls, name: str, server: Server, models: Sequence[Path | str]) -> None:
        """Check that every URL of a server responds and has these models.

        Raises:
            ConfigError: if one does not; names the fix.
        """
        for url in server.base_urls:
            available = cls("", name, server)._models(url)
            for model in models if available is not None else ():
                if served_name(model) not in (available or ()):
                    hint = ""
                    if Path(model).is_dir():
                        hint = f"; `looptool serve {model}` starts a server that has it"
                    raise ConfigError(
                        f"{FILE}: servers.{name}: {url} has no model {served_name(model)!r}{hint} "
                        f"(it has: {', '.join((available or [])[:5])})"
                    )

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        """See `Engine.generate`.

        Raises:
            ConfigError: if a server rejects the key or the model.
            LooptoolError: if a URL stops answering.
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

        answered = False  # before the first answer, refusals count as troubles too

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
                        f"{len(troubles)} requests: {troubles[-1]}\nEarlier answers are stored; "
                        "`dvc repro` resumes from there."
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
                return self._nothing("failed", _message(error))
            except openai.APIStatusError as error:
                failed = error.status_code >= 500 or error.status_code in (408, 409)
                if error.status_code == 500 and left + 1 >= CRASHES and url.answers > answers:
                    failed = False  # the server answers other prompts, so this prompt is at fault
                return self._nothing("failed" if failed else "refused", _message(error))
            try:
                return self._completion(json.loads(response.text), sampling)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                left -= response.retries_taken + 1
                if left < 0:
                    return self._nothing("failed", f"an invalid answer: {error!r}")

    def _body(self, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(_messages(prompt.messages)),
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        if self.template_options:
            body["extra_body"] = {"chat_template_kwargs": dict(self.template_options)}
        if prompt.tools:
            body["tools"] = wrapped(prompt.tools)
        if sampling.logprobs:
            body["logprobs"] = True
        if sampling.schema is not None and self.server.structured_output:
            schema = {"name": "answer", "schema": sampling.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _completion(self, answer: Mapping[str, Any], sampling: Sampling) -> Completion:
        """Read a server's answer. Raises if a required part is missing."""
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
                f"not set: `export {self.server.key}=…`, or set the field to null if no key is "
                "needed"
            )
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigError(
                f"{FILE}: servers.{self.name}.key: the value of {self.server.key} is not a valid "
                "key: it has a space, a line break or another invalid character"
            )
        return key

    def _models(self, url: str) -> list[str] | None:
        """Return the models that a server lists, or None if it lists none."""
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
        """Return the error for a server to which no request can succeed."""
        import openai

        remedy = "is the server up? `looptool serve` starts one"
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            remedy = f"set servers.{self.name}.key to the environment variable that holds its key"
        elif isinstance(error, openai.NotFoundError):
            remedy = f"is {self.model!r} the right model, and should the URL end in /v1?"
        return ConfigError(f"{FILE}: servers.{self.name}: {url}: {_message(error)}; {remedy}")


def _messages(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """Yield messages in the API's format, with the arguments of calls as JSON text."""
    for message in conversation(messages):
        if items := message.get("tool_calls"):
            calls = [{**item, "function": _function(item["function"])} for item in items]
            yield {**message, "tool_calls": calls}
        elif message["role"] == "tool":
            identity = message.get("tool_call_id", "call")
            yield {"role": "tool", "content": message["content"], "tool_call_id": identity}
        else:
            yield message


def _function(function: Mapping[str, Any]) -> dict[str, str]:
    arguments = function["arguments"]
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)  # as chat templates write it
    return {"name": function["name"], "arguments": arguments}


def _called(message: Mapping[str, Any]) -> str:
    """Return the calls of an answer in the text format, from which the server parsed them."""
    parts = []
    for item in message.get("tool_calls") or ():
        name, arguments = item["function"]["name"], item["function"].get("arguments")
        try:
            parts.append(write_label(call_label([ToolCall(name, read_arguments(arguments))])))
        except ValueError:  # left as it is, for `read_answer` to report
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            parts.append(block(f'{{"name": {json.dumps(name)}, "arguments": {text}}}'))
    return "\n".join(parts)


def _message(error: Exception) -> str:
    """Return an error and its cause on one line."""
    cause = error.__cause__
    lines = f"{error} ({cause})" if cause and str(cause) else str(error)
    return " ".join(lines.split())[:300] or type(error).__name__
