"""Hierarchical API synthesis with a large model (LoopTool, section 3.1).

The model first grows the context tree, whose leaves are functions in a domain. It then writes a
tool document for each leaf along a path through the constraint tree. Leaves and documents that are
similar to earlier ones are left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from looptool.core import canonical
from looptool.core.tools import Tool
from looptool.engines.roles import Question, Role, load_template
from looptool.synthesis import Draft, Split
from looptool.synthesis.constraint_tree import DOCUMENT, sample_path, tool_of
from looptool.synthesis.context_tree import grow, is_like


def write_tools(
    role: Role, count: int, rng: random.Random, split: Split, known: Sequence[Tool] = ()
) -> tuple[list[Tool], list[Draft]]:
    """Return up to `count` new tools, and the tools refused as similar, as refused drafts.

    Unusable answers are not returned; they are in the record of requests.

    Args:
        known: new tools may not be similar to these or share a name with them.
    """
    picked = grow(role, count, rng, split)
    documents = role.ask(
        load_template("synthesis", "tool"),
        [
            Question(
                canonical.digest("tool", canonical.dumps(action)),
                {**action, **sample_path(rng)},
                tool_of,
            )
            for action in picked
        ],
        DOCUMENT,
    )
    taken = {tool["name"]: _text(tool) for tool in known}
    tools, refused = [], []
    for reply in documents:
        if (tool := reply.value) is None:
            continue
        if tool["name"] in taken or is_like(_text(tool), taken.values()):
            refused.append(Draft([tool], [], {}, "single", ("tool", "like another tool")))
        else:
            tools.append(tool)
            taken[tool["name"]] = _text(tool)
    return tools, refused


def _text(tool: Tool) -> str:
    return f"{tool['name']}: {tool['description']}"
