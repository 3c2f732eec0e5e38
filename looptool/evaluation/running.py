"""Running benchmarks, from questions to verdicts, on any engine.

Answers are stored as they arrive, so that an interrupted run continues with the rest. They go to
the request cache if the engine's answers are independent of each other, otherwise to a scratch
folder, one whole batch at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from looptool.core.errors import ConfigError
from looptool.core.params import EvalAcebench, Params
from looptool.engines import Completion, Engine, Prompt, Sampling, answering
from looptool.evaluation.acebench import agent
from looptool.evaluation.acebench import prompts as acebench_prompts
from looptool.evaluation.acebench import rows as acebench_rows
from looptool.evaluation.acebench import scoring as acebench_scoring
from looptool.evaluation.bfcl import dialogues, prompts, scoring
from looptool.evaluation.bfcl.rows import MULTI_TURN, Row


@dataclass
class Asker:
    """Sends prompts to a model and returns its answers, in order.

    Attributes:
        on_progress: called with the number of prompts answered so far, over all calls.
        answers: number of prompts answered so far.
        tokens: number of tokens generated so far.
    """

    engine: Engine
    sampling: Sampling
    scratch: Path
    on_progress: Callable[[int], object] = lambda count: None
    answers: int = 0
    tokens: int = 0

    def __call__(self, prompts: Sequence[Prompt]) -> list[Completion]:
        """Return the model's answers; raises LooptoolError if a prompt failed technically."""
        before = self.answers
        completions = answering.answer(
            self.engine,
            prompts,
            self.sampling,
            self.scratch,
            lambda count: self.on_progress(before + count),
        )
        answering.check_all_answered(completions, "prompts")
        self.answers += len(completions)
        self.tokens += sum(completion.tokens for completion in completions)
        return completions


def run_bfcl(
    rows: Sequence[Row],
    ask: agent.Ask,
    style: prompts.Style = "native",
    others: Sequence[Prompt] = (),
) -> tuple[pl.DataFrame, list[Completion]]:
    """Run a model on BFCL rows and return one row of `tables.Eval` for each.

    Args:
        style: the prompt style: the model's chat template (`native`) or BFCL's own prompt (`bfcl`).
        others: further prompts, not in that style, to ask in the same batches.

    Returns:
        `tables.Eval`, and the model's answers to `others`.

    Raises:
        LooptoolError: if the checker cannot be run.
    """
    form = prompts.FORMS[style]

    def styled(asked: Sequence[Prompt]) -> list[Completion]:
        return ask([form.prompt(prompt) for prompt in asked])

    single = [row for row in rows if row.category not in MULTI_TURN]
    asked = [form.prompt(Prompt(row.messages, row.tools)) for row in single]
    completions = ask([*asked, *others])
    answers = dict(zip((row.id for row in single), completions[: len(single)], strict=True))
    several = [row for row in rows if row.category in MULTI_TURN]
    played = dialogues.play(several, styled, form)
    scores = pl.concat([scoring.score_calls(answers, form), dialogues.score(played, form)])
    return scores, list(completions[len(single) :])


def least_prompts(rows: Sequence[Row]) -> int:
    """Return the number of prompts for BFCL rows if each turn of a dialogue takes one step."""
    return sum(len(row.turns) if row.category in MULTI_TURN else 1 for row in rows)


def acebench_of(settings: EvalAcebench) -> list[acebench_rows.Row]:
    """Return the rows that `eval.acebench` selects; none if `path` is null.

    Raises:
        ConfigError: before any model is loaded, if the checkout or the simulated user is missing.
    """
    if settings.path is None:
        return []
    rows = acebench_rows.in_languages(
        settings.path, settings.language, settings.categories, settings.limit
    )
    check_acebench(rows, settings.path, "native", settings.user)
    return rows


def simulated_user(
    params: Params, rows: Sequence[acebench_rows.Row], sampling: Sampling, scratch: Path
) -> Asker | None:
    """Load the model that simulates the user of `agent_multi_turn`, or return None without such."""
    settings = params.eval.acebench.user
    if settings is None or not any(row.category == "agent_multi_turn" for row in rows):
        return None
    engine = answering.load(
        settings.engine, settings.model, params,
        batch_size=params.eval.batch_size, server=settings.server,
    )  # fmt: skip
    return Asker(engine, sampling, scratch)


def check_acebench(
    rows: Sequence[acebench_rows.Row],
    checkout: Path | str,
    style: acebench_prompts.Style,
    user: object | None,
) -> None:
    """Check, before any model is loaded, that everything the rows need exists.

    Raises:
        ConfigError: if the rows need a simulated user and there is none, or the checkout lacks
            their prompts or classes.
    """
    if style == "acebench" and (single := [row for row in rows if row.group != "agent"]):
        acebench_prompts.prompt(single[0], style, checkout)
    if acting := [row for row in rows if row.group == "agent"]:
        acebench_prompts.constant(str(checkout), "SAVED_CLASS")
        acebench_prompts.agent_prompt(acting[0], [], [], style, checkout)
    if user is None and any(row.category == "agent_multi_turn" for row in rows):
        raise ConfigError(
            "eval.acebench.user: agent_multi_turn needs a model that simulates the user; name one "
            "(`--user` of `looptool bench`) or omit that category"
        )


def run_acebench(
    rows: Sequence[acebench_rows.Row],
    checkout: Path | str,
    ask: agent.Ask,
    style: acebench_prompts.Style = "native",
    user: agent.Ask | None = None,
) -> pl.DataFrame:
    """Run a model on ACEBench rows and return one row of `tables.Eval` for each.

    Args:
        checkout: the checkout that the rows come from; its classes run in the sandbox.
        style: the prompt style: the model's chat template (`native`) or ACEBench's own prompt
            (`acebench`).
        user: the simulated user of `agent_multi_turn`.

    Raises:
        ConfigError: if the checkout is incomplete.
        LooptoolError: if the sandbox cannot be run.
    """
    single = [row for row in rows if row.group != "agent"]
    acting = [row for row in rows if row.group == "agent"]
    completions = ask([acebench_prompts.prompt(row, style, checkout) for row in single])
    answers = dict(zip((row.id for row in single), completions, strict=True))
    outcomes = agent.drive(acting, checkout, ask, user, style)
    by_id = {outcome.row_id: outcome for outcome in outcomes}
    return pl.concat([acebench_scoring.score(single, answers), agent.score(acting, by_id)])
