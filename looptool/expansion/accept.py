"""Acceptance of expansions: schema rules, duplicates, contamination, judges, near-duplicates."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

import polars as pl
from datasketch import MinHash, MinHashLSH

from looptool.core import canonical, tables
from looptool.core.samples import check_label, label_calls, sample_id
from looptool.core.tools import check_call, check_tool
from looptool.expansion import Candidate, Expander
from looptool.judging import Judge
from looptool.synthesis.contamination import Index, user_text

PERMUTATIONS = 128
_WORD = re.compile(r"\w+(?:[.,:/-]\w+)*|[^\w\s]")

# Returns for each candidate the reason why it is refused, or None.
Check = Callable[[Sequence[Candidate]], list[str | None]]


def accept(
    candidates: Sequence[Candidate],
    judges: Sequence[Judge],
    seen: Collection[str],
    samples: pl.DataFrame,
    index: Index,
    max_similarity: float | None,
) -> tuple[list[Candidate], pl.DataFrame]:
    """Run every check on the candidates and separate the accepted from the rejected.

    Args:
        judges: all of them must admit a candidate.
        seen: sample_ids admitted in any iteration so far.
        samples: D_j, `tables.Samples`. A candidate may not be a duplicate or near-duplicate of one
            of its rows.
        index: held-out and benchmark texts.
        max_similarity: two samples are near-duplicates if the Jaccard similarity of the word pairs
            in their user messages is above this. None switches the check off: repetitions are
            near-duplicates on purpose.

    Returns:
        The accepted candidates in their order, and `tables.Rejected` with the first check that
        each of the others failed: `schema`, `duplicate`, `contamination`, `judge:<name>` or
        `near_duplicate`.
    """
    known = {*seen, *samples["sample_id"]}
    checks: list[tuple[str, Check]] = [
        ("schema", lambda rows: [_schema_error(row) for row in rows]),
        ("duplicate", lambda rows: _duplicates(rows, known)),
        ("contamination", lambda rows: index.refuse(_texts(rows))),
        *((f"judge:{judge.name}", _judge_check(judge)) for judge in judges),
    ]
    if max_similarity is not None:
        # Last, so that no candidate is refused as a near-duplicate of one that is itself refused.
        checks.append(("near_duplicate", lambda rows: _near(rows, samples, max_similarity)))
    left, rejected = list(candidates), []
    for name, check in checks:
        reasons = check(left)
        rejected += [
            _rejected(candidate, name, reason)
            for candidate, reason in zip(left, reasons, strict=True)
            if reason is not None
        ]
        left = [row for row, reason in zip(left, reasons, strict=True) if reason is None]
    return left, tables.frame(tables.Rejected, rejected)


def failed(expander: Expander) -> pl.DataFrame:
    """Return an expander's failed attempts as `tables.Rejected`, one row per attempt.

    Each row holds the error seed, since there is no new sample.
    """
    rows = [
        {
            "sample_id": failure.seed.sample_id,
            "check": f"expander:{expander.name}",
            "reason": failure.reason,
            "stage": "expand",
            "parent_id": failure.seed.sample_id,
            "tools": canonical.dumps(failure.seed.tools),
            "messages": canonical.dumps(failure.seed.messages),
            "label": canonical.dumps(failure.seed.label),
        }
        for failure in expander.failures
    ]
    return tables.frame(tables.Rejected, rows)


def near_duplicates(
    texts: Sequence[str], existing: Sequence[str], max_similarity: float
) -> list[str | None]:
    """Find near-duplicates of existing texts and of earlier accepted texts.

    MinHash LSH finds candidate pairs. The exact Jaccard similarity of their word pairs decides, so
    no text is refused because of an estimate.

    Args:
        max_similarity: texts above this Jaccard similarity are near-duplicates.

    Returns:
        For each of `texts` the reason why it is refused, or None.
    """
    lsh = MinHashLSH(num_perm=PERMUTATIONS, params=_bands(max_similarity))
    pairs = [_word_pairs(text) for text in [*existing, *texts]]
    hashes = MinHash.generator(
        ([pair.encode() for pair in sorted(of_text)] for of_text in pairs), num_perm=PERMUTATIONS
    )
    reasons: list[str | None] = []
    for place, (of_text, hashed) in enumerate(zip(pairs, hashes, strict=True)):
        if place < len(existing):
            lsh.insert(place, hashed, check_duplication=False)
            continue
        similarity, closest = max(
            ((_jaccard(of_text, pairs[other]), -other) for other in lsh.query(hashed)),
            default=(0, 0),
        )
        if similarity > max_similarity:
            whose = "an existing sample" if -closest < len(existing) else "another expansion"
            reasons.append(f"{similarity:.2f} like {whose}, more than {max_similarity}")
        else:
            lsh.insert(place, hashed, check_duplication=False)
            reasons.append(None)
    return reasons


def _bands(similarity: float) -> tuple[int, int]:
    """Return (bands, rows per band) with which LSH finds 99 % of the pairs this similar."""
    for rows in range(PERMUTATIONS, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - similarity**rows) ** bands >= 0.99:
            return bands, rows
    return PERMUTATIONS, 1


def _word_pairs(text: str) -> set[str]:
    words = ["", *_WORD.findall(text.casefold()), ""]
    return {f"{left} {right}" for left, right in pairwise(words)}


def _jaccard(left: set[str], right: set[str]) -> float:
    both = len(left & right)
    return both / (len(left) + len(right) - both)


def _schema_error(candidate: Candidate) -> str | None:
    for place, tool in enumerate(candidate.tools):
        if error := check_tool(tool):
            return f"tools[{place}]: {error}"
    names = [tool["name"] for tool in candidate.tools]
    if len(set(names)) != len(names):
        return "tools: two have the same name"
    if not candidate.messages or candidate.messages[-1]["role"] not in ("user", "tool"):
        return "messages: the last one must be the user's or a tool's"
    if not user_text(candidate.messages).strip():
        return "messages: the user says nothing"
    if error := check_label(candidate.label):
        return error
    for call in label_calls(candidate.label):
        if error := check_call(call, candidate.tools):
            return f"label: {call.name}: {error}"
    return None


def _duplicates(candidates: Sequence[Candidate], known: Collection[str]) -> list[str | None]:
    reasons: list[str | None] = []
    batch: set[str] = set()
    for candidate in candidates:
        identity = sample_id(candidate.tools, candidate.messages)
        if identity in known:
            reasons.append("admitted before")
        elif identity in batch:
            reasons.append("twice in one batch")
        else:
            reasons.append(None)
        batch.add(identity)
    return reasons


def _judge_check(judge: Judge) -> Check:
    return lambda rows: judge.admit([(row.tools, row.messages, row.label) for row in rows])


def _near(
    candidates: Sequence[Candidate], samples: pl.DataFrame, max_similarity: float
) -> list[str | None]:
    existing = [user_text(canonical.loads(messages)) for messages in samples["messages"]]
    return near_duplicates(_texts(candidates), existing, max_similarity)


def _texts(candidates: Sequence[Candidate]) -> list[str]:
    return [user_text(candidate.messages) for candidate in candidates]


def _rejected(candidate: Candidate, check: str, reason: str) -> dict[str, str]:
    return {
        "sample_id": sample_id(candidate.tools, candidate.messages),
        "check": check,
        "reason": reason,
        "stage": "expand",
        "parent_id": candidate.parent_id,
        "tools": canonical.dumps(candidate.tools),
        "messages": canonical.dumps(candidate.messages),
        "label": canonical.dumps(candidate.label),
    }
