"""Dates are read as they were written."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.english.dates import (
    ARGUMENT_DATES,
    NAMED_DATES,
    NOISE_DATES,
    TEXT_DATES,
    read_date,
    read_named_date,
    write_date,
)

DAYS = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))


@given(DAYS, st.sampled_from(ARGUMENT_DATES))
def test_a_date_in_an_argument_is_read_and_written_back(day, pattern):
    text = write_date(day, pattern)
    moment, read_as = read_date(text)
    assert moment.strftime(read_as) == text
    if day.day > 12:
        assert moment.date() == day


@given(DAYS, st.sampled_from(sorted(NAMED_DATES)))
def test_a_named_format_has_one_reading(day, name):
    assert read_named_date(write_date(day, NAMED_DATES[name]), name) == day


@pytest.mark.parametrize("text", ["03 May 2024", "May 03, 2024"])
def test_only_noise_takes_a_text_with_the_months_name_for_a_date(text):
    assert read_date(text) is None
    assert read_date(text, NOISE_DATES)[0] == dt.datetime(2024, 5, 3)


def test_the_month_is_first_except_for_noise():
    assert read_date("05/03/2024")[0] == dt.datetime(2024, 5, 3)
    assert read_date("05/03/2024", NOISE_DATES)[0] == dt.datetime(2024, 3, 5)


def test_every_format_of_a_text_is_another_one():
    assert len({write_date(dt.date(2024, 9, 3), pattern) for pattern in TEXT_DATES}) == 24
