"""Load engines by name and answer prompts so that the answers survive a killed run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from looptool.core import canonical, machine, runs
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.machine import NumberTypeName
from looptool.core.params import FILE, LLM, EngineName, Params, Simulator
from looptool.engines import Completion, Engine, Prompt, Sampling
from looptool.engines.folders import role_folder
from looptool.engines.template_check import check_role


def chosen(name: EngineName) -> EngineName:
    """Resolve `auto`: to vLLM if this environment has it and a GPU, else to transformers."""
    if name != "auto":
        return name
    return "vllm" if machine.serves_vllm() else "transformers"


def settings(name: EngineName, dtype: NumberTypeName) -> dict[str, str | None]:
    """Return the engine and number type that a stage records in its metrics."""
    engine = chosen(name)
    return {"engine": engine, "dtype": dtype if engine in ("transformers", "vllm") else None}


def load(
    name: EngineName,
    model: Path | str,
    params: Params,
    *,
    batch_size: int | None,
    server: str,
    options: Mapping[str, Any] | None = None,
) -> Engine:
    """Load the engine `name` with a model.

    Args:
        model: a model folder, or `hf:owner/name@commit` in the hub's cache; for `openai`, the
            server's name for the model, or the folder of a model served by `looptool serve`.
        batch_size: maximum prompts per batch for `transformers`; None for as many as fit.
        server: the entry of `params.servers` to use for `openai`.
        options: options of the model's chat template, in place of those saved with the model.

    Raises:
        ConfigError: if the model, the engine's packages or the server are missing.
    """
    name = chosen(name)
    if name == "replay":
        from looptool.engines.replay import FILE, ReplayEngine

        return ReplayEngine.load(FILE, model)
    if name == "openai":
        from looptool.engines.openai import OpenAIEngine

        if params.servers[server].api == "tokens":  # which takes the tokenizer
            model = role_folder(str(model))
        return OpenAIEngine.load(model, server, params.servers[server], options)
    model = role_folder(str(model))
    dtype = machine.number_type(params.model.dtype).name
    if name == "vllm":
        from looptool.engines.replicas import Replicas, share_gpus
        from looptool.engines.vllm import VllmEngine

        settings = params.vllm
        load_one = partial(VllmEngine.load, model, dtype, settings, options)
        if settings.data_parallel_size == 1:
            return load_one()
        gpus = share_gpus(settings.data_parallel_size, settings.tensor_parallel_size)
        return Replicas.load(load_one, gpus)
    from looptool.engines.transformers import TransformersEngine

    return TransformersEngine.load(model, batch_size, dtype, options)


def check(params: Params) -> None:
    """Check that the models, packages and servers of this run exist, without loading a model.

    Raises:
        ConfigError: if one is missing; names the field and the fix.
    """
    in_process: dict[str, set[str]] = {}
    for name, section in params.asking():
        models = [section.model] if isinstance(section, LLM | Simulator) else []
        if isinstance(section, LLM):
            check_role(section, name)
        if section.engine == "openai":
            from looptool.engines.openai import OpenAIEngine

            server = params.servers[section.server]
            if server.api == "tokens":
                models = [role_folder(model, f"{name}.model") for model in models]
            OpenAIEngine.check(section.server, server, models)
            continue
        if section.engine == "vllm" and runs.python_with_vllm() is None:
            raise ConfigError(
                f"{FILE}: {name}.engine: vLLM is not installed; run `looptool setup --with vllm`"
            )
        models = [role_folder(model, f"{name}.model") for model in models]
        in_process[name] = set(models) if section.engine == "vllm" else set()
        for model in models:
            if not Path(model).is_dir():
                raise ConfigError(
                    f"{FILE}: {name}.model: {model}: no such folder; write hf:owner/name for a "
                    "model of the hub, which `looptool setup` downloads"
                )
    share = params.vllm.gpu_memory_utilization
    for writer in ("generate.author", "expand.expander"):  # their stages load the judges too
        together = set[str]().union(
            *(models for name, models in in_process.items()
              if name == writer or name.startswith("verify.judges"))
        )  # fmt: skip
        if len(together) * share > 1:
            raise ConfigError(
                f"{FILE}: vllm.gpu_memory_utilization: {share} is too much for {len(together)} "
                f"models in one stage ({', '.join(sorted(together))}): set at most "
                f"{1 / len(together):.2f}, or use engine: openai with one server per model"
            )


def answer(
    engine: Engine,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    scratch: Path,
    on_progress: Callable[[int], Any] = lambda count: None,
) -> list[Completion]:
    """Answer all prompts, storing each answer as it arrives, so that a killed run can resume.

    Answers of an independent engine are stored permanently in the request cache that all runs
    share. Answers of other engines depend on their batch and are stored in `scratch`.

    Args:
        on_progress: called with the number of prompts done so far.
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
        on_progress(done)
        missing = [key for key, (first, *_) in places.items() if completions[first] is None]
        cache.count(engine.identity, len(places) - len(missing), len(missing))

        def arrived(group: Sequence[tuple[int, Completion]]) -> None:
            cache.store(
                engine.identity,
                [
                    (missing[place], completion)
                    for place, completion in group
                    if _is_whole(completion, sampling)
                ],
            )
            for place, completion in group:
                take(missing[place], completion)
            on_progress(done)

        engine.generate([prompts[places[key][0]] for key in missing], sampling, arrived)
    return [completion for completion in completions if completion is not None]


def _is_whole(completion: Completion, sampling: Sampling) -> bool:
    """Whether to store an answer. Other settings or another server may fix an incomplete one."""
    answered = completion.finish_reason in ("stop", "length")
    return answered and (completion.logprob is not None or not sampling.logprobs)


def request_keys(engine: Engine, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
    """Return for each prompt a hash of everything that its answer depends on."""
    context = canonical.digest(engine.identity, canonical.dumps(asdict(sampling)))
    return [
        canonical.digest(context, canonical.dumps(prompt.messages), canonical.dumps(prompt.tools))
        for prompt in prompts
    ]


def shared_cache() -> Path:
    """Return the path of the request cache that all runs of this user share."""
    return machine.scratch_root() / "answers.db"


def warn_of_thinking(completions: Sequence[Completion], field: str) -> None:
    """Print how many answers were cut off while the model was still thinking, if any were.

    Args:
        field: the parameter with the maximum number of tokens.
    """
    lost = sum(
        each.finish_reason == "length" and bool(each.answer.thinking) and not each.answer.text
        for each in completions
        if not each.answer.calls
    )
    if lost:
        print(
            f"{FILE}: {field}: {lost} of {len(completions)} answers "
            f"({100 * lost / len(completions):.1f} %) were cut off while the model was thinking; "
            "raise it, or turn thinking off in model.template_options (for example, "
            "{enable_thinking: false})",
            file=sys.stderr,
            flush=True,
        )


def check_all_answered(completions: Sequence[Completion], what: str) -> None:
    """Raise LooptoolError if any answer has `finish_reason` `failed`."""
    errors = [
        completion.error for completion in completions if completion.finish_reason == "failed"
    ]
    if errors:
        raise LooptoolError(
            f"{len(errors)} of {len(completions)} {what} got no answer. First error: {errors[0]}\n"
            "The other answers are stored; run the same command again to ask for the missing ones."
        )
