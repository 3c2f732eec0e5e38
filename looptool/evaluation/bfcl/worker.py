"""BFCL's official checkers and API classes, run in the sandbox. An item has a `task`:

- `answer`: takes the benchmark's `functions`, the predicted `calls`, the accepted `answer` and the
  `category`; returns `{"valid", "error_type", "error"}`.
- `execute`: takes a dialogue's `entry` and the calls of all `steps` so far; returns the `results`
  of the last step. New instances repeat all steps, so no state of another rollout is left.
- `dialogue`: takes an `entry`, its calls by turn and step, and the accepted `answer`; returns a
  verdict.

The multi-turn code evaluates text. It gets only `name(key=literal, …)` with the name of a method of
the row's classes.
"""

from __future__ import annotations

import importlib
import json
import keyword
import os
import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

from looptool.evaluation import sandbox

MODEL = "looptool"
UNSAFE = "multi_turn:unsafe_call"

_LANGUAGES = {"java": "Java", "javascript": "JavaScript"}
_REFUSED = "\0"  # prefix of the text that replaces a refused call; the text holds its result
# A name or key of these characters only cannot call anything; at worst it is a syntax error.
_HARMLESS = re.compile(r"[\w .:/$\[\]-]*")
# Names that would do harm if evaluated; other builtins are reported as undefined.
_UNSAFE = {"eval", "exec", "compile", "open", "input", "breakpoint", "exit", "quit", "getattr",
           "setattr", "delattr", "globals", "locals", "vars", "importlib", "inspect",
           "execute_multi_turn_func_call"}  # fmt: skip
_EVALUATING = "bfcl_eval.eval_checker.multi_turn_eval.multi_turn_utils"


def load() -> None:
    """Import the checkers without the vendors' SDKs that their package depends on.

    `constants.model_config` imports all SDKs. The checkers only look up there whether the model
    writes "_" for "." in names, which ours do not.
    """
    os.environ["BFCL_PROJECT_ROOT"] = os.getcwd()  # else it creates folders next to site-packages
    stub = ModuleType("bfcl_eval.constants.model_config")
    vars(stub)["MODEL_CONFIG_MAPPING"] = defaultdict(
        lambda: SimpleNamespace(underscore_to_dot=False)
    )
    sys.modules[stub.__name__] = stub
    for name in ("ast_eval.ast_checker", "multi_turn_eval.multi_turn_checker"):
        importlib.import_module(f"bfcl_eval.eval_checker.{name}")
    utils = sys.modules[_EVALUATING]
    for path in vars(utils)["CLASS_FILE_PATH_MAPPING"].values():
        importlib.import_module(path)  # so that children inherit the classes
    checker = sys.modules["bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker"]
    vars(checker)["execute_multi_turn_func_call"] = _execute


def handle(item: dict[str, Any]) -> dict[str, Any]:
    """Perform an item's task; see the module docstring."""
    if item["task"] == "answer":
        return _answer(item)
    if item["task"] == "execute":
        results: list[str] = []
        for step in item["steps"]:
            results, _ = _execute(
                _texts(step, item["entry"]), model_name=MODEL, **_setting(item["entry"])
            )
        return {"results": results}
    return _dialogue(item)


def _answer(item: Mapping[str, Any]) -> dict[str, Any]:
    checker = sys.modules["bfcl_eval.eval_checker.ast_eval.ast_checker"]
    category = item["category"]
    result = vars(checker)["ast_checker"](
        item["functions"],
        item["calls"],
        item["answer"],
        _LANGUAGES.get(category, "Python"),
        category,
        MODEL,
    )
    return _verdict(result["valid"], result.get("error_type"), result.get("error"))


