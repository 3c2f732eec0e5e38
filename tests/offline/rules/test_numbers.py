import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
