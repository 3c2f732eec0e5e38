"""Samples, labels, their ids, and when a prediction is correct (docs/design.md, section 3).

A sample is `(tools, messages, label)`: unwrapped tool documents, the chat messages before an
assistant turn, and the expected assistant turn, `{"calls": […]}` or `{"text": "…"}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from looptool.core import canonical
from looptool.core.calls import Parsed, ToolCall
from looptool.core.tool_match import MatchMode, match
from looptool.core.tools import Tool

if TYPE_CHECKING:
    import polars as pl

Message = dict[str, Any]
Label = dict[str, Any]

Category = Literal[
    "single",
    "multiple",
    "parallel",
    "parallel_multiple",
    "multi_step",
    "multi_turn",
    "clarify",
    "irrelevant",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)

CarriedOrigin = Literal[
    "corrected", "error_seed", "alternative", "undecided", "high_ppl", "expanded"
]  # fmt: skip
"""The event by which expand carries a sample over is its origin in the next data set."""
Origin = Literal[CarriedOrigin, "seed"]
CARRIED_ORIGINS: tuple[CarriedOrigin, ...] = get_args(CarriedOrigin)
# If two sources yield the same sample, the origin listed first wins.
ORIGINS: tuple[Origin, ...] = get_args(Origin)

Verdict = Literal["PRED_WRONG", "LABEL_WRONG", "BOTH_CORRECT", "BOTH_WRONG", "NO_CONSENSUS"]
"""NO_CONSENSUS means that there is no verdict: the judges disagree, or one cannot decide."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

Decision = Literal["keep", "take", "both", "edit", "drop", "unsure"]
"""A person's decision on a verdict (docs/audit.md)."""
DECISIONS: tuple[Decision, ...] = get_args(Decision)
VERDICT_OF_DECISION: dict[Decision, Verdict] = {
    "keep": "PRED_WRONG",  # the label is right
    "take": "LABEL_WRONG",  # the prediction is right
    "both": "BOTH_CORRECT",
    "edit": "LABEL_WRONG",  # neither is right; the person wrote a label
    "drop": "BOTH_WRONG",  # neither is right; the sample is left out
    "unsure": "NO_CONSENSUS",
}

ErrorType = Literal[
    "refused",
    "unparsable",
    "unexpected_call",
    "missing_call",
    "wrong_count",
    "wrong_tool",
    "missing_argument",
    "extra_argument",
    "wrong_type",
    "wrong_argument",
]
ERROR_TYPES: tuple[ErrorType, ...] = get_args(ErrorType)


def call_label(calls: Sequence[ToolCall]) -> Label:
    """Return the label that expects exactly these calls."""
    return {"calls": [call.to_json() for call in calls]}


def text_label(text: str) -> Label:
    """Return the label that expects a text and no calls."""
    return {"text": text}


def label_calls(label: Label) -> tuple[ToolCall, ...]:
    """Return the calls of a label; a text label has none."""
    return tuple(ToolCall(call["name"], call["arguments"]) for call in label.get("calls", ()))


def prediction_label(text: str, calls: str, parse_error: str | None) -> Label | None:
    """Return a probed prediction as a label, or None if it is not a complete answer.

    Args:
        text: the answer's text, without calls and thinking.
        calls: the parsed calls as canonical JSON.
        parse_error: the parser's error, or None.
    """
    if parse_error is not None:
        return None
    if parsed_calls := canonical.loads(calls):
        return {"calls": parsed_calls}
    return text_label(text) if text else None


def check_label(label: Any) -> str | None:
    """Return why `label` is not a valid label, or None if it is valid."""
    if not isinstance(label, Mapping) or set(label) not in ({"calls"}, {"text"}):
        return 'a label is {"calls": […]} or {"text": "…"}'
    if "text" in label:
        if isinstance(label["text"], str) and label["text"].strip():
            return None
        return "label.text: must be a non-empty string"
    if not isinstance(label["calls"], list) or not label["calls"]:
        return "label.calls: must be a list of at least one call"
    for index, call in enumerate(label["calls"]):
        if (
            not isinstance(call, Mapping)
            or set(call) != {"name", "arguments"}
            or not isinstance(call["name"], str)
            or not isinstance(call["arguments"], Mapping)
        ):
            return f'label.calls[{index}]: must be {{"name": text, "arguments": object}}'
    return None


def share_of(count: int, share: float) -> int:
    """Return a share of `count` samples, rounded down. 0.3 of 10 is 3, whatever its bits."""
    return int(count * share + 1e-9)


