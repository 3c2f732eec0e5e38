"""What a model reads for a sample, and the answer that it is trained to give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from looptool.core.params import BASE, load
from looptool.engines import Prompt
from looptool.engines.syntax import label_text, round_trip, syntax_of
from looptool.engines.template_check import template_problem
from looptool.engines.templates import TemplateOf, choose_template, render
from looptool.evaluation.targets import target_of
from looptool.lineage.history import lives, resolve
from looptool.lineage.revisions import Snapshot
from looptool.lineage.views import connect
from looptool.terminal import shown

FIRST_MODEL = Path("models/0")


def show_prompt(
    snapshot: Snapshot, identity: str, model: str | None, tokens: bool, console: Console
) -> None:
    """Print a sample's prompt and label as a model reads and writes them.

    Args:
        identity: a sample_id or label_id, or a prefix of one.
        model: see `targets.target_of`. Default: models/0, or the base if there is none.
        tokens: whether to print token ids with their texts instead.

    Raises:
        ConfigError: if there is no such model, or its chat template cannot render the prompt.
        LooptoolError: if there is no such sample.
    """
    folder = Path(target_of(model).model if model else _default_model())
    connection = connect(snapshot)
    life = lives(connection, snapshot, [resolve(connection, identity)])[0]
    template: Any = _tokenizer(folder) if tokens else TemplateOf.folder(folder)
    if model is None and folder != FIRST_MODEL:
        choose_template(template, load().model)  # as the warm-up will
    prompt = Prompt(life.messages, life.tools)
    label = label_text(template, prompt, life.labels[-1].label)
    texts = {"prompt": render(template, prompt), "label": label}
    for name, text in texts.items():
        if tokens:
            ids = template(text, add_special_tokens=False).input_ids
            console.rule(shown(f"{name}, {len(ids)} tokens"))
            console.print(shown(" ".join(f"{each}:{template.decode(each)!r}" for each in ids)),
                          soft_wrap=True)  # fmt: skip
        else:
            console.rule(shown(name))
            console.print(shown(text), soft_wrap=True)


def describe_template(folder: Path) -> dict[str, Any]:
    """Return whether a model's chat template can be used, as `looptool check --model` prints it."""
    template = TemplateOf.folder(folder)
    problem = template_problem(template) if template.chat_template else "it has no chat template"
    syntax = syntax_of(template) if problem is None else None
    return {
        "usable": problem is None,
        "reason": problem,
        "template": None if template.chat_template is None else "own",
        "syntax": syntax.name if syntax else None,
        "round_trip": round_trip(template) if template.chat_template else {},
    }


def _default_model() -> str:
    return str(FIRST_MODEL if FIRST_MODEL.is_dir() else BASE)


def _tokenizer(folder: Path) -> Any:
    from looptool.engines.transformers import load_tokenizer

    return load_tokenizer(folder)
