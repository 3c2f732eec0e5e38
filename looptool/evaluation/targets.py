"""What a benchmark is run on: an iteration, a model folder, or a model behind a server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from looptool.core.errors import ConfigError
from looptool.core.params import FILE, EngineName, Params, Server
from looptool.engines import Engine, answering
from looptool.engines.folders import base_problem

_PATIENCE = {"concurrency": 64, "timeout": 300.0, "retries": 5, "structured_output": True}
KEY = "OPENAI_API_KEY"  # the environment variable that a server's key is taken from, if it is set


@dataclass(frozen=True, slots=True)
class Target:
    """Attributes:
    name: as it stands in tables: `models/2`, a folder, `MODEL at URL`.
    model: a folder, or the name that a server knows the model by.
    url: the server's, or None for a model that is run here.
    """

    name: str
    model: str
    url: str | None = None


def target_of(text: str) -> Target:
    """Return the target that a user names: `2`, `models/base`, `http://host:8000/v1#MODEL`.

    Raises:
        ConfigError: if there is no such model, or a URL does not say which model.
    """
    if text.startswith(("http://", "https://")):
        url, _, model = text.partition("#")
        if not model:
            raise ConfigError(f"{text}: which model? write it after a #: {text}#MODEL")
        return Target(f"{model} at {url}", model, url)
    folder = Path("models", text) if text.isdecimal() else Path(text)
    if problem := base_problem(folder):
        hint = f"; `dvc repro train@{text}` makes it" if text.isdecimal() and text != "0" else ""
        raise ConfigError(f"{folder}: {problem}{hint}")
    return Target(folder.as_posix(), str(folder))


def load(target: Target, params: Params, engine: EngineName | None = None) -> Engine:
    """Load a target's engine: `eval`'s own, or another that runs models here.

    Raises:
        ConfigError: if the engine's packages, the server or its model are not there.
    """
    settings = params.eval
    if target.url is None:
        name = engine or settings.engine
        return answering.load(name, target.model, params,
                              batch_size=settings.batch_size, server=settings.server)  # fmt: skip
    from looptool.engines.openai import OpenAIEngine

    like = params.servers.get(settings.server)
    patience = like.model_dump() if like else _PATIENCE
    own = {"base_urls": (target.url,), "key": KEY if os.environ.get(KEY) else None}
    try:
        server = Server.model_validate({**patience, **own})
        asked = OpenAIEngine.load(target.model, target.url, server)
    except ConfigError as error:  # it is none of those that params name
        raise ConfigError(str(error).replace(f"{FILE}: servers.{target.url}: ", "")) from None
    asked.where = f" at {target.url}"  # a name at another URL may be another model
    return asked
