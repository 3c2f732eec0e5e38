"""A user's own tools: from API descriptions, MCP servers, function lists and Python modules.

`tool_sets.import_tools` tells the kind of each source and reads it by `openapi`, `functions`, `mcp`
or `python`; `schemas` turns what they hold into plain JSON Schemas; `lint` says what a model will
stumble over. Every operation or function of a source ends as a tool or in `skipped`, with the
reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from looptool.core.tools import Tool, check_tool


@dataclass(frozen=True, slots=True)
class Note:
    """What was skipped or is worth a warning, and why."""

    what: str
    why: str


@dataclass(slots=True)
class Found:
    """What one source holds.

    Attributes:
        content: the source's bytes, of which the set's sha256 is made.
        names: what functions are called in the source, by the name of their tool.
        made: the names of tools that are not their source's own.
    """

    content: bytes
    tools: list[Tool] = field(default_factory=list)
    skipped: list[Note] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)


def problem_of(tool: Tool) -> str | None:
    """Return why a tool that was read can be part of no set, or None if it can."""
    if problem := check_tool(tool):
        return "is nested too deeply" if "recursion" in problem else problem
    try:
        tool["description"].encode()
    except UnicodeEncodeError:
        return "description: holds half of a surrogate pair"
    return None
