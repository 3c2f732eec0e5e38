"""Edit params.yaml and keep its comments, for `looptool unroll` and presets.

See docs/design.md, section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from looptool.core import params
from looptool.core.errors import ConfigError
from looptool.core.files import replacing


def unroll(count: int, path: Path | str = params.FILE) -> None:
    """Set the loop block of params.yaml to `count` iterations, keeping comments and overrides.

    Raises:
        ConfigError: if the file cannot be read, or would become invalid.
    """
    edit(path, lambda document: set_iterations(document, count))


def set_iterations(document: Any, count: int) -> None:
    """Change the loop block of a loaded params.yaml to `count` iterations."""
    for name, entries in _unrolled(count).items():
        block = document["loop"][name]
        for key in [key for key in block if str(key) not in entries]:
            del block[key]
        for key, entry in entries.items():
            if key not in block:
                block[DoubleQuotedScalarString(key)] = _flow(entry)
            if "prev" in entry:
                block[key]["prev"] = entry["prev"]
        if block:
            block.fa.set_block_style()


def edit(
    path: Path | str,
    change: Callable[[Any], None],
    agree: Callable[[str, str], bool] = lambda before, after: True,
) -> bool:
    """Edit params.yaml atomically, keeping comments. Return whether the file was written.

    Args:
        change: changes the loaded document in place.
        agree: takes the old and the new text and returns whether to write the file.

    Raises:
        ConfigError: if the file cannot be read, or would become invalid.
    """
    path = Path(path)
    params.read(path)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(type(None), _represent_null)
    before = path.read_text("utf-8")
    document = yaml.load(before)
    params.loop_block(path, document)
    change(document)
    with replacing(path) as partial:
        with open(partial, "w", encoding="utf-8") as file:
            yaml.dump(document, file)
        try:
            params.load(partial)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(partial), str(path))) from None
        agreed = agree(before, partial.read_text("utf-8"))
        if not agreed:
            partial.unlink()
    return agreed


def overrides(count: int, path: Path | str = params.FILE) -> list[str]:
    """Return the values of `dvc exp run -S` that set the loop to `count` iterations.

    Raises:
        ConfigError: if the file cannot be read.
    """
    path = Path(path)
    loop = params.loop_block(path, params.read(path))
    values = []
    for name, entries in _unrolled(count).items():
        values += [f"~loop.{name}.{key}" for key in loop[name] if str(key) not in entries]
        for key, entry in entries.items():
            if key not in loop[name]:
                fields = ",".join(
                    f"{field}:{'{}' if value == {} else value}" for field, value in entry.items()
                )
                values.append(f"+loop.{name}.{key}={{{fields}}}")
    return values


def _unrolled(count: int) -> dict[str, dict[str, dict[str, Any]]]:
    if count < 1:
        raise ConfigError(f"unroll: the number of iterations must be at least 1, not {count}")
    return {
        "models": {str(j): {} for j in range(count + 1)},
        "iterations": {
            str(j): {"prev": j - 1, "generate": {}, "train": {}} for j in range(1, count + 1)
        },
        "handoffs": {str(j): {"probe": {}, "verify": {}, "expand": {}} for j in range(1, count)},
    }


def _flow(entry: Mapping[str, Any]) -> CommentedMap:
    """Return `entry` in YAML's flow style, which is written on one line: `{a: {}, …}`."""
    block = CommentedMap({k: _flow(v) if isinstance(v, dict) else v for k, v in entry.items()})
    block.fa.set_flow_style()
    return block


def _represent_null(representer: Any, _: None) -> Any:
    """Write null as `null`. ruamel.yaml would write nothing, which looks like a mistake."""
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")
