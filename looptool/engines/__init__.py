"""Models that answer: one protocol, four engines, and answers that survive a kill.

An engine gets prompts as messages and tools, renders them by its own model's chat template, and
returns one completion a prompt, in order. `answer` is how stages call one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from looptool import canonical, runs
from looptool.errors import ConfigError
from looptool.fingerprints import hash_path
from looptool.params import FILE, EngineName, Params
from looptool.samples import Message
from looptool.tools import Tool


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is put to a model: the messages so far and the tools on offer."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw tokens. Temperature 0 is greedy; `seed` fixes all other draws.

    Attributes:
        schema: a JSON Schema that the answer must keep to, for engines that can enforce one. The
            others write freely, so whoever asks checks the answer in any case.
        logprobs: whether `Completion.logprob` is wanted.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    schema: Mapping[str, Any] | None = None
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer, or why there is none.

    Attributes:
        tokens: how many the model wrote, the closing one included.
        logprob: the sum of log p of these tokens under the model's own distribution (temperature
            1), in nats; None where it was not asked for or the engine cannot tell.
        finish_reason: `stop`, `length`; `refused` where the prompt itself cannot be answered (too
            long, say), so that asking again is of no use; `failed` where the machine is to blame.
        error: what was wrong, for these last two.
    """

    text: str
    tokens: int
    logprob: float | None
    finish_reason: Literal["stop", "length", "refused", "failed"]
    error: str | None = None


Arrived = Callable[[Sequence[tuple[int, Completion]]], None]
"""Takes (place of the prompt, its completion) of each group of answers as it comes in."""


class Engine(Protocol):
    """A model that answers.

    Attributes:
        identity: all that an answer depends on beside prompt and sampling: model, settings.
        independent: whether an answer is the same whatever other prompts are asked with it, so
            that it may be reused wherever the same is asked.
    """

    @property
    def identity(self) -> str: ...

    @property
    def independent(self) -> bool: ...

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        """Return one completion a prompt, in the order of the prompts.

        Args:
            arrived: called with every group of answers as soon as it is there. What it raises
                ends the work, as Ctrl-C does: nothing more is asked.
        """
        ...


def load(
    name: EngineName, model: Path | str, params: Params, *, batch_size: int, server: str
) -> Engine:
    """Load the engine `name` on a model.

    Args:
        model: a model folder; for `openai` the name that the server knows it by, or the folder
            of the model that `looptool serve` serves.
        batch_size: prompts that `transformers` takes at once.
        server: which of `params.servers` `openai` asks.

    Raises:
        ConfigError: if the model, the engine's packages or the server are not there.
    """
    if name == "replay":
        from looptool.engines.replay import FILE, ReplayEngine

        return ReplayEngine.load(FILE)
    if name == "openai":
        from looptool.engines.openai import OpenAIEngine

        return OpenAIEngine.load(model, server, params.servers[server])
    if name == "vllm":
        from looptool.engines.vllm import VllmEngine

        return VllmEngine.load(model, params.model.dtype, params.vllm)
    from looptool.engines.transformers import TransformersEngine

    return TransformersEngine.load(model, batch_size, params.model.dtype)


def check(params: Params) -> None:
    """Make sure that what this run asks of engines is there, without loading a model.

    Raises:
        ConfigError: naming the field, and what to do.
    """
    for name, section in params.asking():
        models = getattr(section, "models", None) or filter(None, [getattr(section, "model", None)])
        if section.engine == "openai":
            from looptool.engines.openai import OpenAIEngine

            OpenAIEngine.check(section.server, params.servers[section.server], list(models))
            continue
        if section.engine == "vllm" and runs.python_with_vllm() is None:
            raise ConfigError(
                f"{FILE}: {name}.engine: vLLM is not installed; `looptool setup --with vllm` does"
            )
        for model in models:
            if not Path(model).is_dir():
                raise ConfigError(
                    f"{FILE}: {name}.model: {model}: there is no such folder; download it first: "
                    f"`hf download {model} --local-dir models/{Path(model).name}`"
                )


def answer(
    engine: Engine,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    scratch: Path,
    reach: Callable[[int], Any] = lambda count: None,
) -> list[Completion]:
    """Answer all prompts, keeping every answer as it comes: a killed run asks for the rest only.

    Answers of an independent engine are kept for good, in the request cache that all runs share;
    those of others in `scratch`, since in bf16 an answer depends on its batch's make-up.

    Args:
        reach: called with the number of prompts done so far.
    """
    from looptool.engines.request_cache import RequestCache

    keys = request_keys(engine, prompts, sampling)
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    completions: list[Completion | None] = [None] * len(prompts)
    done = 0

    def take(key: str, completion: Completion) -> None:
        nonlocal done
        for place in places[key]:
            completions[place] = completion
        done += len(places[key])

    with RequestCache(shared_cache() if engine.independent else scratch / "answers.db") as cache:
        for key, completion in cache.look_up(list(places)):
            take(key, completion)
        reach(done)
        missing = [key for key, (first, *_) in places.items() if completions[first] is None]
        cache.count(engine.identity, len(places) - len(missing), len(missing))

        def arrived(group: Sequence[tuple[int, Completion]]) -> None:
            cache.store(engine.identity, [(missing[place], each) for place, each in group])
            for place, completion in group:
                take(missing[place], completion)
            reach(done)

        engine.generate([prompts[places[key][0]] for key in missing], sampling, arrived)
    return [completion for completion in completions if completion is not None]


def request_keys(engine: Engine, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
    """Return for each prompt the hash of all that its answer depends on."""
    context = canonical.digest(engine.identity, canonical.dumps(asdict(sampling)))
    return [
        canonical.digest(context, canonical.dumps(prompt.messages), canonical.dumps(prompt.tools))
        for prompt in prompts
    ]


def served_name(model: Path | str) -> str:
    """Return the name by which a server knows a model: a folder's has the hash of its content, so
    that two trainings are never taken for each other; any other name stays."""
    return f"looptool-{hash_path(model)[:12]}" if Path(model).is_dir() else str(model)


def shared_cache() -> Path:
    """Return the file of the request cache that all runs of this user share."""
    return runs.scratch_root() / "answers.db"


def check_all_answered(completions: Sequence[Completion], what: str) -> None:
    """Raise ConfigError if any answer is missing by the machine's fault, not the prompt's."""
    failed = [each.error for each in completions if each.finish_reason == "failed"]
    if failed:
        raise ConfigError(
            f"{len(failed)} of {len(completions)} {what} got no answer, the first because of: "
            f"{failed[0]}\nThe others are kept: `dvc repro` asks for the missing ones only."
        )
