"""How stages ask models: engines by name, and answers that survive a kill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from looptool.core import canonical, machine, runs
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.machine import NumberTypeName
from looptool.core.params import FILE, EngineName, Params
from looptool.engines import Completion, Engine, Prompt, Sampling


def chosen(name: EngineName) -> EngineName:
    """Return the engine that a name stands for: `auto` is vLLM where training's own environment has
    it and there is a GPU, else transformers."""
    if name != "auto":
        return name
    return "vllm" if machine.serves_vllm() else "transformers"


def settings(name: EngineName, dtype: NumberTypeName) -> dict[str, str | None]:
    """Return what a stage's metrics say of its engine: which one it was, and its number type."""
    engine = chosen(name)
    return {"engine": engine, "dtype": dtype if engine in ("transformers", "vllm") else None}


def load(
    name: EngineName, model: Path | str, params: Params, *, batch_size: int | None, server: str
) -> Engine:
    """Load the engine `name` on a model.

    Args:
        model: a model folder; for `openai` the name that the server knows it by, or the folder
            of the model that `looptool serve` serves.
        batch_size: the most prompts that `transformers` takes at once, None: what fits.
        server: which of `params.servers` `openai` asks.

    Raises:
        ConfigError: if the model, the engine's packages or the server are not there.
    """
    name = chosen(name)
    if name == "replay":
        from looptool.engines.replay import FILE, ReplayEngine

        return ReplayEngine.load(FILE)
    if name == "openai":
        from looptool.engines.openai import OpenAIEngine

        return OpenAIEngine.load(model, server, params.servers[server])
    dtype = machine.number_type(params.model.dtype).name
    if name == "vllm":
        from looptool.engines.replicas import Replicas, share_gpus
        from looptool.engines.vllm import VllmEngine

        settings = params.vllm
        load_one = partial(VllmEngine.load, model, dtype, settings)
        if settings.data_parallel_size == 1:
            return load_one()
        gpus = share_gpus(settings.data_parallel_size, settings.tensor_parallel_size)
        return Replicas.load(load_one, gpus)
    from looptool.engines.transformers import TransformersEngine

    return TransformersEngine.load(model, batch_size, dtype)


def check(params: Params) -> None:
    """Make sure that what this run asks of engines is there, without loading a model.

    Raises:
        ConfigError: naming the field, and what to do.
    """
    in_process: dict[str, set[str]] = {}
    for name, section in params.asking():
        field = "models" if hasattr(section, "models") else "model"
        models = getattr(section, field, ())
        models = [models] if isinstance(models, str) else list(models)
        if section.engine == "openai":
            from looptool.engines.openai import OpenAIEngine

            OpenAIEngine.check(section.server, params.servers[section.server], models)
            continue
        if section.engine == "vllm" and runs.python_with_vllm() is None:
            raise ConfigError(
                f"{FILE}: {name}.engine: vLLM is not installed; `looptool setup --with vllm` does"
            )
        in_process[name] = set(models) if section.engine == "vllm" else set()
        for model in models:
            if not Path(model).is_dir():
                raise ConfigError(
                    f"{FILE}: {name}.{field}: {model}: there is no such folder; download it first: "
                    f"`hf download {model} --local-dir models/{Path(model).name}`"
                )
    share = params.vllm.gpu_memory_utilization
    for asking in ("generate.author", "expand"):  # the judges admit what they write
        beside = in_process.get(asking, set()) | in_process.get("verify.judge", set())
        if len(beside) * share > 1:
            raise ConfigError(
                f"{FILE}: vllm.gpu_memory_utilization: {share} for each of {len(beside)} models in "
                f"one stage ({', '.join(sorted(beside))}): at most {1 / len(beside):.2f}, or "
                "engine: openai, with a server for each"
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
    those of others in `scratch`, since an answer depends on its batch's make-up.

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
            cache.store(
                engine.identity,
                [(missing[place], each) for place, each in group if _is_whole(each, sampling)],
            )
            for place, completion in group:
                take(missing[place], completion)
            reach(done)

        engine.generate([prompts[places[key][0]] for key in missing], sampling, arrived)
    return [completion for completion in completions if completion is not None]


def _is_whole(completion: Completion, sampling: Sampling) -> bool:
    """Whether an answer is worth keeping: a refusal may be cured by a setting, a lack by another
    server."""
    answered = completion.finish_reason in ("stop", "length")
    return answered and (completion.logprob is not None or not sampling.logprobs)


def request_keys(engine: Engine, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
    """Return for each prompt the hash of all that its answer depends on."""
    context = canonical.digest(engine.identity, canonical.dumps(asdict(sampling)))
    return [
        canonical.digest(context, canonical.dumps(prompt.messages), canonical.dumps(prompt.tools))
        for prompt in prompts
    ]


def shared_cache() -> Path:
    """Return the file of the request cache that all runs of this user share."""
    return machine.scratch_root() / "answers.db"


def check_all_answered(completions: Sequence[Completion], what: str) -> None:
    """Raise LooptoolError if any answer is missing by a machine's fault, not the prompt's."""
    failed = [each.error for each in completions if each.finish_reason == "failed"]
    if failed:
        raise LooptoolError(
            f"{len(failed)} of {len(completions)} {what} got no answer, the first because of: "
            f"{failed[0]}\nThe others are kept: the same command asks for the missing ones only."
        )
