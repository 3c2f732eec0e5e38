"""The official AST checker of BFCL in a process of its own: JSON lines in, JSON lines out.

A line in is `{"category", "functions", "calls", "answer"}`: the function documents as the
benchmark ships them, the predicted calls as `[{name: arguments}]` and the accepted answers. The
line out is `{"valid", "error_type", "error"}`. An item that makes the checker raise is invalid.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

MODEL = "looptool"


def load_checker() -> Callable[..., dict[str, Any]]:
    """Import `ast_checker` without the SDKs of every vendor that its package lists.

    `constants.model_config` imports them all, and the checker asks it one thing: whether the
    model's names have "_" for "." (ours have not).
    """
    stub = ModuleType("bfcl_eval.constants.model_config")
    vars(stub)["MODEL_CONFIG_MAPPING"] = defaultdict(
        lambda: SimpleNamespace(underscore_to_dot=False)
    )
    sys.modules[stub.__name__] = stub
    module = importlib.import_module("bfcl_eval.eval_checker.ast_eval.ast_checker")
    checker: Callable[..., dict[str, Any]] = module.ast_checker
    return checker


def check(checker: Callable[..., dict[str, Any]], item: dict[str, Any]) -> dict[str, Any]:
    """Return the checker's verdict on one item."""
    try:
        result = checker(
            item["functions"], item["calls"], item["answer"], "Python", item["category"], MODEL
        )
    except Exception as error:  # the checker trusts its input: anything can come out of it
        return {"valid": False, "error_type": "checker_raised", "error": repr(error)}
    if result["valid"]:
        return {"valid": True, "error_type": None, "error": None}
    errors = result.get("error") or []
    text = "; ".join(e if isinstance(e, str) else json.dumps(e, default=str) for e in errors)
    return {"valid": False, "error_type": result.get("error_type"), "error": text}


def main() -> None:
    """Check every line of stdin and answer it on stdout."""
    answers = sys.stdout
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(sys.stderr):
        os.environ["BFCL_PROJECT_ROOT"] = scratch  # or folders appear beside site-packages
        checker = load_checker()
        for line in sys.stdin:
            answers.write(json.dumps(check(checker, json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
