"""Compare our verdicts on BFCL-v3 with the official runner's, row by row.

    python -m benchmarks.bfcl_parity [--results data/bench/bfcl-native-models-2.parquet]

Perfect answers, answers damaged in each way of DAMAGES and (with `--results`) real answers are
written as official result files and scored by `evaluate_task` of `bfcl-eval`, in a process with the
vendors' SDKs stubbed out. Our own verdicts come from the texts. Prints the number of compared rows
and of differing verdicts, with the first few of these.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from looptool.core import canonical, tables
from looptool.core.calls import ToolCall, render
from looptool.engines import Completion
from looptool.evaluation.bfcl import dialogues, exports, scoring
from looptool.evaluation.bfcl.rows import CATEGORIES, MULTI_TURN, answers, entries

Calls = list[ToolCall]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--results", type=Path, help="real answers, as `looptool bench` stores them"
    )
    options = parser.parse_args()
    sources: dict[str, dict[str, str]] = {"perfect": perfect()}
    sources |= {name: damaged(damage) for name, damage in DAMAGES.items()}
    if options.results:
        kept = tables.read(options.results, tables.Bench)
        sources["real"] = dict(kept.select("id", "prediction").rows())
    total = 0
    print(f"{'answers':<28}{'rows':>6}{'valid':>7}{'strict':>8}{'differ':>8}")
    for name, predictions in sources.items():
        ours = verdicts(predictions)
        theirs = official(predictions)
        differing = [row_id for row_id in ours["id"] if theirs[row_id] != valid(ours, row_id)]
        total += len(differing)
        print(f"{name:<28}{len(ours):>6}{ours['valid'].sum():>7}{ours['strict'].sum():>8}"
              f"{len(differing):>8}  {' '.join(differing[:3])}", flush=True)  # fmt: skip
    print(f"{total} verdicts differ")


def valid(results: pl.DataFrame, row_id: str) -> bool:
    return bool(results.filter(id=row_id)["valid"][0])


def verdicts(predictions: Mapping[str, str]) -> pl.DataFrame:
    """Score predictions in the form of `tables.Eval`: for dialogues, JSON by turn and step."""
    single = {i: _said(text) for i, text in predictions.items() if _category(i) not in MULTI_TURN}
    several = {
        i: [[_said(each) for each in turn] for turn in canonical.loads(text)]
        for i, text in predictions.items()
        if i not in single
    }
    return pl.concat([scoring.score(single), dialogues.score(several)])


def _said(text: str) -> Completion:
    return Completion(text, 0, None, "stop")


def official(predictions: Mapping[str, str]) -> dict[str, bool]:
    """Return the official runner's verdict on each row.

    The runner pairs lines by number, so its data files are filtered to the given rows.
    """
    with tempfile.TemporaryDirectory() as folder:
        by_category: dict[str, list[dict[str, Any]]] = {}
        for row_id, prediction in predictions.items():
            result = exports.result_of(prediction, None, "native", _category(row_id))
            by_category.setdefault(_category(row_id), []).append({"id": row_id, "result": result})
        (Path(folder) / "results.json").write_text(json.dumps(by_category))
        done = subprocess.run(
            [sys.executable, "-c", _RUNNER, folder], capture_output=True, text=True, cwd=folder
        )
        if done.returncode != 0:
            raise SystemExit(done.stderr[-3000:])
        wrong = set(json.loads((Path(folder) / "wrong.json").read_text()))
    return {row_id: row_id not in wrong for row_id in predictions}


_RUNNER = """
import json, os, sys, types
from collections import defaultdict
from pathlib import Path
folder = Path(sys.argv[1])
os.environ["BFCL_PROJECT_ROOT"] = str(folder)
class Handler:  # as those of vendors' models that call functions
    def decode_ast(self, result, language="Python"):
        if isinstance(result, str):
            raise ValueError("text")
        return [{name: json.loads(text)} for call in result for name, text in call.items()]
    def decode_execute(self, result):
        if isinstance(result, str):
            raise ValueError("text")
        return [f"{name}({','.join(f'{k}={v!r}' for k, v in json.loads(text).items())})"
                for call in result for name, text in call.items()]
