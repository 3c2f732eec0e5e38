"""BFCL-v3: its rows as tools and messages, and its own checker's verdict on a model's answers.

The data come with the package `bfcl-eval` (2025.7.9 is the last with v3). A fifth of the rows,
by hash of id, are `development` rows; the others, `test`, give the headline figures and are not
to be looked at.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import polars as pl

from looptool import tables
from looptool.benchmarks import bfcl_checker
from looptool.calls import Parsed, parse
from looptool.errors import ConfigError, LooptoolError
from looptool.samples import Message
from looptool.tools import Tool

BENCHMARK = "bfcl"
VERSION = "2025.7.9"
CATEGORIES = ("simple", "multiple", "parallel", "parallel_multiple", "irrelevance")

Split = Literal["development", "test"]

_TYPES = {"dict": "object", "float": "number", "tuple": "array"}


@dataclass(frozen=True, slots=True)
class Row:
    """One question of the benchmark."""

    id: str
    category: str
    split: Split
    tools: list[Tool]
    messages: list[Message]


def rows(
    categories: Sequence[str] = CATEGORIES, limit: int | None = None, split: Split | None = None
) -> list[Row]:
    """Return the rows of some categories, in the order of `categories`, then by hash of id.

    Args:
        limit: the most rows a category; a smaller limit gives a part of what a larger one gives.
        split: only the rows of this split; the limit then counts those.

    Raises:
        ConfigError: if a category is not among `CATEGORIES`, or the package is missing.
    """
    if unknown := set(categories) - set(CATEGORIES):
        raise ConfigError(
            f"eval.bfcl: unknown category {min(unknown)!r}; known are {', '.join(CATEGORIES)}"
        )
    found = []
    for category in categories:
        ids = [i for i in _entries(category) if split is None or split_of(i) == split]
        found += sorted(ids, key=_order)[:limit]
    return [_row(row_id) for row_id in found]


def split_of(row_id: str) -> Split:
    """Return the split of a row: `development` for a fifth of all ids."""
    return "development" if _hash("split", row_id) % 5 == 0 else "test"


def score(predictions: Mapping[str, str]) -> pl.DataFrame:
    """Return one row of `tables.Eval` for each prediction (row id → the model's text).

    A prediction with any parse error is invalid (`unparsable`). An irrelevance row is valid if the
    text holds no complete call, as the official rule is that nothing decodes.

    Raises:
        ConfigError: if an id is no row's, or the package is missing.
        LooptoolError: if the official checker cannot be run.
    """
    for row_id in predictions:
        if row_id not in _entries(_category(row_id)):
            raise ConfigError(f"BFCL has no row {row_id!r} in the categories used here")
    parsed = {row_id: parse(text) for row_id, text in predictions.items()}
    verdicts = {row_id: _verdict(row_id, result) for row_id, result in parsed.items()}
    asked = [row_id for row_id, verdict in verdicts.items() if verdict is None]
    verdicts.update(zip(asked, _official([_item(i, parsed[i]) for i in asked]), strict=True))
    return tables.frame(
        tables.Eval,
        [
            {
                "benchmark": BENCHMARK,
                "category": _category(row_id),
                "id": row_id,
                "split": split_of(row_id),
                "prediction": predictions[row_id],
                **(verdict or {}),
            }
            for row_id, verdict in verdicts.items()
        ],
    )


def questions() -> list[str]:
    """Return what the user says in each turn of every installed category, for contamination."""
    return [
        message["content"]
        for path in sorted(data_folder().glob("BFCL_v3_*.json"))
        for entry in _json_lines(path)
        for turn in entry["question"]
        for message in turn
        if message["role"] == "user"
    ]


def tool_from(function: Mapping[str, Any]) -> Tool:
    """Return a function document as a tool, its parameters as JSON Schema (draft 2020-12)."""
    return {
        "name": function["name"],
        "description": function["description"],
        "parameters": _json_schema(function["parameters"]),
    }


def data_folder() -> Path:
    """Return the folder of the installed benchmark's data.

    Raises:
        ConfigError: if the package is missing, or is not of v3.
    """
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"the benchmark BFCL-v3 needs the package bfcl-eval=={VERSION}, which is not "
            "installed; run `looptool setup`"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    if not (folder / "BFCL_v3_simple.json").exists():
        raise ConfigError(
            f"{folder}: holds no BFCL-v3 data; `looptool setup` installs bfcl-eval=={VERSION}"
        )
    return folder


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    converted = {key: value for key, value in schema.items() if key != "optional"}
    kind = converted.pop("type", "any")
    if kind != "any":
        converted["type"] = _TYPES.get(kind, kind)
    if "properties" in converted:
        converted["properties"] = {
            name: _json_schema(inner) for name, inner in converted["properties"].items()
        }
    if "items" in converted:
        converted["items"] = _json_schema(converted["items"])
    return converted


def _row(row_id: str) -> Row:
    category = _category(row_id)
    entry = _entries(category)[row_id]
    tools = [tool_from(function) for function in entry["function"]]
    return Row(row_id, category, split_of(row_id), tools, list(entry["question"][0]))


def _verdict(row_id: str, parsed: Parsed) -> dict[str, Any] | None:
    """Return what can be said of an answer without the official checker."""
    if _category(row_id) == "irrelevance":
        called = ", ".join(call.name for call in parsed.calls)
        return {
            "valid": not called,
            "error_type": "irrelevance_error:decoder_success" if called else None,
            "error": f"called {called}" if called else None,
        }
    if parsed.error is not None:
        return {"valid": False, "error_type": "unparsable", "error": parsed.error}
    return None


def _item(row_id: str, parsed: Parsed) -> dict[str, Any]:
    category = _category(row_id)
    return {
        "category": category,
        "functions": _entries(category)[row_id]["function"],
        "calls": [{call.name: call.arguments} for call in parsed.calls],
        "answer": _answers(category)[row_id],
    }


def _official(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the official checker's verdicts, from one process for all items."""
    if not items:
        return []
    data_folder()
    root, path = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")
    done = subprocess.run(
        [sys.executable, "-m", bfcl_checker.__name__],
        input="".join(json.dumps(item) + "\n" for item in items),
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, path]))},
    )
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != len(items):
        raise LooptoolError(
            f"the BFCL checker ended with status {done.returncode} after {len(lines)} of "
            f"{len(items)} answers; `looptool setup` reinstalls it\n{done.stderr[-2000:]}"
        )
    return [json.loads(line) for line in lines]


def _category(row_id: str) -> str:
    """Return the category that an id names: `parallel_multiple_17` → `parallel_multiple`."""
    category = row_id.rpartition("_")[0]
    if category not in CATEGORIES:
        raise ConfigError(f"BFCL has no row {row_id!r} in the categories used here")
    return category


@lru_cache(maxsize=len(CATEGORIES))
def _entries(category: str) -> dict[str, dict[str, Any]]:
    entries = _json_lines(data_folder() / f"BFCL_v3_{category}.json")
    return {entry["id"]: entry for entry in entries}


@lru_cache(maxsize=len(CATEGORIES))
def _answers(category: str) -> dict[str, list[dict[str, Any]]]:
    entries = _json_lines(data_folder() / "possible_answer" / f"BFCL_v3_{category}.json")
    return {entry["id"]: entry["ground_truth"] for entry in entries}


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _order(row_id: str) -> tuple[int, str]:
    return _hash("order", row_id), row_id  # not the split's hash: a subset needs both splits


def _hash(purpose: str, row_id: str) -> int:
    digest = hashlib.blake2b(f"{purpose}/{row_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
