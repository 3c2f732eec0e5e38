from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rewriter.mentions import locate, rewrite


@pytest.mark.parametrize(
    ("value", "text", "said", "other", "rewritten"),
    [
        (5, "Book 5 seats", "5", 7, "Book 7 seats"),
        (12, "I need a dozen eggs", "a dozen", 24, "I need two dozen eggs"),
        (25, "It takes twenty-five steps", "twenty-five", 41, "It takes forty-one steps"),
        (12500, "Lend me $12,500 now", "12,500", 48000, "Lend me $48,000 now"),
        (500_000, "over half a million", "half a million", 1_000_000, "over a million"),
        (0.05, "at a 5% rate", "5%", 0.07, "at a 7% rate"),
        (120, "for 2 hours", "2 hours", 180, "for 3 hours"),
        (3.5, "of 3.5 cm", "3.5", 4.25, "of 4.25 cm"),
        (20, "a mass of 20kg", "20", 35, "a mass of 35kg"),
        ("2024-05-03", "on May 3rd, 2024", "May 3rd, 2024", "2024-06-14", "on June 14th, 2024"),
        ("2024-05-03", "on the 3rd of May", "the 3rd of May", "2024-06-14", "on the 14th of June"),
        ("14:30", "at 2:30 pm", "2:30 pm", "09:15", "at 9:15 am"),
        ("14:30", "at half past two", "half past two", "15:15", "at quarter past three"),
        ("New York", "in new york", "new york", "Oslo", "in oslo"),
        ("low_fat", "something low fat", "low fat", "gluten_free", "something gluten free"),
    ],
)
def test_a_value_is_found_as_people_say_it_and_another_is_said_alike(
    value, text, said, other, rewritten
):
    [mention] = locate(value, [text])
    assert text[mention.start : mention.end] == said
    assert rewrite([text], [(mention, mention.form(other))]) == [rewritten]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "on 2024-05-05 at 5:30"),
        (5, "for 15 people and 5.5 hours"),
        (5, "5 million people and five hundred cats"),
        (2, "on the 2nd at 2pm"),
        (1, "this one is mine"),
        (5, "twenty-five"),
        (True, "true"),
        ("Paris", "Parisian food"),
        ("a", "a dog"),
    ],
)
def test_what_only_looks_like_a_value_is_no_mention(value, text):
    assert locate(value, [text]) == []


def test_every_mention_in_every_text_is_found_once():
    found = locate(3, ["3 nights for three", "and 3 more"])
    assert sorted((m.text, m.start) for m in found) == [(0, 0), (0, 13), (1, 4)]


def test_the_article_before_a_value_follows_it():
    [mention] = locate(5, ["a 5-day trip"])
    assert rewrite(["a 5-day trip"], [(mention, "8")]) == ["an 8-day trip"]


def test_words_that_leave_the_half_of_the_day_open_say_no_time_of_the_other_half():
    [mention] = locate("14:30", ["at half past two"])
    assert mention.form("09:15") is None
    [mention] = locate("14:30", ["at half past two in the afternoon"])
    assert mention.form("16:45") == "quarter to five in the afternoon"
    assert mention.form("09:15") is None


@given(
    st.one_of(
        st.integers(-(10**9), 10**9),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
        st.dates().map(str),
    ),
    st.lists(st.text(max_size=40), max_size=3),
)
def test_mentions_hold_what_their_form_says_of_the_value_and_never_overlap(value, texts):
    if isinstance(value, str):
        texts = [*texts, f"say {value} twice, {value}"]
    found = locate(value, texts)
    for mention in found:
        assert texts[mention.text][mention.start : mention.end] == mention.form(value)
    spans = sorted((m.text, m.start, m.end) for m in found)
    for (text, _, end), (other, start, _) in pairwise(spans):
        assert text != other or end <= start
