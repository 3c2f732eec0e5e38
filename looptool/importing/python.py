"""Python modules: a tool for each public function, by its type hints and docstring.

The documents are those of transformers' `get_json_schema`. The module is run, as any import does.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from looptool.errors import ConfigError
from looptool.importing import Found, Note
from looptool.importing.functions import read_functions


def read_module(source: str) -> Found:
    """Return a tool for each public function of a file `tools.py` or a module `package.tools`.

    Raises:
        ConfigError: if there is no such module, or it raises while it is imported.
    """
    from transformers.utils import get_json_schema

    module = _load(source)
    found = Found(Path(str(module.__file__)).read_bytes())
    schemas = []
    for name, function in _functions(module):
        if not inspect.isfunction(function):
            found.skipped.append(Note(name, "__all__ names it, and it is no function"))
            continue
        try:
            schema = get_json_schema(function)
            schema["function"]["name"] = name  # that of the code may be a decorator's
            schemas.append(schema)
        except Exception as error:  # its parser raises what it meets
            found.skipped.append(Note(name, " ".join(str(error).split())))
    read_functions(schemas, found)
    return found


def _load(source: str) -> ModuleType:
    try:
        if not source.endswith(".py"):
            sys.path.insert(0, str(Path.cwd()))
            try:
                return importlib.import_module(source)
            finally:
                sys.path.pop(0)
        path = Path(source)
        if not path.is_file():
            raise ConfigError(f"{source}: there is no such file")
        spec: Any = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.parent.absolute()))
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.pop(0)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError(f"{source}: cannot be imported: {told}") from None
    if not getattr(module, "__file__", None):
        raise ConfigError(f"{source}: is no Python file")
    return module


def _functions(module: ModuleType) -> list[tuple[str, Any]]:
    """Return the module's own functions, or whatever `__all__` names, in their order."""
    names = getattr(module, "__all__", None)
    if names is not None:
        return [(str(name), getattr(module, str(name), None)) for name in names]
    return [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and inspect.isfunction(value)
        and value.__module__ == module.__name__
    ]
