"""The context tree: domains, with functions that a model names in each (LoopTool, section 3.1)."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import Any

from rapidfuzz import fuzz, process

from looptool.core import canonical
from looptool.engines.roles import Question, Role, load_template
from looptool.synthesis import Split

ALIKE = 90.0  # rapidfuzz ratio from which two functions count as the same
HELDOUT = 5  # one in this many leaves, chosen by hash, belongs to the held-out split
DOMAINS = (
    "biology",
    "calendar",
    "chemistry",
    "finance",
    "food",
    "games",
    "geo",
    "geometry",
    "health",
    "history",
    "home",
    "law",
    "maths",
    "media",
    "messaging",
    "music",
    "physics",
    "shopping",
    "sports",
    "travel",
    "weather",
    "work",
)
_AT_ONCE = 40  # maximum number of functions in one answer
_PER_DOMAIN = 8  # tools wanted per request for a domain
_LETTERS = "abcdefghilmnoprstuvw"

_LINE = {"type": "string", "minLength": 1, "maxLength": 400}
GROWTH: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "functions": {
            "type": "array",
            "minItems": 1,
            "maxItems": _AT_ONCE,
            "items": {
                "type": "object",
                "properties": {"part": _LINE, "action": _LINE},
                "required": ["part", "action"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["functions"],
    "additionalProperties": False,
}


def grow(role: Role, count: int, rng: random.Random, split: Split) -> list[dict[str, str]]:
    """Ask a model for functions in random domains.

    Returns:
        Up to `count` leaves of the context tree that belong to `split`, with the keys `domain`,
        `part` and `action`.
    """
    chosen = [rng.choice(DOMAINS) for _ in range(-(-count // _PER_DOMAIN))]
    wanted = 2 * _PER_DOMAIN * (HELDOUT if split == "heldout" else 1)
    replies = role.ask(
        load_template("synthesis", "grow"),
        [
            Question(
                canonical.digest("grow", domain, str(number)),
                {"domain": domain, "count": min(wanted, _AT_ONCE), "letter": rng.choice(_LETTERS)},
                lambda data: list(data["functions"]),
            )
            for number, domain in enumerate(chosen)
        ],
        GROWTH,
    )
    actions: dict[str, dict[str, str]] = {}
    for domain, reply in zip(chosen, replies, strict=True):
        for function in reply.value or ():
            text = f"{function['part']}: {function['action']}"
            heldout = int(canonical.digest(text.casefold())[:8], 16) % HELDOUT == 0
            if heldout == (split == "heldout") and not is_like(text, actions):
                actions[text] = {"domain": domain, **function}
    return list(actions.values())[:count]


def is_like(text: str, known: Collection[str]) -> bool:
    """Return whether `text` is similar to one of `known` (token sort ratio of at least ALIKE)."""
    match = process.extractOne(text, list(known), scorer=fuzz.token_sort_ratio, score_cutoff=ALIKE)
    return match is not None
