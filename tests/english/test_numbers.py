"""Numbers in words say what the number is."""

import re

from hypothesis import given
from hypothesis import strategies as st

from looptool.english.numbers import ONES, TENS, duration_words, number_words, short_number_words


@given(st.integers(0, 19_999))
def test_a_number_in_short_words_can_be_read_back(number):
    text = short_number_words(number)
    if text is None:
        return
    total = 0
    for word in re.split(r"[ -]", text):
        if word in ("hundred", "thousand"):
            total *= 100 if word == "hundred" else 1000
        elif word in TENS:
            total += 10 * TENS.index(word)
        else:
            total += 1 if word == "a" else ONES.index(word)
    assert total == number


def test_number_words():
    words = {0: "zero", 19: "nineteen", 40: "forty", 101: "one hundred and one"}
    words |= {1500: "one thousand five hundred", 20_005: "twenty thousand and five"}
    assert {number: number_words(number) for number in words} == words


def test_only_durations_that_have_words_are_written_in_words():
    words = {30: "half an hour", 120: "two hours", 1440: "a whole day", 50: None, 61: None}
    assert {minutes: duration_words(minutes, "minutes") for minutes in words} == words
    assert duration_words(1.5, "hours") == "an hour and a half"
