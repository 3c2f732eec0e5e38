"""Measure the rules judge on pairs of a right and a noisy answer, in both roles.

    python benchmarks/judge.py [--drafts 2000] [--show KIND]

There are two sources: drafts of the grammar author (also with held-out wordings) and development
rows of BFCL, whose texts do not come from our code. The cases for each row and kind of noise are:

- A: the label is wrong, the prediction right. The right verdict is LABEL_WRONG (recall).
- B: the label is right, the prediction wrong. The right verdict is PRED_WRONG (precision).
- C: both are wrong, in different ways. LABEL_WRONG would replace one error by another.
- D: the label is right, the prediction wrong in ways typical of small models (cut off, misspelt,
  mixed up).

Precision is that of LABEL_WRONG with 15 % wrong labels, for two error rates of the model: once with
all its errors as in B, and once with half of them as in D. LABEL_WRONG in C always counts as an
error.
"""

from __future__ import annotations

import argparse
import copy
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Literal

from looptool.core.calls import ToolCall
from looptool.core.samples import Label, call_label, text_label
from looptool.core.tools import check_call
from looptool.evaluation.bfcl import rows as bfcl
from looptool.judging import Case, Opinion, Verdict
from looptool.offline.rules.judge import RulesJudge
from looptool.synthesis import Draft
from looptool.synthesis import noise as noise_kinds

NOISE_RATE = 0.15
Noised = tuple[Draft, Label, str]


def bfcl_drafts() -> list[Draft]:
    """Return BFCL's development rows as drafts with the first accepted answer as label."""
    drafts = []
    for row in bfcl.rows(split="development"):
        label = _bfcl_label(row.id, row.category)
        calls = label.get("calls", ())
        if all(check_call(ToolCall(c["name"], c["arguments"]), row.tools) is None for c in calls):
            category = {"simple": "single", "irrelevance": "irrelevant"}.get(
                row.category, row.category
            )
            drafts.append(Draft(row.tools, row.messages, label, category))
    return drafts


def _bfcl_label(row_id: str, category: str) -> Label:
    if category == "irrelevance":
        return text_label("None of the tools I have can do that.")
    calls = []
    for item in bfcl.answers(category)[row_id]:
        for name, options in item.items():
            arguments = {
                key: _first(values)
                for key, values in options.items()
                if values and "" not in values
            }
            calls.append(ToolCall(name, arguments))
    return call_label(calls)


def _first(values: list[Any]) -> Any:
    """Return the first accepted value; objects contain lists of accepted values in turn."""
    value = values[0]
    if isinstance(value, dict):
        return {
            k: _first(v) if isinstance(v, list) and v else v
            for k, v in value.items()
            if not (isinstance(v, list) and "" in v)
        }
    if isinstance(value, list):
        return [
            {k: _first(v) if isinstance(v, list) and v else v for k, v in item.items()}
            if isinstance(item, dict)
            else item
            for item in value
        ]
    return value


def grammar_drafts(count: int, split: Literal["train", "heldout"]) -> list[Draft]:
    """Return drafts of the grammar author, with equally many per category."""
    from looptool.core.samples import CATEGORIES
    from looptool.offline.grammar.author import GrammarAuthor

    author = GrammarAuthor()
    shares = dict.fromkeys(CATEGORIES, 1 / len(CATEGORIES))
    return author.write(count, seed="judge", split=split, shares=shares)


def noised(drafts: list[Draft], each: int) -> Iterator[Noised]:
    """Yield up to `each` wrong labels for every draft, with different kinds of noise."""
    for index, draft in enumerate(drafts):
        seen: set[str] = set()
        for attempt in range(each * 3):
            planted = noise_kinds.plant(draft, random.Random(f"judge/{index}/{attempt}"))
            if planted is None or planted[1] in seen or len(seen) >= each:
                continue
            seen.add(planted[1])
            yield draft, *planted


