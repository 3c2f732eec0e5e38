"""A model in a role: prompts from files, answers that follow a schema, a record of every request.

A prompt is a Jinja file, `looptool/<part>/prompts/<name>.jinja`, with the blocks `system` and
`user`. Text from the data is inserted with the filter `fenced`, so that it cannot pass for
instructions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import jinja2
import polars as pl
from jsonschema import Draft202012Validator

from looptool.core import canonical, tables
from looptool.core.params import LLM, Params
from looptool.core.samples import Message
from looptool.engines import Completion, Engine, Prompt, Sampling
from looptool.engines.answering import answer, check_all_answered, load

T = TypeVar("T")
Schema = Mapping[str, Any]
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]


@contextmanager
def _no_bar(what: str, total: int) -> Iterator[Callable[[int], Any]]:
    yield lambda done: None


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt file.

    Attributes:
        name: `<part>/<name>`.
        version: the version number in the file and the start of its content hash, so that no edit
            goes unnoticed.
    """

    name: str
    version: str
    parts: jinja2.Template

    def render(self, fields: Mapping[str, Any]) -> list[Message]:
        """Return the system and user messages, filled in with `fields`."""
        messages = []
        for role in ("system", "user"):
            context = self.parts.new_context(dict(fields))
            text = "".join(self.parts.blocks[role](context)).strip()
            messages.append({"role": role, "content": text})
        return messages


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One request to make.

    Attributes:
        about: the id of the subject: a sample, or a dialogue that is not a sample yet.
        fields: the values for the template.
        read: converts an answer that follows the schema to a value; raises ValueError to refuse it.
        thread: the id of the sample or dialogue that the request is part of; default: `about`.
    """

    about: str
    fields: Mapping[str, Any]
    read: Callable[[Any], T]
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """The result of a question: a value, or why there is none."""

    value: T | None
    error: str | None = None


@dataclass
class Role:
    """A model that answers template prompts, with a record of its requests.

    Attributes:
        engine: returns the engine, loading it on the first call; called only if there are prompts.
        model: the model's name, for messages and the lineage.
        scratch: returns the folder for answers of a run that may be killed.
        requests: rows of `tables.Requests` in the order of the requests. All roles of a stage share
            this list.
    """

    engine: Callable[[], Engine]
    model: str
    sampling: Sampling
    scratch: Callable[[], Path]
    requests: list[dict[str, Any]] = field(default_factory=list)
    bar: Bar = _no_bar

    def ask(
        self, template: Template, questions: Sequence[Question[T]], schema: Schema
    ) -> list[Reply[T]]:
        """Ask all questions at once. An unusable answer is asked for once more, with the reason.

        Args:
            schema: the JSON Schema that every answer must follow.

        Returns:
            One reply per question, in order.
        """
        prompts = [template.render(question.fields) for question in questions]
        completions, replies = self._round(template, questions, prompts, schema)
        unusable = [
            place
            for place, reply in enumerate(replies)
            if reply.error and completions[place].error is None
        ]
        _, second = self._round(
            template,
            [questions[place] for place in unusable],
            [
                [*prompts[place], *_objection(_said(completions[place]), replies[place].error)]
                for place in unusable
            ],
            schema,
        )
        for place, reply in zip(unusable, second, strict=True):
            replies[place] = reply
        return replies

    def _round(
        self,
        template: Template,
        questions: Sequence[Question[T]],
        prompts: Sequence[Sequence[Message]],
        schema: Schema,
    ) -> tuple[list[Completion], list[Reply[T]]]:
        """Ask each question once, read the answers, and record both."""
        completions = self._ask(template, prompts, schema)
        validator = Draft202012Validator(schema)
        replies = [
            _understand(question, completion, validator)
            for question, completion in zip(questions, completions, strict=True)
        ]
        self._note(template, questions, prompts, completions, replies)
        return completions, replies

    def _ask(
        self, template: Template, prompts: Sequence[Sequence[Message]], schema: Schema
    ) -> list[Completion]:
        if not prompts:
            return []
        sampling = Sampling(
            self.sampling.max_new_tokens,
            self.sampling.temperature,
            self.sampling.top_p,
            self.sampling.seed,
            schema,
        )
        asked = [Prompt(messages) for messages in prompts]
        with self.bar(template.name, len(asked)) as on_progress:
            completions = answer(self.engine(), asked, sampling, self.scratch(), on_progress)
        check_all_answered(completions, "requests")
        return completions

    def _note(
        self,
        template: Template,
        questions: Sequence[Question[T]],
        prompts: Sequence[Sequence[Message]],
        completions: Sequence[Completion],
        replies: Sequence[Reply[T]],
    ) -> None:
        start = len(self.requests)
        self.requests += [
            {
                "number": start + place,
                "sample_id": question.about,
                "thread": question.thread or question.about,
                "prompt": template.name,
                "version": template.version,
                "model": self.model,
                "messages": canonical.dumps(messages),
                "answer": completion.text,
                "tokens": completion.tokens,
                "error": reply.error,
            }
            for place, (question, messages, completion, reply) in enumerate(
                zip(questions, prompts, completions, replies, strict=True)
            )
        ]


def _objection(answer: str, reason: str | None) -> list[Message]:
    """Return the messages that ask for another answer in place of an unusable one."""
    text = (
        f"That cannot be used, for this reason:\n{fenced(reason, 'reason')}\n"
        "Answer again, with the JSON object alone."
    )
    return [
        {"role": "assistant", "content": answer or "…"},
        {"role": "user", "content": text},
    ]


def _said(completion: Completion) -> str:
    """Return what a model said, without thinking that the engine has split off."""
    return completion.text if completion.read is None else completion.read.text


def _after_thinking(completion: Completion) -> str:
    """Return a model's words after its thinking, with all that a reader would take for calls.

    Raises:
        ValueError: if the thinking has no end.
    """
    read, text = completion.read, completion.text
    if read is None or not read.thinking:
        return text
    if not read.text and not read.calls:
        raise ValueError("its thinking has no end")
    for end in ("</think>", "<channel|>", "<|message|>"):
        text = text.rpartition(end)[2]
    return text


def _understand(
    question: Question[T], completion: Completion, validator: Draft202012Validator
) -> Reply[T]:
    if completion.error is not None:
        return Reply(None, f"no answer: {completion.error}")
    try:
        data = json_of(_after_thinking(completion))
        error = next(validator.iter_errors(data), None)
        if error is not None:
            where = ".".join(map(str, error.absolute_path)) or "the answer"
            raise ValueError(f"{where}: {error.message[:200]}")
        return Reply(question.read(data))
    except ValueError as error:
        cut = "it was cut off: " if completion.finish_reason == "length" else ""
        return Reply(None, f"{cut}{error}")


@dataclass
class Cast:
    """All models in roles of one run of a stage, with the record of their requests.

    Attributes:
        scratch: creates the stage's scratch folder; called at most once, and only if a model is
            asked.
        seed: the random seed of all requests.
        requests: rows of `tables.Requests`.
    """

    params: Params
    scratch: Callable[[], Path]
    seed: int
    bar: Bar = _no_bar
    requests: list[dict[str, Any]] = field(default_factory=list)
    _engines: dict[tuple[str, ...], Engine] = field(default_factory=dict)

    def play(self, settings: LLM) -> Role:
        """Return a model in a role. It is loaded on its first request, once for all its roles."""

        def engine() -> Engine:
            options = settings.template_options
            key = (settings.engine, settings.server, settings.model, str(settings.batch_size),
                   canonical.dumps(options))  # fmt: skip
            if key not in self._engines:
                self._engines[key] = load(
                    settings.engine, settings.model, self.params,
                    batch_size=settings.batch_size, server=settings.server, options=options or None,
                )  # fmt: skip
            return self._engines[key]

        sampling = Sampling(settings.max_new_tokens, settings.temperature, seed=self.seed)
        return Role(engine, settings.model, sampling, lambda: self._folder, self.requests, self.bar)

    @cached_property
    def _folder(self) -> Path:
        return self.scratch()

    def frame(self) -> pl.DataFrame:
        """Return the record of requests as `tables.Requests`."""
        return tables.frame(tables.Requests, self.requests)

    def figures(self) -> dict[str, int]:
        """Return the numbers of requests and tokens; empty if no model was asked."""
        tokens = sum(row["tokens"] for row in self.requests)
        return {"requests": len(self.requests), "tokens": tokens} if self.requests else {}


def json_of(text: str) -> Any:
    """Return the last JSON object in a model's answer, ignoring the text around it.

    Raises:
        ValueError: if there is none, or canonical JSON cannot represent it.
    """
    if text.lstrip().startswith("<think>") and "</think>" not in text:
        raise ValueError("its thinking has no end")
    decoder, data = json.JSONDecoder(), None
    start = text.find("{")
    while start >= 0:
        try:
            data, end = decoder.raw_decode(text, start)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        except ValueError:
            end = start + 1
        start = text.find("{", end)
    if data is None:
        raise ValueError("there is no JSON object in it")
    canonical.dumps(data)
    return data


def load_template(part: str, name: str) -> Template:
    """Load the prompt file `looptool/<part>/prompts/<name>.jinja`."""
    return _load(f"{part}/prompts/{name}.jinja")


@lru_cache
def _load(path: str) -> Template:
    root = Path(__file__).parents[1]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(root),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fenced"] = fenced
    source = (root / path).read_text("utf-8")
    number = source.split("version = ", 1)[1].split(" ", 1)[0]
    name = path.replace("/prompts/", "/").removesuffix(".jinja")
    version = f"{number}.{canonical.digest(source)[:8]}"
    return Template(name, version, environment.get_template(path))


def fenced(value: Any, name: str) -> str:
    """Return data as JSON between marks that it cannot contain.

    `<` and `>` are escaped in the data, and the marks hold its hash.
    """
    text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    mark = canonical.digest(text)[:8]
    return f"<data-{mark} {name}>\n{text}\n</data-{mark}>"
