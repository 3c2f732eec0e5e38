"""Values in words say what the value is."""

import datetime as dt
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looptool.english.dates import system_date
from looptool.offline.grammar import toolbox, trees
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.speech import Voice, surface
from looptool.offline.grammar.wording import attach, phrase, tidy, today_of

TODAY = dt.date(2024, 5, 3)  # a Friday
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def slot(kind, **schema):
    return Slot("x", "x", trees.kinds()[kind], schema, True, "thing")


def said_as(kind, value, today=None, **schema):
    made = slot(kind, **schema)
    if kind == "date":
        made = Slot("x", "x", made.kind, schema, True, "date", "YYYY-MM-DD")
    return {surface(made, value, random.Random(seed), today) for seed in range(200)}


def test_large_and_round_numbers_have_indirect_forms():
    assert "half a million" in said_as("large", 500_000, type="integer")
    assert {"a dozen", "12", "twelve"} <= said_as("count", 12, type="integer")
    assert {"a quarter", "25%", "0.25"} <= said_as("fraction", 0.25, type="number")
    assert "half an hour" in said_as("duration", 30, type="integer")
    assert "noon" in said_as("time", "12:00", type="string")
    assert "$500" in said_as("amount", 500, type="number")


@settings(max_examples=200)
@given(st.integers(0, 400), st.integers(0, 6), st.integers(0, 10_000))
def test_every_relative_date_has_one_reading(ahead, weekday, seed):
    today = TODAY + dt.timedelta(days=weekday)
    day = today + dt.timedelta(days=ahead)
    made = Slot("x", "x", trees.kinds()["date"], {}, True, "date", "YYYY-MM-DD")
    text = surface(made, day.isoformat(), random.Random(seed), today)
    if text in ("today", "tomorrow", "the day after tomorrow"):
        assert ("today", "tomorrow", "the day after tomorrow").index(text) == ahead
    elif found := re.fullmatch(r"(this|next) (\w+)", text):
        # The first such day after today; "this" lies in this week, "next" in the next one.
        assert (DAYS.index(found[2]) - today.weekday() - 1) % 7 + 1 == ahead
        monday = today - dt.timedelta(days=today.weekday())
        assert ((day - monday).days >= 7) == (found[1] == "next")
    elif found := re.fullmatch(r"(\d+) days from now", text):
        assert int(found[1]) == ahead
    elif text == "two weeks from today":
        assert ahead == 14
    else:
        assert str(day.day) in text
        assert str(day.year) in text


def test_dates_are_relative_only_where_today_is_given():
    assert not any("tomorrow" in text for text in said_as("date", "2024-05-04"))
    assert said_as("date", "2024-05-04", TODAY) == {"tomorrow"}


def test_units_follow_the_call():
    action = toolbox.variant("triangle_area", next(
        i for i in range(20) if "unit" in toolbox.variant("triangle_area", i).by_key()
    ))  # fmt: skip
    names = {key: made.name for key, made in action.by_key().items()}
    arguments = {names["base"]: 10, names["height"]: 5}
    for seed in range(30):
        voice = Voice(random.Random(seed))
        voice.listen(action.slots, arguments)
        text = surface(action.slots[names["base"]], 10, voice.rng, voice=voice)
        assert text in ("10", "ten", "10 units", "ten units"), "no unit argument, so no unit"
        voice.listen(action.slots, {**arguments, names["unit"]: "cm"})
        attached = surface(action.slots[names["base"]], 10, voice.rng, voice=voice)
        assert bool(voice.covered) == attached.endswith((" cm", " centimeters"))


@pytest.mark.parametrize("kind", [k for k in trees.kinds().values() if k.draw != "flag"],
                         ids=lambda kind: kind.name)  # fmt: skip
def test_phrases_hold_the_value_and_keep_to_the_split(kind):
    made = Slot("x", "x", kind, {}, True, "size")
    value = {"items": ["a", "b"], "numbers": [1, 2], "record": {"a": "7"}}.get(kind.draw, "QQ7")
    parts = {"items": "b", "numbers": "2", "record": "7"}.get(kind.draw, "QQ7")
    rng = random.Random(2)
    trained = {phrase(made, value, rng) for _ in range(60)}
    assert all(parts in text for text in trained)
    held = {phrase(made, value, rng, "heldout") for _ in range(60)}
    assert held - trained


def test_a_false_flag_is_denied():
    made = Slot("tax", "tax", trees.kinds()["flag"], {"type": "boolean"}, False, "the tax")
    rng = random.Random(4)
    for _ in range(50):
        assert re.search(r"without|exclud|[Ll]eave|\bno\b|don't", phrase(made, False, rng))
        assert not re.search(r"without|exclud|[Ll]eave|\bno\b|don't", phrase(made, True, rng))


def test_phrases_are_attached_as_english_sentences():
    text, rest = attach("find a hotel", ["where the price is 5", "in Oslo", "Use euros."])
    assert text == "find a hotel in Oslo, where the price is 5"
    assert rest == ["Use euros."]
    assert attach("x", ["with a base of 1", "with a height of 2"])[0] == (
        "x with a base of 1 and a height of 2"
    )
    assert tidy("Book it on next Friday, and on tomorrow") == "Book it next Friday, and tomorrow"


def test_the_system_date_is_read_back():
    assert system_date(TODAY) == "Today is Friday, 2024-05-03."
    assert today_of([{"role": "system", "content": system_date(TODAY)}]) == TODAY
    assert today_of([{"role": "user", "content": "hi"}]) is None
