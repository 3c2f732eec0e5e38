"""Two answers to one request, read and compared: what each verdict of the rules rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from looptool.core.samples import Label
from looptool.core.tools import Tool
from looptool.offline.rules import answers, faults, repeats, weights
from looptool.offline.rules.answers import Answer, Leaf, all_leaves
from looptool.offline.rules.conversation import Conversation
from looptool.offline.rules.evidence import Fault
from looptool.offline.rules.fitting import call_or_text


def read(label: Label, side: str, tools: Mapping[str, Tool], said: Conversation) -> Answer:
    """Read a label or prediction, and which words give its number of calls."""
    answer = answers.read(label, side, tools, said)
    answer.counted = [c.span for c in repeats.counts(answer) if c.fits]
    return answer


def by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    """Return tools by name; of those with one name, the first."""
    return {tool["name"]: tool for tool in reversed(tools)}


def compare(left: Answer, right: Answer, tools: Sequence[Tool]) -> list[Fault]:
    """Return the faults that two answers to an English request have beside each other."""
    if left.calls and right.calls:
        return faults.compare(left, right)
    return list(call_or_text(left, right, tools))


def unsaid(answer: Answer) -> Leaf | None:
    """Return an argument whose value is plainly not in the conversation, or None."""
    for leaf in all_leaves(answer):
        if leaf.kind in ("number", "text") and not faults.states_default(leaf.schema, leaf.value):
            least = weights.UNSAID_EXACT if leaf.is_exact else weights.UNSAID_TEXT
            if leaf.ground.strength < least:
                return leaf
    return None
