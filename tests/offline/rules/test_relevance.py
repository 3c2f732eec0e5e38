import pytest

from looptool.offline.rules import weights
from looptool.offline.rules.relevance import (
    about,
    binding,
    is_brief,
    order_of,
    parameter_words,
    prefer,
    properties,
    rank_said,
    relevance,
    request_stems,
    required,
    tool_words_asked,
)
from looptool.offline.rules.words import stem
from tests.offline.rules.reading import place, talk
from tests.offline.rules.table import FERRY, FERRY_CANCEL, LAMP, MEETING, TIDE, WIND, tool


@pytest.mark.parametrize("broken", [None, {}, {"parameters": None}, {"parameters": {}}])
def test_a_tool_without_parameters_has_none(broken: dict | None) -> None:
    assert dict(properties(broken)) == {}
    assert list(required(broken)) == []
    assert about(broken, "x") == "x "


def test_the_tool_that_the_request_speaks_of_is_the_most_relevant() -> None:
    heard = talk("Please cancel my ferry reservation ref BX-1")
    ranked = sorted([WIND, FERRY, FERRY_CANCEL, LAMP], key=lambda t: -relevance(t, heard))
    assert ranked[0] is FERRY_CANCEL
    assert prefer(FERRY_CANCEL, FERRY, heard) > 0 > prefer(FERRY, FERRY_CANCEL, heard)
    assert tool_words_asked(FERRY_CANCEL, [FERRY], heard) > 0
    assert tool_words_asked(FERRY, [FERRY_CANCEL], heard) == 0


@pytest.mark.parametrize("request_text", ["", "Wind", "cancel the ferry", "tides and lamps"])
def test_preference_for_one_tool_is_the_opposite_of_that_for_the_other(request_text: str) -> None:
    heard = talk(request_text)
    assert prefer(WIND, FERRY, heard) == -prefer(FERRY, WIND, heard)
    assert prefer(WIND, WIND, heard) == 0


def test_words_of_the_last_request_count_most_unless_it_is_a_follow_up() -> None:
    asked = request_stems(talk("Tides of the coast", "Which day?", "Show the wind there instead"))
    assert asked[stem("wind")] == weights.SAID_IN_REQUEST > asked[stem("tides")]
    follow_up = talk("Tides of the coast", "Which day?", "On 2024-05-03")
    assert is_brief(follow_up)
    assert request_stems(follow_up)[stem("tides")] == weights.SAID_BEFORE_FOLLOW_UP


def test_words_in_names_and_quotations_say_less() -> None:
    asked = request_stems(talk("Add “forecast meeting” to my diary"))
    assert asked[stem("forecast")] == weights.SAID_IN_NAME
    assert asked[stem("diary")] == weights.SAID_IN_REQUEST


def test_words_that_siblings_share_say_less_about_a_parameter() -> None:
    words = parameter_words(FERRY, "origin")
    assert words[stem("origin")] == weights.PARAMETER_NAME
    assert words[stem("departure")] == weights.PARAMETER_DESCRIPTION
    assert words[stem("harbour")] == weights.PARAMETER_DESCRIPTION * weights.PARAMETER_SHARED


@pytest.mark.parametrize(
    ("request_text", "value", "name"),
    [
        ("Ferry from Calais to Dover", "Calais", "origin"),
        ("Ferry from Calais to Dover", "Dover", "destination"),
        ("A ferry to Dover, departure at Calais harbour", "Calais", "origin"),
        ("Ferry for 3 passengers", "3", "passengers"),
        ("Ferry on 2024-06-01", "2024-06-01", "date"),
    ],
)
def test_the_words_around_a_value_suggest_its_parameter(request_text, value, name) -> None:
    heard = talk(request_text)
    span = place(heard.text, value)
    scores = {each: binding(FERRY, each, [span], heard) for each in properties(FERRY)}
    assert max(scores, key=lambda each: scores[each]) == name


def test_words_count_less_with_distance_and_not_beyond_the_sentence() -> None:
    lamp = tool("lamp", "", "", room="string", level="integer")

    def score(request: str) -> float:
        heard = talk(request)
        return binding(lamp, "room", [place(heard.text, "attic")], heard)

    near, far = score("the room attic"), score("the room that we call attic")
    assert near > far > score("the room. That attic")
    assert score("the room. That attic") == score("That attic") == 0
    assert score("attic room") > 0 == score("attic, room")
    assert score("That attic 2024-05-03 room") == score("That attic 2024-05-03")


def test_the_key_in_a_response_names_the_parameter() -> None:
    heard = talk('Result: {"room": "attic", "level": "low"}')
    attic, low = place(heard.text, "attic"), place(heard.text, "low")
    lamp = tool("lamp", "", "", room="string", level="string")
    assert binding(lamp, "room", [attic], heard) > binding(lamp, "level", [attic], heard)
    assert binding(lamp, "level", [low], heard) > binding(lamp, "room", [low], heard)


def test_a_date_suits_a_date_and_no_other_parameter() -> None:
    heard = talk("Put it there: 2024-10-09")
    span = place(heard.text, "2024-10-09")
    assert binding(MEETING, "date", [span], heard) > 0 > binding(MEETING, "title", [span], heard)
    assert binding(TIDE, "port", [span], heard) < 0


@pytest.mark.parametrize(
    ("first", "second"), [("x1", "x2"), ("team_a", "team_b"), ("origin", "destination"), ("x", "y")]
)
def test_names_tell_which_value_comes_first(first: str, second: str) -> None:
    assert order_of(first, second) > 0 > order_of(second, first)
    assert order_of(first, first) == order_of(first, "colour") == 0


def test_a_rank_before_a_value_is_known() -> None:
    heard = talk("the second team is Brest and the other is Calais")
    assert rank_said([place(heard.text, "Brest")], heard) == 1
    assert rank_said([place(heard.text, "Calais")], heard) is None
