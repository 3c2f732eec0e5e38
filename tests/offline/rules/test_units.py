import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rules.units import conversions, find_unit

WORDS = st.sampled_from(["seconds", "week", "yards", "mile", "kg", "lbs", "liters", "gb", "years"])


@pytest.mark.parametrize(
    ("word", "dimension", "size"),
    [
        ("minutes", "time", 60),
        ("mins", "time", 60),
        ("feet", "length", 0.3048),
        ("lbs", "mass", 453.59237),
        ("pounds", "money", 1),
        ("quarters", "span", 3),
    ],
)
def test_a_unit_has_full_names_short_forms_and_plurals(word, dimension, size) -> None:
    unit = find_unit(word)
    assert unit is not None
    assert (unit.dimension, unit.size) == (dimension, size)


@pytest.mark.parametrize("word", ["in", "guests", "", "minutess"])
def test_other_words_are_no_units(word: str) -> None:
    assert find_unit(word) is None


def test_conversions_name_each_unit_in_full_and_in_the_singular() -> None:
    names = [name for _, name, _ in conversions(3600, "time")]
    assert names == ["second", "sec", "minute", "min", "hour", "day", "week"]
    assert (1.0, "hour") in [(amount, name) for amount, name, _ in conversions(3600, "time")]


@given(st.floats(1, 1e6), WORDS)
def test_converting_there_and_back_gives_the_same_amount(amount: float, word: str) -> None:
    unit = find_unit(word)
    assert unit is not None
    base = amount * unit.size
    for converted, _, other in conversions(base, unit.dimension):
        assert converted * other.size == pytest.approx(base, rel=1e-9, abs=1e-6 * other.size)
