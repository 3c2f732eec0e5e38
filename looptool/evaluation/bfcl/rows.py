"""BFCL-v3's questions as tools and messages.

The data come with the package `bfcl-eval` (2025.7.9 is the last version with v3). A fifth of the
rows, chosen by a hash of the id, are `development` rows. The others are `test` rows; they give the
headline figures and must not be looked at.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from looptool.core.errors import ConfigError
from looptool.core.samples import Message
from looptool.core.tools import Tool

BENCHMARK = "bfcl"
VERSION = "2025.7.9"

ROWS = {
    "simple": 400, "multiple": 200, "parallel": 200, "parallel_multiple": 200, "irrelevance": 240,
    "java": 100, "javascript": 50, "live_simple": 258, "live_multiple": 1053, "live_parallel": 16,
    "live_parallel_multiple": 24, "live_irrelevance": 882, "live_relevance": 18,
    "multi_turn_base": 200, "multi_turn_miss_func": 200, "multi_turn_miss_param": 200,
    "multi_turn_long_context": 200,
}  # fmt: skip
CATEGORIES = tuple(ROWS)
LIVE = tuple(name for name in CATEGORIES if name.startswith("live_"))
MULTI_TURN = tuple(name for name in CATEGORIES if name.startswith("multi_turn_"))
NON_LIVE = tuple(name for name in CATEGORIES if name not in (*LIVE, *MULTI_TURN))
PYTHON = tuple(name for name in NON_LIVE if name not in ("java", "javascript"))
GROUPS = {"all": CATEGORIES, "non_live": NON_LIVE, "live": LIVE, "multi_turn": MULTI_TURN}

Split = Literal["development", "test"]

REINSTALL = f"reinstall it: `pip install --no-deps --force-reinstall bfcl-eval=={VERSION}`"
_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
# The functions of a dialogue's classes: bfcl_eval/data/multi_turn_func_doc.
_DOCUMENTS = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TwitterAPI": "posting_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "VehicleControlAPI": "vehicle_control",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One question of the benchmark.

    Attributes:
        tools: the tools offered from the start.
        turns: the user's messages of each turn; one turn except in `multi_turn` categories.
        held_back: tools that are offered only from a later turn on, by its index in `turns`.
    """

    id: str
    category: str
    split: Split
    tools: list[Tool]
    turns: list[list[Message]]
    held_back: Mapping[int, list[Tool]] = field(default_factory=dict)

    @property
    def messages(self) -> list[Message]:
        """The messages of the first turn."""
        return self.turns[0]


def rows(
    categories: Sequence[str] | str = PYTHON,
    limit: int | None = None,
    split: Split | None = None,
) -> list[Row]:
    """Return the rows of some categories, in the order of `categories`, then by hash of id.

    Args:
        categories: names of categories and groups; see `expand`.
        limit: maximum number of rows per category; a smaller one selects a subset of a larger one.
        split: return only rows of this split; the limit then applies to these.

    Raises:
        ConfigError: if a category is unknown, or the package is missing or has another version.
    """
    chosen = []
    for category in expand(categories):
        ids = [i for i in entries(category) if split is None or split_of(i) == split]
        chosen += [_row(row_id) for row_id in sorted(ids, key=_order)[:limit]]
    return chosen


def expand(categories: Sequence[str] | str) -> list[str]:
    """Resolve names of categories and groups to categories, without repetition.

    Raises:
        ConfigError: if a name is unknown; the message lists the known ones.
    """
    expanded: dict[str, None] = {}
    for name in [categories] if isinstance(categories, str) else categories:
        if name not in GROUPS and name not in CATEGORIES:
            raise ConfigError(
                f"eval.bfcl.categories: unknown category {name!r}; known are "
                f"{', '.join([*GROUPS, *CATEGORIES])}"
            )
        expanded |= dict.fromkeys(GROUPS.get(name, (name,)))
    return list(expanded)


def category_of(row_id: str) -> str:
    """Return the category of a row id: `parallel_multiple_17` → `parallel_multiple`.

    Raises:
        ConfigError: if no category has such a row.
    """
    category = row_id.rpartition("_")[0]
    if category not in CATEGORIES or row_id not in entries(category):
        raise ConfigError(f"BFCL has no row {row_id!r}")
    return category


def split_of(row_id: str) -> Split:
    """Return the split of a row: `development` for a fifth of all ids."""
    return "development" if _hash("split", row_id) % 5 == 0 else "test"


def questions() -> list[str]:
    """Return all user messages of all installed categories, for the contamination check."""
    return [
        message["content"]
        for path in sorted(data_folder().glob("BFCL_v3_*.json"))
        for entry in _json_lines(path)
        for turn in entry["question"]
        for message in turn
        if message["role"] == "user"
    ]


