"""Show the history of a sample as a tree on the terminal, or as a Mermaid flowchart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text
from rich.tree import Tree

from looptool.lineage.history import Event, History, LabelVersion, Life, Step
from looptool.terminal import short, shown

WIDTH = 400  # maximum characters to show of a label, prediction or message


def tree(history: History) -> Tree:
    """Return the history as a tree with the seed at the root and the sample as deepest branch."""
    root: Tree | None = None
    deepest = root
    for life in history.lives:
        branch = _life(life, last=life is history.lives[-1])
        if deepest is None:
            root = branch
        else:
            deepest.children.append(branch)
        deepest = branch
    assert root is not None and deepest is not None
    if history.children:
        children = deepest.add(shown(f"expanded into {len(history.children)}", style="bold"))
        for child in history.children:
            capped = ", capped" if child["capped"] else ""
            children.add(f"{child['sample_id']} in iteration {child['iteration']}{capped}")
    return root


def mermaid(history: History) -> str:
    """Return the history as a Mermaid flowchart."""
    lines = ["flowchart TD"]
    before = None
    for life in history.lives:
        node = f"s{life.sample_id[:8]}"
        lines.append(f'  {node}["{life.sample_id[:8]}<br>{_escaped(_kind(life))}"]')
        if before:
            lines.append(f"  {before} -- expanded --> {node}")
        before = node
        for step in life.steps:
            step_node = f"{node}_{step.iteration}"
            text = "<br>".join(_escaped(line) for line in _brief(step))
            lines.append(f'  {step_node}["{text}"]')
            lines.append(f"  {before} --> {step_node}")
            before = step_node
    for child in history.children:
        node = f"s{child['sample_id'][:8]}"
        lines.append(f'  {node}["{child["sample_id"][:8]}"]')
        lines.append(f"  {before} -- expanded --> {node}")
    return "\n".join(lines)


def _life(life: Life, last: bool) -> Tree:
    branch = Tree(Text.assemble((life.sample_id, "bold"), f"  {_kind(life)}"))
    asked = branch.add("conversation")
    asked.add(shown(f"tools: {', '.join(tool['name'] for tool in life.tools)}"))
    for message in life.messages if last else life.messages[-1:]:
        asked.add(shown(f"{message['role']}: {short(_said(message), WIDTH)}"))
    for version in life.labels if life.kind == "rejected" else ():
        branch.add(_label("label", version, version.source, version.iteration))
    for row in life.rejected:
        branch.add(
            shown(f"refused in iteration {row['iteration']} by {row['check']}: {row['reason']}")
        )
    branch.children += [_step(step, life) for step in life.steps]
    for version in life.labels if life.kind == "audited" else ():
        branch.add(_label("label", version, version.source, version.iteration))
    for row in life.audits:
        found = row["verdict"] or "nothing speaks against the label"
        sure = "" if row["verdict"] is None else f" (confidence {row['confidence']:.2f})"
        text = f"audit {row['audit']}: {found} by {row['judge']}{sure}: {row['rationale']}"
        branch.add(shown(text.rstrip(": ")))
        if row["prediction"]:
            branch.add(shown(f"compared with: {short(row['prediction'], WIDTH)}"))
    for row in life.reviews:
        note = f": {row['note']}" if row["note"] else ""
        text = f"{row['reviewer']} decided {row['decision']} on label {row['label_id'][:12]}{note}"
        branch.add(shown(f"{text} (review of {row['source']})"))
    for answer in life.answers:
        mark = "right" if answer["valid"] else f"wrong, {answer['error_type']}"
        text = (
            f"models/{answer['iteration']} answered ({mark}): {short(answer['prediction'], WIDTH)}"
        )
        branch.add(shown(text, style="green" if answer["valid"] else "red"))
    return branch


def _step(step: Step, life: Life) -> Tree:
    title = f"iteration {step.iteration}"
    if step.sample and step.iteration:
        title += f", in D_{step.iteration}"
    branch = Tree(shown(title, style="bold"))
    labels = {version.label_id: version for version in life.labels}
    if step.dataset_id:
        branch.add(f"data set {step.dataset_id}")
    events = list(step.events)
    for event in (event for event in events if event.stage != "expand"):
        branch.add(_event(event))
    if step.sample:
        version = labels.get(step.sample["label_id"])
        by = (step.sample["label_source"], step.sample["label_iteration"])
        branch.add(_label("label", version, *by, f", origin {step.sample['origin']}"))
        for alternative in step.sample["alternatives"]:
            branch.add(shown(f"also accepted: {short(_json(alternative), WIDTH)}"))
    if step.model:
        name = f"{step.model['name']}{_md5(step.model['md5'])}"
        branch.add(shown(f"in the training data of {name}{_origin(step)}"))
        if step.left_out:
            branch.add(shown(f"left out of its training: {step.left_out}"))
        if step.rollouts:
            passed = round(step.rollouts["pass_rate"] * step.rollouts["answers"])
            branch.add(f"passed in {passed} of {step.rollouts['answers']} answers while training")
    elif step.sample:
        branch.add(f"models/{step.iteration} has not been trained on it yet")
    if step.probe:
        probe = step.probe
        mark = "right" if probe["matched"] else f"wrong, {probe['error_type']}"
        ppl = _perplexity(probe) + (", high" if probe["high_ppl"] else "")
        text = (
            f"models/{step.iteration} answered ({mark}; {ppl}): {short(probe['prediction'], WIDTH)}"
        )
        branch.add(shown(text, style="green" if probe["matched"] else "red"))
    if step.verdict:
        verdict = step.verdict
        branch.add(
            shown(
                f"{verdict['verdict']} by {verdict['judge']} (consensus "
                f"{verdict['consensus']:.2f}, votes {_json(_votes(verdict))}): "
                f"{verdict['rationale']}"
            )
        )
    for event in (event for event in events if event.stage == "expand"):
        below = branch.add(_event(event))
        if event.event == "corrected":
            new = labels.get(event.new_label_id or "")
            below.add(_label("new label", new, f"judge:{event.judge}", step.iteration))
    return branch


def _event(event: Event) -> Text:
    text = f"{event.event} by {event.stage}, event {event.number}"
    for name, value in (
        ("seed", event.seed), ("judge", event.judge), ("model", event.model),
        ("inputs", event.inputs),
    ):  # fmt: skip
        if value is not None:
            text += f", {name} {value}"
    if event.old_label_id and event.new_label_id:
        text += f", label {event.old_label_id[:12]} → {event.new_label_id[:12]}"
    return shown(text)


def _label(
    what: str, version: LabelVersion | None, source: str, iteration: int, more: str = ""
) -> Text:
    if version is None:
        return shown(f"{what} unknown", style="red")
    text = short(_json(version.label), WIDTH)
    return shown(
        f"{what} {version.label_id[:12]} by {source} in iteration {iteration}{more}: {text}"
    )


def _perplexity(probe: Mapping[str, Any]) -> str:
    return "perplexity unknown" if probe["ppl"] is None else f"perplexity {probe['ppl']:.3f}"


def _brief(step: Step) -> Iterator[str]:
    yield f"iteration {step.iteration}" + (f": {step.sample['origin']}" if step.sample else "")
    if step.probe:
        right = "right" if step.probe["matched"] else step.probe["error_type"]
        yield f"answered: {right}, {_perplexity(step.probe)}"
    if step.verdict:
        yield f"{step.verdict['verdict']} by {step.verdict['judge']}"
    for event in step.events:
        yield event.event


def _kind(life: Life) -> str:
    names = {
        "warmup": "a warm-up sample",
        "heldout": "a held-out sample, never trained on",
        "audited": "a sample of an audit",
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


def _origin(step: Step) -> str:
    """Return the base of the model of a step, and how the model was prompted; older revisions do
    not record them.
    """
    base, prompt = (step.model or {}).get("base"), (step.model or {}).get("prompt")
    text = f", base {base}" if base else ""
    if not prompt:
        return text
    options = f" with {_json(prompt['options'])}" if prompt["options"] else ""
    return f"{text}, chat template {prompt['template']}{options}, calls in {prompt['syntax']}"


def _md5(value: str | None) -> str:
    return f" (md5 {value})" if value else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _escaped(text: str) -> str:
    """Return text with Mermaid's entities in place of characters of Mermaid's syntax."""
    return "".join(f"#{ord(c)};" if c in "\"'<>&#`\\" else c for c in text)
