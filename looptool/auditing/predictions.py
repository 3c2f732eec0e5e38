"""Answers to the samples of a set, from models or from a file, to compare the labels with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical
from looptool.core.calls import Parsed, ToolCall
from looptool.core.errors import ConfigError
from looptool.core.params import EngineName, Params
from looptool.core.samples import Label, check_label, label_id, prediction_label
from looptool.engines import Completion, Prompt, Sampling, answering
from looptool.evaluation.targets import Target, load
from looptool.probing import perplexity

FILE = "file"  # the name of the answers of a file, where models have theirs
_FORM = (
    'a line is {"sample_id": text or "line": number, "turn": number, '
    '"text": text or "calls": [{"name", "arguments"}], "tokens": number, "logprob": number}; '
    "turn, tokens and logprob may be left out"
)
Places = Mapping[tuple[int, int | None], str]
"""The sample_id at each (line, turn), and at (line, None) where the line has one sample."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to one sample.

    Attributes:
        label: the answer as a label; None if it cannot be read, or there is none.
        problem: why it cannot be read.
        ppl: its perplexity, if it is known.
        label_ppl: the perplexity of the sample's label under the same model, if it is known.
    """

    label: Label | None
    parsed: Parsed
    problem: str | None = None
    ppl: float | None = None
    label_ppl: float | None = None


@dataclass
class Answers:
    """Answers by sample_id, of each model by its name."""

    by_model: dict[str, dict[str, Answer]] = field(default_factory=dict)

    def of(self, sample_id: str) -> dict[str, Answer]:
        """Return the answers to one sample, by model."""
        return {
            name: answers[sample_id]
            for name, answers in self.by_model.items()
            if sample_id in answers
        }


def ask(
    target: Target,
    params: Params,
    engine: EngineName | None,
    parts: Iterable[pl.DataFrame],
    scratch: Path,
    on_progress: Callable[[int], Any],
) -> dict[str, Answer]:
    """Ask a model for its greedy answer to every sample.

    Raises:
        ConfigError: if the model, its engine or its server is missing.
        LooptoolError: if prompts got no answer; a rerun asks for the missing ones.
    """
    loaded = load(target, params, engine)
    sampling = Sampling(params.probe.max_new_tokens, logprobs=True)
    answers: dict[str, Answer] = {}
    done = 0
    for part in parts:
        prompts = [
            Prompt(canonical.loads(messages), canonical.loads(tools))
            for messages, tools in part.select("messages", "tools").rows()
        ]
        completions = answering.answer(
            loaded, prompts, sampling, scratch, partial(_add, on_progress, done)
        )
        answering.check_all_answered(completions, "samples")
        label_ppl = _label_perplexities(loaded, prompts, part["label"].to_list())
        for place, (identity, made) in enumerate(zip(part["sample_id"], completions, strict=True)):
            answers[identity] = _answer(made, label_ppl.get(place))
        done += len(part)
    return answers


def _add(on_progress: Callable[[int], Any], before: int, count: int) -> None:
    on_progress(before + count)


def _label_perplexities(
    engine: Any, prompts: Sequence[Prompt], labels: Sequence[str]
) -> dict[int, float]:
    """Return the perplexity of labels by place; {} for engines that score no given text."""
    from looptool.engines.transformers import TransformersEngine, score

    if not isinstance(engine, TransformersEngine):
        return {}
    scored = score(engine, prompts, [canonical.loads(label) for label in labels])
    return {
        place: found
        for place, logprob, tokens in scored
        if (found := perplexity(logprob, tokens)) is not None
    }


def _answer(made: Completion, label_ppl: float | None) -> Answer:
    parsed = made.answer
    calls = canonical.dumps([call.to_json() for call in parsed.calls])
    label = prediction_label(parsed.text, calls, parsed.error)
    problem = parsed.error or (None if label else "an empty answer")
    ppl = perplexity(made.logprob, made.tokens)
    return Answer(label, parsed, problem, ppl, label_ppl)


def read_file(path: Path, ids: set[str], places: Places) -> dict[str, Answer]:
    """Read answers from JSON lines.

    Raises:
        ConfigError: if a line is malformed, or belongs to no sample of the set.
    """
    answers: dict[str, Answer] = {}
    number = 0
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                number += 1
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError("must be an object")
                    identity = _sample_of(row, ids, places)
                    if identity in answers:
                        raise ValueError("answers a sample that was answered before")
                    answers[identity] = _read(row)
    except FileNotFoundError:
        raise ConfigError(f"{path}: does not exist") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{error.args[0]}: missing" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path}: line {number}: {reason}; {_FORM}") from None
    if not answers:
        raise ConfigError(f"{path}: has no answers; {_FORM}")
    return answers


def _sample_of(row: Mapping[str, Any], ids: set[str], places: Places) -> str:
    if "sample_id" in row:
        if row["sample_id"] not in ids:
            raise ValueError(f"sample_id: {row['sample_id']} is no sample of the set")
        return str(row["sample_id"])
    place = (row["line"], row.get("turn"))
    if place not in places:
        where = f"{row['line']}" + (f", turn: {row['turn']}" if "turn" in row else "")
        raise ValueError(f"line: {where} is not one sample of the set")
    return places[place]


def _read(row: Mapping[str, Any]) -> Answer:
    tokens, logprob = row.get("tokens", 0), row.get("logprob")
    if not isinstance(tokens, int) or tokens < 0:
        raise ValueError("tokens: must be a number of at least 0")
    if logprob is not None and not (isinstance(logprob, int | float) and logprob <= 0):
        raise ValueError("logprob: must be a number of at most 0")
    if "calls" in row and "text" in row:
        raise ValueError("text: must not be given beside calls")
    if "calls" not in row:
        if not isinstance(row["text"], str):
            raise ValueError("text: must be a text")
        return _answer(Completion(row["text"], tokens, logprob, "stop"), None)
    calls = [{**call, "arguments": _arguments(call["arguments"])} for call in row["calls"]]
    if (problem := check_label({"calls": calls})) is not None:
        raise ValueError(problem.removeprefix("label."))
    made = tuple(ToolCall(call["name"], call["arguments"]) for call in calls)
    read = Parsed(made, "", "", None)
    canonical.dumps(calls)
    return _answer(Completion("", tokens, logprob if tokens else None, "stop", read=read), None)


def _arguments(given: Any) -> Any:
    """Return the arguments of a call, which OpenAI's API gives as JSON text."""
    return json.loads(given) if isinstance(given, str) else given


