"""Invented texts (names, titles, messages, codes), and the pools of the data files."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.trees import pools


def invented(rng: random.Random, low: int = 2, high: int = 3) -> str:
    """Return an invented name such as "Velkora"."""
    syllables = pools()["syllables"]
    return "".join(rng.choice(syllables) for _ in range(rng.randint(low, high))).capitalize()


def from_pool(name: str, rng: random.Random) -> str:
    """Return an entry of a pool, or an invented one of its sort.

    The pools "person" and "first" give names.
    """
    if name == "person":
        return f"{pick('first_names', rng)} {last_name(rng)}"
    if name == "first":
        return pick("first_names", rng)
    invent = _INVENT.get(name)
    if invent and rng.random() < 0.4:
        return invent(rng)
    return pick(name, rng).removeprefix("the ")


def pick(name: str, rng: random.Random) -> str:
    pool = pools()[name]
    choice: str = rng.choice(pool if isinstance(pool, tuple) else list(pool))
    return choice


def last_name(rng: random.Random) -> str:
    return invented(rng) if rng.random() < 0.25 else pick("last_names", rng)


def city(slot: Slot, rng: random.Random) -> str:
    if rng.random() < 0.12:
        return ", ".join(rng.choice(pools()["city_tails"]))
    return pick("cities", rng)


def place(slot: Slot, rng: random.Random) -> str:
    return from_pool(rng.choice(("landmarks", "landmarks", "hotels", "streets")), rng)


def address(slot: Slot, rng: random.Random) -> str:
    street = f"{rng.randint(1, 240)} {pick('streets', rng)}"
    return f"{street}, {pick('cities', rng)}" if rng.random() < 0.6 else street


def person(slot: Slot, rng: random.Random) -> str:
    return from_pool("person", rng)


def contact(slot: Slot, rng: random.Random) -> str:
    return from_pool(rng.choice(("first", "first", "person")), rng)


def email(slot: Slot, rng: random.Random) -> str:
    name = rng.choice(
        (
            pick("first_names", rng).lower(),
            f"{pick('first_names', rng)}.{pick('last_names', rng)}".lower(),
            f"{invented(rng).lower()}{rng.randint(1, 99)}",
        )
    )
    return f"{name}@{pick('websites', rng)}"


def team(slot: Slot, rng: random.Random) -> str:
    return f"{pick('cities', rng)} {pick('team_names', rng)}"


def company(slot: Slot, rng: random.Random) -> str:
    name = invented(rng)
    return f"{name} {pick('company_tails', rng)}" if rng.random() < 0.6 else name


def title(slot: Slot, rng: random.Random) -> str:
    return invent_title(rng)


def invent_title(rng: random.Random) -> str:
    adjective, noun, other = pick("adjectives", rng), pick("nouns", rng), pick("nouns", rng)
    return rng.choice(
        (
            lambda: f"The {adjective} {noun}".title(),
            lambda: f"{adjective} {noun}".title(),
            lambda: f"{noun.title()} of {invented(rng)}",
            lambda: f"A {noun.title()} for {pick('first_names', rng)}",
            lambda: f"{invented(rng)} {rng.randint(2, 9)}",
            lambda: f"The {noun.title()} and the {other.title()}",
        )
    )()


def code(slot: Slot, rng: random.Random) -> str:
    letters = "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.choice((2, 3))))
    digits = "".join(rng.choice(string.digits) for _ in range(rng.choice((3, 4, 5))))
    lower = "".join(rng.choice(string.ascii_lowercase) for _ in range(2))
    return rng.choice(
        (
            f"{letters}-{digits}",
            f"{letters}{digits}",
            digits + lower,
            f"{lower}_{digits}",
            f"{letters}-{digits[:2]}-{rng.randint(10, 99)}",
        )
    )


def label(slot: Slot, rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: f"{pick('adjectives', rng)} {pick('nouns', rng)}".title(),
            lambda: invented(rng),
            lambda: f"{pick('weekdays', rng)} {pick('nouns', rng).title()}",
            lambda: f"{invented(rng)} {rng.randint(2, 99)}",
        )
    )()


def file(slot: Slot, rng: random.Random) -> str:
    stem = rng.choice(
        (
            pick("files", rng),
            f"{pick('files', rng)}_{rng.randint(2, 2025)}",
            f"{pick('files', rng)}-{invented(rng).lower()}",
        )
    )
    return f"{stem}.{pick('extensions', rng)}"


def url(slot: Slot, rng: random.Random) -> str:
    path = rng.choice(
        ("", f"/{pick('nouns', rng)}", f"/{invented(rng).lower()}/{rng.randint(1, 900)}")
    )
    return f"https://{pick('websites', rng)}{path}"


def message(slot: Slot, rng: random.Random) -> str:
    name, day, task = pick("first_names", rng), pick("weekdays", rng), pick("tasks", rng)
    return rng.choice(
        (
            lambda: f"I'll be {5 * rng.randint(1, 12)} minutes late",
            lambda: f"Please {task} before {day}",
            lambda: f"{name} says hello from {pick('cities', rng)}",
            lambda: f"Can you bring the {pick('nouns', rng)} on {day}?",
            lambda: f"The {pick('meetings', rng)} moved to {day}",
            lambda: f"Thanks for the {pick('dishes', rng)}!",
            lambda: f"Don't forget to {task}",
            lambda: f"We need {rng.randint(2, 40)} more {pick('nouns', rng)}s",
            lambda: f"See you at {pick('landmarks', rng)}",
            lambda: f"Where is the {pick('adjectives', rng)} {pick('nouns', rng)}?",
        )
    )()


def query(slot: Slot, rng: random.Random) -> str:
    return rng.choice(
        (
            lambda: f"{pick('adjectives', rng)} {pick('nouns', rng)}",
            lambda: pick("topics", rng),
            lambda: f"{invented(rng)} {pick('files', rng)}",
            lambda: f"{pick('products', rng)} problems",
            lambda: f"{pick('files', rng)} for {pick('weekdays', rng)}",
            lambda: f"{pick('meetings', rng)}",
        )
    )()


def formula(slot: Slot, rng: random.Random) -> str:
    a, b, c, n = rng.randint(2, 9), rng.randint(1, 12), rng.randint(1, 20), rng.randint(2, 5)
    return rng.choice(
        (
            f"{a}x^{n} + {b}x",
            f"x^{n} - {b}",
            f"{a}x + {c}",
            f"sin({a}x)",
            f"{a}*x**{n} + {c}",
            f"x**{n} + {b}*x - {c}",
            f"e^({a}x)",
            f"cos(x) + {b}x",
            f"ln({a}x)",
        )
    )


_INVENT: dict[str, Callable[[random.Random], str]] = {
    "games": lambda rng: (
        f"{invented(rng)} {rng.choice(('Quest', 'Arena', 'Rally', 'Online', 'II'))}"
    ),
    "artists": lambda rng: rng.choice(
        (f"The {invented(rng)}s", f"{pick('first_names', rng)} {invented(rng)}")
    ),
    "hotels": lambda rng: f"Hotel {invented(rng)}",
    "restaurants": lambda rng: f"{rng.choice(('Casa', 'Cafe', 'Bistro', 'Chez'))} {invented(rng)}",
    "streets": lambda rng: f"{invented(rng)} {rng.choice(('Street', 'Road', 'Avenue', 'Lane'))}",
    "rivers": lambda rng: invented(rng),
    "genes": lambda rng: (
        "".join(rng.choice(string.ascii_uppercase) for _ in range(3)) + str(rng.randint(1, 29))
    ),
    "stocks": lambda rng: "".join(
        rng.choice(string.ascii_uppercase) for _ in range(rng.choice((3, 4)))
    ),
    "medicines": lambda rng: f"{invented(rng).lower()}ol",
}
