"""Targets of a benchmark: an iteration, a model folder, or a model on a server."""

from __future__ import annotations

import os
from dataclasses import dataclass

from looptool.core.errors import ConfigError
from looptool.core.params import FILE, EngineName, Params, Server
from looptool.engines import Engine, answering
from looptool.engines.folders import model_folder

_SETTINGS = {
    "concurrency": 64, "timeout": 300.0, "retries": 5, "structured_output": True, "api": "chat"
}  # fmt: skip
KEY = "OPENAI_API_KEY"  # the environment variable with a server's key, if it is set


@dataclass(frozen=True, slots=True)
class Target:
    """A model to evaluate.

    Attributes:
        name: its name in tables: `models/2`, a folder, `hf:owner/name@commit`, or `MODEL at URL`.
        model: a model folder, or the model's name on the server.
        url: the server's URL; None for a local model.
    """

    name: str
    model: str
    url: str | None = None


def target_of(text: str) -> Target:
    """Parse a target: `2`, `models/base`, `hf:owner/name` or `http://host:8000/v1#MODEL`.

    Raises:
        ConfigError: if there is no such model, or a URL names no model.
        LooptoolError: if a model of the hub cannot be downloaded.
    """
    if text.startswith(("http://", "https://")):
        url, _, model = text.partition("#")
        if not model:
            raise ConfigError(f"{text}: names no model; write it as {text}#MODEL")
        return Target(f"{model} at {url}", model, url)
    name, folder = model_folder(text)
    return Target(name, str(folder))


def load(target: Target, params: Params, engine: EngineName | None = None) -> Engine:
    """Load a target's engine.

    Args:
        engine: the engine for local models; default: `eval.engine`.

    Raises:
        ConfigError: if the engine's packages, the server or its model are not available.
    """
    settings = params.eval
    if target.url is None:
        name = engine or settings.engine
        return answering.load(name, target.model, params,
                              batch_size=settings.batch_size, server=settings.server)  # fmt: skip
    from looptool.engines.openai import OpenAIEngine

    like = params.servers.get(settings.server)
    patience = like.model_dump() if like else _SETTINGS
    address = {"base_urls": (target.url,), "key": KEY if os.environ.get(KEY) else None,
               "api": "chat"}  # fmt: skip
    try:
        server = Server.model_validate({**patience, **address})
        asked = OpenAIEngine.load(target.model, target.url, server)
    except ConfigError as error:  # this server is not one of params.yaml, so do not cite it
        raise ConfigError(str(error).replace(f"{FILE}: servers.{target.url}: ", "")) from None
    asked.where = f" at {target.url}"  # the same name at another URL may be another model
    return asked
