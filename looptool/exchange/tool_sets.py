"""Import and export of tool sets, `data/tools/<name>.json` (`tools.read_tools` reads them).

A set is `{"source", "sha256", "tools", "skipped", "warnings"}`. `tools` is a list of tool
documents; `skipped` and `warnings` are lists of `{"what", "why"}`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from looptool.core.errors import ConfigError
from looptool.core.tools import Tool
from looptool.exchange import Note, SourceTools
from looptool.exchange.lint import lint
from looptool.exchange.naming import legal_name

FOLDER = Path("data/tools")

_FILES = (".json", ".jsonl", ".yaml", ".yml")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


@dataclass(frozen=True, slots=True)
class ToolSet:
    """An imported set; see the module docstring."""

    source: list[str]
    sha256: str
    tools: list[Tool]
    skipped: list[Note]
    warnings: list[Note]

    def to_json(self) -> dict[str, Any]:
        source = self.source[0] if len(self.source) == 1 else self.source
        return {**asdict(self), "source": source}


def import_tools(sources: Sequence[str]) -> ToolSet:
    """Import the tools of all sources as one set.

    A source is a file (OpenAPI, a list of functions, a saved `tools/list` response), a Python file
    or module, a URL (an MCP server over HTTP) or `stdio:COMMAND` (an MCP server to be started).

    Raises:
        ConfigError: if a source cannot be read; the message names the source and the rule.
    """
    hasher = hashlib.sha256()
    merged = SourceTools(b"")
    read = [_read(source) for source in sources]
    owners: dict[str, int] = {}
    for place, source_tools in enumerate(read):
        for name in _original_names(source_tools):
            owners.setdefault(name, place)
    taken = set(owners)
    for place, source_tools in enumerate(read):
        hasher.update(source_tools.content)
        original = _original_names(source_tools)
        renamed: dict[str, str] = {}
        for tool in source_tools.tools:
            name = tool["name"]
            if name in original and owners[name] != place:
                why = f"{sources[owners[name]]} has a tool of this name"
                merged.skipped.append(Note(name, why))
                continue
            if name not in original:
                renamed[name] = legal_name(name, taken)
                taken.add(renamed[name])
            merged.tools.append({**tool, "name": renamed.get(name, name)})
        merged.skipped += source_tools.skipped
        merged.warnings += [
            Note(renamed.get(note.what, note.what), note.why) for note in source_tools.warnings
        ]
    if not merged.tools and not merged.skipped:
        raise ConfigError(f"{', '.join(sources)}: contains no tools")
    return ToolSet(
        list(sources),
        hasher.hexdigest(),
        merged.tools,
        list(map(_readable, merged.skipped)),
        list(map(_readable, [*merged.warnings, *lint(merged.tools)])),
    )


def _original_names(source_tools: SourceTools) -> set[str]:
    """Return the tool names that are the source's own, not made by the import."""
    return {tool["name"] for tool in source_tools.tools} - source_tools.made


def _readable(note: Note) -> Note:
    """Return a note that UTF-8 can encode: lone surrogates are escaped."""
    what, why = (
        text.encode("utf-8", "backslashreplace").decode() for text in (note.what, note.why)
    )
    return Note(what, why)


def _read(source: str) -> SourceTools:
    if source.startswith(("http://", "https://", "stdio:")):
        from looptool.exchange.mcp import read_server

        return read_server(source)
    path = Path(source)
    named = _MODULE.fullmatch(source) and path.suffix not in _FILES and not path.exists()
    if path.suffix == ".py" or named:
        from looptool.exchange.python import read_module

        return read_module(source)
    from looptool.exchange.functions import is_one_page, listed, read_functions
    from looptool.exchange.openapi import read_openapi
    from looptool.exchange.reading import read_document

    try:
        document, result = read_document(path)
    except ValueError as error:  # an integer with more digits than Python reads
        raise ConfigError(f"{source}: {error}") from None
    if isinstance(document, Mapping) and {"openapi", "swagger"} & set(document):
        read_openapi(document, source, result)
    elif (items := listed(document)) is not None:
        read_functions(items, result)
        if is_one_page(document):
            result.warnings.append(
                Note(
                    source, "is one page of several (nextCursor); the tools of the next are missing"
                )
            )
    else:
        raise ConfigError(
            f"{source}: is neither OpenAPI (openapi: …) nor a list of functions "
            "([{name, description, parameters}, …], or under tools or functions)"
        )
    return result


def place_of(source: str) -> Path:
    """Return the default file for the set of a source: data/tools/<name>.json."""
    live = re.match(r"https?://|stdio:", source)
    name = source[live.end() :] if live else Path(source).stem
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "tools"
    return FOLDER / f"{name[:64]}.json"


def write(tool_set: ToolSet, path: Path) -> None:
    """Write a set atomically."""
    from looptool.core.runs import write_json

    try:
        write_json(path, tool_set.to_json())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def export(tools: Sequence[Tool], form: str) -> Any:
    """Return tools in the form of OpenAI's API (`openai`) or of MCP's `tools/list` (`mcp`)."""
    if form == "openai":
        return [{"type": "function", "function": tool} for tool in tools]
    return {
        "tools": [
            {
                "name": tool["name"],
                "description": tool.get("description", ""),
                "inputSchema": tool["parameters"],
            }
            for tool in tools
        ]
    }
