"""Values of technical and nested shapes: paths, code, SQL, dictionaries, lists of objects, and
values that follow from what users say ("2 hours" in minutes, "Germany" as DE)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from looptool.offline.grammar.inventions import code, from_pool, invented, pick
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.trees import Kind, pools


def _coded(slot: Slot, rng: random.Random) -> Any:
    """Return a code of a table from codes to their spoken forms."""
    return rng.choice(list(pools()[slot.kind.options["table"]]))


def _scaled(slot: Slot, rng: random.Random) -> int:
    """Return a number of small units, mostly so many that people say it in larger ones."""
    options = slot.kind.options
    factor, most = options["factor"], options.get("most", 6)
    if rng.random() < 0.3:
        step = 50 if factor >= 1000 else 5 if factor >= 60 else 1
        return int(step * rng.randint(2, 2 * factor // step))
    value = factor * rng.randint(1, most)
    if options.get("halves", True) and rng.random() < 0.35:
        value += factor // 2
    return int(value)


def _cents(slot: Slot, rng: random.Random) -> int:
    return rng.choice((50, 99, 100)) + 100 * rng.randint(1, 180)


def _small(slot: Slot, rng: random.Random) -> float:
    digits = rng.choice((3, 4, 4))
    return rng.randint(1, 95) / 10**digits


def _scientific(slot: Slot, rng: random.Random) -> float:
    low, high = slot.kind.options.get("exponents", (-9, -5))
    exponent = rng.randint(low, high)
    return float(f"{rng.randint(11, 99) / 10}e{exponent}")


def schema_of(kind: Kind) -> dict[str, Any]:
    """Return what a kind of nested values adds to the schema of its parameter."""
    if kind.draw == "matrix":
        return {"items": {"type": "array", "items": {"type": "number"}}}
    if kind.draw == "mapping":
        return {"additionalProperties": {"type": _type_of(kind.options)}}
    if kind.draw == "objects":
        fields = {
            name: {"type": _type_of(options)} for name, options in kind.options["fields"].items()
        }
        return {"items": {"type": "object", "properties": fields, "required": list(fields)}}
    return {}


def _type_of(options: Mapping[str, Any]) -> str:
    """Return the JSON Schema type of a part of a nested value; see `_part`."""
    if "pool" in options:
        return "string"
    return "number" if options.get("decimals") else "integer"


def _matrix(slot: Slot, rng: random.Random) -> list[list[int]]:
    size = slot.kind.options.get("size", 2)
    return [[rng.randint(-4, 9) for _ in range(size)] for _ in range(size)]


def _mapping(slot: Slot, rng: random.Random) -> dict[str, Any]:
    """Return an object with any keys of a pool and a number or text for each."""
    options = slot.kind.options
    keys = rng.sample(list(pools()[options["keys"]]), options.get("size") or rng.randint(2, 4))
    return {key: _part(options, rng) for key in keys}


def _objects(slot: Slot, rng: random.Random) -> list[dict[str, Any]]:
    """Return objects with the same fields; the texts of one field differ."""
    fields = slot.kind.options["fields"]
    made: list[dict[str, Any]] = []
    size = rng.randint(2, 3)
    while len(made) < size:
        item = {name: _part(options, rng) for name, options in fields.items()}
        texts = [value for value in item.values() if isinstance(value, str)]
        if not any(text in other.values() for text in texts for other in made):
            made.append(item)
    return made


def _part(options: Any, rng: random.Random) -> Any:
    if "pool" in options:
        return from_pool(options["pool"], rng)
    value = rng.randint(options["low"], options["high"])
    decimals = options.get("decimals", 0)
    if not decimals:
        return value
    return float(f"{value}.{rng.randint(1, 10**decimals - 1):0{decimals}d}")


def _path(slot: Slot, rng: random.Random) -> str:
    stem = rng.choice((pick("files", rng), f"{pick('files', rng)}_{rng.randint(2, 2025)}"))
    end = rng.choice((pick("extensions", rng), "log", "yaml", "py"))
    return f"{_folder(slot, rng)}/{stem}.{end}"


def _script(slot: Slot, rng: random.Random) -> str:
    stem = f"{pick('files', rng)}_{pick('nouns', rng)}"
    return f"{_folder(slot, rng)}/{stem}.{rng.choice(('py', 'sh'))}"


def _image(slot: Slot, rng: random.Random) -> str:
    stem = rng.choice((pick("nouns", rng), f"{pick('files', rng)}_{rng.randint(2, 2025)}"))
    return f"{stem}.{rng.choice(('png', 'jpg', 'jpeg', 'tiff', 'webp'))}"


def _recording(slot: Slot, rng: random.Random) -> str:
    stem = rng.choice((invented(rng).lower(), f"{pick('nouns', rng)}_{rng.randint(2, 99)}"))
    return f"{stem}.{rng.choice(('mp3', 'wav', 'flac', 'ogg'))}"


def _folder(slot: Slot, rng: random.Random) -> str:
    user, name = pick("first_names", rng).lower(), pick("nouns", rng)
    return rng.choice(
        (
            f"/home/{user}/{name}",
            f"/home/{user}/documents",
            f"/var/log/{invented(rng).lower()}",
            f"/srv/{name}/{pick('files', rng)}",
            f"~/{name}",
            f"/opt/{invented(rng).lower()}",
            f"/data/{name}/{rng.randint(2019, 2026)}",
        )
    )


def _host(slot: Slot, rng: random.Random) -> str:
    site = rng.choice((pick("websites", rng), f"{invented(rng).lower()}.net"))
    part = rng.choice(("www", "mail", "db", "api", "files", f"web-{rng.randint(1, 40):02d}"))
    return site if rng.random() < 0.4 else f"{part}.{site}"


def _ip(slot: Slot, rng: random.Random) -> str:
    first = rng.choice(("10", "192.168", "172.16", f"{rng.randint(20, 220)}"))
    rest = 4 - len(first.split("."))
    return ".".join([first, *(str(rng.randint(1, 254)) for _ in range(rest))])


def _version(slot: Slot, rng: random.Random) -> str:
    return f"{rng.randint(0, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 12)}"


def _hashtag(slot: Slot, rng: random.Random) -> str:
    first, second = pick("adjectives", rng), pick("nouns", rng)
    return "#" + rng.choice(
        (pick("hashtags", rng), first + second, f"{second}{rng.randint(2, 2026)}",
         first.capitalize() + second.capitalize(), invented(rng).lower())
    )  # fmt: skip


def _hex(slot: Slot, rng: random.Random) -> str:
    text = f"#{rng.randrange(1 << 24):06x}"
    return text.upper() if rng.random() < 0.6 else text


def _handle(slot: Slot, rng: random.Random) -> str:
    name = pick("first_names", rng).lower()
    return rng.choice(
        (f"@{name}_{pick('nouns', rng)}", f"@{invented(rng).lower()}{rng.randint(1, 99)}",
         f"@{pick('adjectives', rng)}.{name}", f"@{name}{rng.randint(1, 2005)}")
    )  # fmt: skip


def _flight_number(slot: Slot, rng: random.Random) -> str:
    return f"{rng.choice(('LH', 'BA', 'AF', 'KL', 'DL', 'UA', 'SK'))}{rng.randint(100, 9899)}"


def _plate(slot: Slot, rng: random.Random) -> str:
    letters = "".join(rng.choice("ABCDEFGHJKLMNPRSTVXYZ") for _ in range(3))
    return rng.choice((f"{letters} {rng.randint(100, 9999)}", f"{letters}-{rng.randint(10, 999)}"))


def _sequence(slot: Slot, rng: random.Random) -> str:
    letters = slot.kind.options.get("letters", "ACGT")
    return "".join(rng.choice(letters) for _ in range(rng.randint(8, 16)))


def _expression(slot: Slot, rng: random.Random) -> str:
    a, b, c = (rng.randint(2, 60) for _ in range(3))
    return rng.choice(
        (f"{a} * ({b} + {c})", f"({a} - {b}) / {c}", f"{a % 9 + 2}**{b % 6 + 2} - {c}",
         f"{a}.5 + {b} * {c}", f"({a} + {b}) * ({c} - {a})", f"{a} / {b} + {c}")
    )  # fmt: skip


def _snippet(slot: Slot, rng: random.Random) -> str:
    name, other, n = pick("nouns", rng), pick("nouns", rng), rng.randint(2, 40)
    return rng.choice(
        (f"print({name} * {n})", f"for i in range({n}): print(i)", f"{name} = [{n}, {n + 3}]",
         f"def {name}(x): return x ** 2 + {n}", f"{name} = {other} + {n}",
         f"while {name} > {n}: {name} = {name} // 2", f"print(len({name}) + {n})",
         f"if {name} >= {n}: print('{other}')")
    )  # fmt: skip


def _condition(slot: Slot, rng: random.Random) -> str:
    column = pick("number_columns", rng)
    n = rng.randint(2, 900)
    return rng.choice(
        (f"{column} > {n}", f"{column} < {n}", f"{column} >= {n}",
         f"status = '{pick('row_states', rng)}'", f"country = '{pick('countries', rng)}'",
         f"city = '{pick('cities', rng)}' AND {column} > {n}",
         f"{column} BETWEEN {n} AND {n + rng.randint(5, 300)}", f"id = {rng.randint(1, 99999)}")
    )  # fmt: skip


def _sql(slot: Slot, rng: random.Random) -> str:
    table, column = pick("tables", rng), pick("number_columns", rng)
    where = f" WHERE {_condition(slot, rng)}" if rng.random() < 0.6 else ""
    what = rng.choice(("*", "COUNT(*)", f"id, {column}", f"AVG({column})", f"MAX({column})"))
    return f"SELECT {what} FROM {table}{where}"


def _passage(slot: Slot, rng: random.Random) -> str:
    """Return a sentence as people write them in reviews, posts and news."""
    name, city = from_pool("person", rng), pick("cities", rng)
    firm = f"{invented(rng)} {pick('company_tails', rng)}"
    product, month = pick("products", rng), pick("months", rng)
    return rng.choice(
        (
            f"I love the {product}, no complaints at all",
            f"The {product} broke after {rng.randint(2, 9)} days and nobody answers my mails",
            f"The {pick('dishes', rng)} was cold and the waiter was rude",
            f"Best {pick('dishes', rng)} I have had in {city}",
            f"Good {product}, but delivered a week late",
            f"{name} joined {firm} in {month} as head of sales",
            f"{firm} will open an office in {city} next {month}",
            f"On {pick('weekdays', rng)}, {name} met the mayor of {city}",
            f"Our trip to {pick('countries', rng)} was wonderful from start to end",
            f"{firm} sold {rng.randint(2, 90)} thousand units in {pick('countries', rng)}",
            f"What a waste of money, the {product} never worked",
            f"{name} wrote a book about {pick('topics', rng)}",
            f"The bus to {city} was late again and full of people",
            f"Thanks to {name}, the {pick('meetings', rng)} was a success",
        )
    )


def _vin(slot: Slot, rng: random.Random) -> str:
    return "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(17))


def _cron(slot: Slot, rng: random.Random) -> str:
    return f"{rng.choice((0, 15, 30))} {rng.randint(0, 23)} * * {rng.choice(('*', 1, 5))}"


def _branch(slot: Slot, rng: random.Random) -> str:
    name = f"{pick('adjectives', rng)}-{pick('nouns', rng)}"
    return rng.choice((f"feature/{name}", f"fix/{name}", f"release-{rng.randint(1, 30)}", name))


def _username(slot: Slot, rng: random.Random) -> str:
    return rng.choice((_handle(slot, rng)[1:], f"{invented(rng).lower()}-{code(slot, rng)[-2:]}"))


SHAPES: dict[str, Callable[[Slot, random.Random], Any]] = {
    "coded": _coded,
    "scaled": _scaled,
    "cents": _cents,
    "small": _small,
    "scientific": _scientific,
    "matrix": _matrix,
    "mapping": _mapping,
    "objects": _objects,
    "path": _path,
    "folder": _folder,
    "script": _script,
    "image": _image,
    "recording": _recording,
    "host": _host,
    "ip": _ip,
    "version": _version,
    "hashtag": _hashtag,
    "hex": _hex,
    "handle": _handle,
    "flight_number": _flight_number,
    "plate": _plate,
    "sequence": _sequence,
    "expression": _expression,
    "snippet": _snippet,
    "condition": _condition,
    "sql": _sql,
    "passage": _passage,
    "vin": _vin,
    "cron": _cron,
    "branch": _branch,
    "username": _username,
}
