"""The LLM judge: both answers in both orders, and a verdict only where the orders agree.

Nothing in a prompt tells which answer is the label. An answer that breaks its tools' schemas is
wrong whatever the model says of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from looptool.core.params import JudgeRole
from looptool.core.samples import Label, Message, check_label, label_calls, sample_id
from looptool.core.tools import Tool, check_call
from looptool.engines.roles import Cast, Question, Reply, Role, Schema, load_template
from looptool.judging import Case, Judge, Opinion, Verdict

_MARK = {"enum": ["correct", "wrong"]}
_TEXT = {"type": "string", "maxLength": 4000}


def _object(**properties: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


COMPARISON = _object(analysis=_TEXT, A=_MARK, B=_MARK, right_approach=_TEXT)
ADMISSION = _object(analysis=_TEXT, verdict=_MARK)


_SIDES = "(A is the label, B the prediction.)"


class Finding(NamedTuple):
    """What a model said of one pair of answers, in the order A, B."""

    analysis: str
    first: bool
    second: bool
    right_approach: str


class LLMJudge:
    """A judge played by a large model."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.name = f"llm:{role.model}"

    def compare(self, cases: Sequence[Case]) -> list[Opinion]:
        """Return one opinion a case, in order; NO_CONSENSUS where the two orders disagree or one
        of them got no answer that could be used. A case without a prediction is a matter of the
        label alone."""
        pairs = [case for case in cases if case.prediction is not None]
        both = [(case.label, case.prediction) for case in pairs]
        forward = self._compare(pairs, both)
        backward = self._compare(pairs, [(second, first) for first, second in both])
        compared = iter(zip(forward, backward, strict=True))
        alone = [case for case in cases if case.prediction is None]
        admitted = iter(self._admit([(case.tools, case.messages, case.label) for case in alone]))
        return [
            _alone(case, next(admitted))
            if case.prediction is None
            else _agreed(case, *next(compared))
            for case in cases
        ]

    def admit(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[str | None]:
        """Return for each (tools, messages, label) None if it is sound, else why it is not."""
        return [
            reply.error or (None if reply.value == "" else reply.value)
            for reply in self._admit(samples)
        ]

    def _compare(
        self, cases: Sequence[Case], answers: Sequence[tuple[Any, Any]]
    ) -> list[Reply[Finding]]:
        questions = [
            Question(
                sample_id(case.tools, case.messages),
                {"tools": case.tools, "messages": case.messages, "first": first, "second": second},
                _finding,
            )
            for case, (first, second) in zip(cases, answers, strict=True)
        ]
        return self.role.ask(load_template("judging", "compare"), questions, COMPARISON)

    def _admit(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[Reply[str]]:
        """Reply with an empty text for what is sound, else with what is wrong with it."""
        questions = [
            Question(
                sample_id(tools, messages),
                {"tools": tools, "messages": messages, "answer": label},
                _wrong,
            )
            for tools, messages, label in samples
        ]
        return self.role.ask(load_template("judging", "admit"), questions, ADMISSION)


def _finding(data: Any) -> Finding:
    return Finding(
        data["analysis"], data["A"] == "correct", data["B"] == "correct", data["right_approach"]
    )


def _wrong(data: Any) -> str:
    return "" if data["verdict"] == "correct" else data["analysis"] or "judged wrong"


def _agreed(case: Case, forward: Reply[Finding], backward: Reply[Finding]) -> Opinion:
    """Return what both orders say: `forward` had the label as A, `backward` as B."""
    there, back = forward.value, backward.value
    if there is None or back is None:
        return Opinion("NO_CONSENSUS", f"No usable answer: {forward.error or backward.error}", 0.0)
    if (there.first, there.second) != (back.second, back.first):
        rationale = f"The orders disagree. {_SIDES} {there.analysis} / turned: {back.analysis}"
        return Opinion("NO_CONSENSUS", rationale, 0.5)
    assert case.prediction is not None
    label = there.first and _fits(case.label, case.tools)
    prediction = there.second and _fits(case.prediction, case.tools)
    return Opinion(
        _verdict(label, prediction),
        f"{_SIDES} {there.analysis} Right: {there.right_approach}",
        1.0,
    )


def _alone(case: Case, reply: Reply[str]) -> Opinion:
    if reply.value is None:
        return Opinion("NO_CONSENSUS", f"No usable answer: {reply.error}", 0.0)
    label = reply.value == "" and _fits(case.label, case.tools)
    rationale = f"The prediction cannot be read. {reply.value or 'The label is right.'}"
    return Opinion(_verdict(label, False), rationale, 1.0)


def _verdict(label: bool, prediction: bool) -> Verdict:
    if label:
        return "BOTH_CORRECT" if prediction else "PRED_WRONG"
    return "LABEL_WRONG" if prediction else "BOTH_WRONG"


def _fits(answer: Label, tools: Sequence[Tool]) -> bool:
    if check_label(answer) is not None:
        return False
    return not any(check_call(call, tools) for call in label_calls(answer))


def make_judges(settings: JudgeRole, cast: Cast) -> list[Judge]:
    """Return one judge for each model that `verify.judge` names."""
    return [LLMJudge(cast.play(settings, model)) for model in settings.models]
