import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rules import dates

TODAY = dt.date(2024, 5, 3)  # a Friday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on 2024-06-01", {(2024, 6, 1)}),
        ("March 3rd, 2025", {(2025, 3, 3)}),
        ("the 3rd of March", {(None, 3, 3)}),
        ("twenty-first of June 2024", {(2024, 6, 21)}),
        ("12/24/2024", {(2024, 12, 24)}),
        ("05/04/2024", {(2024, 5, 4), (2024, 4, 5)}),
        ("tomorrow", {(2024, 5, 4)}),
        ("the day after tomorrow", {(2024, 5, 5)}),
        ("yesterday", {(2024, 5, 2)}),
        ("on Monday", {(2024, 5, 6)}),
        ("next Friday", {(2024, 5, 10)}),
        ("last Friday", {(2024, 4, 26)}),
        ("a week from Monday", {(2024, 5, 13)}),
        ("in two weeks", {(2024, 5, 17)}),
        ("three days from now", {(2024, 5, 6)}),
        ("in a month", {(2024, 6, 3)}),
        ("two days before May 10, 2024", {(2024, 5, 8)}),
        ("the end of next month", {(2024, 6, 30)}),
        ("the 15th", {(2024, 5, 15)}),
        ("Christmas Eve", {(None, 12, 24)}),
    ],
)
def test_days_as_people_say_them(text: str, expected: set[dates.Day]) -> None:
    found = dates.find_days(text, TODAY)
    assert [moment.days for moment in found] == [frozenset(expected)]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("at 3pm", {900}),
        ("at 3:30 p.m.", {930}),
        ("15:45", {945}),
        ("noon", {720}),
        ("quarter to nine", {525, 1245}),
        ("half past six", {390, 1110}),
        ("7 o'clock in the evening", {1140}),
        ("at seven in the morning", {420}),
    ],
)
def test_times_as_people_say_them(text: str, minutes: set[int]) -> None:
    assert [set(moment.minutes) for moment in dates.find_times(text)] == [minutes]


def test_relative_days_mean_nothing_without_today() -> None:
    assert dates.find_days("tomorrow and next Friday", None) == []


def test_a_number_of_days_with_thousands_of_digits_is_no_date() -> None:
    assert dates.find_days(f"in {'9' * 5000} days", TODAY) == []


def test_today_stands_in_a_message() -> None:
    assert dates.find_today("You help.\nToday is Friday, 2024-05-03.") == TODAY
    assert dates.find_today("Meet on 2024-05-03.") is None


@given(st.dates(dt.date(1950, 1, 1), dt.date(2150, 1, 1)))
def test_any_date_is_read_back_from_its_usual_forms(day: dt.date) -> None:
    expected = (day.year, day.month, day.day)
    for text in (f"{day:%Y-%m-%d}", f"{day:%d %B %Y}", f"{day:%B %d, %Y}", f"{day:%m/%d/%Y}"):
        assert expected in dates.read_value(text)[0]
        assert any(expected in m.days for m in dates.find_days(f"It is due on {text}.", None))


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    dates.find_days(text, TODAY)
    dates.find_times(text)
    dates.read_value(text)
    dates.find_today(f"today is {text}")
