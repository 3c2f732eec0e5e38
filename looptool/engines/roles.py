"""A large model in a role: prompts from files, answers to a schema, and a record of every request.

A prompt is a Jinja file, `looptool/<part>/prompts/<name>.jinja`, with the blocks `system` and
`user`. Text out of the data goes in by the filter `fenced`, so that it cannot pose as instructions.
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
from looptool.core.params import Params
from looptool.core.params import Role as RoleSettings
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
        version: the number that the file gives itself and the start of its content's hash, so that
            no edit goes unnoticed.
    """

    name: str
    version: str
    parts: jinja2.Template

    def render(self, fields: Mapping[str, Any]) -> list[Message]:
        """Return the messages that the model reads."""
        messages = []
        for role in ("system", "user"):
            context = self.parts.new_context(dict(fields))
            text = "".join(self.parts.blocks[role](context)).strip()
            messages.append({"role": role, "content": text})
        return messages


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One request to be made.

    Attributes:
        about: the id of what is asked about: of a sample, or of a dialogue that has none yet.
        fields: what the template is filled in with.
        read: turns an answer that keeps to the schema into a value; a ValueError refuses it.
        thread: what the request is a part of; by default what it is about.
    """

    about: str
    fields: Mapping[str, Any]
    read: Callable[[Any], T]
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What came of a question: a value, or why there is none."""

    value: T | None
    error: str | None = None


@dataclass
class Role:
    """A model that is asked by templates, and the record of what it was asked.

    Attributes:
        engine: loads the engine, or returns the loaded one; not called where nothing is asked.
        model: its name, for people and the lineage.
        requests: rows of `tables.Requests`, in the order in which they were made; the roles of a
            stage share it.
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
        """Ask all questions at once; what cannot be read is asked once more, with the reason.

        Args:
            schema: what every answer must keep to.

        Returns:
            One reply a question, in order.
        """
        prompts = [template.render(question.fields) for question in questions]
        completions = self._ask(template, prompts, schema)
        validator = Draft202012Validator(schema)
        replies = [
            _understand(question, completion, validator)
            for question, completion in zip(questions, completions, strict=True)
        ]
        self._note(template, questions, prompts, completions, replies)
        again = [
            place
            for place, reply in enumerate(replies)
            if reply.error and completions[place].error is None
        ]
        second = [
            [
                *prompts[place],
                {"role": "assistant", "content": completions[place].text or "…"},
                {
                    "role": "user",
                    "content": "That cannot be used, for this reason:\n"
                    f"{fenced(replies[place].error, 'reason')}\n"
                    "Answer again, with the JSON object alone.",
                },
            ]
            for place in again
        ]
        questions = [questions[place] for place in again]
        completions = self._ask(template, second, schema)
        later = [
            _understand(question, completion, validator)
            for question, completion in zip(questions, completions, strict=True)
        ]
        self._note(template, questions, second, completions, later)
        for place, reply in zip(again, later, strict=True):
            replies[place] = reply
        return replies

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
        with self.bar(template.name, len(asked)) as reach:
            found = answer(self.engine(), asked, sampling, self.scratch(), reach)
        check_all_answered(found, "requests")
        return found

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
                "answer": completion.text.encode("utf-8", "replace").decode("utf-8"),
                "tokens": completion.tokens,
                "error": reply.error,
            }
            for place, (question, messages, completion, reply) in enumerate(
                zip(questions, prompts, completions, replies, strict=True)
            )
        ]


def _understand(
    question: Question[T], completion: Completion, validator: Draft202012Validator
) -> Reply[T]:
    if completion.error is not None:
        return Reply(None, f"no answer: {completion.error}")
    try:
        data = json_of(completion.text)
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
    """Gives models their roles in one run of a stage, and keeps what all of them are asked.

    Attributes:
        scratch: makes the stage's scratch folder; called once, and only where a model plays.
        seed: of all draws.
        requests: rows of `tables.Requests`.
    """

    params: Params
    scratch: Callable[[], Path]
    seed: int
    bar: Bar = _no_bar
    requests: list[dict[str, Any]] = field(default_factory=list)
    _engines: dict[tuple[str, ...], Engine] = field(default_factory=dict)

    def play(self, settings: RoleSettings, model: str) -> Role:
        """Return `model` in a role. It is loaded when it is first asked, once for all its roles."""

        def engine() -> Engine:
            key = (settings.engine, settings.server, model, str(settings.batch_size))
            if key not in self._engines:
                self._engines[key] = load(
                    settings.engine, model, self.params,
                    batch_size=settings.batch_size, server=settings.server,
                )  # fmt: skip
            return self._engines[key]

        sampling = Sampling(settings.max_new_tokens, settings.temperature, seed=self.seed)
        return Role(engine, model, sampling, lambda: self._folder, self.requests, self.bar)

    @cached_property
    def _folder(self) -> Path:
        return self.scratch()

    def frame(self) -> pl.DataFrame:
        """Return the record as `tables.Requests`."""
        return tables.frame(tables.Requests, self.requests)

    def figures(self) -> dict[str, int]:
        """Return how many requests and tokens it took; nothing where no model played."""
        tokens = sum(row["tokens"] for row in self.requests)
        return {"requests": len(self.requests), "tokens": tokens} if self.requests else {}


def json_of(text: str) -> Any:
    """Return the last JSON object in a model's answer, whatever stands around it.

    Raises:
        ValueError: if there is none, or it holds what canonical JSON cannot.
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
    """Return the prompt file `looptool/<part>/prompts/<name>.jinja`."""
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
    """Return data between marks that it cannot contain: JSON without `<`, marked by its hash."""
    text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    mark = canonical.digest(text)[:8]
    return f"<data-{mark} {name}>\n{text}\n</data-{mark}>"
