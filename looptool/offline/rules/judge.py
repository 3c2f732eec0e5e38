"""The rules judge: it weighs evidence from schemas, grounding, coverage, roles and relevance.

It knows English but nothing about who wrote the request. The evidence against each answer adds up.
A label is replaced only if the evidence against it is strong and that against the prediction weak.
If the label is that bad but the prediction doubtful too, both count as wrong and the sample is
dropped. There is no verdict if the evidence speaks no more against the prediction than against the
label, if a decision needs a reader of another language, or if the answers differ only in how often
they make a call and the request does not say how often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from looptool.core.samples import Label, Message, Verdict, check_label
from looptool.core.tools import Tool
from looptool.engines.roles import Cast
from looptool.judging import Case, Impression, Judge, Opinion
from looptool.offline.rules import alone, conversation, faults, foreign, repeats, weights
from looptool.offline.rules.answers import Answer
from looptool.offline.rules.conversation import Conversation
from looptool.offline.rules.evidence import Fault
from looptool.offline.rules.harmless import both_fine
from looptool.offline.rules.reading import by_name, compare, read, unsaid

UNREADABLE = "The request is not in English, and only a reader of its language can tell."


class RulesJudge:
    """A judge that needs no model."""

    name = "rules"
    portable = True  # it can be pickled and sent to worker processes

    def compare(self, cases: Sequence[Case]) -> list[Opinion]:
        """Return one opinion per case, in order."""
        return [judge(case) for case in cases]

    def admit(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[str | None]:
        """Return None for each sound (tools, messages, label), else the reason it is refused."""
        return [admit(*sample) for sample in samples]

    def inspect(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[Impression]:
        """Return how likely each label is wrong, and what the rules cannot read of it."""
        return [alone.inspect(*sample) for sample in samples]


def judge(case: Case) -> Opinion:
    """Compare the label and the prediction of one case."""
    said = conversation.read(case.messages)
    tools = by_name(case.tools)
    label = read(case.label, "label", tools, said)
    label_faults = list(faults.own_faults(label))
    if case.prediction is None or check_label(case.prediction) is not None:
        return _unparsable(label, label_faults)
    prediction = read(case.prediction, "prediction", tools, said)
    evidence = label_faults + list(faults.own_faults(prediction))
    if not evidence and both_fine(label, prediction):
        why = "The answers differ only in how they say the same thing."
        return Opinion("BOTH_CORRECT", why, weights.CONFIDENCE_CLEAR)
    if said.foreign:
        evidence += foreign.compare(label, prediction)
        return _weigh_foreign(label, prediction, evidence)
    return _weigh(label, prediction, evidence + compare(label, prediction, case.tools))


def _weigh(label: Answer, prediction: Answer, evidence: Sequence[Fault]) -> Opinion:
    """Return the opinion that the sum of the evidence gives."""
    against = _against(evidence)
    hopeless = any(
        fault.hard and fault.weight >= weights.GRAVE
        for fault in evidence
        if fault.side == "prediction"
    )
    advantage = against["label"] - against["prediction"]
    decisive = (
        weights.DECISIVE if label.calls and prediction.calls else weights.DECISIVE_CALL_OR_TEXT
    )
    verdict: Verdict = "PRED_WRONG"
    confidence = 1 / (1 + math.exp(min(30.0, max(-30.0, advantage))))
    if (
        advantage >= decisive
        and against["prediction"] <= weights.TOLERATED
        and not hopeless
        and faults.doubts(prediction) <= weights.DOUBTFUL
    ):
        verdict, confidence = "LABEL_WRONG", 1 - confidence
    elif against["label"] >= weights.GRAVE:
        verdict, confidence = "BOTH_WRONG", weights.CONFIDENCE_CLEAR
    elif max(against.values()) < weights.TOLERATED and (
        name := repeats.left_open(label, prediction)
    ):
        why = f"Nothing shows how often the call to {name} is asked for."
        return Opinion("NO_CONSENSUS", why, weights.CONFIDENCE_NONE)
    elif advantage >= 0:
        # an unverified label must not become an error seed, which would be expanded
        verdict = "NO_CONSENSUS"
    confidence = round(max(confidence, weights.CONFIDENCE_NONE), 4)
    return Opinion(verdict, _rationale(verdict, evidence), confidence)


def _weigh_foreign(label: Answer, prediction: Answer, evidence: Sequence[Fault]) -> Opinion:
    """Weigh the evidence that needs no reader of the language; without it there is no verdict."""
    against = _against(evidence)
    advantage = against["label"] - against["prediction"]
    verdict: Verdict = "NO_CONSENSUS"
    if advantage >= weights.DECISIVE and against["prediction"] <= weights.TOLERATED:
        verdict = "LABEL_WRONG"
    elif any(fault.hard and fault.side == "label" for fault in evidence):
        verdict = "BOTH_WRONG"
    elif -advantage >= weights.DECISIVE:
        verdict = "PRED_WRONG"
    if verdict == "NO_CONSENSUS":
        return Opinion(verdict, UNREADABLE, weights.CONFIDENCE_NONE)
    return Opinion(verdict, _rationale(verdict, evidence), weights.CONFIDENCE_CLEAR)


def _against(evidence: Sequence[Fault]) -> dict[str, float]:
    """Return the sum of the evidence against each answer, by side."""
    return {
        side: sum(fault.weight for fault in evidence if fault.side == side)
        for side in ("label", "prediction")
    }


def _rationale(verdict: Verdict, evidence: Sequence[Fault]) -> str:
    """Return the strongest reasons against each answer as sentences."""
    lines = []
    for side in ("label", "prediction"):
        reasons = sorted((f for f in evidence if f.side == side), key=lambda f: -f.weight)
        if reasons:
            text = "; ".join(dict.fromkeys(f.reason for f in reasons[:3]))
            lines.append(f"The {side} {text}.")
    if not lines:
        return "Nothing shows which answer is right."
    if verdict == "NO_CONSENSUS":
        lines.append("That is not enough to give up the label.")
    return " ".join(lines)


def _unparsable(label: Answer, evidence: Sequence[Fault]) -> Opinion:
    """Return the opinion on a label beside a prediction that cannot be parsed."""
    if any(fault.hard for fault in evidence):
        why = f"The prediction cannot be read. {_rationale('BOTH_WRONG', evidence)}"
        return Opinion("BOTH_WRONG", why, weights.CONFIDENCE_CLEAR)
    loose = unsaid(label)
    if loose and label.conversation.foreign:
        why = f"The prediction cannot be read. {UNREADABLE}"
        return Opinion("NO_CONSENSUS", why, weights.CONFIDENCE_NONE)
    if loose:
        why = f"The prediction cannot be read, and the label's {loose} is not in the conversation."
        return Opinion("BOTH_WRONG", why, weights.CONFIDENCE_INVENTED)
    why = "The prediction cannot be read."
    return Opinion("PRED_WRONG", why, weights.CONFIDENCE_UNREADABLE)


def admit(tools: Sequence[Tool], messages: Sequence[Message], label: Label) -> str | None:
    """Return None if a new sample is sound, else the reason it is refused."""
    if (reason := check_label(label)) is not None:
        return reason
    said = conversation.read(messages)
    answer = read(label, "label", by_name(tools), said)
    if reasons := [fault.reason for fault in faults.own_faults(answer) if fault.hard]:
        return f"label {reasons[0]}"
    if said.foreign:
        return None  # the rules cannot tell whether its values are said
    if loose := unsaid(answer):
        return f"label gives {loose}, which nobody said"
    return _uncovered(answer, said)


def _uncovered(answer: Answer, said: Conversation) -> str | None:
    """Return the reason if a label of calls leaves out most of the request, or None."""
    if not answer.calls or answer.waiting:
        return None
    left_out = [
        mention
        for mention in said.mentions
        if mention.kind in ("date", "time", "quoted", "code", "number")
        and not answer.takes_up(mention)
    ]
    most = weights.LEFT_OUT_SHARE * len(said.mentions)
    if len(left_out) >= weights.LEFT_OUT_LEAST and len(left_out) > most:
        return f"label makes no use of “{left_out[0].text}” and “{left_out[1].text}”"
    return None


def make_judge(settings: str, cast: Cast) -> Judge:
    """Return the judge that `rules` in `verify.judges` names; it has no settings."""
    return RulesJudge()
