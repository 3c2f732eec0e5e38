"""`looptool serve`: vLLM's own server on a model folder, with the project's template and calls."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from looptool.core import params, runs
from looptool.core.errors import ConfigError
from looptool.core.fingerprints import served_name
from looptool.core.machine import number_type
from looptool.engines.folders import base_problem
from looptool.engines.vllm import COMPACT


def serve(model: str, port: int, options: Sequence[str] = ()) -> None:
    """Become vLLM's server; does not return.

    The chat template is the one in the model's tokenizer, and calls in Hermes form become tool
    calls of the API. The model goes by the hash of its folder, which `engine: openai` asks for.

    Args:
        model: a folder, or the number of an iteration.
        options: handed on to vLLM, after those that follow from `vllm` in params.

    Raises:
        ConfigError: if there is no such model, no vLLM, or params.yaml breaks a rule.
    """
    folder = Path("models", model) if model.isdecimal() else Path(model)
    if problem := base_problem(folder):
        raise ConfigError(f"{folder}: {problem}")
    python = runs.python_with_vllm()
    if python is None:
        raise ConfigError("vLLM is not installed; `looptool setup --with vllm` installs it")
    name, loaded = served_name(folder), params.load()
    settings = loaded.vllm
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    command += ["--structured-outputs-config", json.dumps(COMPACT)]
    # sampling is what a request says, never what the folder's generation_config.json adds
    command += ["--generation-config", "vllm", "--dtype", number_type(loaded.model.dtype).name]
    command += ["--gpu-memory-utilization", str(settings.gpu_memory_utilization)]
    command += ["--tensor-parallel-size", str(settings.tensor_parallel_size)]
    if settings.data_parallel_size > 1:
        command += ["--data-parallel-size", str(settings.data_parallel_size)]
    if settings.max_model_len:
        command += ["--max-model-len", str(settings.max_model_len)]
    if not Path("/dev/nvidiactl").exists():
        command.append("--enforce-eager")
    print(f"{folder} as {name} at http://127.0.0.1:{port}/v1", file=sys.stderr, flush=True)
    os.execve(python, [*command, *options], {**os.environ, "VLLM_NO_USAGE_STATS": "1"})
