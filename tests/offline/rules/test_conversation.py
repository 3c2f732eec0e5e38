from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.offline.rules import conversation
from tests.offline.rules.reading import place, talk
from tests.offline.rules.table import done, said


def mentions(text: str, today: str = "") -> list[tuple[str, str]]:
    return [(m.kind, m.text) for m in talk(text, today=today).mentions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Play “Low Tide” for me and all of my friends", [("quoted", "Low Tide")]),
        ("Track ZX-9081", [("code", "ZX-9081")]),
        ("Write to ada@example.org", [("code", "ada@example.org")]),
        ("Meet Ada Byron of Kirkby", [("name", "Ada Byron of Kirkby")]),
        ("Wind in Tarifa at 5pm", [("time", "5pm"), ("name", "Tarifa")]),
        ("Wind on 2024-06-01", [("date", "2024-06-01")]),
        ("Pay 45 dollars", [("number", "45")]),
        ("Ask Dr. Who", [("name", "Who")]),
        ("Take a walk", []),
        ("Take the third", []),
        ("Take the third bus", [("number", "third")]),
        ("Pick one", []),
    ],
)
def test_a_request_mentions_what_an_answer_should_use(text: str, expected: list) -> None:
    assert mentions(text) == expected


def test_a_request_that_is_a_quotation_as_a_whole_does_not_mention_it() -> None:
    assert mentions("“low tide”", today="2024-05-03") == []


def test_the_capital_of_a_sentence_is_no_name() -> None:
    assert mentions("Show the wind. Then stop") == []


def test_only_the_last_request_has_mentions() -> None:
    heard = talk("Wind in Tarifa?", "Calm.", "And in Brest?")
    assert [m.text for m in heard.mentions] == ["Brest"]


def test_calls_since_the_last_request_are_recent() -> None:
    messages = [
        *said("Ring."),
        *done("ring", {"n": 1}, "ok"),
        *said("Ring."),
        *done("ring", {}, ""),
    ]
    heard = conversation.read(messages)
    assert len(heard.executed) == 2
    assert [call.arguments for call in heard.recent] == [{}]


def test_a_question_of_the_assistant_leaves_the_request_pending() -> None:
    heard = talk("Ring it.", "Which one?", "The low one.", "Done.", "Thanks.")
    first, last = heard.text.index("Ring"), heard.text.index("Thanks")
    assert not heard.is_pending(first) and heard.is_pending(last)
    asked = talk("Ring it.", "Which one?", "The low one.")
    assert asked.is_pending(asked.text.index("Ring"))
    assert not asked.is_pending(asked.text.index("Which"))


def test_places_are_known_by_message() -> None:
    heard = talk("Wind in Tarifa?", "Calm in Tarifa.", "And waves?", today="2024-05-03")
    assert heard.role_at(heard.text.index("Calm")) == "assistant"
    assert heard.role_at(heard.text.index("Today")) == "system"
    waves = place(heard.text, "waves")
    assert heard.in_request(waves) and heard.is_fresh(waves)
    assert not heard.is_fresh(place(heard.text, "Calm"))
    assert heard.today is not None
    assert heard.replies == ["Calm in Tarifa."]
    assert "Calm" not in heard.user_text()


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_any_messages_are_read_and_their_mentions_lie_apart(turns: list[str]) -> None:
    heard = talk(*turns)
    spans = sorted((m.start, m.end) for m in heard.mentions)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert all(heard.in_request(span) and span[0] < span[1] for span in spans)
    for index, token in enumerate(heard.tokens):
        assert heard.token_index(token.start) == index
        assert heard.tokens_between(token.start, token.end) == [token]
