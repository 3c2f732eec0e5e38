"""Benchmarks from questions to verdicts, on any engine.

Answers are kept as they come, so that a run that was stopped asks for the rest: in the request
cache where an engine's answers do not hang on each other, else in a scratch folder, by whole
batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from looptool.core.errors import ConfigError
from looptool.core.params import EvalAcebench
from looptool.engines import Engine, Prompt, Sampling, answering
from looptool.evaluation.acebench import agent
from looptool.evaluation.acebench import prompts as acebench_prompts
from looptool.evaluation.acebench import rows as acebench_rows
from looptool.evaluation.acebench import scoring as acebench_scoring
from looptool.evaluation.bfcl import dialogues, prompts, scoring
from looptool.evaluation.bfcl.rows import MULTI_TURN, Row


@dataclass
class Asker:
    """Puts prompts to a model and returns its texts, in order.

    Attributes:
        reach: called with how many prompts were answered so far, over all calls.
        answers: how many that is.
        tokens: how many tokens the model wrote.
    """

    engine: Engine
    sampling: Sampling
    scratch: Path
    reach: Callable[[int], object] = lambda count: None
    answers: int = 0
    tokens: int = 0

    def __call__(self, prompts: Sequence[Prompt]) -> list[str]:
        """Raise LooptoolError where a prompt got no answer by a machine's fault."""
        before = self.answers
        completions = answering.answer(
            self.engine,
            prompts,
            self.sampling,
            self.scratch,
            lambda count: self.reach(before + count),
        )
        answering.check_all_answered(completions, "prompts")
        self.answers += len(completions)
        self.tokens += sum(completion.tokens for completion in completions)
        return [completion.text for completion in completions]


def run_bfcl(
    rows: Sequence[Row],
    ask: agent.Ask,
    style: prompts.Style = "native",
) -> pl.DataFrame:
    """Ask a model all rows and return `tables.Eval`, a row each.

    Args:
        style: how the tools are told: by the model's chat template, or in BFCL's own words.

    Raises:
        LooptoolError: if the checker cannot be run.
    """
    form = prompts.FORMS[style]

    def styled(asked: Sequence[Prompt]) -> list[str]:
        return ask([form.prompt(prompt) for prompt in asked])

    single = [row for row in rows if row.category not in MULTI_TURN]
    texts = styled([Prompt(row.messages, row.tools) for row in single])
    answers = dict(zip((row.id for row in single), texts, strict=True))
    several = [row for row in rows if row.category in MULTI_TURN]
    played = dialogues.play(several, styled, form.read)
    return pl.concat([scoring.score_calls(answers, form), dialogues.score(played, form)])


def acebench_of(settings: EvalAcebench) -> list[acebench_rows.Row]:
    """Return the rows that `eval.acebench` asks for, none where it names no checkout.

    Raises:
        ConfigError: before a model is loaded, if the checkout or the user's model is missing.
    """
    if settings.path is None:
        return []
    rows = acebench_rows.in_languages(
        settings.path, settings.language, settings.categories, settings.limit
    )
    check_acebench(rows, settings.path, "native", settings.user)
    return rows


def check_acebench(
    rows: Sequence[acebench_rows.Row],
    checkout: Path | str,
    style: acebench_prompts.Style,
    user: object | None,
) -> None:
    """Make sure, before a model is loaded, that what the rows need is there.

    Raises:
        ConfigError: if they need a simulated user and there is none, or the checkout lacks the
            words or classes that they need.
    """
    if style == "acebench" and (single := [row for row in rows if row.group != "agent"]):
        acebench_prompts.prompt(single[0], style, checkout)
    if acting := [row for row in rows if row.group == "agent"]:
        acebench_prompts.constant(str(checkout), "SAVED_CLASS")
        acebench_prompts.agent_prompt(acting[0], [], [], style, checkout)
    if user is None and any(row.category == "agent_multi_turn" for row in rows):
        raise ConfigError(
            "eval.acebench.user: agent_multi_turn needs a model that plays the user; name one "
            "(`--user` of `looptool bench`), or leave that category out"
        )


def run_acebench(
    rows: Sequence[acebench_rows.Row],
    checkout: Path | str,
    ask: agent.Ask,
    style: acebench_prompts.Style = "native",
    user: agent.Ask | None = None,
) -> pl.DataFrame:
    """Ask a model all rows and return `tables.Eval`, a row each.

    Args:
        checkout: where the data came from; agents act on its classes, in the sandbox.
        style: how the tools are told: by the model's chat template, or in ACEBench's own words.
        user: whatever plays the user of `agent_multi_turn`.

    Raises:
        ConfigError: if the checkout lacks something.
        LooptoolError: if the sandbox cannot be run.
    """
    single = [row for row in rows if row.group != "agent"]
    acting = [row for row in rows if row.group == "agent"]
    texts = ask([acebench_prompts.prompt(row, style, checkout) for row in single])
    answers = dict(zip((row.id for row in single), texts, strict=True))
    outcomes = agent.drive(acting, checkout, ask, user, style)
    by_id = {outcome.row_id: outcome for outcome in outcomes}
    return pl.concat([acebench_scoring.score(single, answers), agent.score(acting, by_id)])
