"""How often a request asks for the same call, as the rules judge reads it."""

import pytest

from looptool.judging import Case
from looptool.offline.rules.judge import admit, judge
from tests.offline.rules.table import PARCEL, call, calls, done, said, tool

CHIME = tool("ring_chime", "Ring a chime.", "tone", tone="string: Tone of the chime")
DART = tool("throw_dart", "Throw a dart at a board.", "distance", distance="integer: Metres")
CARD = tool("draw_card", "Draw a card from the deck.")
CARDS = tool("deal", "Deal playing cards.", "player", player="string", count="integer")
SHELF = tool("search_books", "Find a book.", "topic", topic="string: Topic")
TIMER = tool("start_timer", "Start a timer.", "minutes", minutes="integer: How long")
SAMPLE = tool(
    "draw_sample", "Draw a random number.", "mean", mean="integer: Mean", spread="integer: Spread"
)
LOW, HIGH, DRAW = call("ring_chime", tone="low"), call("ring_chime", tone="high"), call("draw_card")


def dart(distance):
    return call("throw_dart", distance=distance)


def sample(mean, spread):
    return call("draw_sample", mean=mean, spread=spread)


AGAIN = [
    *said("Draw a card."),
    *done("draw_card", {}, "Queen of hearts"),
    {"role": "assistant", "content": "You drew the queen of hearts."},
    *said("And again, please"),
]


@pytest.mark.parametrize(
    ("tools", "messages", "right", "wrong"),
    [
        ([CHIME], said("Ring the low chime three times."), [LOW] * 3, [LOW]),
        ([CHIME], said("Ring the low chime three times."), [LOW] * 3, [LOW] * 2),
        ([CHIME], said("Please ring the low chime twice"), [LOW] * 2, [LOW] * 3),
        ([CHIME], said("I need the low chime rung 4 times"), [LOW] * 4, [LOW]),
        ([CHIME], said("Low chime 3x, please."), [LOW] * 3, [LOW]),
        ([CHIME], said("Ring the low chime x2"), [LOW] * 2, [LOW]),
        ([CHIME], said("Could you ring the low chime a couple of times?"), [LOW] * 2, [LOW]),
        ([CHIME], said("Ring it now and later, low both times."), [LOW] * 2, [LOW]),
        ([CHIME], said("Ring the low chime, then ring it again."), [LOW] * 2, [LOW]),
        ([CARD], said("Draw two cards for me."), [DRAW] * 2, [DRAW]),
        ([CARD], said("I'd like a couple of cards."), [DRAW] * 2, [DRAW]),
        ([CARD], said("Draw 3 more cards"), [DRAW] * 3, [DRAW]),
        ([DART], said("Make two throws of a dart from 5 metres"), [dart(5)] * 2, [dart(5)]),
        ([CARD], AGAIN, [DRAW], [DRAW] * 2),
        (
            [DART],
            said("Throw the dart four times.", "From how many metres?", "From 7"),
            [dart(7)] * 4,
            [dart(7)],
        ),
        (
            [CHIME],
            said("Ring the low chime three times and the high one twice."),
            [LOW] * 3 + [HIGH] * 2,
            [LOW] * 2 + [HIGH] * 3,
        ),
        ([CHIME], said("The low and the high chime, two times each"), [LOW, HIGH] * 2, [LOW, HIGH]),
        (
            [CHIME, CARD],
            said("Ring the low chime twice and draw a card."),
            [LOW, LOW, DRAW],
            [LOW, DRAW, DRAW],
        ),
        (
            [SAMPLE],
            said(
                "I need five random numbers: two with a mean of 8 and a spread of 2, and three "
                "with a mean of 90 and a spread of 4."
            ),
            [sample(8, 2)] * 2 + [sample(90, 4)] * 3,
            [sample(8, 2), sample(90, 4)],
        ),
    ],
)
def test_the_number_of_equal_calls_that_is_asked_for_decides(tools, messages, right, wrong) -> None:
    good, bad = {"calls": right}, {"calls": wrong}
    assert judge(Case(tools, messages, good, bad)).verdict == "PRED_WRONG"
    assert judge(Case(tools, messages, bad, good)).verdict == "LABEL_WRONG"
    assert admit(tools, messages, good) is None


@pytest.mark.parametrize(
    ("tools", "request_text", "right", "wrong"),
    [
        (
            [CARDS],
            "Deal Mona three cards",
            [call("deal", player="Mona", count=3)],
            [call("deal", player="Mona", count=3)] * 3,
        ),
        ([CARDS], "Deal Mona 3 times", [call("deal", player="Mona", count=3)], None),
        ([SHELF], "Find two books about bees", [call("search_books", topic="bees")], None),
        (
            [TIMER],
            "Start two timers, of 6 and 9 minutes",
            [call("start_timer", minutes=6), call("start_timer", minutes=9)],
            [call("start_timer", minutes=6)] * 2,
        ),
        ([TIMER], "Start a timer of 2 minutes", [call("start_timer", minutes=2)], None),
        (
            [PARCEL],
            "It rang once. Where is parcel ZX-9081?",
            [call("trackParcel", parcel_id="ZX-9081")],
            None,
        ),
    ],
    ids=["counted", "counted times", "search", "two values", "a value", "told"],
)
def test_a_number_that_belongs_to_something_else_asks_for_no_repeats(
    tools, request_text, right, wrong
) -> None:
    good, bad = {"calls": right}, {"calls": wrong or right * 2}
    assert judge(Case(tools, said(request_text), good, bad)).verdict == "PRED_WRONG"
    assert judge(Case(tools, said(request_text), bad, good)).verdict == "LABEL_WRONG"
    assert admit(tools, said(request_text), good) is None


@pytest.mark.parametrize(
    ("tools", "request_text", "one"),
    [
        ([CHIME], "Ring the low chime a few times", LOW),
        ([CHIME], "Ring the low chime repeatedly", LOW),
        ([CARD], "Draw some cards", DRAW),
        ([CHIME], "Ring the low chime twice a day", LOW),
        ([CHIME], "Ring low for the visitors, ring low for the staff", LOW),
    ],
)
def test_where_nothing_tells_the_number_there_is_no_verdict(tools, request_text, one) -> None:
    once, thrice = calls(one), calls(one, one)
    for label, prediction in ((once, thrice), (thrice, once)):
        found = judge(Case(tools, said(request_text), label, prediction))
        assert found.verdict == "NO_CONSENSUS"
        assert "how often" in found.rationale
    assert admit(tools, said(request_text), thrice) is None


def test_an_open_number_excuses_no_wrong_value() -> None:
    messages = said("Ring the low chime a few times")
    found = judge(Case([CHIME], messages, calls(LOW, LOW), calls(HIGH, HIGH, HIGH)))
    assert found.verdict == "PRED_WRONG"


def test_what_was_called_already_counts() -> None:
    messages = [*said("Ring the low chime twice."), *done("ring_chime", {"tone": "low"}, "ok")]
    assert judge(Case([CHIME], messages, calls(LOW), calls(LOW, LOW))).verdict == "PRED_WRONG"
    assert admit([CHIME], messages, calls(LOW)) is None
    assert admit([CHIME], messages, calls(LOW, LOW)) is not None


def test_a_new_sample_with_another_number_is_refused_and_told_which() -> None:
    reason = admit([CHIME], said("Ring the low chime three times."), calls(LOW, LOW))
    assert reason == "label makes the same call twice, but 3 are asked for"
    reason = admit([CHIME], said("Ring the low chime three times."), calls(LOW))
    assert reason == "label makes the same call only once, but 3 are asked for"
