import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rules import weights
from looptool.offline.rules.numbers import find_numbers, with_commas


def sure(text: str) -> list[float]:
    return [max(number.values, key=lambda pair: pair[1])[0] for number in find_numbers(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("half a million", 500_000),
        ("a dozen", 12),
        ("two dozen", 24),
        ("a couple", 2),
        ("two hundred and fifty", 250),
        ("twenty-five", 25),
        ("one hundred thousand", 100_000),
        ("three and a half", 3.5),
        ("forty two point five", 42.5),
        ("1,250,000", 1_250_000),
        ("$45", 45),
        ("2.5 million", 2_500_000),
        ("5k", 5000),
        ("minus four", -4),
        ("-3", -3),
        ("30th", 30),
    ],
)
def test_numbers_as_people_write_them(text: str, value: float) -> None:
    assert sure(text) == [value]


def test_percent_is_both_itself_and_a_share() -> None:
    assert dict(find_numbers("3.5 %")[0].values) == {3.5: 1.0, 0.035: 1.0}


def test_a_measure_is_known_in_other_units() -> None:
    assert (90.0, "minute") in find_numbers("an hour and a half")[0].converted
    assert (1.5, "hour") in find_numbers("90 minutes")[0].converted


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("3/4", {0.75: weights.READ_FRACTION, 3: weights.READ_FRACTION_PART, 4: 0.5}),
        ("1 1/2", {1.5: weights.READ_FRACTION, 1: weights.READ_FRACTION_PART, 2: 0.5}),
        ("1,200", {1200: 1.0, 1: weights.READ_GROUP, 200: weights.READ_GROUP}),
        ("2 million", {2e6: 1.0, 2: weights.READ_BARE_SCALE}),
        ("5m", {5e6: 1.0, 5: weights.READ_METRES}),
        ("three quarters", {0.75: 1.0, 75: weights.READ_PART_PERCENT}),
        ("two hours and a half", {2.5: 1.0, 2: weights.READ_WITHOUT_HALF}),
        ("twice", {2: weights.READ_FIXED}),
        ("second", {2: weights.READ_SECOND}),
    ],
)
def test_a_number_may_have_several_readings(text: str, readings: dict[float, float]) -> None:
    assert dict(find_numbers(text)[0].values) == readings


def test_a_fraction_of_nothing_is_no_number_of_its_own() -> None:
    assert 3 in sure("3/0")


@pytest.mark.parametrize(
    ("text", "sums"),
    [
        ("an hour and 20 minutes", [(80.0, "minute")]),
        ("5 feet 10 inches", [(70.0, "inch")]),
        ("10 minutes and 2 hours", []),
        ("5 feet 10 minutes", []),
        ("5 guests 10 minutes", []),
        ("2 hours, then another 10 minutes", []),
    ],
)
def test_adjacent_amounts_of_one_dimension_add_up(text: str, sums: list) -> None:
    found = [number for number in find_numbers(text) if not number.values]
    assert len(found) == len(sums)
    for number, amount in zip(found, sums, strict=True):
        assert amount in number.converted


def test_a_decimal_comma_replaces_the_numbers_inside_it() -> None:
    text = "12,50 und 1.450,00"
    values = [number.values[0][0] for number in with_commas(find_numbers(text), text)]
    assert values == [12.5, 1450]


def test_a_number_and_the_one_in_the_word_behind_it_are_no_sum() -> None:
    assert sure("two six-sided dice") == [2, 6]
    assert dict(find_numbers("a d20")[-1].values) == {20: 0.9}


def test_digits_inside_identifiers_are_no_numbers() -> None:
    assert find_numbers("A320 and B-2x") == [] or sure("A320") == []


@given(st.integers(-(10**9), 10**9))
def test_any_whole_number_is_found_with_and_without_separators(value: int) -> None:
    assert value in sure(f"take {value} of them")
    assert value in sure(f"take {value:,} of them")


@pytest.mark.parametrize(
    "text",
    [
        "9" * 400,
        "9" * 305 + " million",
        "9." + "999." * 110,
        "hundred " * 160,
        "hundred " * 160 + "point one",
    ],
    ids=["digits", "scale", "groups", "words", "decimals"],
)
def test_a_number_too_large_for_a_float_is_no_number(text: str) -> None:
    found = with_commas(find_numbers(text), text)
    assert all(math.isfinite(value) for number in found for value, _ in number.values)


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    for number in find_numbers(text):
        assert 0 <= number.start < number.end <= len(text)
