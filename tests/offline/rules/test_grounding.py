import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rules import weights
from looptool.offline.rules.grounding import Ground, ground
from tests.offline.rules.reading import parameter, talk

NAMES = st.text("abcdefghij", min_size=2, max_size=8)


def strength(value: object, request: str, about: str = "x", today: str = "", **schema) -> float:
    return ground(value, schema, about, talk(request, today=today)).strength


@pytest.mark.parametrize(
    ("value", "request_text"),
    [
        ("Tarifa", "Wind in Tarifa?"),
        ("tarifa", "Wind in Tarifa?"),
        (12, "Twelve knots"),
        (0.035, "A rate of 3.5%"),
        (1200, "Pay 1,200"),
        ("2024-06-01", "On June 1st, 2024"),
        ("15:30", "At 3:30 pm"),
        (["Ada", "Bo"], "Invite Ada and Bo"),
        ({"city": "Brest"}, "A room in Brest"),
    ],
)
def test_a_value_that_is_said_plainly_is_certain(value: object, request_text: str) -> None:
    assert strength(value, request_text) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "value", ["Brest", 13, "2024-06-02", "15:31", ["Ada", "Bo"], {"city": "Brest"}, 1e200]
)
def test_a_value_that_nobody_said_has_no_ground(value: object) -> None:
    request = "Wind in Tarifa on June 1st, 2024 at 3:30 pm, 12 knots?"
    assert strength(value, request) < weights.UNSAID_EXACT


def test_a_value_has_the_places_where_it_is_said() -> None:
    heard = talk("From Brest to Brest-Ville and brest")
    spans = ground("Brest", parameter(), "origin", heard).spans
    assert [heard.text[a:b] for a, b in spans] == ["Brest", "Brest", "brest"]


def test_a_part_of_a_word_is_no_place() -> None:
    assert strength("ring", "Bring the strings") < weights.SAID


def test_less_certain_forms_are_ordered() -> None:
    request = "Wind in Cádiz, low tide-table of the old harbour"
    exact = strength("Cádiz", request)
    no_accent = strength("Cadiz", request)
    other_words = strength("harbour old", request)
    partly = strength("new harbour wall", request)
    assert exact > no_accent > other_words > partly > 0


def test_stopwords_of_a_value_are_no_trace_of_it() -> None:
    assert strength("harbour of the moon", "List all of the things") == 0


def test_another_unit_counts_if_the_parameter_names_it() -> None:
    named = strength(90, "It takes an hour and a half", about="minutes how long")
    assert named == weights.NUMBER_CONVERTED
    assert strength(90, "It takes an hour and a half", about="guests") < weights.SAID


def test_the_number_next_to_a_limit_is_said_roughly() -> None:
    assert strength(4, "less than five days") == weights.NUMBER_ALMOST
    assert strength(4, "five days") < weights.SAID


@pytest.mark.parametrize(
    ("value", "about", "request_text", "fits"),
    [
        (True, "breakfast Whether to include it", "With breakfast, please", True),
        (True, "breakfast Whether to include it", "No breakfast, please", False),
        (False, "breakfast Whether to include it", "Without breakfast", True),
        (True, "avoid_tolls", "Avoid tolls", True),
        (False, "avoid_tolls", "Tolls are fine", True),
    ],
)
def test_a_boolean_follows_its_topic_and_negation(value, about, request_text, fits) -> None:
    expected = weights.GROUND_NEGATION_FITS if fits else weights.GROUND_NEGATION_WRONG
    assert strength(value, request_text, about) == expected


def test_a_boolean_without_its_topic_is_rather_false() -> None:
    assert strength(False, "A room", "pets") > strength(True, "A room", "pets")


def test_a_code_is_said_in_words() -> None:
    assert strength("CAD", "in Canadian dollars") == weights.GROUND_CODE
    assert strength("CAD", "in dollars") == weights.GROUND_SHARED_CODE
    assert strength("USD", "in dollars") == weights.GROUND_CODE
    assert strength("UCL", "at University College London") == weights.GROUND_INITIALS


def test_a_choice_may_be_said_in_similar_words() -> None:
    assert strength("reserve", "Book it", enum=["reserve", "revoke"]) > weights.USED
    assert strength("revoke", "Book it", enum=["reserve", "revoke"]) == 0


def test_relative_dates_need_todays_date() -> None:
    assert strength("2024-05-04", "Come tomorrow", today="2024-05-03") == 1.0
    assert strength("2024-05-04", "Come tomorrow") == 0.0


def test_a_list_is_hardly_surer_than_its_weakest_item() -> None:
    partly = strength(["Ada", "Zoe"], "Invite Ada and Bo")
    assert 0 < partly < weights.SAID


@given(NAMES, NAMES)
def test_whatever_is_said_letter_by_letter_is_grounded_where_it_stands(one, other) -> None:
    heard = talk(f"Go to {one.title()} and {other.title()}!")
    result = ground(one, {}, "place", heard)
    assert result.strength >= weights.GROUND_STOPWORD
    assert all(heard.lower[a:b] == one for a, b in result.spans)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(JSON.filter(lambda value: "nan" not in repr(value) and "inf" not in repr(value)), st.text())
def test_any_value_has_a_strength_from_0_to_1_and_places_in_the_text(value, request_text) -> None:
    heard = talk(request_text)
    result = ground(value, {}, "x", heard)
    assert isinstance(result, Ground)
    assert 0 <= result.strength <= 1.0000001
    assert all(0 <= a < b <= len(heard.text) for a, b in result.spans)
