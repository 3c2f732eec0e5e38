"""The tool agent: it makes up the responses of tools, as short JSON."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping
from typing import Any

from looptool.offline.grammar.inventions import from_pool
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.toolbox import Action
from looptool.offline.grammar.trees import kinds
from looptool.offline.grammar.values import draw


def respond(
    action: Action, rng: random.Random, fixed: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a plausible response with the fields of the leaf; `fixed` fields are taken over."""
    gives = action.leaf.gives if action.leaf else {"status": "ok|done|success"}
    fixed = fixed or {}
    return {
        field: fixed[field] if field in fixed else _value(spec, rng)
        for field, spec in gives.items()
    }


def _value(spec: str, rng: random.Random) -> Any:
    """Return a value for a field of a response: by alternatives, a sort, a kind or a pool."""
    if "|" in spec:
        return rng.choice(spec.split("|"))
    if spec == "number":
        return round(rng.uniform(1, 900), rng.choice((1, 2)))
    if spec == "integer":
        return rng.randint(1, 900)
    if spec == "price":
        return round(rng.uniform(5, 2000), 2)
    if spec == "bool":
        return rng.random() < 0.5
    if spec == "text":
        return f"{from_pool('adjectives', rng)} {from_pool('nouns', rng)}"
    if spec == "phone":
        return f"+{rng.randint(1, 99)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"
    if spec in kinds():
        form = "YYYY-MM-DD" if spec == "date" else ""
        slot = Slot(spec, spec, kinds()[spec], {"type": "string"}, True, spec, form)
        return draw(slot, rng, dt.date(2024, 6, 1))
    return from_pool(spec, rng)
