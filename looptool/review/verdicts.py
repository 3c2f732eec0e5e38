"""What is reviewed: the verdicts of an iteration or of an audit, the most suspicious first."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from looptool.auditing import AUDIT, SAMPLES, SOURCE
from looptool.auditing import FOLDER as AUDITS
from looptool.auditing.sets import read_description
from looptool.core import canonical, tables
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.samples import Label, check_label, label_calls, label_id, prediction_label
from looptool.core.tools import check_call
from looptool.judging import likely_wrong
from looptool.judging.human import HUMAN
from looptool.lineage.revisions import open_workspace

FACETS = ("verdict", "judge", "category", "tool")
NO_VERDICT = "none"  # the facet of labels against which nothing speaks


@dataclass(frozen=True)
class Reviewed:
    """Verdicts to review.

    Attributes:
        source: an iteration, or `audit:` and the name of an audit, as `tables.Reviews` stores it.
        then: the command that applies the decisions.
        table: sample_id, label_id, verdict (of the judges; null if there is none), confidence,
            suspicion, judge, disagree, votes, rationale, category, tool, prediction (a label as
            JSON), suggested (whether a judge made it), prediction_id, problem (why a prediction
            cannot be read), ppl, label_ppl, tools, messages, label, and weight (null unless it is a
            sample). A row's number is its place.
    """

    source: str
    title: str
    table: pl.DataFrame
    then: str = "dvc repro"

    def facets(self) -> dict[str, dict[str, int]]:
        """Return how often each value of a filter occurs."""
        return {
            name: tables.counts(self.table.with_columns(pl.col(name).fill_null(NO_VERDICT)), name)
            for name in FACETS
        }

    def order(self, filters: Mapping[str, str], decided: set[tuple[str, str]]) -> list[int]:
        """Return the rows that match filters.

        Args:
            filters: values of FACETS; `confidence`, the least; `disagree` and `undecided`.
            decided: (sample_id, label_id) that are left out with `undecided`.
        """
        table = self.table.with_row_index("row").select(
            "row", "sample_id", "label_id", "confidence", "disagree", *FACETS
        )
        for name in FACETS:
            if wanted := filters.get(name):
                table = table.filter(pl.col(name).fill_null(NO_VERDICT) == wanted)
        if least := filters.get("confidence"):
            table = table.filter(pl.col("confidence") >= float(least))
        if filters.get("disagree"):
            table = table.filter("disagree")
        if filters.get("undecided"):
            on = ["sample_id", "label_id"]
            keys = pl.DataFrame(list(decided), dict.fromkeys(on, pl.String), orient="row")
            table = table.join(keys, on=on, how="anti", maintain_order="left")
        return table["row"].to_list()

    def item(self, row: int) -> dict[str, Any]:
        """Return everything that the page shows of a row."""
        values = self.table.row(row, named=True)
        label = canonical.loads(values["label"])
        prediction = values["prediction"] and canonical.loads(values["prediction"])
        sides = marked(pretty(label), pretty(prediction) if prediction else None)
        return {
            "row": row,
            **{name: values[name] for name in ("sample_id", "category", "tool", "confidence",
                                               "rationale", "ppl", "label_ppl")},
            "verdict": values["verdict"] or NO_VERDICT,
            "judges": [
                {"name": name, "verdict": vote["verdict"] or NO_VERDICT,
                 "confidence": vote["confidence"]}
                for name, vote in canonical.loads(values["votes"]).items()
                if not _is_human(name)
            ],
            "tools": [
                {"name": tool["name"], "description": tool.get("description", ""),
                 "parameters": json.dumps(tool["parameters"], indent=2, ensure_ascii=False)}
                for tool in canonical.loads(values["tools"])
            ],
            "messages": [
                {"role": message["role"], "text": _said(message)}
                for message in canonical.loads(values["messages"])
            ],
            "label": {"text": json.dumps(label, indent=2, ensure_ascii=False), "lines": sides[0]},
            "prediction": prediction and {
                "text": json.dumps(prediction, indent=2, ensure_ascii=False), "lines": sides[1]
            },
            "prediction_problem": values["problem"],
            "suggested": values["suggested"],
        }  # fmt: skip

    def read_label(self, row: int, text: str) -> Label:
        """Read a label that a person wrote.

        Raises:
            ValueError: says on one line what is wrong with it.
        """
        tools = canonical.loads(self.table.row(row, named=True)["tools"])
        try:
            label = canonical.loads(text)
        except ValueError as error:
            raise ValueError(f"not valid JSON: {str(error).splitlines()[0]}") from None
        if (problem := check_label(label)) is not None:
            raise ValueError(problem)
        for place, call in enumerate(label_calls(label)):
            if (problem := check_call(call, tools)) is not None:
                raise ValueError(f"calls[{place}]: {' '.join(problem.split())}")
        checked: Label = label
        return checked


def _said(message: Mapping[str, Any]) -> str:
    calls = [item.get("function", item) for item in message.get("tool_calls") or ()]
    lines = [message.get("content") or "", *(json.dumps(c, ensure_ascii=False) for c in calls)]
    return "\n".join(line for line in lines if line)


def pretty(label: Label) -> list[str]:
    """Return a label as lines to read: a text, or each call with an argument on each line."""
    if "text" in label:
        return [str(line) for line in label["text"].splitlines()]
    lines = []
    for call in label_calls(label):
        arguments = json.dumps(call.arguments, indent=2, ensure_ascii=False)
        lines += f"{call.name} {arguments}".splitlines()
    return lines


def marked(left: list[str], right: list[str] | None) -> tuple[list[Any], list[Any]]:
    """Return both sides as [line, whether the other side lacks it] pairs."""
    if right is None:
        return [[line, False] for line in left], []
    blocks = difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    lefts = {place for block in blocks for place in range(block.a, block.a + block.size)}
    rights = {place for block in blocks for place in range(block.b, block.b + block.size)}
    return (
        [[line, place not in lefts] for place, line in enumerate(left)],
        [[line, place not in rights] for place, line in enumerate(right)],
    )


def open_reviewed(target: str | None, sample: int | None = None) -> Reviewed:
    """Open the verdicts of an iteration, or of an audit by its name or folder.

    Args:
        target: default: the last iteration that has verdicts.
        sample: the number of rows of a random sample, stratified by verdict; None for all rows that
            have a verdict.

    Raises:
        ConfigError: if there is no such iteration or audit.
        LooptoolError: if it has nothing to review.
    """
    reviewed = _open(target)
    table = reviewed.table.drop_nulls("verdict") if sample is None else reviewed.table
    if table.is_empty():
        raise LooptoolError(f"{reviewed.title}: has no verdict to review")
    if sample is not None:
        table = draw(table, sample, reviewed.source)
    return Reviewed(reviewed.source, reviewed.title, table, reviewed.then)


def _open(target: str | None) -> Reviewed:
    """Open an iteration, by its number, or an audit, by its name or folder."""
    if target is not None and not target.isdecimal():
        for folder in (Path(target), AUDITS / target):
            if (folder / AUDIT).is_file():
                return _of_audit(folder.resolve().name, folder)
    return _of_iteration(target)


def _of_audit(name: str, folder: Path) -> Reviewed:
    audit = tables.read(folder / AUDIT, tables.Audit)
    samples = tables.read(folder / SAMPLES, tables.Samples)
    joined = audit.join(
        samples.select("sample_id", "tools", "messages", "label"), on="sample_id", how="left",
        maintain_order="left",
    )  # fmt: skip
    if joined["tools"].null_count():
        raise LooptoolError(f"{folder}: has the samples of another audit; run it again")
    problems = [_problem(row) for row in audit.select("prediction", "answers").iter_rows()]
    table = _shaped(joined, pl.Series(problems, dtype=pl.String), pl.col("answers") == "{}")
    command = ["looptool", "data", "audit", str(read_description(folder).get("reference"))]
    if folder.parent != AUDITS:
        command += ["--output", folder.as_posix()]
    command += ["--apply", "corrected.parquet"]
    return Reviewed(SOURCE + name, f"audit {name}", table, shlex.join(command))


def _problem(row: tuple[str | None, str]) -> str | None:
    prediction, answers = row
    if prediction is not None:
        return None
    problems: list[str | None] = [each.get("problem") for each in canonical.loads(answers).values()]
    return problems[0] if problems else None


def _of_iteration(target: str | None) -> Reviewed:
    snapshot = open_workspace()
    known = sorted(snapshot.tables("verdicts.parquet"))
    if target is not None and not target.isdecimal():
        audits = sorted(path.parent.name for path in AUDITS.glob(f"*/{AUDIT}"))
        raise ConfigError(
            f"{target}: neither an iteration nor an audit; there are "
            + (", ".join([*map(str, known), *audits]) or "none yet")
        )
    if not known or (target is not None and int(target) not in known):
        raise ConfigError(
            f"{target or 'review'}: no verdicts"
            + (f"; iterations with verdicts: {', '.join(map(str, known))}" if known else
               "; run `dvc repro`, or `looptool data audit` on a set of your own")
        )  # fmt: skip
    iteration = int(target) if target is not None else known[-1]
    folder = f"data/iterations/{iteration}"
    verdicts = tables.read(snapshot.path(f"{folder}/verdicts.parquet"), tables.Verdicts)
    samples = tables.read(snapshot.path(f"{folder}/train.parquet"), tables.Samples)
    probe = tables.read(snapshot.path(f"{folder}/probe.parquet"), tables.Probe)
    joined = (
        verdicts.rename({"old_label_id": "label_id"})
        .with_columns(verdict=pl.coalesce("proposed", "verdict"))
        .join(samples.select("sample_id", "tools", "messages", "label", "category"), on="sample_id")
        .join(probe.select("sample_id", "text", "calls", "parse_error", "ppl"), on="sample_id")
    )
    predictions = [
        prediction_label(*row) for row in joined.select("text", "calls", "parse_error").iter_rows()
    ]
    votes = [
        [vote for name, vote in canonical.loads(text).items() if not _is_human(name)]
        for text in joined["votes"]
    ]
    joined = joined.with_columns(
        prediction=pl.Series(
            [canonical.dumps(p) if p else None for p in predictions], dtype=pl.String
        ),
        prediction_id=pl.Series([label_id(p) if p else None for p in predictions], dtype=pl.String),
        tool=pl.Series([_tool(label) for label in joined["label"]], dtype=pl.String),
        label_ppl=pl.lit(None, pl.Float64),
        confidence=pl.Series(
            [_confidence(of, said) for of, said in zip(votes, joined["verdict"], strict=True)],
            dtype=pl.Float64,
        ),
        suspicion=pl.Series([_suspicion(of) for of in votes], dtype=pl.Float64),
        judge=pl.Series(
            ["+".join(n for n in canonical.loads(text) if not _is_human(n))
             for text in joined["votes"]], dtype=pl.String,
        ),
    ).sort("suspicion", "sample_id", descending=[True, False])  # fmt: skip
    problems = joined.select(
        pl.when(pl.col("prediction").is_null())
        .then(pl.col("parse_error").fill_null("an empty answer"))
    ).to_series()  # fmt: skip
    return Reviewed(
        str(iteration), f"iteration {iteration}", _shaped(joined, problems, pl.lit(False))
    )


def _is_human(judge: str) -> bool:
    return judge.startswith(HUMAN)


def _tool(label: str) -> str:
    calls = label_calls(canonical.loads(label))
    return calls[0].name if calls else ""


def _confidence(votes: list[Mapping[str, Any]], verdict: str) -> float:
    sure = [vote["confidence"] for vote in votes if vote["verdict"] == verdict]
    return sum(sure) / len(sure) if sure else 0.5


def _suspicion(votes: list[Mapping[str, Any]]) -> float:
    """Return how likely the label is wrong, by the judges."""
    likely = [likely_wrong(vote["verdict"], vote["confidence"]) for vote in votes]
    return sum(likely) / len(likely) if likely else 0.5


def _shaped(joined: pl.DataFrame, problems: pl.Series, suggested: pl.Expr) -> pl.DataFrame:
    """Return the columns of `Reviewed.table`."""
    votes = [
        {vote["verdict"] for name, vote in canonical.loads(text).items() if not _is_human(name)}
        for text in joined["votes"]
    ]
    said = pl.col("rationale").str.split(f" | {HUMAN}").list.first()
    return joined.with_columns(
        problem=problems,
        suggested=suggested,
        disagree=pl.Series([len(verdicts) > 1 for verdicts in votes], dtype=pl.Boolean),
        rationale=said.str.split(" | Waits for a review").list.first(),
        weight=pl.lit(None, pl.Float64),
    ).select(
        "sample_id", "label_id", "verdict", "confidence", "suspicion", "judge", "disagree", "votes",
        "rationale", "category", "tool", "prediction", "prediction_id", "problem", "ppl",
        "label_ppl", "tools", "messages", "label", "weight", "suggested",
    )  # fmt: skip


def draw(table: pl.DataFrame, size: int, seed: str) -> pl.DataFrame:
    """Return a random sample of rows with their weights, stratified by verdict.

    Strata share the sample equally, as far as they have rows. A row's weight is the number of rows
    of its stratum for each one drawn. The same table and seed give the same rows, and a larger
    sample has those of a smaller one.

    Raises:
        ConfigError: if the sample is smaller than the number of verdicts.
    """
    drawn = table.with_columns(
        lot=pl.Series([canonical.digest(seed, identity) for identity in table["sample_id"]])
    )
    strata = sorted(drawn.partition_by("verdict", maintain_order=True), key=len)
    if size < len(strata):
        raise ConfigError(f"--sample: {size}: must be at least {len(strata)}, one row per verdict")
    parts, left = [], size
    for place, stratum in enumerate(strata):
        take = min(len(stratum), left // (len(strata) - place))
        left -= take
        chosen = stratum.sort("lot").head(take)
        parts.append(chosen.with_columns(weight=pl.lit(len(stratum) / take)))
    return pl.concat(parts).drop("lot").sort("sample_id")
