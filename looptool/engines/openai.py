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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from looptool.core.calls import Parsed, ToolCall, block, read_arguments
from looptool.core.calls import render as render_calls
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import served_name
from looptool.core.params import FILE, Server
from looptool.core.samples import Message
from looptool.core.syntaxes import HERMES
from looptool.core.tools import Tool
from looptool.engines import Arrived, Completion, Prompt, Sampling, without_surrogates
from looptool.engines.folders import named_of_hub
from looptool.engines.syntax import (
    HERMES_STYLE,
    Style,
    known_style,
    read_ids,
    read_text,
    reader_of,
    special_tokens,
)
from looptool.engines.templates import (
    TODAY,
    TemplateOf,
    conversation,
    options_of,
    render,
    replace_options,
    wrapped,
)
from looptool.engines.transformers import load_tokenizer

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
        style, reader: how the model of a folder writes its turns and what identifies the reader,
            for servers that do not parse calls.
        tokenizer: the model's tokenizer, for `api: tokens`.
        special: the texts of a model folder's special tokens.
    """

    model: str
    name: str
    server: Server
    independent: bool = True
    traffic: Counter[str] = field(default_factory=Counter)
    where: str = ""
    template_options: Mapping[str, Any] = field(default_factory=dict)
    style: Style = HERMES_STYLE
    reader: str = ""
    tokenizer: Any = None
    special: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        free = "" if self.server.structured_output else " without schemas"
        options = f" {json.dumps(self.template_options)}" if self.template_options else ""
        by = " by tokens" if self.tokenizer else ""
        return f"openai {self.model}{free}{options}{self.reader}{by}{self.where}"

    @classmethod
    def load(
        cls,
        model: Path | str,
        name: str,
        server: Server,
        options: Mapping[str, Any] | None = None,
    ) -> OpenAIEngine:
        """Check a server, `name` in params, and return the engine for one of its models.

        Args:
            options: options of the chat template, in place of those saved with a model folder.

        Raises:
            ConfigError: if the server does not respond or does not have the model.
        """
        cls.check(name, server, [model])
        engine = cls(served_name(model), name, server)
        if server.api == "chat" and options and TODAY in options:
            raise ConfigError(
                f"{FILE}: servers.{name}.api: chat: the server renders the prompts of {model}, so "
                f"that template_options.{TODAY} has no effect; remove it, or set api to tokens"
            )
        if Path(model).is_dir():
            template: Any = TemplateOf.folder(Path(model))
            if server.api == "tokens":
                template = engine.tokenizer = load_tokenizer(model)
            given = replace_options(template, options)
            engine.template_options, engine.style = options_of(template), known_style(template)
            engine.reader = f"{reader_of(template)}{given}"
            engine.special = special_tokens(template)
        elif server.api == "tokens":
            raise ConfigError(
                f"{FILE}: servers.{name}.api: tokens: needs the tokenizer of the model, but "
                f"{model} is not a folder; set it to chat, or name the model's folder"
            )
        else:
            engine.template_options = dict(options or {})
        return engine

    @classmethod
    def check(cls, name: str, server: Server, models: Sequence[Path | str]) -> None:
        """Check that every URL of a server responds and has these models.

        Raises:
            ConfigError: if one does not, or a model of the hub has no commit; names the fix.
        """
        hub_names = {model: named_of_hub(str(model)) for model in models}
        for model, of_hub in hub_names.items():
            if of_hub and not of_hub.pinned:
                raise ConfigError(
                    f"{FILE}: {model}: names no commit; `looptool setup` looks it up and writes it "
                    "there"
                )
        for url in server.base_urls:
            available = cls("", name, server)._models(url)
            for model in models if available is not None else ():
                if served_name(model) not in (available or ()):
                    hint = ""
                    if Path(model).is_dir() or hub_names[model]:
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

        try:
            body = self._body(prompt, sampling)
        except ConfigError as error:  # the template cannot render it
            return self._nothing("refused", str(error))
        left, answers = self.server.retries, url.answers
        while True:
            try:
                patient = url.client.with_options(max_retries=left)
                api = patient.completions if self.tokenizer else patient.chat.completions
                response = await api.with_raw_response.create(**body)
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
                return self._completion(json.loads(response.text), prompt.tools)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                left -= response.retries_taken + 1
                if left < 0:
                    return self._nothing("failed", f"an invalid answer: {error!r}")

    def _body(self, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        more: dict[str, Any] = {}  # what the client library does not know
        if self.tokenizer or self.style.syntax is not HERMES:
            more["skip_special_tokens"] = False  # calls may be written with them
        if self.tokenizer:
            text = render(self.tokenizer, prompt)
            body["prompt"] = self.tokenizer(text, add_special_tokens=False).input_ids
            more["return_token_ids"] = True
        else:
            body["messages"] = list(_messages(prompt.messages))
            if self.template_options:
                more["chat_template_kwargs"] = dict(self.template_options)
            if prompt.tools:
                body["tools"] = wrapped(prompt.tools)
        if sampling.logprobs:
            body["logprobs"] = 0 if self.tokenizer else True  # 0: only of the sampled token
        if sampling.schema is not None and self.server.structured_output:
            schema = {"name": "answer", "schema": sampling.schema, "strict": True}
            more["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | {"extra_body": more} if more else body

    def _completion(self, answer: Mapping[str, Any], tools: Sequence[Tool]) -> Completion:
        """Read a server's answer. Raises if a required part is missing."""
        choice = answer["choices"][0]
        usage = answer.get("usage") or {}
        logprobs = _logprobs(choice)
        tokens = int(usage.get("completion_tokens") or len(logprobs))
        self.traffic["prompt_tokens"] += int(usage.get("prompt_tokens") or 0)
        self.traffic["tokens"] += tokens
        if choice["finish_reason"] == "content_filter":
            return self._nothing("refused", "the server's content filter")
        if choice["finish_reason"] in ("error", "abort"):
            raise ValueError(f"it ended by {choice['finish_reason']}")
        finish: Literal["stop", "length"] = (
            "length" if choice["finish_reason"] == "length" else "stop"
        )
        if (ids := choice.get("token_ids")) is not None and self.tokenizer:
            text, read = read_ids(self.tokenizer, ids, tools)
        else:
            message = {"content": choice["text"]} if self.tokenizer else choice["message"]
            text, read = self._read(message, finish == "length", tools)
        return Completion(
            text,
            tokens,
            sum(logprobs) if logprobs else None,
            finish,
            read=read,
        )

    def _read(
        self, message: Mapping[str, Any], cut_off: bool, tools: Sequence[Tool]
    ) -> tuple[str, Parsed | None]:
        """Return an answer's text and what `Completion.read` holds.

        Servers return the calls and the thinking that they recognise apart from the text.
        """
        text = without_surrogates(message.get("content") or "")
        reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
        thinking = without_surrogates(reasoning)
        calls, errors, blocks = _called(message)
        written = "\n".join(part for part in (text, *blocks) if part)
        if not (calls or errors or thinking or self.tokenizer) and self.style.is_hermes:
            return written, None
        style = self.style
        if style.opens_thinking and (thinking or not ("</think>" in text or cut_off)):
            style = replace(style, opens_thinking=False)  # the server has removed it
        _, read = read_text(style, text, tools, self.special)
        problems = [read.error, *errors] if read.error else errors
        return written, Parsed(
            (*read.calls, *calls),
            read.text,
            "\n".join(part for part in (thinking.strip(), read.thinking) if part),
            "; ".join(problems) or None,
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


def _called(message: Mapping[str, Any]) -> tuple[list[ToolCall], list[str], list[str]]:
    """Return the calls of an answer, why others cannot be read, and all of them in Hermes form."""
    calls, errors, blocks = list[ToolCall](), list[str](), list[str]()
    for number, item in enumerate(message.get("tool_calls") or (), start=1):
        name, arguments = item["function"]["name"], item["function"].get("arguments")
        try:
            call = ToolCall(name, read_arguments(arguments))
            blocks.append(render_calls([call]))
            calls.append(call)
        except ValueError as error:
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            blocks.append(block(f'{{"name": {json.dumps(name)}, "arguments": {text}}}'))
            errors.append(f"tool call {number}: {error}")
    return calls, errors, blocks


def _logprobs(choice: Mapping[str, Any]) -> list[float]:
    """Return the log probabilities of an answer's tokens, as either API has them."""
    found = choice.get("logprobs") or {}
    listed = found.get("token_logprobs") or [
        token["logprob"] for token in found.get("content") or ()
    ]
    return [float(value) for value in listed]


def _message(error: Exception) -> str:
    """Return an error and its cause on one line."""
    cause = error.__cause__
    lines = f"{error} ({cause})" if cause and str(cause) else str(error)
    return " ".join(lines.split())[:300] or type(error).__name__