stub = types.ModuleType("bfcl_eval.constants.model_config")
stub.MODEL_CONFIG_MAPPING = defaultdict(lambda: types.SimpleNamespace(underscore_to_dot=False))
sys.modules[stub.__name__] = stub
from bfcl_eval.eval_checker import eval_runner
from bfcl_eval.utils import sort_key
import bfcl_eval.eval_checker.eval_runner as runner
wrong = []
given = json.loads((folder / "results.json").read_text())
for category, results in given.items():
    ids = {row["id"] for row in results}
    whole = runner.load_file
    runner.load_file = lambda path, sort_by_id=False: [
        row for row in whole(path, sort_by_id) if row["id"] in ids]
    runner.evaluate_task(category, folder, folder / "score", sorted(results, key=sort_key),
                         "model", Handler(), {"leaderboard_table": {}})
    runner.load_file = whole
    lines = (folder / "score" / "model" / f"BFCL_v3_{category}_score.json").read_text().splitlines()
    wrong += [json.loads(line)["id"] for line in lines[1:]]
(folder / "wrong.json").write_text(json.dumps(wrong))
"""


def perfect(categories: Sequence[str] = CATEGORIES) -> dict[str, str]:
    """Return the right answer to every row by id; for dialogues, JSON by turn and step."""
    texts_by_id = {}
    for category in categories:
        for row_id, calls in perfect_calls(category).items():
            texts_by_id[row_id] = _written(calls)
    return texts_by_id


def perfect_calls(category: str) -> dict[str, Any]:
    """Return the right calls of every row of a category: a list, or one list per turn."""
    if category.endswith("irrelevance"):
        return {row_id: [] for row_id in entries(category)}
    if category.endswith("relevance"):
        return {row_id: [ToolCall(entry["function"][0]["name"], {})]
                for row_id, entry in entries(category).items()}  # fmt: skip
    if category in MULTI_TURN:
        return {row_id: [[_from_source(source, entries(category)[row_id]) for source in turn]
                         for turn in turns]
                for row_id, turns in answers(category).items()}  # fmt: skip
    return {
        row_id: [
            ToolCall(name, _arguments(given, category, entries(category)[row_id]["function"], name))
            for call in calls
            for name, given in call.items()
        ]
        for row_id, calls in answers(category).items()
    }


def _arguments(
    given: Mapping[str, Any], category: str, functions: Sequence[Mapping[str, Any]], name: str
) -> dict[str, Any]:
    documents = [each["parameters"] for each in functions if each["name"] == name]
    parameters = documents[0] if documents else {}  # some answers call functions not offered
    arguments = {}
    for key, options in given.items():
        schema = parameters.get("properties", {}).get(key, {})
        if options == [""] and key not in parameters.get("required", ()):
            continue
        value = accepted(options) if options else []
        if category in ("java", "javascript"):
            value = in_language(value, schema, category)
        arguments[key] = value
    return arguments


def in_language(value: Any, schema: Mapping[str, Any], language: str) -> str:
    """Return a value as Java or JavaScript source, as the official converters read it."""
    if isinstance(value, str):
        return value
    if language == "javascript":
        return json.dumps(value)
    if isinstance(value, dict):
        puts = " ".join(f"put({json.dumps(k)}, {json.dumps(v)});" for k, v in value.items())
        return f"new HashMap<String, Object>() {{{{ {puts} }}}}"
    if isinstance(value, list):
        kind = schema.get("items", {}).get("type")
        listed = schema["type"] == "ArrayList"  # the converter keeps the quotes of an array's items
        texts = [item if isinstance(item, str) and not listed else json.dumps(item)
                 for item in value]  # fmt: skip
        inner = ", ".join(f"{text}{'L' if kind == 'long' else ''}" for text in texts)
        name = {"String": "String", "integer": "Integer", "long": "Long"}.get(kind, "Object")
        if listed:
            return f"new ArrayList<{name}>(Arrays.asList({inner}))"
        return f"new {name}[]{{{inner}}}"
    return json.dumps(value) + ("L" if schema["type"] == "long" else "")


def accepted(options: Any) -> Any:
    """Return the first accepted value; "" among the options means that it may be omitted."""
    if not isinstance(options, list):  # some answers are not lists
        return options
    value = next((option for option in options if option != ""), "")
    if isinstance(value, dict):
        return {name: accepted(inner) for name, inner in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [{name: accepted(inner) for name, inner in item.items()} for item in value]
    return value


def _from_source(source: str, entry: Mapping[str, Any]) -> ToolCall:
    """Parse a right call written as Python; positional arguments get their names."""
    node = ast.parse(source, mode="eval").body
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    held = [each for documents in entry["held_back"].values() for each in documents]
    document = next(each for each in [*entry["function"], *held] if each["name"] == node.func.id)
    names = list(document["parameters"]["properties"])
    arguments = dict(zip(names, map(ast.literal_eval, node.args), strict=False))
    arguments |= {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
    return ToolCall(node.func.id, json.loads(json.dumps(arguments)))


def _category(row_id: str) -> str:
    return row_id.rpartition("_")[0]


def _written(calls: Any) -> str:
    if calls and isinstance(calls[0], list):  # each turn in one step, then a closing text
        return canonical.dumps([[*([render(turn)] if turn else []), "Done."] for turn in calls])
    return render(calls) if calls else "None of the tools fits."


def damaged(damage: Callable[[Calls], str | Calls]) -> dict[str, str]:
    """Return the perfect answers, each with one damage where it applies."""
    texts_by_id = {}
    for category in CATEGORIES:
        for row_id, calls in perfect_calls(category).items():
            if not calls:
                texts_by_id[row_id] = _text(damage([ToolCall("nothing", {"a": 1})]))
            elif isinstance(calls[0], list):
                texts = [[_text(damage(copy.deepcopy(turn))) if turn else "Done.", "Done."]
                         for turn in calls]  # fmt: skip
                texts_by_id[row_id] = canonical.dumps(texts)
            else:
                texts_by_id[row_id] = _text(damage(copy.deepcopy(calls)))
    return texts_by_id


def _text(made: str | Calls) -> str:
    return made if isinstance(made, str) else render(made) or "Nothing."


def _values(change: Callable[[Any], Any]) -> Callable[[Calls], Calls]:
    def damage(calls: Calls) -> Calls:
        return [ToolCall(c.name, {k: change(v) for k, v in c.arguments.items()}) for c in calls]

    return damage


def _changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if value is None:
        return 1
    return [*value, "x"] if isinstance(value, list) else {**value, "x": 1}


def _first(change: Callable[[ToolCall], ToolCall]) -> Callable[[Calls], Calls]:
    return lambda calls: [change(calls[0]), *calls[1:]]


DAMAGES: dict[str, Callable[[Calls], str | Calls]] = {
    "values changed": _values(_changed),
    "numbers as text": _values(lambda v: str(v) if isinstance(v, int | float) else v),
    "text in capitals": _values(lambda v: v.upper() if isinstance(v, str) else v),
    "text with spaces": _values(lambda v: f" {v} " if isinstance(v, str) else v),
    "text appended": _values(lambda v: v + " or anything else" if isinstance(v, str) else v),
    "whole numbers as floats": _values(lambda v: float(v) if type(v) is int else v),
    "booleans as numbers": _values(lambda v: int(v) if isinstance(v, bool) else v),
    "values nulled": _values(lambda v: None),
    "values in lists": _values(lambda v: [v]),
    "lists reversed": _values(lambda v: v[::-1] if isinstance(v, list) else v),
    "first argument left out": _first(
        lambda c: ToolCall(c.name, dict(list(c.arguments.items())[1:]))
    ),
    "an argument too many": _first(lambda c: ToolCall(c.name, {**c.arguments, "extra": 1})),
    "no arguments": _first(lambda c: ToolCall(c.name, {})),
    "another name": _first(lambda c: ToolCall(c.name + "2", c.arguments)),
    "hyphens in a name": _first(lambda c: ToolCall(f"{c.name}-x", c.arguments)),
    "a builtin's name": _first(lambda c: ToolCall("sum", c.arguments)),
    "dots as underscores": _first(lambda c: ToolCall(c.name.replace(".", "_"), c.arguments)),
    "names in capitals": _first(lambda c: ToolCall(c.name.upper(), c.arguments)),
    "last call left out": lambda calls: calls[:-1],
    "first call twice": lambda calls: [calls[0], *calls],
    "calls reversed": lambda calls: calls[::-1],
    "no call": lambda calls: "I cannot do that.",
    "nothing": lambda calls: "",
    "cut off": lambda calls: render(calls)[:-15],
    "broken JSON beside": lambda calls: render(calls) + "\n<tool_call>\n{\n</tool_call>",
    "arguments as text": lambda calls: "<tool_call>\n" + json.dumps(
        {"name": calls[0].name, "arguments": json.dumps(calls[0].arguments)}) + "\n</tool_call>",
    "text before": lambda calls: "Sure. " + render(calls),
    "thinking before": lambda calls: "<think>hm</think>" + render(calls),
}  # fmt: skip


if __name__ == "__main__":
    main()
