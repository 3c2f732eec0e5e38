"""Units of measure: the words for them and how they convert."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure.

    Attributes:
        dimension: what it measures. Units of one dimension convert into each other.
        size: its size in the base unit of the dimension, which has size 1.
        names: its names and short forms; with an "s" added, they are names too.
    """

    dimension: str
    size: float
    names: tuple[str, ...]


# No "in", which is a preposition first, and no "pound" of mass: pounds are taken as money.
_UNITS = (
    Unit("time", 1, ("second", "sec", "s")),
    Unit("time", 60, ("minute", "min")),
    Unit("time", 3600, ("hour", "hr", "h")),
    Unit("time", 86400, ("day",)),
    Unit("time", 604800, ("week",)),
    Unit("span", 1, ("month",)),
    Unit("span", 12, ("year", "yr", "annum")),
    Unit("span", 3, ("quarter",)),
    Unit("length", 0.001, ("millimeter", "mm")),
    Unit("length", 0.01, ("centimeter", "cm")),
    Unit("length", 1, ("meter", "metre", "m")),
    Unit("length", 1000, ("kilometer", "kilometre", "km")),
    Unit("length", 1609.344, ("mile", "mi")),
    Unit("length", 0.3048, ("foot", "feet", "ft")),
    Unit("length", 0.0254, ("inch", "inches")),
    Unit("length", 0.9144, ("yard",)),
    Unit("mass", 1, ("gram", "gramme", "g")),
    Unit("mass", 1000, ("kilogram", "kilo", "kg")),
    Unit("mass", 1000000, ("tonne", "ton")),
    Unit("mass", 453.59237, ("lb",)),
    Unit("mass", 28.349523, ("ounce", "oz")),
    Unit("volume", 0.001, ("milliliter", "millilitre", "ml")),
    Unit("volume", 1, ("liter", "litre", "l")),
    Unit("data", 0.001, ("kilobyte", "kb")),
    Unit("data", 1, ("megabyte", "mb")),
    Unit("data", 1000, ("gigabyte", "gb")),
    Unit("data", 1000000, ("terabyte", "tb")),
    Unit("money", 0.01, ("cent",)),
    Unit("money", 1, ("dollar", "euro", "pound", "usd", "eur")),
)
_BY_NAME = {form: unit for unit in _UNITS for name in unit.names for form in (name, f"{name}s")}


def find_unit(word: str) -> Unit | None:
    """Return the unit that a word in lower case names, or None."""
    return _BY_NAME.get(word)


def conversions(amount: float, dimension: str) -> list[tuple[float, str, Unit]]:
    """Return an amount in base units as (amount, name, unit) for each unit of the dimension.

    A unit occurs once per full name; short forms of one or two letters and plurals do not occur.
    """
    return [
        (round(amount / unit.size, 6), name, unit)
        for unit in _UNITS
        if unit.dimension == dimension
        for name in unit.names
        if len(name) > 2 and not name.endswith("s")
    ]
