"""A model on requests that people wrote for tools of their own, beside any other model.

    python -m benchmarks.own_tools --tools data/tools/tvmaze.com.json models/base models/0 models/2

`requests.jsonl` beside this file was written by hand for the TVmaze user API before anything was
trained on it. Beside the tools that a request needs stand the ones whose documents are most like
theirs, four in all, in random order: the whole API would fill a small model's context. Prints the
share that is exactly right (`samples.is_correct`), of single calls, several calls and requests that
no tool can do.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from looptool import runs
from looptool.calls import ToolCall, parse
from looptool.engines import Prompt, Sampling
from looptool.samples import Label, call_label, is_correct, text_label
from looptool.tools import Tool, check_call, read_tools

OFFERED = 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--requests", type=Path, default=Path(__file__).parent / "requests.jsonl")
    parser.add_argument("--failures", action="store_true", help="print what went wrong")
    options = parser.parse_args()
    runs.quiet()
    samples = read_requests(options.requests, read_tools(options.tools))
    from looptool.engines.transformers import TransformersEngine

    for model in options.models:
        engine = TransformersEngine.load(model, 32, "bfloat16")
        completions = engine.generate([prompt for prompt, _ in samples], Sampling(160))
        right: dict[str, list[bool]] = {"one call": [], "several": [], "none": []}
        for (prompt, label), completion in zip(samples, completions, strict=True):
            done = is_correct(parse(completion.text), label, (), prompt.tools, "schema")
            right[kind_of(label)].append(done)
            if options.failures and not done:
                print(f"  {prompt.messages[-1]['content']}\n    {completion.text!r}")
        told = ", ".join(f"{kind} {sum(v)} of {len(v)}" for kind, v in right.items())
        share = sum(map(sum, right.values())) / len(samples)
        print(f"{model}: {100 * share:.1f} % of {len(samples)} exactly right: {told}")


def read_requests(path: Path, tools: Sequence[Tool]) -> list[tuple[Prompt, Label]]:
    """Return (prompt, label) of each request; a call that does not fit its tool is an error."""
    samples = []
    for number, line in enumerate(path.read_text("utf-8").splitlines()):
        row = json.loads(line)
        calls = [ToolCall(call["name"], call["arguments"]) for call in row["calls"]]
        for call in calls:
            if problem := check_call(call, tools):
                raise SystemExit(f"{path}: line {number + 1}: {call.name}: {problem}")
        offered = offer(calls, row["request"], tools, random.Random(number))
        label = call_label(calls) if calls else text_label("No tool fits.")
        samples.append((Prompt([{"role": "user", "content": row["request"]}], offered), label))
    return samples


def offer(
    calls: Sequence[ToolCall], request: str, tools: Sequence[Tool], rng: random.Random
) -> list[Tool]:
    """Return the called tools and those most like them (like the request, where there is none)."""
    names = {call.name for call in calls}
    needed = [tool for tool in tools if tool["name"] in names]
    texts = [text_of(tool) for tool in needed] or [request]
    others = [tool for tool in tools if tool["name"] not in names]
    others.sort(key=lambda tool: -max(fuzz.ratio(text_of(tool), text) for text in texts))
    offered = [*needed, *others[: OFFERED - len(needed)]]
    rng.shuffle(offered)
    return offered


def text_of(tool: Tool) -> str:
    return f"{tool['name']}: {tool.get('description', '')}"


def kind_of(label: Any) -> str:
    calls = label.get("calls", ())
    return "none" if not calls else "one call" if len(calls) == 1 else "several"


if __name__ == "__main__":
    main()
