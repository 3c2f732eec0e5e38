"""Calls on the scenario classes of the user's checkout of ACEBench, run in the sandbox.

No text is evaluated: a call names a public method of one of its row's classes, whether offered as a
tool or not, and its arguments are JSON.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from looptool.evaluation import sandbox

_LONGEST = 10_000  # characters of a state that JSON cannot represent


class _UnknownError(Exception):
    """There is no such function."""


def handle(item: Mapping[str, Any]) -> dict[str, Any]:
    """Replay an agent's calls from the start.

    Args:
        item: `checkout`, `language` (`en`, `zh`), `scenario` (`multi_step`, `multi_turn`),
            `classes`, `config` (initial values by class), `saved` (the attributes that make up a
            class's state, by class) and `steps`: a list of lists of calls,
            `{"name", "arguments"}`.

    Returns:
        `results` of the last step, and `states`, `{class: {attribute: value}}` for each class in
        the given order; no states if there are no steps or, in `multi_turn`, every step failed.

    Raises:
        LookupError: if the checkout has no such class.
    """
    random.seed(0)  # a replay must give the same results
    classes = {name: _class(item, name) for name in item["classes"]}
    instances: dict[str, Any] = {}
    for name, kind in classes.items():
        instance = kind()
        for configured in (name, "BaseApi"):  # each class inherits the phone's own settings
            values = copy.deepcopy(item["config"].get(configured, {}))
            instance._load_scenario(values, long_context=False)
        instances[name] = instance
    results: list[Any] = []
    ran = False
    for step in item["steps"]:
        results, whole = _results(instances, step, stops=item["scenario"] == "multi_turn")
        ran = ran or whole
    return {
        "results": results,
        "states": [
            {
                name: {
                    key: _as_json(value)
                    for key, value in vars(instance).items()
                    if key in item["saved"].get(name, ())
                }
            }
            for name, instance in instances.items()
            if ran
        ],
    }


def _results(
    instances: Mapping[str, Any], step: Sequence[Mapping[str, Any]], stops: bool
) -> tuple[list[Any], bool]:
    """Return the result or error of each call of a step, and whether all calls were made.

    Args:
        stops: whether a failing call ends the step, as in the official runner with a user. There an
            unknown function is not a failure unless it is the first call.
    """
    results: list[Any] = []
    for call in step:
        try:
            results.append(_result(instances, call))
        except Exception as error:  # third-party code on a model's arguments
            overlooked = bool(results) and isinstance(error, _UnknownError)
            results.append(f"Error during execution: {error}")
            if stops and not overlooked:
                left = len(step) - len(results)
                return results + ["Error during execution: a call before it failed"] * left, False
    return results, True


def _result(instances: Mapping[str, Any], call: Mapping[str, Any]) -> Any:
    """Return the result of a call.

    If several classes have the method, it is called on each and the last result counts, because
    every class keeps its own copy of the phone's settings.

    Raises:
        Exception: if the method raises or does not exist.
    """
    name = call["name"]
    methods = [
        getattr(instance, name)
        for instance in instances.values()
        if not name.startswith("_") and inspect.isfunction(getattr(type(instance), name, None))
    ]
    if not methods:
        raise _UnknownError(f"there is no function {name!r}")
    result: Any = None
    for method in methods:
        result = method(**copy.deepcopy(call["arguments"]))
    return _as_json(result) if isinstance(result, str | dict) else str(result)


def _as_json(value: Any) -> Any:
    """Return a value as JSON represents it, or its repr if JSON cannot."""
    try:
        return json.loads(json.dumps(value, default=str, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        pass
    try:
        return repr(value)[:_LONGEST]
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that cannot be written"


def _class(item: Mapping[str, Any], name: str) -> Any:
    """Import a scenario class from the checkout's module that defines it."""
    root = Path(item["checkout"]).resolve()
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    scenarios = f"scenarios{item['language']}"
    inference = root / "model_inference"
    definition = re.compile(rf"^class {re.escape(name)}\b", re.MULTILINE)
    first = inference / item["scenario"] / scenarios
    for folder in [first, *sorted(inference.rglob(scenarios))]:
        for path in sorted(folder.rglob("*.py")):
            if definition.search(path.read_text(encoding="utf-8")):
                module = ".".join(path.relative_to(root).with_suffix("").parts)
                return getattr(importlib.import_module(module), name)
    raise LookupError(f"{inference}: no {scenarios} defines the class {name}")


if __name__ == "__main__":
    sandbox.serve(handle)
