"""Import and export of your own tools and samples.

`tool_sets.import_tools` detects the kind of each source of tools and reads it with `openapi`,
`functions`, `mcp` or `python`. `schemas` converts their parameters to plain JSON Schemas, and
`lint` reports what models are likely to get wrong. Every operation or function of a source becomes
a tool or an entry of `skipped` with the reason. `sample_sets` imports samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from looptool.core.tools import Tool, check_tool


@dataclass(frozen=True, slots=True)
class Note:
    """What was skipped or is warned about, and why."""

    what: str
    why: str


@dataclass(slots=True)
class SourceTools:
    """The content of one source.

    Attributes:
        content: the source's bytes, from which the set's sha256 is computed.
        names: tool name → name of the function in the source.
        made: tool names made by the import, because the source has none or an illegal one.
    """

    content: bytes
    tools: list[Tool] = field(default_factory=list)
    skipped: list[Note] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)


def problem_of(tool: Tool) -> str | None:
    """Return why a tool cannot be part of a set, or None if it can."""
    if problem := check_tool(tool):
        return "is nested too deeply" if "recursion" in problem else problem
    try:
        tool["description"].encode()
    except UnicodeEncodeError:
        return "description: contains half of a surrogate pair"
    return None
