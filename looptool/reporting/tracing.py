"""A sample's history for people: a tree on the terminal, or a Mermaid flowchart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.text import Text
from rich.tree import Tree

from looptool.lineage.history import Event, History, LabelVersion, Life, Step

WIDTH = 400  # characters of a label, prediction or message that are shown


def tree(history: History) -> Tree:
    """Return the history as a tree: the seed at the root, the sample itself the deepest branch."""
    root: Tree | None = None
    at = root
    for life in history.lives:
        branch = _life(life, last=life is history.lives[-1])
        if at is None:
            root = branch
        else:
            at.children.append(branch)
        at = branch
    assert root is not None and at is not None
    if history.children:
        children = at.add(Text(f"expanded into {len(history.children)}", style="bold"))
        for child in history.children:
            capped = ", no room for it" if child["capped"] else ""
            children.add(f"{child['sample_id']} in iteration {child['iteration']}{capped}")
    return root


def mermaid(history: History) -> str:
    """Return the history as a Mermaid flowchart."""
    lines = ["flowchart TD"]
    before = None
    for life in history.lives:
        node = f"s{life.sample_id[:8]}"
        lines.append(f'  {node}["{life.sample_id[:8]}<br>{_kind(life)}"]')
        if before:
            lines.append(f"  {before} -- expanded --> {node}")
        before = node
        for step in life.steps:
            own = f"{node}_{step.iteration}"
            told = "<br>".join(_escaped(line) for line in _brief(step))
            lines.append(f'  {own}["{told}"]')
            lines.append(f"  {before} --> {own}")
            before = own
    for child in history.children:
        node = f"s{child['sample_id'][:8]}"
        lines.append(f'  {node}["{child["sample_id"][:8]}"]')
        lines.append(f"  {before} -- expanded --> {node}")
    return "\n".join(lines)


def _life(life: Life, last: bool) -> Tree:
    branch = Tree(Text.assemble((life.sample_id, "bold"), f"  {_kind(life)}"))
    asked = branch.add("conversation")
    asked.add(Text(f"tools: {', '.join(tool['name'] for tool in life.tools)}"))
    for message in life.messages if last else life.messages[-1:]:
        asked.add(Text(f"{message['role']}: {_short(_said(message))}"))
    for row in life.rejected:
        branch.add(
            Text(f"refused in iteration {row['iteration']} by {row['check']}: {row['reason']}")
        )
    branch.children += [_step(step, life) for step in life.steps]
    for answer in life.answers:
        mark = "right" if answer["valid"] else f"wrong, {answer['error_type']}"
        text = f"models/{answer['iteration']} answered ({mark}): {_short(answer['prediction'])}"
        branch.add(Text(text, style="green" if answer["valid"] else "red"))
    return branch


def _step(step: Step, life: Life) -> Tree:
    title = f"iteration {step.iteration}"
    if step.sample and step.iteration:
        title += f", in D_{step.iteration}"
    branch = Tree(Text(title, style="bold"))
    labels = {version.label_id: version for version in life.labels}
    if step.dataset_id:
        branch.add(f"data set {step.dataset_id}")
    happened = list(step.events)
    for event in (event for event in happened if event.stage != "expand"):
        branch.add(_event(event))
    if step.sample:
        branch.add(_label("label", labels.get(step.sample["label_id"]), step.sample))
        for alternative in step.sample["alternatives"]:
            branch.add(Text(f"also accepted: {_short(_json(alternative))}"))
    if step.model:
        branch.add(Text(f"trained {step.model['name']}{_md5(step.model['md5'])}"))
    if step.probe:
        probe = step.probe
        mark = "right" if probe["matched"] else f"wrong, {probe['failure_type']}"
        ppl = f"perplexity {probe['ppl']:.3f}" + (", high" if probe["high_ppl"] else "")
        text = f"models/{step.iteration} answered ({mark}; {ppl}): {_short(probe['prediction'])}"
        branch.add(Text(text, style="green" if probe["matched"] else "red"))
    if step.verdict:
        verdict = step.verdict
        branch.add(
            Text(
                f"{verdict['verdict']} says {verdict['judge']} (consensus "
                f"{verdict['consensus']:.2f}, votes {_json(_votes(verdict))}): "
                f"{verdict['rationale']}"
            )
        )
    for event in (event for event in happened if event.stage == "expand"):
        shown = branch.add(_event(event))
        if event.event == "corrected":
            shown.add(_label("new label", labels.get(event.new_label_id or ""), None))
    return branch


def _event(event: Event) -> Text:
    told = f"{event.event} by {event.stage}, event {event.number}"
    for name, value in (
        ("seed", event.seed), ("judge", event.judge), ("model", event.model),
        ("inputs", event.inputs),
    ):  # fmt: skip
        if value is not None:
            told += f", {name} {value}"
    if event.old_label_id and event.new_label_id:
        told += f", label {event.old_label_id[:12]} → {event.new_label_id[:12]}"
    return Text(told)


def _label(what: str, version: LabelVersion | None, sample: Any) -> Text:
    if version is None:
        return Text(f"{what} unknown", style="red")
    by = f"by {version.source} in iteration {version.iteration}"
    origin = f", origin {sample['origin']}" if sample else ""
    return Text(f"{what} {version.label_id[:12]} {by}{origin}: {_short(_json(version.label))}")


def _brief(step: Step) -> Iterator[str]:
    yield f"iteration {step.iteration}" + (f": {step.sample['origin']}" if step.sample else "")
    if step.probe:
        right = "right" if step.probe["matched"] else step.probe["failure_type"]
        yield f"answered: {right}, perplexity {step.probe['ppl']:.2f}"
    if step.verdict:
        yield f"{step.verdict['verdict']} by {step.verdict['judge']}"
    for event in step.events:
        yield event.event


def _kind(life: Life) -> str:
    names = {
        "warmup": "a warm-up sample",
        "heldout": "a held-out sample, never trained on",
        "rejected": "refused, never trained on",
    }
    if life.kind in names:
        return names[life.kind]
    category = next((step.sample["category"] for step in life.steps if step.sample), "")
    return f"{'seed' if life.parent_id is None else 'expansion'}, {category}".rstrip(", ")


def _said(message: dict[str, Any]) -> str:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return " ".join([message.get("content") or "", *map(_json, calls)]).strip()


def _votes(verdict: Any) -> dict[str, str]:
    return {name: vote["verdict"] for name, vote in json.loads(verdict["votes"]).items()}


def _md5(value: str | None) -> str:
    return f" (md5 {value})" if value else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _escaped(text: str) -> str:
    return text.replace('"', "#quot;").replace("<", "#lt;")
