"""`looptool serve`: vLLM's server for a model folder, with the model's template and tool calls."""

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
from looptool.core.syntaxes import HERMES
from looptool.engines.folders import model_folder
from looptool.engines.syntax import syntax_of
from looptool.engines.templates import TemplateOf, options_of
from looptool.engines.vllm import COMPACT


def serve(model: str, port: int, options: Sequence[str] = ()) -> None:
    """Replace this process by vLLM's server. Does not return.

    The server uses the model's chat template with its options, and vLLM's parser for the syntax of
    its calls. Its name for the model is a hash of the folder, as `engine: openai` expects.

    Args:
        model: see `folders.model_folder`.
        options: options passed on to vLLM, after those that follow from `vllm` in params.

    Raises:
        ConfigError: if there is no such model, vLLM is not installed, or params.yaml is invalid.
    """
    named, folder = model_folder(model)
    template = TemplateOf.folder(folder)
    syntax = syntax_of(template) or HERMES
    python = runs.python_with_vllm()
    if python is None:
        raise ConfigError("vLLM is not installed; `looptool setup --with vllm` installs it")
    name, loaded = served_name(folder), params.load()
    settings = loaded.vllm
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", syntax.vllm_parser]
    # "auto" gives some templates a list of parts, which they print as such
    command += ["--chat-template-content-format", "string"]
    if template_options := options_of(template):
        command += ["--default-chat-template-kwargs", json.dumps(template_options)]
    command += ["--structured-outputs-config", json.dumps(COMPACT)]
    # sampling must follow the request only, not the folder's generation_config.json
    command += ["--generation-config", "vllm", "--dtype", number_type(loaded.model.dtype).name]
    command += ["--gpu-memory-utilization", str(settings.gpu_memory_utilization)]
    command += ["--tensor-parallel-size", str(settings.tensor_parallel_size)]
    if settings.data_parallel_size > 1:
        command += ["--data-parallel-size", str(settings.data_parallel_size)]
    if settings.max_model_len:
        command += ["--max-model-len", str(settings.max_model_len)]
    if not Path("/dev/nvidiactl").exists():
        command.append("--enforce-eager")
    print(f"{named} as {name} at http://127.0.0.1:{port}/v1", file=sys.stderr, flush=True)
    os.execve(python, [*command, *options], {**os.environ, "VLLM_NO_USAGE_STATS": "1"})
