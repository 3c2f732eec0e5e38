import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rules import weights
from looptool.offline.rules.words import (
    FIRST_CODES,
    SHARED_CODE_WORDS,
    content_stems,
    likeness,
    role_cues,
    split_words,
    stem,
)

STEMS = st.sampled_from(
    ["book", "reserv", "cancel", "cit", "loc", "pric", "cost", "weather", "forecast"]
) | st.text("abcdefg", max_size=7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("getHTTPResponse", ["get", "http", "response"]),
        ("room_type.v2", ["room", "type", "v", "2"]),
        ("3.5 km", ["3.5", "km"]),
        ("Café Léon", ["caf", "é", "l", "é", "on"]),
    ],
)
def test_identifiers_are_split_into_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    "forms",
    [
        ("reserve", "reserves", "reserved", "reservation", "reserving"),
        ("city", "cities"),
        ("calculate", "calculator", "calculation"),
        ("plan", "planned", "planning"),
    ],
)
def test_the_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


def test_short_words_and_numbers_are_their_own_stem() -> None:
    assert [stem(word) for word in ("its", "bed", "20th")] == ["its", "bed", "20th"]


def test_stopwords_have_no_content() -> None:
    assert content_stems("Please give me the price of it") == (stem("price"),)


@given(STEMS, STEMS)
def test_likeness_is_symmetric_and_highest_for_equal_stems(one: str, other: str) -> None:
    assert likeness(one, other) == likeness(other, one)
    assert 0 <= likeness(one, other) <= likeness(one, one) == 1


def test_likeness_of_synonyms_and_beginnings() -> None:
    assert likeness(stem("book"), stem("reserve")) == weights.LIKE_SYNONYM
    assert likeness("photo", "photograph") == weights.LIKE_BEGINNING
    assert likeness("comput", "compur") == weights.LIKE_FIVE_LETTERS
    assert likeness("frost", "train") == 0


def test_the_name_of_a_parameter_tells_its_direction_before_the_description() -> None:
    assert "from" in role_cues("origin", "") and "to" not in role_cues("origin", "")
    assert "to" in role_cues("x", "destination")
    assert "to" not in role_cues("origin", "not the destination")


def test_a_word_that_several_codes_share_means_the_first_of_them() -> None:
    assert "dollars" in SHARED_CODE_WORDS
    assert FIRST_CODES["dollars"] == "usd"
    assert "canadian" not in SHARED_CODE_WORDS
