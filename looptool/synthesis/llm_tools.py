"""Hierarchical API synthesis by a large model: it grows the context tree, then writes documents.

A leaf is a function that it names within a domain; a document follows a path through the constraint
tree. What is like another one is left out, of leaves and of documents.
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
    """Return up to `count` tools, and those refused for their likeness as refused drafts.

    Answers that were no documents stand in the record of requests.

    Args:
        known: tools that no new one may be like, or share its name with.
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
