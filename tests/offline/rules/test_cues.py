import pytest

from looptool.offline.rules.cues import find_cues, many_times, singular
from tests.offline.rules.reading import talk


@pytest.mark.parametrize(
    ("request_text", "wanted"),
    [
        ("Ring it twice", [2]),
        ("Ring it 4 times", [4]),
        ("Ring it three separate times", [3]),
        ("Ring it 3x", [3]),
        ("Ring it ×2", [2]),
        ("Ring it now and later, low both times", [2]),
        ("Ring it and then ring it again", [2]),
        ("Ring it again", [None]),
        ("Ring it three times a day", [None]),
        ("Make it twice as long", [None]),
        ("Once a day is enough", []),
        ("I rang it twice", []),
        ("What is 2x=4?", []),
        ("A rope of 3x m", []),
        ("Ring it", []),
    ],
)
def test_a_number_of_times_is_known_or_open(request_text: str, wanted: list[int | None]) -> None:
    assert [cue.wanted for cue in find_cues(talk(request_text)) if cue.times] == wanted


@pytest.mark.parametrize(
    ("request_text", "counted"),
    [
        ("Draw two cards", [(2, "card")]),
        ("Draw two different dice", [(2, "die")]),
        ("Draw three of the boxes", [(3, None)]),
        ("Book a table for two", [(2, None)]),
        ("Draw one card", []),
        ("Draw 3 cards on May 6, 2024 and 4 coins", [(3, "card"), (4, "coin")]),
        ("Wait 5 minutes", []),
        ("Wait 3 of them", [(3, None)]),
        ("Pay 5%", []),
        ("Meet on the 3rd, 2024-05-06", []),
        ("Take the second bus", []),
    ],
)
def test_a_number_of_things_is_no_measure_date_or_rank(request_text, counted) -> None:
    cues = [cue for cue in find_cues(talk(request_text)) if not cue.times]
    assert [(cue.wanted, cue.nouns[-1][1] if cue.nouns else None) for cue in cues] == counted


def test_only_messages_that_are_not_answered_yet_ask_for_something() -> None:
    assert find_cues(talk("Ring it twice", "Done.", "Thanks")) == []
    asked_back = find_cues(talk("Ring it twice", "Which one?", "The low one"))
    assert [cue.wanted for cue in asked_back] == [2]


def test_again_after_an_answer_asks_for_one_more() -> None:
    (cue,) = find_cues(talk("Ring it", "Done.", "And again"))
    assert (cue.wanted, cue.again) == (1, True)


def test_times_without_a_number_is_open() -> None:
    assert many_times(talk("Ring it many times"))
    assert not many_times(talk("Ring it 3 times"))
    assert not many_times(talk("Ring it many times", "Done.", "Stop"))


@pytest.mark.parametrize(
    ("word", "one"),
    [
        ("coins", "coin"),
        ("berries", "berry"),
        ("boxes", "box"),
        ("watches", "watch"),
        ("dice", "die"),
        ("children", "child"),
        ("glass", None),
        ("bus", None),
        ("coin", None),
    ],
)
def test_plurals_have_singulars(word: str, one: str | None) -> None:
    assert singular(word) == one
