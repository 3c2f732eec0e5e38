"""`make_seeds`: an author's admitted samples, with label noise planted at a known rate.

The work is split into chunks. A chunk's content depends only on the seed and the chunk's number, so
the result does not depend on the number of processes.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from looptool.core import canonical, tables
from looptool.core.errors import LooptoolError
from looptool.core.samples import Label, category_of, check_label, label_calls, sample_id_of_json
from looptool.core.tool_match import match
from looptool.core.tools import Tool, check_call, check_tool
from looptool.judging import Judge
from looptool.synthesis import Author, Draft, Split, noise
from looptool.synthesis.contamination import Index, user_text
from looptool.synthesis.mixing import Source

CHUNK = 1000
PARALLEL_FROM = 5000
PROCESSES = 2
_ROUNDS = 12
_PARTS = ("samples", "truth", "rejected")

Refuse = Callable[[list[Draft]], list[str | None]]


@dataclass(frozen=True)
class Seeds:
    """Admitted samples and what belongs to them.

    Attributes:
        samples: the admitted samples, `tables.Samples`.
        truth: their true labels as far as known, `tables.Truth`.
        rejected: the refused drafts, `tables.Rejected`.
    """

    samples: pl.DataFrame
    truth: pl.DataFrame
    rejected: pl.DataFrame


class Row(NamedTuple):
    """A draft in canonical JSON.

    Attributes:
        known: whether `truth` is known to be right.
        noise: the kind of planted noise, or None.
        source: the author's name.
        check, reason: set if a rule refuses the draft.
    """

    sample_id: str
    tools: str
    messages: str
    label: str
    truth: str
    known: bool
    noise: str | None
    category: str
    source: str
    check: str | None
    reason: str | None


@dataclass(frozen=True)
class Recipe:
    """The samples to make.

    Attributes:
        count: number of samples.
        shares: weights of the categories; see `Author.write`.
        stage: the stage that makes them, for the table of rejected samples.
        iteration: the iteration whose data set they are for.
        label_noise: share of the samples that get a wrong label.
    """

    count: int
    seed: str
    split: Split
    shares: Mapping[Any, float]
    stage: str
    iteration: int
    label_noise: float = 0.0


def make_seeds(
    recipe: Recipe,
    author: Author,
    fill_up: Author | None = None,
    *,
    seen: Collection[str] = (),
    refuse: Refuse | None = None,
    fewer: bool = False,
) -> Seeds:
    """Return `recipe.count` admitted samples. The result depends only on the arguments.

    Args:
        fill_up: an author that writes what `author` could not.
        seen: sample_ids that must not be made again.
        refuse: returns a reason or None for each draft, for example from judges or the check
            against held-out data. It sees the true labels, before noise is planted.
        fewer: whether to return fewer samples, instead of raising, if the authors run out.

    Raises:
        LooptoolError: if the authors run out of samples before all are admitted.
    """
    count = recipe.count
    taken = set(seen)
    admitted: list[Row] = []
    rejected: list[tuple[Row, str, str]] = []
    first_chunk = 0
    exhausted: set[str] = set()  # authors whose last round admitted nothing
    for writer in [author] * _ROUNDS + ([fill_up] * _ROUNDS if fill_up else []):
        missing, before = count - len(admitted), len(admitted)
        if missing <= 0:
            break
        if writer.name in exhausted:
            continue
        sizes = [CHUNK] * (missing // CHUNK) + ([missing % CHUNK] if missing % CHUNK else [])
        chunks = [
            replace(recipe, count=size, seed=f"{recipe.seed}:{first_chunk + number}")
            for number, size in enumerate(sizes)
        ]
        first_chunk += len(chunks)
        written = 0
        for rows in _run(writer, chunks):
            written += len(rows)
            for row, reason in zip(rows, _reasons(rows, taken, refuse), strict=True):
                if reason is not None:
                    rejected.append((row, *reason))
                elif len(admitted) < count:
                    admitted.append(row)
        asking_is_free = writer.exact or getattr(writer, "free", False)
        if not written or (len(admitted) == before and not asking_is_free):
            exhausted.add(writer.name)
    if len(admitted) < count and not fewer:
        raise LooptoolError(
            f"{author.name} could make only {len(admitted)} of {count} samples that are new and "
            "pass the checks; ask for fewer, relax the checks, or let other authors write the "
            "rest (generate.fill_up, generate.mix)"
        )
    return _frames(admitted, rejected, recipe)


def mix_seeds(
    recipe: Recipe,
    sources: Sequence[Source],
    *,
    seen: Collection[str],
    index: Index | None,
    judges: Sequence[Judge],
) -> Seeds:
    """Return `recipe.count` admitted samples, divided among the sources by their shares.

    Noise is planted only where labels are right by construction. What a source cannot write is
    divided among the sources after it.

    Args:
        index: texts that samples must not overlap, or None.
        judges: admit the samples of the sources that are `judged`.

    Raises:
        LooptoolError: if the last source runs out of samples.
    """
    parts: list[Seeds] = []
    taken = set(seen)
    left = recipe.count
    for place, source in enumerate(sources):
        rest = sum(other.share for other in sources[place:])
        seed = recipe.seed if len(sources) == 1 else f"{recipe.seed}:{source.author.name}"
        part = make_seeds(
            replace(
                recipe,
                count=round(left * source.share / rest),
                seed=seed,
                label_noise=recipe.label_noise if source.author.exact else 0.0,
            ),
            source.author,
            source.fill_up,
            seen=taken,
            refuse=refuser(index, judges if source.judged else ()),
            fewer=source is not sources[-1],
        )
        taken |= set(part.samples["sample_id"])
        left -= len(part.samples)
        parts.append(part)
    return Seeds(*(pl.concat([getattr(part, name) for part in parts]) for name in _PARTS))


def tools_of(data: pl.DataFrame) -> list[Tool]:
    """Return the distinct tools of all samples (`tables.Samples`)."""
    distinct = {
        canonical.dumps(tool): tool
        for tools in data["tools"].unique(maintain_order=True)
        for tool in canonical.loads(tools)
    }
    return list(distinct.values())


def refuser(index: Index | None, judges: Sequence[Judge] = ()) -> Refuse:
    """Return a function that refuses drafts that overlap `index` or that a judge does not admit."""

    def refuse(drafts: list[Draft]) -> list[str | None]:
        reasons: list[str | None] = [None] * len(drafts)
        if index is not None:
            reasons = index.refuse([user_text(draft.messages) for draft in drafts])
        for judge in judges:
            left = [place for place, reason in enumerate(reasons) if reason is None]
            samples = [(drafts[p].tools, drafts[p].messages, drafts[p].label) for p in left]
            for place, reason in zip(left, judge.admit(samples), strict=True):
                reasons[place] = f"{judge.name}: {reason}" if reason is not None else None
        return reasons

    return refuse


def fault(draft: Draft) -> tuple[str, str] | None:
    """Return (check, reason) if a rule refuses the draft, else None."""
    for tool in draft.tools:
        if (reason := check_tool(tool)) is not None:
            return "tool", reason
    if (reason := check_label(draft.label)) is not None:
        return "label", reason
    calls = label_calls(draft.label)
    for call in calls:
        if (reason := check_call(call, draft.tools)) is not None:
            return "call", f"{call.name}: {reason}"
    if not draft.messages or draft.messages[-1].get("role") not in ("user", "tool"):
        return "messages", "the last turn must be the user's or a tool's"
    category = category_of(draft.tools, draft.messages, draft.label, draft.category)
    if category != draft.category:
        return "category", f"a {category} sample is called {draft.category}"
    return None


def _run(author: Author, chunks: list[Recipe]) -> Iterator[list[Row]]:
    """Yield the rows of each chunk in order; big jobs use several processes."""
    write = partial(_chunk, author)
    big = sum(chunk.count for chunk in chunks) > PARALLEL_FROM
    if not (big and author.portable):
        yield from map(write, chunks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        yield from pool.map(write, chunks)


def _chunk(author: Author, recipe: Recipe) -> list[Row]:
    drafts = author.write(recipe.count, seed=recipe.seed, split=recipe.split, shares=recipe.shares)
    rng = random.Random(f"noise:{recipe.seed}")
    owed = 0.0
    rows = []
    for draft in drafts:
        tools, messages = canonical.dumps(draft.tools), canonical.dumps(draft.messages)
        truth = canonical.dumps(draft.label)
        refused = draft.refused or fault(draft)
        label, kind = truth, None
        if refused is None and recipe.label_noise > 0:
            # If no noise fits this sample, a later one gets it, so that the rate is kept.
            owed += rng.random() < recipe.label_noise
            if owed:
                planted = _planted(draft, rng)
                if planted is not None:
                    label, kind = canonical.dumps(planted[0]), planted[1]
                    owed -= 1
        identity = sample_id_of_json(tools, messages)
        rows.append(
            Row(
                identity,
                tools,
                messages,
                label,
                truth,
                author.exact,
                kind,
                draft.category,
                author.name,
                *(refused or (None, None)),
            )
        )
    return rows


def _planted(draft: Draft, rng: random.Random) -> tuple[Label, str] | None:
    """Return a wrong label and its kind of noise, or None if no really wrong label was found."""
    planted = noise.plant(draft, rng)
    if planted is None or check_label(planted[0]) is not None:
        return None
    wrong, right = label_calls(planted[0]), label_calls(draft.label)
    return None if match(wrong, right, draft.tools) else planted


def _reasons(
    rows: list[Row], taken: set[str], refuse: Refuse | None
) -> list[tuple[str, str] | None]:
    """Return (check, reason) for each refused row, else None; adds new sample_ids to `taken`."""
    reasons: list[tuple[str, str] | None] = []
    for row in rows:
        if row.check is not None:
            reasons.append((row.check, row.reason or ""))
        elif row.sample_id in taken:
            reasons.append(("duplicate", "the same tools and messages were made before"))
        else:
            taken.add(row.sample_id)
            reasons.append(None)
    if refuse is None:
        return reasons
    places = [place for place, reason in enumerate(reasons) if reason is None]
    drafts = [_draft(rows[place]) for place in places]
    for place, reason in zip(places, refuse(drafts), strict=True):
        if reason is not None:
            reasons[place] = ("admission", reason)
    return reasons


def _draft(row: Row) -> Draft:
    return Draft(
        canonical.loads(row.tools),
        canonical.loads(row.messages),
        canonical.loads(row.truth),
        row.category,
    )


def _frames(admitted: list[Row], rejected: list[tuple[Row, str, str]], recipe: Recipe) -> Seeds:
    ids = [row.sample_id for row in admitted]
    size = len(admitted)
    labels = [row.label for row in admitted]
    known = [row for row in admitted if row.known]
    truths = [row.truth for row in known]
    samples: dict[str, Any] = {
        "sample_id": ids,
        "tools": [row.tools for row in admitted],
        "messages": [row.messages for row in admitted],
        "label": labels,
        "label_id": [canonical.digest(text) for text in labels],
        "alternatives": ["[]"] * size,
        "category": [row.category for row in admitted],
        "origin": ["seed"] * size,
        "parent_id": [None] * size,
        "born_iteration": [recipe.iteration] * size,
        "label_iteration": [recipe.iteration] * size,
        "label_source": [row.source for row in admitted],
    }
    truth: dict[str, Any] = {
        "sample_id": [row.sample_id for row in known],
        "label": truths,
        "label_id": [canonical.digest(text) for text in truths],
        "noise": [row.noise for row in known],
    }
    refused: dict[str, Any] = {
        "sample_id": [row.sample_id for row, _, _ in rejected],
        "check": [check for _, check, _ in rejected],
        "reason": [reason for _, _, reason in rejected],
        "stage": [recipe.stage] * len(rejected),
        "parent_id": [None] * len(rejected),
        "tools": [row.tools for row, _, _ in rejected],
        "messages": [row.messages for row, _, _ in rejected],
        "label": [row.truth for row, _, _ in rejected],
    }
    return Seeds(
        _frame(samples, tables.Samples),
        _frame(truth, tables.Truth),
        _frame(refused, tables.Rejected),
    )


def _frame(columns: dict[str, Any], table: type[tables.Table]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema=tables.polars_schema(table))
