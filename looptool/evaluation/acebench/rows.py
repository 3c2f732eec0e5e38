"""ACEBench's data files as tools, messages and answers.

The data are in `data_all` of the user's checkout of github.com/chenchen0103/ACEBench. All rows have
the split `test`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from jsonschema import Draft202012Validator

from looptool.core.answers import call_message, result_message
from looptool.core.calls import ToolCall
from looptool.core.errors import ConfigError
from looptool.core.params import AcebenchCategory
from looptool.core.python_calls import parse_python_calls
from looptool.core.samples import Message
from looptool.core.tools import Tool

Language = Literal["en", "zh"]
Group = Literal["normal", "special", "agent"]

PARAM = "eval.acebench.path"
LANGUAGES: tuple[Language, ...] = get_args(Language)
GROUPS: dict[Group, tuple[str, ...]] = {
    group: tuple(name for name in get_args(AcebenchCategory) if name.startswith(f"{group}_"))
    for group in get_args(Group)
}
CATEGORIES = tuple(category for group in GROUPS.values() for category in group)
DIALOGUES = ("normal_multi_turn_user_adjust", "normal_multi_turn_user_switch")

_GROUP: dict[str, Group] = {
    category: group for group, names in GROUPS.items() for category in names
}
_SPEAKER = re.compile(r"^(user|system|assistant)\s*[:：]", re.MULTILINE)
_TYPES: dict[str, dict[str, Any]] = {
    "dict": {"type": "object"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "list": {"type": "array"},
    "tuple": {"type": "array"},
    "any": {},
    "enum": {},
    "objectArray": {"type": "array", "items": {"type": "object"}},
    "list(string)": {"type": "array", "items": {"type": "string"}},
    "list(enum)": {"type": "array"},
}
_CHECKER = Draft202012Validator(Draft202012Validator.META_SCHEMA)


@dataclass(frozen=True, slots=True)
class Row:
    """One question.

    Attributes:
        id: the language and the benchmark's id: `en/normal_atom_bool_0`.
        place: line of the data file, from 0.
        tools: its functions as tools, in the file's order.
        messages: the conversation before the answer, as chat messages. Empty for
            `agent_multi_turn`, whose question is the simulated user's goal.
        entry: the row as in the file.
        answer: the accepted calls (an object, or a list of alternative objects), the names that a
            text must contain (`special`), or the required final states of the classes (`agent`).
        milestones: the calls that an agent should make on the way, or a list of alternatives.
    """

    id: str
    category: str
    group: Group
    language: Language
    place: int
    tools: list[Tool]
    messages: list[Message]
    entry: dict[str, Any]
    answer: Any
    milestones: list[Any]


def rows(
    folder: Path | str | None,
    language: Language,
    categories: Sequence[str],
    limit: int | None = None,
) -> list[Row]:
    """Return the rows of some categories, in the order of `CATEGORIES`, then by hash of id.

    Args:
        folder: the checkout.
        categories: names of categories and groups; see `expand_categories`.
        limit: maximum number of dialogues per category; all turns of a dialogue are included. In
            single-turn categories each row is a dialogue. A smaller limit selects a subset of a
            larger one.

    Raises:
        ConfigError: if a category is unknown, or the checkout or one of its files is missing or
            invalid; the message names file and line.
    """
    data = data_folder(folder, language)
    chosen: list[Row] = []
    for category in expand_categories(categories):
        entries = _entries(data / f"data_{category}.json", "question", "function")
        answers = _entries(data / "possible_answer" / f"data_{category}.json", "ground_truth")
        dialogues: dict[str, list[Row]] = {}
        for place, (row_id, entry) in enumerate(entries.items()):
            if row_id not in answers:
                raise ConfigError(
                    f"{data / 'possible_answer' / f'data_{category}.json'}: has no answer to "
                    f"{row_id!r}; question and answer files must be from the same commit"
                )
            try:
                row = _row(category, language, place, entry, answers[row_id])
            except (KeyError, TypeError, AttributeError) as error:
                path = data / f"data_{category}.json"
                raise ConfigError(f"{path}: {row_id}: is not a valid row: {error!r}") from None
            dialogues.setdefault(dialogue_of(row.id), []).append(row)
        for name in sorted(dialogues, key=_order)[:limit]:
            chosen += sorted(dialogues[name], key=lambda row: row.place)
    return chosen


def in_languages(
    folder: Path | str | None,
    language: str,
    categories: Sequence[str],
    limit: int | None = None,
) -> list[Row]:
    """Return the rows of one language or of `both`.

    Raises:
        ConfigError: see `rows`.
    """
    wanted = [each for each in LANGUAGES if language in (each, "both")]
    return [row for each in wanted for row in rows(folder, each, categories, limit)]


def expand_categories(categories: Sequence[str]) -> list[str]:
    """Resolve `all`, group names and category names to categories, in the benchmark's order.

    Raises:
        ConfigError: if a name is unknown; the message lists the known ones.
    """
    wanted: set[str] = set()
    for name in categories:
        if name == "all":
            wanted |= set(CATEGORIES)
        elif name in GROUPS:
            wanted |= set(GROUPS[name])
        elif name in CATEGORIES:
            wanted.add(name)
        else:
            raise ConfigError(
                f"eval.acebench: unknown category {name!r}; known are all, {', '.join(GROUPS)}, "
                f"{', '.join(CATEGORIES)}"
            )
    return [category for category in CATEGORIES if category in wanted]


def data_folder(folder: Path | str | None, language: Language) -> Path:
    """Return the folder with a language's data in a checkout.

    Raises:
        ConfigError: if there is no checkout of ACEBench; the message says what to do.
    """
    if folder is None:
        raise ConfigError(
            f"{PARAM}: is null, and no --path names a checkout of ACEBench; to make one, run "
            "`git clone https://github.com/chenchen0103/ACEBench ../ACEBench`"
        )
    checkout = Path(folder)
    if not checkout.is_dir():
        raise ConfigError(
            f"{PARAM}: {checkout}: there is no such folder; to make it, run "
            f"`git clone https://github.com/chenchen0103/ACEBench {checkout}`"
        )
    data = checkout / "data_all" / f"data_{language}"
    if not data.is_dir():
        raise ConfigError(
            f"{PARAM}: {checkout}: is not a checkout of ACEBench: it has no folder "
            f"data_all/data_{language}"
        )
    return data


def dialogue_of(row_id: str) -> str:
    """Return the id of a row's dialogue: the row's id, without the turn in `DIALOGUES`."""
    dialogue, _, _ = row_id.rpartition("_")
    category = dialogue.rpartition("_")[0].rpartition("/")[2]
    return dialogue if category in DIALOGUES else row_id


def tool_from(function: Mapping[str, Any]) -> Tool:
    """Convert a function document to a tool with parameters as JSON Schema (draft 2020-12).

    Keywords with values that JSON Schema does not allow are dropped. That affects only what models
    see; scoring uses the original document.
    """
    schema = function.get("parameters") or function.get("arguments") or {}
    parameters = _json_schema(schema) if isinstance(schema, Mapping) else {}
    return {
        "name": str(function["name"]),
        "description": str(function.get("description", "")),
        "parameters": _mended({**parameters, "type": "object"}),
    }


def turns(question: str) -> list[tuple[Literal["user", "assistant"], str]]:
    """Split a text of the form `user: …\\nsystem: …\\n` into (speaker, text) pairs.

    A speaker is recognised only at the start of a line. `system` marks what the assistant said
    before. Text before the first speaker is the user's.
    """
    parts = _SPEAKER.split(question)
    said: list[tuple[Literal["user", "assistant"], str]] = []
    if parts[0].strip():
        said.append(("user", parts[0].strip()))
    for speaker, text in zip(parts[1::2], parts[2::2], strict=True):
        said.append(("user" if speaker == "user" else "assistant", text.strip()))
    return said


def assistant_message(text: str, calls: Sequence[ToolCall] = ()) -> Message:
    """Return the assistant's chat message with its calls, or with its text if there are none."""
    return call_message(calls) if calls else {"role": "assistant", "content": text}


