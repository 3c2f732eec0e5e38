"""Checks of a base's chat template, before a model is loaded."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from looptool.core.errors import ConfigError
from looptool.core.hub_name import PREFIX
from looptool.core.params import BASE, FILE, LLM, Model
from looptool.core.samples import call_label
from looptool.engines import Prompt
from looptool.engines.folders import base_problem, role_folder
from looptool.engines.syntax import CALL, CONVERSATION, TOOL, syntax_of
from looptool.engines.templates import (
    TODAY,
    TemplateOf,
    answer_of,
    choose_template,
    render,
    set_options,
    with_date,
)

# What must reach the prompt: (what it is, a text that shows it).
_MARKS = (
    ("the system turn", "SYSTEM turn"),
    ("the user's text", "FIRST request"),
    ("the last request", "SECOND request"),
    ("the assistant's text", "ANSWER in words"),
    ("the tools", "find_rooms"),
    ("the tools' descriptions", "DESCRIPTION of find_rooms"),
    ("the parameters", "bed_kind"),
    ("the parameters' descriptions", "DESCRIPTION of city"),
    ("the allowed values", "double"),
    ("an earlier call", "Trondheim"),
    ("the result of a call", "RESULT of the call"),
)


def _prints_today(tokenizer: Any) -> bool:
    """Return whether a template prints the date of the day on which it is rendered."""
    texts = set()
    for today in ("1987-01-01", "1999-12-31"):
        dated = copy.copy(tokenizer)
        dated.chat_template = with_date(tokenizer.chat_template, today)
        # some print it only where there is no system turn
        texts.add(tuple(render(dated, Prompt(CONVERSATION[start:], [TOOL])) for start in range(2)))
    return len(texts) > 1


def template_problem(tokenizer: Any) -> str | None:
    """Return what of a conversation a template loses or why its calls cannot be read, or None."""
    try:
        text = render(tokenizer, Prompt(CONVERSATION, [TOOL]))
        if _prints_today(tokenizer):
            return (
                "the chat template prints today's date, so that no run could be repeated; "
                "set model.template_options: {today: 2026-01-01}"
            )
        lost = [what for what, mark in _MARKS if mark not in text]
        if lost:
            return f"the chat template drops {', '.join(lost)}"
        answer = answer_of(tokenizer, Prompt(CONVERSATION, [TOOL]), call_label([CALL]))
    except ConfigError as error:
        return str(error)
    if syntax_of(tokenizer) is None:
        start = " ".join(answer.split())[:60]
        return f"its calls are in no syntax that can be read: {start!r}"
    return None


def check_role(settings: LLM, field: str) -> None:
    """Check that the template of a model in a role, if it is a folder, knows its options.

    Raises:
        ConfigError: if it does not know one, or every prompt sets it.
    """
    if settings.engine == "openai" and settings.model.startswith(PREFIX):
        return  # the server renders the prompts
    folder = Path(role_folder(settings.model, f"{field}.model"))
    if folder.is_dir():
        template = TemplateOf.folder(folder)
        written = template.chat_template or ""
        set_options(template, settings.template_options, field)
        _check_options(settings.template_options, field, written, settings.model)


def _check_options(options: Mapping[str, Any], field: str, template: str, model: str) -> None:
    for option in options:
        known = "strftime_now" if option == TODAY else option
        if not re.search(rf"\b{re.escape(known)}\b", template):
            raise ConfigError(
                f"{FILE}: {field}.template_options.{option}: the chat template of {model} has no "
                "such option"
            )


def check_template(model: Model, warmup_steps: int) -> None:
    """Check the chat template of `model.base`, as params choose it, without loading a tokenizer.

    Raises:
        ConfigError: if there is none, it loses parts of a conversation, or its calls cannot be
            read; or if a template that the base does not know comes without a warm-up.
    """
    if base_problem(BASE):
        return  # `check_base` reports it
    template = TemplateOf.folder(BASE)
    # first without options, since a fixed date replaces what shows that a template takes one
    choose_template(template, model.model_copy(update={"template_options": {}}))
    written = template.chat_template or ""
    choose_template(template, model)
    field = f"{FILE}: model.chat_template: {model.chat_template}"
    if model.chat_template == "looptool":
        if not warmup_steps:
            raise ConfigError(
                f"{field}: the base does not know it, so warmup.steps must not be 0; try 30"
            )
        return
    _check_options(model.template_options, "model", written, model.base)
    problem = template_problem(template) if template.chat_template else "the base has none"
    if problem:
        raise ConfigError(
            f"{field}: {model.base}: {problem}; `looptool`, the project's template, works with "
            "every base and needs a warm-up (warmup.steps: 30)"
        )