def _dialogue(item: Mapping[str, Any]) -> dict[str, Any]:
    entry, turns, answer = item["entry"], item["turns"], item["answer"]
    if len(turns) != len(answer):
        reason = (
            f"{len(turns)} of {len(answer)} turns were answered: in the last one steps were too "
            "many, or a call broke a limit"
        )
        return {**_verdict(False, "multi_turn:force_terminated", reason), "declined": False}
    decoded = [[_texts(step, entry) for step in turn] for turn in turns]
    unsafe = [text for turn in decoded for step in turn for text in step
              if text.startswith(_REFUSED + UNSAFE)]  # fmt: skip
    if unsafe:
        reason = unsafe[0].split(_REFUSED)[1].removeprefix(f"{UNSAFE}: ")
        return {**_verdict(False, UNSAFE, reason), "declined": False}
    checker = vars(sys.modules["bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker"])
    result = checker["multi_turn_checker"](decoded, answer, entry, item["category"], MODEL)
    declined = checker["multi_turn_irrelevance_checker"](decoded, answer)["valid"]
    verdict = _verdict(result["valid"], result.get("error_type"), result.get("error_message"))
    return {**verdict, "declined": declined}


def _verdict(valid: bool, error_type: str | None, error: Any) -> dict[str, Any]:
    if valid:
        return {"valid": True, "error_type": None, "error": None}
    errors = error if isinstance(error, list) else [error]
    texts = [each if isinstance(each, str) else json.dumps(each, default=str) for each in errors]
    return {"valid": False, "error_type": error_type, "error": "; ".join(texts)[:2000]}


def _setting(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "initial_config": entry["initial_config"],
        "involved_classes": entry["involved_classes"],
        "test_entry_id": entry["id"],
        "long_context": "long_context" in entry["id"] or "composite" in entry["id"],
    }


def _execute(func_call_list: Sequence[str], **setting: Any) -> tuple[list[str], dict[str, Any]]:
    """Replace BFCL's `execute_multi_turn_func_call`; refused calls are never evaluated."""
    official = vars(sys.modules[_EVALUATING])["execute_multi_turn_func_call"]
    if not any(text.startswith(_REFUSED) for text in func_call_list):
        results, instances = official(list(func_call_list), **setting)
        return results, instances
    results, instances = official([], **setting)
    for text in func_call_list:
        if text.startswith(_REFUSED):
            results.append(text.split(_REFUSED, 2)[2])
        else:
            results += official([text], **setting)[0]
    return results, instances


def _texts(calls: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> list[str]:
    """Return each call as the text that BFCL evaluates, or as a refusal with its result."""
    methods = {
        name
        for class_name in entry["involved_classes"]
        for name in dir(_class(class_name))
        if not name.startswith("_")
    }
    return [_text(call["name"], call["arguments"], methods) for call in calls]


def _class(name: str) -> Any:
    path = vars(sys.modules[_EVALUATING])["CLASS_FILE_PATH_MAPPING"][name]
    return vars(sys.modules[path])[name]


def _text(name: str, arguments: Mapping[str, Any], methods: set[str]) -> str:
    name = name.strip(" ")
    parts = re.findall(r"\w+", name)
    if name not in methods and (
        not _HARMLESS.fullmatch(name)
        or any(part in _UNSAFE or part.startswith("__") for part in parts)
    ):
        return _refusal(f"{name[:200]!r} is not a tool", unsafe=True)
    if bad := [key for key in arguments if not key.isidentifier() or keyword.iskeyword(key)]:
        unsafe = not all(_HARMLESS.fullmatch(key) for key in bad)
        return _refusal(f"{bad[0][:200]!r} is not the name of an argument", unsafe=unsafe)
    if name not in methods:
        return _refusal(f"name {(parts or [''])[0]!r} is not defined", unsafe=False)
    try:
        return f"{name}({','.join(f'{key}={value!r}' for key, value in arguments.items())})"
    except (RecursionError, ValueError) as error:  # ValueError: integers with thousands of digits
        return _refusal(str(error), unsafe=False)


def _refusal(reason: str, *, unsafe: bool) -> str:
    text = reason.replace(_REFUSED, " ")
    mark = f"{UNSAFE}: {text}" if unsafe else ""
    return f"{_REFUSED}{mark}{_REFUSED}Error during execution: {text}"


if __name__ == "__main__":
    load()
    sandbox.serve(handle)