def _row(
    category: str, language: Language, place: int, entry: dict[str, Any], answer: Mapping[str, Any]
) -> Row:
    functions = entry["function"] if isinstance(entry["function"], list) else [entry["function"]]
    tools = [tool_from(function) for function in functions]
    return Row(
        id=f"{language}/{entry['id']}",
        category=category,
        group=_GROUP[category],
        language=language,
        place=place,
        tools=tools,
        messages=[] if category == "agent_multi_turn" else list(_messages(entry)),
        entry=entry,
        answer=answer["ground_truth"],
        milestones=answer.get("mile_stone", []),
    )


def _messages(entry: Mapping[str, Any]) -> Iterator[Message]:
    """Yield a row's messages; calls in its history get empty results, which the data lack."""
    known = [str(entry[field]).strip() for field in ("time", "profile") if entry.get(field)]
    if known := [text for text in known if text]:
        yield {"role": "system", "content": "\n\n".join(known)}
    for role, text in turns(entry["question"]):
        if role == "user":
            yield {"role": "user", "content": text}
            continue
        try:
            calls = parse_python_calls(text)
        except ValueError:
            calls = []
        yield assistant_message(text, calls)
        for call in calls:
            yield result_message(call.name, "")


def _entries(path: Path, *fields: str) -> dict[str, dict[str, Any]]:
    """Return the entries of a JSON Lines file by id, in its order."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: does not exist; the checkout of ACEBench is incomplete; to restore it, run "
            f"`git -C {path.parents[2]} checkout -- .`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    entries: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{where}: not valid JSON: {error}") from None
        if not isinstance(entry, dict):
            raise ConfigError(f"{where}: is not an object")
        if missing := [field for field in ("id", *fields) if field not in entry]:
            raise ConfigError(f"{where}: has no {missing[0]!r}")
        if entry["id"] in entries:
            raise ConfigError(f"{where}: the id {entry['id']!r} occurs twice")
        entries[entry["id"]] = entry
    if not entries:
        raise ConfigError(f"{path}: is empty")
    return entries


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    converted = {key: value for key, value in schema.items() if key != "optional"}
    if isinstance(kind := converted.get("type"), str) and kind in _TYPES:
        del converted["type"]
        converted = {**_TYPES[kind], **converted}
    if isinstance(properties := converted.get("properties"), Mapping):
        converted["properties"] = {
            name: _json_schema(inner) if isinstance(inner, Mapping) else inner
            for name, inner in properties.items()
        }
    if isinstance(items := converted.get("items"), Mapping):
        converted["items"] = _json_schema(items)
    return converted


def _mended(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without the keywords that have values JSON Schema does not allow."""
    schema = json.loads(json.dumps(schema))
    while error := next(_CHECKER.iter_errors(schema), None):
        *path, last = error.absolute_path
        inner = schema
        for part in path:
            inner = inner[part]
        del inner[last]
    return schema


def _order(dialogue: str) -> tuple[int, str]:
    digest = hashlib.blake2b(f"order/{dialogue}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big"), dialogue
