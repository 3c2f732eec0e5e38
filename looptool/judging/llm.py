"""The LLM judge: it compares two answers in both orders and gives a verdict only if both agree.

The prompt does not say which answer is the label. An answer that violates its tools' schemas is
wrong, whatever the model says about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from looptool.core.params import LLM
from looptool.core.samples import Label, Message, Verdict, check_label, label_calls, sample_id
from looptool.core.tools import Tool, check_call
from looptool.engines.dialogues import object_schema
from looptool.engines.roles import Cast, Question, Reply, Role, load_template
from looptool.judging import Case, Judge, Opinion

_MARK = {"enum": ["correct", "wrong"]}
_TEXT = {"type": "string", "maxLength": 4000}


COMPARISON = object_schema(analysis=_TEXT, A=_MARK, B=_MARK, right_approach=_TEXT)
ADMISSION = object_schema(analysis=_TEXT, verdict=_MARK)


class Finding(NamedTuple):
    """A model's reply: whether the label and the prediction are correct, and why."""

    label: bool
    prediction: bool
    analysis: str
    right_approach: str


class LLMJudge:
    """A judge that asks a large language model."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.name = f"llm:{role.model}"

    def compare(self, cases: Sequence[Case]) -> list[Opinion]:
        """Return one opinion per case, in order.

        The opinion is NO_CONSENSUS if the two orders disagree or one of them got no usable reply.
        Where there is no prediction, only the label is judged.
        """
        pairs = [case for case in cases if case.prediction is not None]
        label_as_a = self._compare(pairs, label_is="A")
        label_as_b = self._compare(pairs, label_is="B")
        compared = iter(zip(label_as_a, label_as_b, strict=True))
        unparsed = [case for case in cases if case.prediction is None]
        admitted = iter(self._admit([(case.tools, case.messages, case.label) for case in unparsed]))
        return [
            _alone(case, next(admitted))
            if case.prediction is None
            else _agreed(case, *next(compared))
            for case in cases
        ]

    def admit(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[str | None]:
        """Return None for each sound (tools, messages, label), else the reason it is refused."""
        return [
            reply.error or (None if reply.value == "" else reply.value)
            for reply in self._admit(samples)
        ]

    def _compare(self, cases: Sequence[Case], label_is: Literal["A", "B"]) -> list[Reply[Finding]]:
        """Ask about label and prediction, with the label as answer A or B."""
        questions = []
        for case in cases:
            answers = (case.label, case.prediction)
            a, b = answers if label_is == "A" else reversed(answers)
            fields = {"tools": case.tools, "messages": case.messages, "answer_a": a, "answer_b": b}
            about = sample_id(case.tools, case.messages)
            questions.append(Question(about, fields, partial(_finding, label_is)))
        return self.role.ask(load_template("judging", "compare"), questions, COMPARISON)

    def _admit(
        self, samples: Sequence[tuple[Sequence[Tool], Sequence[Message], Label]]
    ) -> list[Reply[str]]:
        """Return one reply per sample: an empty text if it is sound, else what is wrong."""
        questions = [
            Question(
                sample_id(tools, messages),
                {"tools": tools, "messages": messages, "answer": label},
                _wrong,
            )
            for tools, messages, label in samples
        ]
        return self.role.ask(load_template("judging", "admit"), questions, ADMISSION)


def _finding(label_is: str, data: Any) -> Finding:
    prediction_is = "B" if label_is == "A" else "A"
    return Finding(
        data[label_is] == "correct",
        data[prediction_is] == "correct",
        f"(A is the {'label' if label_is == 'A' else 'prediction'}.) {data['analysis']}",
        data["right_approach"],
    )


def _wrong(data: Any) -> str:
    return "" if data["verdict"] == "correct" else data["analysis"] or "judged wrong"


def _agreed(case: Case, label_as_a: Reply[Finding], label_as_b: Reply[Finding]) -> Opinion:
    """Combine the replies in both orders into one opinion."""
    one, other = label_as_a.value, label_as_b.value
    if one is None or other is None:
        reason = label_as_a.error or label_as_b.error
        return Opinion("NO_CONSENSUS", f"No usable answer: {reason}", 0.0)
    if (one.label, one.prediction) != (other.label, other.prediction):
        rationale = f"The orders disagree. {one.analysis} / {other.analysis}"
        return Opinion("NO_CONSENSUS", rationale, 0.5)
    assert case.prediction is not None
    verdict = _verdict(
        one.label and _fits(case.label, case.tools),
        one.prediction and _fits(case.prediction, case.tools),
    )
    return Opinion(verdict, f"{one.analysis} Right: {one.right_approach}", 1.0)


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


def make_judge(settings: LLM, cast: Cast) -> Judge:
    """Return the judge that is a large model."""
    return LLMJudge(cast.play(settings))