def botch(label: Label, rng: random.Random) -> Label | None:
    """Return a label with an error typical of small models, or None if none applies."""
    label = copy.deepcopy(label)
    texts = [
        (call["arguments"], key)
        for call in label.get("calls", ())
        for key, value in call["arguments"].items()
        if isinstance(value, str) and len(value) > 3
    ]
    numbers = [
        (call["arguments"], key)
        for call in label.get("calls", ())
        for key, value in call["arguments"].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if texts and (not numbers or rng.random() < 0.7):
        holder, key = rng.choice(texts)
        value, at = holder[key], rng.randrange(1, len(holder[key]) - 1)
        cut = " ".join(value.split()[:-1]) or value[:at]
        double = f"{value} {value}"
        holder[key] = rng.choice(
            [value[:at], cut, value[:at] + value[at + 1 :], value[:at] + "e" + value[at:], double]
        )
        return label if holder[key] != value else None
    if numbers:
        holder, key = rng.choice(numbers)
        holder[key] = rng.choice([holder[key] * 10, holder[key] + 1, -1])
        return label
    return None


def measure(name: str, drafts: list[Draft], each: int, show: str, count: int) -> None:
    """Print the tables of one source."""
    rows = list(noised(drafts, each))
    judge = RulesJudge()
    started = time.perf_counter()
    a = judge.compare([Case(d.tools, d.messages, bad, d.label) for d, bad, _ in rows])
    b = judge.compare([Case(d.tools, d.messages, d.label, bad) for d, bad, _ in rows])
    rate = 2 * len(rows) / (time.perf_counter() - started)
    print(f"\n{name}: {len(drafts)} samples, {2 * len(rows)} cases, {rate:.0f} a second")
    refused = [why for why in judge.admit([(d.tools, d.messages, d.label) for d in drafts]) if why]
    caught = sum(map(bool, judge.admit([(d.tools, d.messages, bad) for d, bad, _ in rows])))
    print(
        f"admit refuses {len(refused) / len(drafts):.3f} of the right labels "
        f"and {caught / len(rows):.3f} of the wrong ones"
    )
    _kinds(rows, a, b)
    c, d = judge.compare(_both_wrong(rows, each)), judge.compare(_botched(rows))
    _summary(*[[opinion.verdict for opinion in opinions] for opinions in (a, b, c, d)])
    _show(rows, a, b, show, count)


def _both_wrong(rows: list[Noised], each: int) -> list[Case]:
    """Return cases whose label and prediction have different kinds of noise."""
    return [
        Case(draft.tools, draft.messages, bad, other)
        for index, (draft, bad, kind) in enumerate(rows)
        for twin, other, other_kind in rows[index + 1 : index + each]
        if twin is draft and kind != other_kind
    ]


def _botched(rows: list[Noised]) -> list[Case]:
    made = [
        (draft, botch(draft.label, random.Random(f"botch/{index}")))
        for index, (draft, _, _) in enumerate(rows)
    ]
    return [Case(d.tools, d.messages, d.label, bad) for d, bad in made if bad is not None]


def _kinds(rows: list[Noised], a: list[Opinion], b: list[Opinion]) -> None:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for (draft, _, kind), one, two in zip(rows, a, b, strict=True):
        for key in (kind, "all", f"[{draft.category}]"):
            table[key].update([f"A {one.verdict}", f"B {two.verdict}", "n"])
    print(
        f"{'kind':24}{'n':>6}{'recall':>8}{'A pred':>8}{'A other':>8}{'B LABEL':>9}{'B other':>9}"
    )
    for kind in sorted(table, key=lambda k: (k == "all", k)):
        t = table[kind]
        n = t["n"]
        other = [t[f"{side} BOTH_CORRECT"] + t[f"{side} BOTH_WRONG"] for side in "AB"]
        print(
            f"{kind:24}{n:6}{t['A LABEL_WRONG'] / n:9.3f}{t['A PRED_WRONG'] / n:9.3f}"
            f"{other[0] / n:9.3f}{t['B LABEL_WRONG'] / n:9.4f}{other[1] / n:9.4f}"
        )


def _summary(a: list[Verdict], b: list[Verdict], c: list[Verdict], d: list[Verdict]) -> None:
    def share(verdicts: list[Verdict], verdict: Verdict) -> float:
        return verdicts.count(verdict) / max(1, len(verdicts))

    replaced = {key: share(v, "LABEL_WRONG") for key, v in zip("ABCD", (a, b, c, d), strict=True)}
    for key, title, verdicts in (("C", "both wrong", c), ("D", "botched", d)):
        dropped = share(verdicts, "BOTH_WRONG")
        print(
            f"{key} {title}, {len(verdicts)}: LABEL_WRONG {replaced[key]:.4f}, "
            f"dropped {dropped:.3f}"
        )
    for errs in (0.3, 0.6):
        mixed = (replaced["B"] + replaced["D"]) / 2
        for kind, slip in (("all as in B", replaced["B"]), ("half as in D", mixed)):
            hits = NOISE_RATE * (1 - errs) * replaced["A"]
            slips = (1 - NOISE_RATE) * errs * slip
            doubled = NOISE_RATE * errs * replaced["C"]
            print(
                f"model errs on {errs:.0%}, {kind}: precision {hits / (hits + slips):.3f}, "
                f"with C as slips {hits / (hits + slips + doubled):.3f}"
            )


def _show(rows: list[Noised], a: list[Opinion], b: list[Opinion], show: str, count: int) -> None:
    wanted, _, side = show.partition("/")
    for (draft, bad, kind), one, two in zip(rows, a, b, strict=True):
        miss = one.verdict != "LABEL_WRONG" if side == "A" else two.verdict != "PRED_WRONG"
        if show and (wanted in ("all", kind) or wanted == draft.category) and miss and count > 0:
            count -= 1
            print("\n---", kind, draft.category, (one if side == "A" else two).verdict)
            for tool in draft.tools:
                print(
                    "  tool",
                    tool["name"],
                    "|",
                    tool.get("description"),
                    "|",
                    {
                        k: v.get("description", v.get("type"))
                        for k, v in tool["parameters"].get("properties", {}).items()
                    },
                )
            for message in draft.messages:
                print(
                    "  ",
                    message["role"],
                    ":",
                    message.get("content"),
                    message.get("tool_calls", ""),
                )
            print("   right", draft.label)
            print("   wrong", bad)
            print("   judge", (one if side == "A" else two).rationale)


def main() -> None:
    """Run the measurement with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drafts", type=int, default=2000)
    parser.add_argument("--source", choices=["bfcl", "train", "heldout", "all"], default="all")
    parser.add_argument("--show", default="", help="KIND/A or KIND/B: print missed cases")
    parser.add_argument("--count", type=int, default=5)
    options = parser.parse_args()
    if options.source in ("bfcl", "all"):
        measure("BFCL development", bfcl_drafts(), 6, options.show, options.count)
    splits: tuple[Literal["train", "heldout"], ...] = ("train", "heldout")
    for split in splits:
        if options.source in (split, "all"):
            drafts = grammar_drafts(options.drafts, split)
            measure(f"grammar {split}", drafts, 2, options.show, options.count)


if __name__ == "__main__":
    main()