def places_of(parts: Iterable[pl.DataFrame]) -> Places:
    """Return which sample is at which line and turn of the file that a set was read from."""
    by_line: dict[int, list[tuple[int, str]]] = {}
    for part in parts:
        for identity, line, turn in part.select("sample_id", "line", "turn").iter_rows():
            if line is not None:
                by_line.setdefault(line, []).append((turn, identity))
    places: dict[tuple[int, int | None], str] = {}
    for line, turns in by_line.items():
        places |= {(line, turn): identity for turn, identity in turns}
        if len(turns) == 1:
            places[line, None] = turns[0][1]
    return places


def voted(answers: Mapping[str, Answer]) -> tuple[str | None, float]:
    """Return the model with the most frequent answer, and the share of models that gave it.

    Answers in words count as one answer, and unreadable ones only if there is no other. Of equally
    frequent answers, that of the first model wins.
    """
    readable = {name: each for name, each in answers.items() if each.label is not None} or answers
    if not readable:
        return None, 0.0
    keys = {name: _key(each) for name, each in readable.items()}
    counts = {name: sum(other == key for other in keys.values()) for name, key in keys.items()}
    chosen = max(counts, key=lambda name: counts[name])
    return chosen, counts[chosen] / len(answers)


def _key(answer: Answer) -> str:
    if answer.label is None:
        return ""
    return "text" if "text" in answer.label else label_id(answer.label)
