"""Python modules: a tool for each public function, from its type hints and docstring.

The tool documents are made by `get_json_schema` of transformers. The module is imported, so its
code runs.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from looptool.core.errors import ConfigError
from looptool.exchange import Note, SourceTools
from looptool.exchange.functions import read_functions

_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_TYPE = r"\((?:[^()\n]|\([^()\n]*\))*\)"  # may contain brackets: `(tuple(int))`


def read_module(source: str) -> SourceTools:
    """Return a tool for each public function of a file `tools.py` or a module `package.tools`.

    Raises:
        ConfigError: if there is no such module, or importing it raises.
    """
    from transformers.utils import get_json_schema

    module = _load(source)
    result = SourceTools(Path(str(module.__file__)).read_bytes())
    schemas = []
    for name, function in _functions(module):
        if not inspect.isfunction(function):
            result.skipped.append(Note(name, "__all__ names it, but it is not a function"))
            continue
        try:
            plain, left_out = _plain(function)
            schema = get_json_schema(plain)
        except Exception as error:  # the parser raises exceptions of any kind
            why = " ".join(str(error).split())
            if "no description for the argument" in why:
                why += " in a Google-style `Args:` section, the only style that is read"
            result.skipped.append(Note(name, why))
            continue
        schema["function"]["name"] = name  # `__name__` may be a decorator's
        schemas.append(schema)
        if left_out:
            text = f"left out, as calls name each parameter: {', '.join(left_out)}"
            result.warnings.append(Note(name, text))
    read_functions(schemas, result)
    return result


def _plain(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[str]]:
    """Return a stand-in for transformers' parser, and the parameters left out of it.

    The parser reads `*args` and `**kwargs` as required parameters, so they are left out. It does
    not support `name (type):` in docstrings, so the type is removed; the hints state it.
    """

    plain: Any = functools.wraps(function)(lambda: None)
    signature = inspect.signature(function)
    kept = [each for each in signature.parameters.values() if each.kind not in _STARRED]
    starred = [each for each in signature.parameters.values() if each.kind in _STARRED]
    plain.__signature__ = signature.replace(parameters=kept)
    gone = {each.name for each in starred}
    hints = function.__annotations__.items()
    plain.__annotations__ = {name: hint for name, hint in hints if name not in gone}
    head, title, section = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    if signature.parameters:
        names = "|".join(map(re.escape, signature.parameters))
        typed = rf"^([ \t]*)(?:\\?\*)*({names})(?:[ \t]*{_TYPE})?[ \t]*:"
        section = re.sub(typed, r"\1\2:", section, flags=re.MULTILINE)
    plain.__doc__ = head + title + section
    return plain, [str(each.replace(annotation=each.empty)) for each in starred]


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
        name = path.stem
        while name in sys.modules:
            name += "_"
        spec: Any = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.parent.absolute()))
        sys.modules[name] = module  # dataclasses look it up there
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.pop(0)
            sys.modules.pop(name, None)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError(f"{source}: cannot be imported: {text}") from None
    if not getattr(module, "__file__", None):
        raise ConfigError(f"{source}: is not a Python file")
    return module


def _functions(module: ModuleType) -> list[tuple[str, Any]]:
    """Return the objects named in `__all__`, or else the module's own public functions."""
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
