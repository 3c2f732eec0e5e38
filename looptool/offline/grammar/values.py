"""Random values for one parameter, or for all arguments of a call."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from typing import Any

from looptool.english.dates import NAMED_DATES, read_named_date, write_date
from looptool.offline.grammar.api_values import fitting
from looptool.offline.grammar.generators import drawn
from looptool.offline.grammar.slots import Slot

_FIRST_DAY = dt.date(2023, 1, 1).toordinal()
_DAYS = 1200
_DISTINCT_TRIES = 12


def draw(slot: Slot, rng: random.Random, today: dt.date | None = None) -> Any:
    """Return a random value that fits the slot's schema; dates are near `today` if it is given."""
    if slot.kind.draw == "date":
        return fitting(lambda: _date(slot, rng, today), slot.schema, rng)
    return drawn(slot, rng)


def draw_arguments(
    slots: Mapping[str, Slot],
    rng: random.Random,
    *,
    mention: float = 0.45,
    fixed: Mapping[str, Any] | None = None,
    order: Sequence[str] = (),
    today: dt.date | None = None,
) -> dict[str, Any]:
    """Return random arguments for a call: all required parameters and some optional ones.

    Values of one kind differ from each other (two cities, two masses).

    Args:
        mention: the probability of each optional parameter.
        fixed: arguments that are taken as they are.
        order: keys of date slots whose values must ascend; ignored if there are `fixed` arguments.
    """
    arguments: dict[str, Any] = {}
    for name, slot in slots.items():
        if fixed and name in fixed:
            arguments[name] = fixed[name]
        elif slot.required or rng.random() < mention:
            taken = [arguments[other] for other in arguments if _alike(slots[other], slot)]
            arguments[name] = _distinct(slot, rng, today, taken)
    ordered = [
        n for key in order for n, slot in slots.items() if slot.key == key and n in arguments
    ]
    if len(ordered) > 1 and not fixed:
        ascending = sorted(
            (arguments[name] for name in ordered),
            key=lambda text: read_named_date(text, slots[ordered[0]].form) or dt.date.min,
        )
        arguments.update(zip(ordered, ascending, strict=True))
    return arguments


def _alike(one: Slot, other: Slot) -> bool:
    """Whether two slots must have different values."""
    same = one.kind.draw == other.kind.draw
    return same or one.kind.group == other.kind.group == "api"


def _distinct(slot: Slot, rng: random.Random, today: dt.date | None, taken: list[Any]) -> Any:
    """Draw a value that is not in `taken`, if there is one after some tries."""
    value = draw(slot, rng, today)
    if slot.type != "boolean":
        for _ in range(_DISTINCT_TRIES):
            if value not in taken:
                break
            value = draw(slot, rng, today)
    return value


def _date(slot: Slot, rng: random.Random, today: dt.date | None) -> str:
    """Draw a date in the format of the slot, near `today` if it is given."""
    if today:
        day = today + dt.timedelta(
            days=rng.randint(0, 13) if rng.random() < 0.8 else rng.randint(14, 300)
        )
    else:
        day = dt.date.fromordinal(_FIRST_DAY + rng.randrange(_DAYS))
    return write_date(day, NAMED_DATES[slot.form or "YYYY-MM-DD"])
