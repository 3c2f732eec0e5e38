"""A label without a prediction: its own faults, and whether the request speaks for another answer.

Its own faults are broken schemas, calls that were made before or too often, and values that nobody
said. Beyond these it is weighed against its `rivals`, as it would be against a prediction.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from looptool.core.samples import Label, Message, check_label, label_calls
from looptool.core.tools import Tool
from looptool.judging import Impression, Unread
from looptool.offline.rules import conversation, faults, weights
from looptool.offline.rules.answers import Answer, Leaf
from looptool.offline.rules.evidence import Fault
from looptool.offline.rules.reading import by_name, compare, read, unsaid
from looptool.offline.rules.rivals import rivals

Finding = tuple[float, str, Label | None, str | None]
"""Evidence against a label, the reason, the answer that fits better and the argument at fault."""


def inspect(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> Impression:
    """Return how likely a label is wrong, why, and what the rules cannot read of it."""
    if (reason := check_label(label)) is not None:
        return Impression(1.0, reason)
    said = conversation.read(messages)
    named = by_name(tools)
    answer = read(label, "label", named, said)
    own = list(faults.own_faults(answer))
    loose = unsaid(answer)
    unread: Unread | None = None
    if said.foreign:
        unread = "language"
    elif loose and not _is_invented(loose):
        unread = "knowledge"
    nothing: Finding = (0.0, "", None, None)
    against, rationale, instead, argument = max(
        _findings(answer, tools, named, own), key=lambda finding: finding[0], default=nothing
    )
    if hard := [fault for fault in own if fault.hard]:
        worst = max(hard, key=lambda fault: fault.weight)
        against, rationale = max(worst.weight, weights.ALONE_HARD), f"The label {worst.reason}."
    wrong = 1 / (1 + math.exp(weights.ALONE_DECISIVE - against))
    return Impression(round(wrong, 4), rationale, unread, instead, argument)


def _findings(
    answer: Answer, tools: Sequence[Tool], named: Mapping[str, Tool], own: Sequence[Fault]
) -> Iterator[Finding]:
    if answer.conversation.foreign:
        return  # the rules cannot tell what else was asked for
    if loose := unsaid(answer):
        invented = _is_invented(loose)
        weight = weights.ALONE_UNSAID_EXACT if invented else weights.ALONE_UNSAID_TEXT
        argument = f"{answer.calls[loose.call].name}.{loose.path[0]}"
        yield weight, f"The label gives {loose}, which nobody said.", None, argument
    broken = any(fault.hard for fault in own)
    for candidate in rivals(answer, named):
        if broken and "text" in candidate:
            continue  # a broken call does not show that none is due
        if loose and not _is_invented(loose) and not _keeps(loose, candidate):
            continue  # that value may be knowledge, which no rival can have
        rival = read(candidate, "rival", named, answer.conversation)
        evidence = [*own, *faults.own_faults(rival), *compare(answer, rival, tools)]
        against = sum(fault.weight for fault in evidence if fault.side == "label")
        spared = sum(fault.weight for fault in evidence if fault.side == "rival")
        if (
            against > spared
            and spared <= weights.TOLERATED
            and not any(fault.hard and fault.side == "rival" for fault in evidence)
            and faults.doubts(rival) <= weights.DOUBTFUL
        ):
            reasons = sorted(
                (fault for fault in evidence if fault.side == "label"), key=lambda f: -f.weight
            )
            text = "; ".join(dict.fromkeys(fault.reason for fault in reasons[:3]))
            instead = candidate if rival.calls else None
            yield against - spared, f"The label {text}.", instead, None


def _is_invented(leaf: Leaf) -> bool:
    """Whether a value that nobody said must be invented; others may be knowledge or go without
    saying, as 0 and 1 do.
    """
    return leaf.is_exact and leaf.value not in (0, 1)


def _keeps(leaf: Leaf, candidate: Label) -> bool:
    """Whether an answer has an argument of the label as it is."""
    return any(call.arguments.get(leaf.path[0]) == leaf.value for call in label_calls(candidate))
