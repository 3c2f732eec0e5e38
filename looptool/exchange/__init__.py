"""Your own tools, from API descriptions, MCP servers, function lists and Python modules.

`tool_sets.import_tools` detects the kind of each source and reads it with `openapi`, `functions`,
`mcp` or `python`. `schemas` turns their contents into plain JSON Schemas. `lint` reports what a
model may stumble over. Every operation or function of a source becomes a tool, or is listed in
`skipped` with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from looptool.core.tools import Tool, check_tool


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was skipped or deserves a warning, and the reason."""

    what: str
    why: str


@dataclass(slots=True)
class Found:
    """The contents of one source.

    Attributes:
        content: the source's bytes, from which the set's sha256 is computed.
        names: the names of the functions in the source, by the names of their tools.
        made: the names of tools that the source did not name itself.
    """

    content: bytes
    tools: list[Tool] = field(default_factory=list)
    skipped: list[Note] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)


def problem_of(tool: Tool) -> str | None:
    """Return why a tool that was read cannot be part of a set, or None if it can."""
    if problem := check_tool(tool):
        return "is nested too deeply" if "recursion" in problem else problem
    try:
        tool["description"].encode()
    except UnicodeEncodeError:
        return "description: holds half of a surrogate pair"
    return None
