"""Reading JSON, JSON Lines and YAML files that other programs wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from looptool.core.errors import ConfigError
from looptool.exchange import Note, SourceTools

_LARGEST = 200_000_000  # bytes
_INTEGER = r"^(?:-?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+)$"
_FLOAT = (
    r"^(?:-?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


def read_document(path: Path) -> tuple[Any, SourceTools]:
    """Read a JSON, JSON Lines or YAML file; return its content and a `SourceTools` to be filled.

    JSON Lines become a list. A duplicate key in an object gives a warning; its last value counts.

    Raises:
        ConfigError: if the file cannot be read or parsed; the message names the file and the line.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path}: is larger than {_LARGEST // 10**6} MB")
        result = SourceTools(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    try:
        text = result.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = result.content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}: line {line}: not valid UTF-8") from None
    if not text.strip():
        raise ConfigError(f"{path}: is empty")
    twice: set[str] = set()
    try:
        document = _parse(path, text, twice)
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    result.warnings += [
        Note(key, "the key occurs twice in one object; the last one counts")
        for key in sorted(twice)
    ]
    return document, result


def _parse(path: Path, text: str, twice: set[str]) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) != len(items):
            keys = [key for key, _ in items]
            twice.update(key for key in made if keys.count(key) > 1)
        return made

    decoder = json.JSONDecoder(object_pairs_hook=pairs)
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        if path.suffix in (".jsonl", ".ndjson") or error.msg == "Extra data":
            return _lines(path, text, decoder)
        if path.suffix not in (".yaml", ".yml") and text.lstrip()[0] in "{[":
            raise ConfigError(f"{path}: line {error.lineno}: not valid JSON: {error.msg}") from None
    return _yaml(path, text, twice)


def _lines(path: Path, text: str, decoder: json.JSONDecoder) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(decoder.decode(line))
            except json.JSONDecodeError as error:
                raise ConfigError(f"{path}: line {number}: not valid JSON: {error.msg}") from None
    return rows


def _yaml(path: Path, text: str, twice: set[str]) -> Any:
    """Parse YAML 1.2: `no`, `2020-01-01`, `12:30`, `1_000`, `=` and all keys are strings.

    `01234` and `+49170` are numbers in YAML's core schema, but not in its JSON schema, which
    OpenAPI requires. They stay strings, since a number would lose digits or signs.
    """
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
            self.flatten_mapping(node)
            made: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = key_node.value
                if not isinstance(key, str):
                    raise yaml.constructor.ConstructorError(
                        None, None, "a key must be a string", key_node.start_mark
                    )
                if key in made:
                    twice.add(key)
                made[key] = self.construct_object(value_node, deep=True)
            return made

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":merge", ":null"))]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    for tag, pattern, first in (
        ("bool", "^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
        ("int", _INTEGER, "-0123456789"),
        ("float", _FLOAT, "-+.0123456789"),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
    Loader.add_constructor("tag:yaml.org,2002:merge", Loader.construct_yaml_str)  # the value `<<`
    Loader.add_constructor(
        "tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node)
    )
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}: {line}not valid JSON or YAML: {problem}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
