"""Scoring of single answers: the official checker's verdict and a stricter one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.answers import to_json
from looptool.core.calls import Parsed, ToolCall
from looptool.core.errors import ConfigError
from looptool.core.tools import check_call
from looptool.engines import Completion
from looptool.evaluation import sandbox
from looptool.evaluation.bfcl import prompts, worker
from looptool.evaluation.bfcl.rows import (
    BENCHMARK,
    MULTI_TURN,
    answers,
    category_of,
    entries,
    split_of,
    tool_from,
)

CHUNK = 64  # answers per checker process


def score(predictions: Mapping[str, Completion]) -> pl.DataFrame:
    """Return one row of `tables.Eval` for each prediction (row id → the model's answer).

    An answer with a call that cannot be parsed counts as one without calls, as on servers that
    parse calls (e.g. vLLM's Hermes parser): it is wrong where calls are required and right where no
    tool fits. A prompt that the model refused is wrong everywhere (`refused`).

    `strict` also requires that there is no parse error, that the arguments fit the tool's schema,
    and that the answer is not empty where no tool fits.

    Raises:
        ConfigError: if an id is unknown or of a `multi_turn` row, or the package is missing.
        LooptoolError: if the official checker cannot be run.
    """
    for row_id in predictions:
        if category_of(row_id) in MULTI_TURN:
            raise ConfigError(f"{row_id!r} is a dialogue, not one answer")
    return score_calls(predictions, prompts.FORMS["native"])


def score_calls(predictions: Mapping[str, Completion], form: prompts.Form) -> pl.DataFrame:
    """Like `score`, for answers in any prompt style."""
    parsed = {row_id: form.read(each) for row_id, each in predictions.items()}
    calls = {row_id: list(each.calls) if each.error is None else []
             for row_id, each in parsed.items()}  # fmt: skip
    verdicts = {row_id: _relevance(category_of(row_id), calls[row_id]) for row_id in parsed}
    for row_id, each in predictions.items():
        error = parsed[row_id].error if each.error is None else each.error
        if each.error is not None or (error is not None and verdicts[row_id] is None):
            kind = each.error_type or "unparsable"
            verdicts[row_id] = {"valid": False, "error_type": kind, "error": error}
    asked = [row_id for row_id, verdict in verdicts.items() if verdict is None]
    items = [_item(row_id, calls[row_id]) for row_id in asked]
    verdicts |= dict(zip(asked, map(_verdict, sandbox.run(worker.__name__, items, chunk=CHUNK)),
                         strict=True))  # fmt: skip
    rows = []
    for row_id, verdict in verdicts.items():
        assert verdict is not None
        category = category_of(row_id)
        rows.append(
            {
                "benchmark": BENCHMARK,
                "category": category,
                "id": row_id,
                "split": split_of(row_id),
                "prediction": predictions[row_id].text,
                "answer": canonical.dumps(to_json(parsed[row_id])),
                "strict": verdict["valid"]
                and form.is_exact(predictions[row_id])
                and _fits(row_id, category, parsed[row_id], predictions[row_id].text),
                **verdict,
            }
        )
    return tables.frame(tables.Eval, rows)


def _relevance(category: str, calls: Sequence[ToolCall]) -> dict[str, Any] | None:
    """Return the verdict of an (ir)relevance row, which depends only on whether calls were made."""
    if category.endswith("irrelevance"):
        called = ", ".join(call.name for call in calls)
        return {
            "valid": not calls,
            "error_type": "irrelevance_error:decoder_success" if calls else None,
            "error": f"called {called}" if calls else None,
        }
    if category.endswith("relevance"):
        return {
            "valid": bool(calls),
            "error_type": None if calls else "relevance_error:decoder_failed",
            "error": None if calls else "called nothing",
        }
    return None


def _fits(row_id: str, category: str, parsed: Parsed, text: str) -> bool:
    if category.endswith("irrelevance"):
        return bool(text.strip())
    tools = [tool_from(function, category) for function in entries(category)[row_id]["function"]]
    return all(check_call(call, tools) is None for call in parsed.calls)


def _item(row_id: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
    category = category_of(row_id)
    return {
        "task": "answer",
        "category": category,
        "functions": entries(category)[row_id]["function"],
        "calls": [{call.name: call.arguments} for call in calls],
        "answer": answers(category)[row_id],
    }


def _verdict(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the checker's verdict, or a negative one if it raised or exceeded a limit."""
    if reason := answer.get(sandbox.RAISED):
        return {"valid": False, "error_type": "checker_raised", "error": reason}
    if reason := answer.get(sandbox.LIMITS):
        return {"valid": False, "error_type": "checker_limits", "error": reason}
    return answer
