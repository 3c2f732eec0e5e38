"""Compare the grammar author's samples with BFCL's development rows: tools, requests, calls.

    python -m benchmarks.variety [--drafts 2000] [--seed variety]

The samples are those of the training split, without planted noise, with equally many per category.
A value counts as copied if the request has it letter by letter, case aside.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from looptool.core.samples import CATEGORIES, label_calls
from looptool.evaluation.bfcl import rows as bfcl
from looptool.offline.grammar.author import GrammarAuthor
from looptool.synthesis import Draft

CALLING = ("single", "multiple", "parallel", "parallel_multiple")
_CATEGORIES = {"simple": "single", "irrelevance": "irrelevant"}


def bfcl_drafts() -> list[Draft]:
    """Return BFCL's development rows with the arguments that an answer has to give."""
    drafts = []
    for row in bfcl.rows(split="development"):
        calls = [
            {"name": name, "arguments": _given(options)}
            for item in (
                bfcl.answers(row.category)[row.id] if row.category != "irrelevance" else ()
            )
            for name, options in item.items()
        ]
        category = _CATEGORIES.get(row.category, row.category)
        drafts.append(Draft(row.tools, row.messages, {"calls": calls}, category))
    return drafts


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[0] for name, values in options.items() if values and "" not in values}


def measure(drafts: Sequence[Draft]) -> dict[str, str]:
    """Return the figures of one set of samples, by what they measure."""
    tools = list({json.dumps(t, sort_keys=True): t for d in drafts for t in d.tools}.values())
    parameters = [
        (schema, name in (tool["parameters"].get("required") or ()))
        for tool in tools
        for name, schema in (tool["parameters"].get("properties") or {}).items()
    ]
    optional = [schema for schema, required in parameters if not required]
    texts = defaultdict(list)
    for draft in drafts:
        texts[draft.category].append(draft.messages[-1]["content"])
    counts = {
        category: Counter(len(d.label.get("calls", ())) for d in drafts if d.category == category)
        for category in ("parallel", "parallel_multiple")
    }
    several = [d for d in drafts if d.category in ("parallel", "parallel_multiple")]
    figures = {
        "tools": f"{len(tools)}",
        "shapes (types and number of parameters)": f"{len({_shape(tool) for tool in tools})}",
        "words of a tool's description": f"{mean(_words(t.get('description')) for t in tools):.1f}",
        "words of a parameter's description": (
            f"{mean(_words(s.get('description')) for s, _ in parameters):.1f}"
        ),
        "optional parameters whose description names a default": _percent(
            "default" in str(schema.get("description")).lower() for schema in optional
        ),
        "tools with dotted names": _percent("." in tool["name"] for tool in tools),
        "irrelevant requests that are questions": _percent(
            text.rstrip().endswith("?") for text in texts["irrelevant"]
        ),
        "several calls, all of one tool among several": _percent(
            len(d.tools) > 1 and len({c["name"] for c in d.label["calls"]}) == 1 for d in several
        ),
    }
    for category in (*CALLING, "irrelevant"):
        figures[f"words of a request, {category}"] = f"{mean(map(_words, texts[category])):.0f}"
    for category, count in counts.items():
        shares = [f"{100 * count[n] / count.total():.0f}" for n in (2, 3, 4)]
        rest = sum(value for n, value in count.items() if n > 4)
        figures[f"2/3/4/more calls, {category}, %"] = (
            f"{' / '.join(shares)} / {100 * rest / count.total():.0f}"
        )
    for category in CALLING:
        chosen = [draft for draft in drafts if draft.category == category]
        figures[f"optional arguments given, {category}"] = _percent(
            given for draft in chosen for given in _optional_given(draft)
        )
        figures[f"required values that are copied, {category}"] = _percent(
            copied for draft in chosen for copied in _copied(draft)
        )
    return figures


def _shape(tool: Mapping[str, Any]) -> str:
    required = tool["parameters"].get("required") or ()
    return json.dumps(
        sorted(
            (str(schema.get("type")), "enum" in schema, name in required)
            for name, schema in (tool["parameters"].get("properties") or {}).items()
        )
    )


def _words(text: str | None) -> int:
    return len((text or "").split())


def _percent(found: Any) -> str:
    values = list(found)
    return f"{100 * mean(values):.0f} %" if values else "-"


def _optional_given(draft: Draft) -> list[bool]:
    """Return for each optional parameter of each call whether it is given."""
    documents = {tool["name"]: tool["parameters"] for tool in draft.tools}
    return [
        name in call.arguments
        for call in label_calls(draft.label)
        for name in documents[call.name].get("properties") or {}
        if name not in (documents[call.name].get("required") or ())
    ]


def _copied(draft: Draft) -> list[bool]:
    """Return for each required scalar value whether the user's messages have it."""
    said = " ".join(m["content"] for m in draft.messages if m["role"] == "user").lower()
    documents = {tool["name"]: tool["parameters"] for tool in draft.tools}
    return [
        str(value).lower() in said
        for call in label_calls(draft.label)
        for name, value in call.arguments.items()
        if name in (documents[call.name].get("required") or ())
        and isinstance(value, str | int | float)
        and not isinstance(value, bool)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drafts", type=int, default=2000)
    parser.add_argument("--seed", default="variety")
    options = parser.parse_args()
    shares = dict.fromkeys(CATEGORIES, 1.0)
    drafts = GrammarAuthor().write(options.drafts, seed=options.seed, split="train", shares=shares)
    grammar, benchmark = measure(drafts), measure(bfcl_drafts())
    width = max(map(len, grammar))
    print(f"{'':{width}}  {'grammar':>18}  {'BFCL':>18}")
    for name, figure in grammar.items():
        print(f"{name:{width}}  {figure:>18}  {benchmark[name]:>18}")


if __name__ == "__main__":
    main()
