"""Accuracy by tool and parameter, on the held-out split or on your own requests.

A file of requests has one JSON object per line: `{"request": text, "calls": [{"name", "arguments"},
…]}`; `calls` is empty if no tool fits. The model is offered the tools that the request needs and
the ones most similar to them, `OFFERED` in all if it needs no more, since all tools of an API would
fill a small model's context. Their order depends only on the line number.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.answers import from_json, read_answer
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.samples import Label, call_label, label_calls, label_id, sample_id, text_label
from looptool.core.tool_match import match
from looptool.core.tools import Tool, check_call

OFFERED = 4
NO_TOOL = "(no call)"

_SCHEMA = {"tool": pl.String, "parameter": pl.String, "right": pl.Boolean}


def read_requests(path: Path, tools: Sequence[Tool]) -> pl.DataFrame:
    """Read a file of requests as `tables.Samples`, in the order of the file.

    Raises:
        ConfigError: if the file cannot be read or a line is invalid; the message names the line.
    """
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_sample(canonical.loads(line), tools, number))
        except (ValueError, TypeError, KeyError) as error:
            why = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ConfigError(f"{path}: line {number}: {why}") from None
    if not rows:
        raise ConfigError(f"{path}: contains no requests")
    data = tables.frame(tables.Samples, rows)
    if repeated := data.filter(data["sample_id"].is_duplicated())["messages"].to_list():
        request = canonical.loads(repeated[0])[0]["content"]
        raise ConfigError(f"{path}: contains the request {request!r} twice")
    return data


def by_tool(samples: pl.DataFrame, results: pl.DataFrame) -> pl.DataFrame:
    """Compute the accuracy of each tool and parameter.

    A tool's row counts the samples whose label calls it; a sample is right if the whole answer is.
    A parameter's row counts the label's calls that have it; a call is right if the predicted call
    of the same tool has the same value.

    Args:
        samples: `tables.Samples`.
        results: `tables.Eval` of these samples; `id` is the sample_id.

    Returns:
        Columns tool, parameter (null in a tool's own row), rows, accuracy and standard_error,
        sorted by tool and parameter.
    """
    joined = samples.join(results, left_on="sample_id", right_on="id", how="inner")
    outcomes = [
        outcome
        for row in joined.select("tools", "label", "prediction", "answer", "valid").rows()
        for outcome in _outcomes(*row)
    ]
    accuracy = pl.col("accuracy")
    return (
        pl.DataFrame(outcomes, schema=_SCHEMA, orient="row")
        .group_by("tool", "parameter")
        .agg(rows=pl.len().cast(pl.Int64), accuracy=pl.col("right").cast(pl.Float64).mean())
        .with_columns(standard_error=(accuracy * (1 - accuracy) / pl.col("rows")).sqrt())
        .sort("tool", "parameter")
    )


def _outcomes(
    tools: str, label: str, prediction: str, answer: str | None, valid: bool
) -> Iterator[tuple[str, str | None, bool]]:
    expected = list(label_calls(canonical.loads(label)))
    names = {call.name for call in expected} or {NO_TOOL}
    yield from ((name, None, valid) for name in sorted(names))
    documents = canonical.loads(tools)
    # older revisions store the text alone
    read = from_json(canonical.loads(answer)) if answer else read_answer(prediction)
    left = list(read.calls)
    for call in expected:
        same_name = [other for other in left if other.name == call.name]
        best = max(same_name, key=lambda other: _agreeing(call, other, documents), default=None)
        if best is not None:
            left.remove(best)
        for name in call.arguments:
            yield call.name, name, best is not None and _same(call, best, name, documents)


def _agreeing(call: ToolCall, other: ToolCall, tools: Sequence[Tool]) -> int:
    return sum(_same(call, other, name, tools) for name in call.arguments)


def _same(call: ToolCall, other: ToolCall, name: str, tools: Sequence[Tool]) -> bool:
    """Whether two calls of a tool agree in one argument; a missing one has its default value."""
    one, two = (
        ToolCall(call.name, {name: each.arguments[name]} if name in each.arguments else {})
        for each in (call, other)
    )
    return match([one], [two], tools)


def _lines(path: Path) -> Iterable[str]:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return text.split("\n")  # splitlines would also split at U+2028 inside a text


def _sample(row: Any, tools: Sequence[Tool], number: int) -> dict[str, Any]:
    request, listed = row["request"], row["calls"]
    if not isinstance(listed, list):
        raise ValueError("calls: must be a list")
    calls = [ToolCall(call["name"], call["arguments"]) for call in listed]
    if not isinstance(request, str) or not request.strip():
        raise ValueError("request: must be a non-empty string")
    for call in calls:
        if problem := check_call(call, tools):
            raise ValueError(f"{call.name}: {problem}")
    label: Label = call_label(calls) if calls else text_label("No tool fits.")
    offered = _offer(calls, request, tools, random.Random(number - 1))
    messages = [{"role": "user", "content": request}]
    return {
        "sample_id": sample_id(offered, messages),
        "tools": canonical.dumps(offered),
        "messages": canonical.dumps(messages),
        "label": canonical.dumps(label),
        "label_id": label_id(label),
        "alternatives": "[]",
        "category": _category(calls, offered),
        "origin": "seed",
        "parent_id": None,
        "born_iteration": 0,
        "label_iteration": 0,
        "label_source": "hand",
    }


def _category(calls: Sequence[ToolCall], offered: Sequence[Tool]) -> str:
    if not calls:
        return "irrelevant"
    if len(calls) == 1:
        return "single" if len(offered) == 1 else "multiple"
    return "parallel" if len({call.name for call in calls}) == 1 else "parallel_multiple"


def _offer(
    calls: Sequence[ToolCall], request: str, tools: Sequence[Tool], rng: random.Random
) -> list[Tool]:
    """Return the called tools and the most similar others (similar to the request if no calls)."""
    from rapidfuzz import fuzz

    names = {call.name for call in calls}
    needed = [tool for tool in tools if tool["name"] in names]
    texts = [_text(tool) for tool in needed] or [request]
    others = [tool for tool in tools if tool["name"] not in names]
    others.sort(key=lambda tool: -max(fuzz.ratio(_text(tool), text) for text in texts))
    offered = [*needed, *others[: max(0, OFFERED - len(needed))]]
    rng.shuffle(offered)
    return offered


def _text(tool: Tool) -> str:
    return f"{tool['name']}: {tool.get('description', '')}"