def tool_from(function: Mapping[str, Any], category: str = "simple") -> Tool:
    """Convert a function document to a tool with parameters as JSON Schema (draft 2020-12).

    In the Java and JavaScript categories, all values are strings in that language, as the official
    checker requires.
    """
    parameters = _json_schema(function["parameters"])
    description = function["description"]
    if language := {"java": "Java 8", "javascript": "JavaScript"}.get(category):
        description = f"{description} Values are written in {language}, as strings."
        parameters["properties"] = {
            name: _in_language(schema, language.split()[0])
            for name, schema in function["parameters"]["properties"].items()
        }
    return {"name": function["name"], "description": description, "parameters": parameters}


@lru_cache(maxsize=len(CATEGORIES))
def entries(category: str) -> dict[str, dict[str, Any]]:
    """Return a category's rows by id, in the package's form.

    Raises:
        ConfigError: if the package is missing, damaged or has another version.
    """
    by_id = _whole(data_folder() / f"BFCL_v3_{category}.json", category)
    if category in MULTI_TURN:
        for entry in by_id.values():
            documents = [
                json.loads(json.dumps(document))
                for name in entry["involved_classes"]
                for document in _documents(name)
            ]
            held = entry.get("missed_function", {})
            by_name = {document["name"]: document for document in documents}
            absent = {name for names in held.values() for name in names}
            entry["function"] = [each for each in documents if each["name"] not in absent]
            entry["held_back"] = {
                int(turn): [by_name[name] for name in names] for turn, names in held.items()
            }
    return by_id


@lru_cache(maxsize=len(CATEGORIES))
def answers(category: str) -> dict[str, Any]:
    """Return a category's accepted answers by id; the (ir)relevance categories have none.

    Raises:
        ConfigError: see `entries`.
    """
    if category.endswith("relevance"):
        return {}
    path = data_folder() / "possible_answer" / f"BFCL_v3_{category}.json"
    return {row_id: entry["ground_truth"] for row_id, entry in _whole(path, category).items()}


def data_folder() -> Path:
    """Return the data folder of the installed benchmark.

    Raises:
        ConfigError: if the package is missing or does not contain BFCL-v3.
    """
    remedy = f"`looptool setup` installs bfcl-eval=={VERSION}"
    spec = importlib.util.find_spec("bfcl_eval")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"the benchmark BFCL-v3 needs the package bfcl-eval, which is not installed; {remedy}"
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    if not (folder / "BFCL_v3_simple.json").exists():
        raise ConfigError(
            f"{folder}: contains no data of BFCL-v3: bfcl-eval {_version()} contains another "
            f"version of the benchmark, with different rows and rules; {remedy}"
        )
    return folder


def _version() -> str:
    try:
        return importlib.metadata.version("bfcl-eval")
    except importlib.metadata.PackageNotFoundError:
        return "(without metadata)"


def _whole(path: Path, category: str) -> dict[str, dict[str, Any]]:
    try:
        by_id = {entry["id"]: entry for entry in _json_lines(path)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); {REINSTALL}") from None
    if len(by_id) != ROWS[category]:
        raise ConfigError(f"{path}: has {len(by_id)} rows instead of {ROWS[category]}; {REINSTALL}")
    return by_id


@lru_cache(maxsize=len(_DOCUMENTS))
def _documents(class_name: str) -> list[dict[str, Any]]:
    path = data_folder() / "multi_turn_func_doc" / f"{_DOCUMENTS[class_name]}.json"
    try:
        return _json_lines(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); {REINSTALL}") from None


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


def _in_language(schema: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Return a string parameter; the description states its type in that language."""
    kind = schema.get("type", "any")
    type_name = "any object" if kind == "any" else str(kind)
    if "items" in schema:
        type_name = f"{type_name} of {schema['items'].get('type', 'any')}"
    if "properties" in schema:
        type_name = f"{type_name} with {json.dumps(schema['properties'], ensure_ascii=False)}"
    text = f"{schema.get('description', '')} ({language} {type_name}, as a string)"
    return {"type": "string", "description": text.strip()} | {
        key: schema[key] for key in ("default",) if isinstance(schema.get(key), str)
    }


def _row(row_id: str) -> Row:
    category = row_id.rpartition("_")[0]
    entry = entries(category)[row_id]
    held = entry.get("held_back", {})
    return Row(
        row_id,
        category,
        split_of(row_id),
        [tool_from(function, category) for function in entry["function"]],
        [list(turn) for turn in entry["question"]],
        {turn: [tool_from(each) for each in functions] for turn, functions in held.items()},
    )


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _order(row_id: str) -> tuple[int, str]:
    return _hash("order", row_id), row_id  # not the split's hash, so subsets contain both splits


def _hash(purpose: str, row_id: str) -> int:
    digest = hashlib.blake2b(f"{purpose}/{row_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