def category_of(
    tools: Sequence[Tool], messages: Sequence[Message], label: Label, known: str = ""
) -> str:
    """Return the category of a sample, one of CATEGORIES, based on its form.

    A text is `clarify` if it ends with a question mark, else `irrelevant`. For calls, the first
    rule that applies decides: after a tool result they are `multi_step`; after several user turns,
    `multi_turn`; several calls are `parallel` if all use one tool, else `parallel_multiple`; one
    call is `single` if one tool is offered, else `multiple`.

    Args:
        known: the category that the author intended. It is used only where the form is ambiguous:
            whether a text asks or declines, and whether a call is the first of several steps.
    """
    if "text" in label:
        if known in ("clarify", "irrelevant"):
            return known
        return "clarify" if label["text"].rstrip().endswith(("?", "？", "؟")) else "irrelevant"
    if messages[-1]["role"] == "tool":
        return "multi_step"
    if sum(message["role"] == "user" for message in messages) > 1:
        return "multi_turn"
    names = [call["name"] for call in label["calls"]]
    if known == "multi_step" and len(tools) > 1:
        return known
    if len(names) > 1:
        return "parallel" if len(set(names)) == 1 else "parallel_multiple"
    return "single" if len(tools) == 1 else "multiple"


def sample_id(tools: Sequence[Tool], messages: Sequence[Message]) -> str:
    """Return the BLAKE2b-128 hash of tools and messages. The label is not included."""
    return sample_id_of_json(canonical.dumps(tools), canonical.dumps(messages))


def sample_id_of_json(tools: str, messages: str) -> str:
    """Return the `sample_id` of tools and messages given as canonical JSON."""
    return canonical.digest(tools, messages)


def label_id(label: Label) -> str:
    """Return the BLAKE2b-128 hash of a label."""
    return canonical.digest(canonical.dumps(label))


def dataset_id(frame: pl.DataFrame) -> str:
    """Return a hash over the (sample_id, label_id, sorted label_ids of alternatives) of all rows.

    It does not depend on the order of the rows or on the file encoding.
    """
    rows = frame.select("sample_id", "label_id", "alternatives").rows()
    return canonical.digest_lines(
        sorted(
            " ".join([sample, label, *sorted(map(label_id, canonical.loads(alternatives)))])
            for sample, label, alternatives in rows
        )
    )


def is_correct(
    parsed: Parsed,
    label: Label,
    alternatives: Sequence[Label] = (),
    tools: Sequence[Tool] | None = None,
    mode: MatchMode = "schema",
) -> bool:
    """Return whether a prediction matches the label or one of the alternatives.

    A prediction with a parse error is wrong. A text label is matched by any non-empty text without
    calls. The reward, probe, and eval on our own data all use this function.
    """
    if parsed.error is not None:
        return False
    for accepted in (label, *alternatives):
        if "text" in accepted:
            if not parsed.calls and parsed.text:
                return True
        elif parsed.calls and match(parsed.calls, label_calls(accepted), tools, mode):
            return True
    return False


def error_type(parsed: Parsed, label: Label, tools: Sequence[Tool]) -> ErrorType:
    """Return how an incorrect prediction differs from the label.

    It is never `refused`: probe and eval set that for what a model cannot take.

    The error types are tried from coarse to fine, and the first that applies is returned. With
    several calls, matching calls are removed first and the others are compared pairwise, sorted by
    tool name. An empty answer where a text is expected is `unparsable`.
    """
    if parsed.error is not None:
        return "unparsable"
    expected = list(label_calls(label))
    predicted = list(parsed.calls)
    if not expected:
        return "unexpected_call" if predicted else "unparsable"
    if not predicted:
        return "missing_call"
    if len(predicted) != len(expected):
        return "wrong_count"
    for call in list(predicted):
        counterpart = next((other for other in expected if match([call], [other], tools)), None)
        if counterpart is not None:
            predicted.remove(call)
            expected.remove(counterpart)
    if sorted(call.name for call in predicted) != sorted(call.name for call in expected):
        return "wrong_tool"
    predicted.sort(key=lambda call: call.name)
    expected.sort(key=lambda call: call.name)
    for got, wanted in zip(predicted, expected, strict=True):
        if set(wanted.arguments) - set(got.arguments):
            return "missing_argument"
        if set(got.arguments) - set(wanted.arguments):
            return "extra_argument"
        if any(_other_type(got.arguments[name], value) for name, value in wanted.arguments.items()):
            return "wrong_type"
    return "wrong_argument"


def _other_type(got: Any, wanted: Any) -> bool:
    """Whether two values differ in type. 1.0 for 1 is another type; 2.5 for 1 is only unequal."""
    if {type(got), type(wanted)} == {int, float}:
        return bool(got == wanted)
    return type(got) is not type(wanted)
